import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { answerError } from "./answers.ts";
import type { AuthorizedTransport } from "./auth.ts";
import type { BlobContent } from "./content.ts";
import { apiUrl } from "./endpoint.ts";
import { createDigester, digestAlgorithm, digestOf } from "./oci/digest.ts";
import type { Descriptor } from "./oci/manifest.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";
import { parseContentLength, parseContentRange } from "./ranges.ts";
import { retryDelay } from "./retry.ts";
import type { Transport, TransportResponse } from "./transport.ts";
import { describeCause } from "./unanswered.ts";

/** As much has to come for a broken connection to count as a new start, rather than as one more failed try. Bytes. */
export const progressWorth = 1024 * 1024;
const endedEarly = "the connection ended early";
/** What comes in one piece as a rule: an image's config, a signature. Bytes. */
const oneRead = 64 * 1024;

export interface DownloadContext {
  transport: Transport;
  authorized: AuthorizedTransport;
  plainHttp: readonly string[];
  debug(message: string): void;
  /** What a reader of the log should know, and nobody has to act on. */
  note(message: string): void;
}

/**
 * A blob as it comes, its connection taken up again by Range where it breaks off. The stream ends well only when size
 * and digest are those of the descriptor: what was read before that is not to be believed.
 * @throws InfrastructureError `blob-not-found`, `registry-error`, `registry-unreachable`; from the stream also
 *   `digest-mismatch`
 */
export async function openVerifiedBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
): Promise<AsyncIterable<Uint8Array>> {
  const first = await requestBlob(context, repository, descriptor, { offset: 0, isRanged: false });
  const stream = streamBlob(
    context,
    repository,
    descriptor,
    0,
    first,
    createDigester(digestAlgorithm(descriptor.digest)),
  );
  let isBegun = false;
  // A generator that never began does nothing when it is ended, and an answer that nobody reads holds its connection.
  const iterator: AsyncIterator<Uint8Array> = {
    next() {
      isBegun = true;
      return stream.next();
    },
    async return() {
      if (!isBegun) await first.discard();
      return stream.return(undefined);
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/**
 * A blob as the content of an upload, which does the checking: any part of it can be asked for, by Range. Its streams
 * fail where size or digest cannot be right any more, but do not hash.
 */
export function blobContent(context: DownloadContext, repository: Repository, descriptor: Descriptor): BlobContent {
  return {
    what: nameBlob(repository, descriptor),
    openAt: (offset) => streamBlob(context, repository, descriptor, offset, undefined, undefined),
  };
}

/** What is asked for: all of it, or what follows so many bytes. */
interface BlobRequest {
  offset: number;
  isRanged: boolean;
}

function nameBlob(repository: Repository, { digest }: Descriptor): string {
  return `blob ${digest} of ${formatRepository(repository)}`;
}

function blobMismatch(repository: Repository, descriptor: Descriptor, why: string): InfrastructureError {
  return new InfrastructureError(`${nameBlob(repository, descriptor)} is not what its digest says: ${why}`, {
    code: "digest-mismatch",
    safeToRetry: false,
  });
}

/** Always from the registry's own address: where it redirected to may have been signed for a short time. */
async function requestBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  { offset, isRanged }: BlobRequest,
): Promise<TransportResponse> {
  const url = apiUrl(context, repository, `blobs/${descriptor.digest}`);
  // A digest names one content, so that no If-Range is needed; but neither a length nor a range means anything of a
  // compressed form of it.
  const headers = { accept: "*/*", "accept-encoding": "identity", ...(isRanged ? { range: `bytes=${offset}-` } : {}) };
  const response = await context.authorized.send({ method: "GET", url, headers }, { repository, action: "pull" });
  const where = nameBlob(repository, descriptor);
  if (response.status === 404)
    throw new InfrastructureError(`${where} is not there (404)`, { code: "blob-not-found", safeToRetry: false });
  if (response.status === 416 && isRanged)
    return requestBlob(context, repository, descriptor, { offset, isRanged: false });
  // A 206 to a request without Range would be a part of the blob in the place of the whole.
  if (response.status === 200 || (response.status === 206 && isRanged)) {
    const length = parseContentLength(response.header("content-length"));
    const expected = response.status === 200 ? descriptor.size : answeredLength(response, offset, descriptor.size);
    if (expected !== undefined && (length === undefined || length === expected)) return response;
    await response.discard();
    if (expected === undefined) {
      throw new InfrastructureError(
        `${where}: asked for what follows byte ${offset}, ${repository.registry} sends another range`,
        {
          code: "registry-error",
        },
      );
    }
    const total = response.status === 200 ? length : offset + (length ?? 0);
    throw blobMismatch(repository, descriptor, `it has ${total} bytes, not ${descriptor.size}`);
  }
  if (response.status < 400) await response.discard();
  throw answerError(response, repository, "pull from", where);
}

/**
 * How long a 206 has to be; undefined where it is of another range than what follows `offset`. It may end early: the
 * rest is asked for again.
 */
function answeredLength(response: TransportResponse, offset: number, size: number): number | undefined {
  const range = parseContentRange(response.header("content-range") ?? "");
  const isRight =
    range !== undefined &&
    range.start === offset &&
    range.end < size &&
    (range.size === undefined || range.size === size);
  return isRight ? range.end - range.start + 1 : undefined;
}

/**
 * The bytes from `start` on. With a digester, which has had those before, the end is checked.
 * @param failed tries that are over
 */
async function* streamBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  start: number,
  first: TransportResponse | undefined,
  digester: ReturnType<typeof createDigester> | undefined,
  failed = 0,
): AsyncGenerator<Uint8Array, undefined> {
  const { size } = descriptor;
  let offset = start;
  let failures = failed;
  let reachedAtFailure = start;
  let response = first ?? (await requestBlob(context, repository, descriptor, { offset, isRanged: offset > 0 }));
  for (;;) {
    let why = endedEarly;
    // A server without ranges sends everything again.
    let skip = response.status === 200 ? offset : 0;
    try {
      for await (const chunk of response.stream()) {
        const rest = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.byteLength));
        skip -= chunk.byteLength - rest.byteLength;
        if (rest.byteLength === 0) continue;
        offset += rest.byteLength;
        if (offset > size) throw blobMismatch(repository, descriptor, `it has more than ${size} bytes`);
        digester?.update(rest);
        yield rest;
      }
    } catch (error) {
      if (isKnownError(error)) throw error;
      why = describeCause(error);
    }
    if (offset === size) {
      const digest = digester?.digest();
      if (digest !== undefined && digest !== descriptor.digest) {
        throw blobMismatch(repository, descriptor, `its bytes have the digest ${digest}`);
      }
      return undefined;
    }
    if (offset - reachedAtFailure >= progressWorth) failures = 0;
    reachedAtFailure = offset;
    failures++;
    await waitToTakeUp(context, repository, descriptor, { offset, why, failures });
    response = await requestBlob(context, repository, descriptor, { offset, isRanged: offset > 0 });
  }
}

