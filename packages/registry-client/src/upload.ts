import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Access } from "./access.ts";
import { answerError, hasProblem } from "./answers.ts";
import type { TransferOptions } from "./client.ts";
import { type BlobContent, createVerifiedContent, type VerifiedContent } from "./content.ts";
import { type DownloadContext, progressWorth } from "./download.ts";
import { apiUrl } from "./endpoint.ts";
import { headRefusals } from "./manifests.ts";
import type { Digest } from "./oci/digest.ts";
import type { Descriptor } from "./oci/manifest.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";
import { parseUploadRange } from "./ranges.ts";
import { retryDelay } from "./retry.ts";
import type { TransportResponse } from "./transport.ts";
import {
  askUpload,
  cancelUpload,
  followSession,
  startMount,
  startUpload,
  type UploadSession,
} from "./upload-session.ts";

/** What one request carries once it is known that a whole blob does not get there in one. Bytes. */
const defaultChunk = 16 * 1024 * 1024;
/** The body that nginx lets through unless it is told otherwise; what refuses that takes no blobs. Bytes. */
const smallestChunk = 1024 * 1024;
/** Read before its request begins, which is then one write. Bytes. */
const smallBody = 64 * 1024;

/** @throws what {@link DownloadContext.authorized} throws; UserError `registry-unauthorized` */
export async function headBlob(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
  action: Access["action"] = "pull",
): Promise<boolean> {
  const url = apiUrl(context, repository, `blobs/${digest}`);
  const response = await context.authorized.send({ method: "HEAD", url }, { repository, action });
  if (response.status < 400) await response.discard();
  if (response.status === 200) return true;
  if (response.status === 404) return false;
  if (headRefusals.includes(response.status)) return hasFirstByte(context, repository, digest, url, action);
  throw answerError(response, repository, `${action} from`, `blob ${digest}`);
}

/** For a registry that answers no HEAD: as little as can be asked for. 416 is what an empty blob is answered with. */
async function hasFirstByte(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
  url: URL,
  action: Access["action"],
): Promise<boolean> {
  const response = await context.authorized.send(
    { method: "GET", url, headers: { range: "bytes=0-0", "accept-encoding": "identity" } },
    { repository, action },
  );
  if (response.status < 400) await response.discard();
  if ([200, 206, 416].includes(response.status)) return true;
  if (response.status === 404) return false;
  throw answerError(response, repository, `${action} from`, `blob ${digest}`);
}

/**
 * True when the registry mounted the blob; an upload that it began in place of that is cancelled. @throws
 * InfrastructureError `registry-error`, …
 */
export async function requestMount(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
  from: Repository,
): Promise<boolean> {
  const begun = await startMount(context, repository, digest, from);
  if (begun !== undefined && begun !== "mounted") await cancelUpload(context, begun);
  return begun === "mounted";
}

export interface UploadOptions extends TransferOptions {
  /** An upload that the registry has begun already, in answer to a mount. */
  begun?: UploadSession | undefined;
}

/** What a request to an upload came to. */
type Step =
  | { kind: "done" }
  /** The registry has more now. */
  | { kind: "further"; session: UploadSession }
  /** The body was too long for one request. */
  | { kind: "too-long"; error: Error }
  /** `isGone`: the registry does not know the upload any more, or will not make a blob of it. */
  | { kind: "broken"; error: InfrastructureError; isGone: boolean };

/** A blob's way into a registry, and what is known of it so far. */
interface Upload {
  readonly context: DownloadContext;
  readonly repository: Repository;
  readonly descriptor: Descriptor;
  readonly verified: VerifiedContent;
  /** For people. */
  readonly where: string;
  session: UploadSession | undefined;
  isKnownMissing: boolean;
  /** What one request carries. Undefined: as much as there is. Bytes. */
  chunk: number | undefined;
  chunksRefused: boolean;
  failures: number;
  /** So much the registry is known to have, and had at the last failure. Bytes. */
  confirmed: number;
  confirmedAtFailure: number;
}

/**
 * Uploads a blob unless it is there: one POST, and one PUT with the whole content as a stream. Where that breaks off,
 * the registry is asked how much of it it has, and the rest follows; where it does not know, a new upload begins, which
 * goes in chunks from then on. Content that is not what the descriptor says is never completed.
 * @throws InfrastructureError `digest-mismatch`, `registry-error`, `registry-unreachable`, `too-large`; UserError
 *   `registry-unauthorized`; what the content throws
 */
