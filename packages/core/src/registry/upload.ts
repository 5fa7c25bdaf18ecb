import { InfrastructureError } from "../errors.ts";
import { createDigester, type Digest, digestAlgorithm } from "../oci/digest.ts";
import type { Descriptor } from "../oci/manifest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { answerError, hasProblem } from "./answers.ts";
import { type Access, isUnauthorized } from "./auth.ts";
import type { DownloadContext } from "./download.ts";
import { registryEndpoint, resolveOwnUrl } from "./endpoint.ts";
import { retryDelay } from "./retry.ts";
import type { TransportResponse } from "./transport.ts";

/** The ways in which an upload ends that may go better with a new one. */
const brokenCodes: readonly string[] = ["registry-unreachable", "registry-error"];

/** @throws what {@link DownloadContext.authorized} throws; UserError `registry-unauthorized` */
export async function headBlob(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
  action: Access["action"] = "pull",
): Promise<boolean> {
  const response = await context.authorized.send({ method: "HEAD", url: blobUrl(context, repository, digest) }, { repository, action });
  if (response.status < 400) await response.discard();
  if (response.status === 200) return true;
  if (response.status === 404) return false;
  throw answerError(response, repository, `${action} from`, `blob ${digest}`);
}

/**
 * Uploads a blob unless it is there: one POST, one PUT with the content as a stream. A broken upload starts again from the beginning, with the content
 * opened again. Content that is not what the descriptor says is never completed.
 * @throws InfrastructureError `digest-mismatch`, `registry-error`, `registry-unreachable`, `too-large`; UserError `registry-unauthorized`
 */
export async function uploadBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  content: () => AsyncIterable<Uint8Array> | Uint8Array,
): Promise<void> {
  const { transport, authorized } = context;
  const access: Access = { repository, action: "push" };
  const where = `blob ${descriptor.digest} of ${formatRepository(repository)}`;
  for (let attempt = 1; ; attempt++) {
    // Again on each try: the registry may have taken the blob, and only its answer was lost.
    if (await headBlob(context, repository, descriptor.digest, "push")) return;
    const start = await authorized.send({ method: "POST", url: uploadsUrl(context, repository) }, access);
    if (start.status !== 202) {
      if (start.status < 400) await start.discard();
      throw answerError(start, repository, "push to", `the upload of ${where}`);
    }
    await start.discard();
    const url = uploadLocation(context, start);
    url.searchParams.set("digest", descriptor.digest);
    let response: TransportResponse | undefined;
    let failure: InfrastructureError | undefined;
    try {
      response = await authorized.send(
        {
          method: "PUT",
          url,
          headers: { "content-type": "application/octet-stream" },
          body: { length: descriptor.size, open: () => verifyContent(content(), descriptor, where) },
          attempts: 1,
        },
        access,
      );
    } catch (error) {
      if (!(error instanceof InfrastructureError) || !brokenCodes.includes(error.code) || !error.safeToRetry) throw error;
      failure = error;
    }
    if (response !== undefined) {
      if (response.status < 400) await response.discard();
      if (response.status === 201 || response.status === 204) return;
      if (hasProblem(response, "DIGEST_INVALID") || hasProblem(response, "SIZE_INVALID")) {
        throw new InfrastructureError(`${repository.registry} received other bytes than were sent for ${where}`, {
          code: "digest-mismatch",
          attempts: attempt,
        });
      }
      const error = answerError(response, repository, "push to", `the upload of ${where}`);
      // The upload's session is gone (a restart, another replica behind the same name): a new one may live longer.
      if (!(error instanceof InfrastructureError) || (response.status !== 404 && response.status !== 416)) throw error;
      failure = error;
    }
    const why = failure?.message ?? "no answer";
    if (attempt >= transport.attempts) {
      throw new InfrastructureError(`${why}; the upload was tried ${attempt} times`, {
        code: failure?.code ?? "registry-error",
        attempts: attempt,
        cause: failure,
      });
    }
    context.debug(`${where}: ${why}; uploading it again`);
    await transport.wait(retryDelay(attempt, undefined, Math.random()));
  }
}

/**
 * Asks the registry to take a blob from another of its repositories. False when it would rather have the bytes, for whatever reason: the upload that follows has
 * the clearer error.
 */
export async function requestMount(context: DownloadContext, repository: Repository, digest: Digest, from: Repository): Promise<boolean> {
  if (from.registry !== repository.registry) return false;
  const access: Access = { repository, action: "push", mountFrom: from };
  const url = uploadsUrl(context, repository);
  url.searchParams.set("mount", digest);
  url.searchParams.set("from", from.name);
  let response: TransportResponse;
  try {
    response = await context.authorized.send({ method: "POST", url }, access);
  } catch (error) {
    // No token for both repositories together: one for the target alone may be had.
    if (isUnauthorized(error)) return false;
    throw error;
  }
  if (response.status < 400) await response.discard();
  if (response.status === 201) return true;
  if (response.status === 202) await cancelUpload(context, response, access);
  else if (response.status < 400 || response.status >= 500)
    throw answerError(response, repository, "push to", `the mount of blob ${digest}`);
  return false;
}

/** Best effort: an upload that nobody goes on with is the registry's to clean up otherwise. */
async function cancelUpload(context: DownloadContext, started: TransportResponse, access: Access): Promise<void> {
  try {
    const response = await context.authorized.send({ method: "DELETE", url: uploadLocation(context, started), attempts: 1 }, access);
    if (response.status < 400) await response.discard();
  } catch (error) {
    context.debug(`the upload that a mount left behind could not be cancelled: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function blobUrl(context: DownloadContext, repository: Repository, digest: Digest): URL {
  return new URL(`${repository.name}/blobs/${digest}`, registryEndpoint(repository.registry, context.plainHttp));
}

function uploadsUrl(context: DownloadContext, repository: Repository): URL {
  return new URL(`${repository.name}/blobs/uploads/`, registryEndpoint(repository.registry, context.plainHttp));
}

function uploadLocation(context: DownloadContext, response: TransportResponse): URL {
  const location = response.header("location");
  if (location === undefined) {
    throw new InfrastructureError(`${response.url.host} starts an upload and does not say where`, { code: "registry-error" });
  }
  return resolveOwnUrl(location, response.url, context.plainHttp, "an upload location");
}

/**
 * Passes the content on, its last chunk only once size and digest are known to be right, so that an upload of anything else stays incomplete.
 */
async function* verifyContent(
  content: AsyncIterable<Uint8Array> | Uint8Array,
  descriptor: Descriptor,
  where: string,
): AsyncGenerator<Uint8Array> {
  const digester = createDigester(digestAlgorithm(descriptor.digest));
  const mismatch = (why: string): InfrastructureError =>
    new InfrastructureError(`what is to be uploaded as ${where} is something else: ${why}`, {
      code: "digest-mismatch",
      safeToRetry: false,
    });
  let size = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    size += chunk.byteLength;
    if (size > descriptor.size) throw mismatch(`it has more than ${descriptor.size} bytes`);
    digester.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (size !== descriptor.size) throw mismatch(`it has ${size} bytes, not ${descriptor.size}`);
  const digest = digester.digest();
  if (digest !== descriptor.digest) throw mismatch(`its bytes have the digest ${digest}`);
  if (held !== undefined) yield held;
}