/** @throws InfrastructureError `registry-unreachable` where it has been tried as often as it may be */
async function waitToTakeUp(
  { transport, debug }: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  { offset, why, failures }: { offset: number; why: string; failures: number },
): Promise<void> {
  const where = nameBlob(repository, descriptor);
  if (failures >= transport.attempts) {
    throw new InfrastructureError(
      `${where} breaks off after ${offset} of ${descriptor.size} bytes: ${why} (tried ${failures} times)`,
      { code: "registry-unreachable", attempts: failures },
    );
  }
  debug(`${where}: ${why} after ${offset} bytes; taking up from there`);
  await transport.wait(retryDelay(failures, undefined, Math.random()));
}

/** A whole blob in memory. @throws InfrastructureError `too-large`, and what {@link openVerifiedBlob} throws */
export async function readVerifiedBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  maxBytes: number,
): Promise<Uint8Array> {
  if (descriptor.size > maxBytes) {
    throw new InfrastructureError(
      `blob ${descriptor.digest} of ${formatRepository(repository)} is too large: ${descriptor.size} bytes, at most ${maxBytes} are read`,
      { code: "too-large", safeToRetry: false },
    );
  }
  let failed = 0;
  if (descriptor.size <= oneRead) {
    const read = await readAtOnce(context, repository, descriptor);
    if (read instanceof Uint8Array) return read;
    failed = 1;
    await waitToTakeUp(context, repository, descriptor, { offset: 0, why: read.why, failures: failed });
  }
  const digester = createDigester(digestAlgorithm(descriptor.digest));
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBlob(context, repository, descriptor, 0, undefined, digester, failed))
    chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/**
 * A blob that is not worth taking up where it breaks off: without the stream's three generators, which cost more than a
 * config's bytes do.
 * @returns why, where the connection broke before its end: it is to be asked for anew
 */
async function readAtOnce(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
): Promise<Uint8Array | { why: string }> {
  const { size } = descriptor;
  const response = await requestBlob(context, repository, descriptor, { offset: 0, isRanged: false });
  let body: Awaited<ReturnType<TransportResponse["read"]>>;
  try {
    body = await response.read(size);
  } catch (error) {
    if (isKnownError(error)) throw error;
    return { why: describeCause(error) };
  }
  if (!body.isWhole) throw blobMismatch(repository, descriptor, `it has more than ${size} bytes`);
  if (body.bytes.byteLength < size) return { why: endedEarly };
  const digest = digestOf(body.bytes, digestAlgorithm(descriptor.digest));
  if (digest === descriptor.digest) return body.bytes;
  throw blobMismatch(repository, descriptor, `its bytes have the digest ${digest}`);
}