export async function uploadBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  content: BlobContent,
  options: UploadOptions = {},
): Promise<void> {
  const { size, digest } = descriptor;
  const upload: Upload = {
    context,
    repository,
    descriptor,
    verified: createVerifiedContent(content, descriptor, options.onBytes),
    where: `blob ${digest} of ${formatRepository(repository)}`,
    session: options.begun,
    isKnownMissing: options.isMissing === true || options.begun !== undefined,
    chunk: undefined,
    chunksRefused: false,
    failures: 0,
    confirmed: 0,
    confirmedAtFailure: 0,
  };
  try {
    for (;;) {
      const session = await openSession(upload);
      if (session === undefined) return;
      const length = Math.min(size - session.received, Math.max(upload.chunk ?? size, session.minChunk));
      const isPatch = length !== size && length > 0;
      const step = await (isPatch ? sendChunk(upload, session, length) : closeUpload(upload, session));
      if (step.kind === "done") return;
      await follow(upload, session, step, length, isPatch);
    }
  } catch (error) {
    const { session, verified } = upload;
    if (session !== undefined && (verified.isOwnFailure(error) || isRefusal(error)))
      await cancelUpload(context, session);
    throw error;
  } finally {
    await upload.verified.close();
  }
}

/** The upload that is under way, or a new one; undefined where the blob is there. */
async function openSession(upload: Upload): Promise<UploadSession | undefined> {
  if (upload.session !== undefined) return upload.session;
  const { context, repository, descriptor } = upload;
  // Again after a failure: the registry may have taken the blob, and only its answer was lost.
  if (!upload.isKnownMissing && (await headBlob(context, repository, descriptor.digest, "push"))) return undefined;
  upload.isKnownMissing = false;
  upload.session = await startUpload(context, repository, descriptor.digest);
  return upload.session;
}

/** What a request of `length` bytes came to, and how to go on. @throws what no other try would do better than */
async function follow(
  upload: Upload,
  session: UploadSession,
  step: Exclude<Step, { kind: "done" }>,
  length: number,
  isPatch: boolean,
): Promise<void> {
  switch (step.kind) {
    case "further":
      upload.session = step.session;
      upload.confirmed = Math.max(upload.confirmed, step.session.received);
      return;
    case "too-long":
      if (upload.chunksRefused || length <= Math.max(smallestChunk, session.minChunk)) throw step.error;
      upload.chunk = Math.max(Math.min(defaultChunk, Math.floor(length / 4)), smallestChunk);
      return;
    case "broken": {
      await countFailure(upload, step.error);
      const resumed = step.isGone ? undefined : await askUpload(upload.context, session, upload.verified.given());
      if (resumed !== undefined) {
        upload.confirmed = Math.max(upload.confirmed, resumed.received);
      } else if (upload.chunk !== undefined && isPatch && step.isGone && session.received === 0) {
        // The first chunk of a new upload: this registry takes none.
        upload.chunksRefused = true;
        upload.chunk = undefined;
      } else if (!upload.chunksRefused) {
        upload.chunk ??= defaultChunk;
      }
      upload.session = resumed;
      return;
    }
  }
}

/**
 * Waits before the next try, unless there have been enough. Only what the registry is known to have gained counts as
 * getting on.
 */
async function countFailure(upload: Upload, error: InfrastructureError): Promise<void> {
  const { context } = upload;
  if (upload.confirmed - upload.confirmedAtFailure >= progressWorth) upload.failures = 0;
  upload.confirmedAtFailure = upload.confirmed;
  upload.failures++;
  const { failures } = upload;
  if (failures >= context.transport.attempts) {
    throw new InfrastructureError(`${error.message}; the upload was tried ${failures} times`, {
      code: error.code,
      attempts: failures,
      cause: error,
      ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }),
    });
  }
  context.debug(`${upload.where}: ${error.message}; going on with it`);
  await context.transport.wait(retryDelay(failures, undefined, Math.random()));
}

/** PATCH of the next `length` bytes. */
async function sendChunk(upload: Upload, session: UploadSession, length: number): Promise<Step> {
  const { where } = upload;
  const start = session.received;
  const end = start + length;
  const headers = { "content-type": "application/octet-stream", "content-range": `${start}-${end - 1}` };
  const response = await sendBody(upload, { method: "PATCH", url: session.url, headers }, session, start, end);
  if (response instanceof InfrastructureError) return { kind: "broken", error: response, isGone: false };
  if (response.status >= 300) return judgeRefusal(response, session, where, true);
  const stored = parseUploadRange(response.header("range"));
  const next = followSession(upload.context, session, response);
  // A registry that says nothing usable has said 202. `0-0` is no number at all (see askUpload).
  if (stored === undefined || stored <= 1 || stored === end)
    return { kind: "further", session: { ...next, received: end } };
  if (stored > start && stored < end) return { kind: "further", session: { ...next, received: stored } };
  const error = new InfrastructureError(
    `${session.url.host} says that it has ${stored} bytes of ${where}, of which ${end} were sent`,
    {
      code: "registry-error",
    },
  );
  return { kind: "broken", error, isGone: true };
}

/** The closing PUT, with the whole content where nothing has been sent, and with none where all of it has. */
async function closeUpload(upload: Upload, session: UploadSession): Promise<Step> {
  const { context, where } = upload;
  const { digest, size } = upload.descriptor;
  const { repository } = session.access;
  const url = new URL(session.url);
  url.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  const response = await sendBody(upload, { method: "PUT", url, headers }, session, session.received, size);
  if (response instanceof InfrastructureError) return { kind: "broken", error: response, isGone: false };
  if (response.status === 201 || response.status === 204) return { kind: "done" };
  if (response.status >= 300) return judgeRefusal(response, session, where, false);
  // Neither of the answers that mean a blob: it counts when it is there.
  if (await headBlob(context, repository, digest, "push")) return { kind: "done" };
  const error = new InfrastructureError(
    `${repository.registry} answers ${response.status} to the end of an upload, and does not have ${where}`,
    {
      code: "registry-error",
    },
  );
  return { kind: "broken", error, isGone: true };
}

/** The answer, its body discarded where it is not an error's; or the error, where going on may help. */
async function sendBody(
  { context, verified }: Upload,
  request: { method: "PATCH" | "PUT"; url: URL; headers: Record<string, string> },
  session: UploadSession,
  start: number,
  end: number,
): Promise<TransportResponse | InfrastructureError> {
  try {
    const body =
      end - start <= smallBody
        ? await readAll(verified.read(start, end))
        : { length: end - start, open: () => verified.read(start, end) };
    const response = await context.authorized.send({ ...request, body, attempts: 1 }, session.access);
    if (response.status < 400) await response.discard();
    return response;
  } catch (error) {
    const mayHelp = error instanceof InfrastructureError && error.safeToRetry && brokenCodes.includes(error.code);
    if (!mayHelp || verified.isOwnFailure(error)) throw error;
    return error;
  }
}

async function readAll(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : new Uint8Array(Buffer.concat(chunks));
}

/** The ways in which a request ends that another may do better than. */
const brokenCodes: readonly ErrorCode[] = ["registry-unreachable", "registry-error"];

/** @throws what says why no other try would do better */
function judgeRefusal(response: TransportResponse, session: UploadSession, where: string, isPatch: boolean): Step {
  const { repository } = session.access;
  const error = answerError(response, repository, "push to", `the upload of ${where}`);
  // It takes no chunks. Where it takes no writes at all, the next upload's beginning says so.
  if (isPatch && error instanceof InfrastructureError && (response.status === 405 || response.status === 501))
    return { kind: "broken", error, isGone: true };
  if (error.code === "too-large") return { kind: "too-long", error };
  // Who may not, or a refusal that has a name: a full quota, a registry that is read-only.
  if (!(error instanceof InfrastructureError) || error.code !== "registry-error") throw error;
  // It has another number of bytes than was thought.
  if (response.status === 416 || response.status === 409) return { kind: "broken", error, isGone: false };
  // The session is gone: a restart, another replica behind the same name.
  if (response.status === 404) return { kind: "broken", error, isGone: true };
  if (response.status !== 400) throw error;
  // Olareg says 400 of an upload that it does not know; and after a break a registry may have kept something else than
  // it told.
  if (session.isResumed || ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"].some((code) => hasProblem(response, code)))
    return { kind: "broken", error, isGone: true };
  if (hasProblem(response, "DIGEST_INVALID") || hasProblem(response, "SIZE_INVALID")) {
    throw new InfrastructureError(`${repository.registry} received other bytes than were sent for ${where}`, {
      code: "digest-mismatch",
    });
  }
  throw error;
}

/** An answer that ends the upload for good, while the registry is there to be told so. */
function isRefusal(error: unknown): boolean {
  return error instanceof InfrastructureError && ["digest-mismatch", "too-large"].includes(error.code);
}
