import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Access } from "./access.ts";
import { answerError } from "./answers.ts";
import { isUnauthorized } from "./auth.ts";
import type { DownloadContext } from "./download.ts";
import { apiUrl, resolveOwnUrl } from "./endpoint.ts";
import { type Digest, digestAlgorithm } from "./oci/digest.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";
import { parseContentLength, parseUploadRange } from "./ranges.ts";
import type { TransportResponse } from "./transport.ts";

/** An upload that a registry has begun. */
export interface UploadSession {
  access: Access;
  /** Where it goes on: the newest location that the registry gave. */
  url: URL;
  /** How many bytes the registry has, counted from the first. */
  received: number;
  /** Every chunk but the last has to have at least so many bytes (`OCI-Chunk-Min-Length`). */
  minChunk: number;
  /** It was taken up again by the registry's word for what it has. */
  isResumed: boolean;
}

/** Begins an upload. @throws InfrastructureError `registry-error`, …; UserError `registry-unauthorized` */
export async function startUpload(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
): Promise<UploadSession> {
  const access: Access = { repository, action: "push" };
  const url = uploadsUrl(context, repository);
  // Specification, end-4c: only for another algorithm than the one that a registry expects, since an unknown parameter
  // is one more thing to stumble over.
  if (digestAlgorithm(digest) !== "sha256") url.searchParams.set("digest-algorithm", digestAlgorithm(digest));
  const response = await context.authorized.send({ method: "POST", url }, access);
  if (response.status < 400) await response.discard();
  if (response.status !== 202) throw answerError(response, repository, "push to", `the upload of blob ${digest}`);
  return beginSession(context, response, access);
}

/**
 * Asks the registry to take a blob from another of its repositories. "mounted", or the upload that it began in place of
 * that, or undefined where it did neither: the upload that follows has the clearer error.
 * @throws InfrastructureError `registry-error`, `registry-unreachable`
 */
export async function startMount(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
  from: Repository,
): Promise<UploadSession | "mounted" | undefined> {
  if (from.registry !== repository.registry) return undefined;
  const access: Access = { repository, action: "push", mountFrom: from };
  const url = uploadsUrl(context, repository);
  url.searchParams.set("mount", digest);
  url.searchParams.set("from", from.name);
  let response: TransportResponse;
  try {
    response = await context.authorized.send({ method: "POST", url }, access);
  } catch (error) {
    // No token for both repositories together: one for the target alone may be had.
    if (isUnauthorized(error)) return undefined;
    throw error;
  }
  if (response.status < 400) await response.discard();
  if (response.status === 201) return "mounted";
  if (response.status === 202 && response.header("location") !== undefined)
    return beginSession(context, response, access);
  if (response.status < 400 || response.status >= 500)
    throw answerError(response, repository, "push to", `the mount of blob ${digest}`);
  return undefined;
}

/**
 * What a registry has of an upload that broke off (specification, end-13); undefined where it does not know, or says
 * what cannot be, so that a new upload has to begin. `given` bytes have been sent at most.
 */
export async function askUpload(
  context: DownloadContext,
  session: UploadSession,
  given: number,
): Promise<UploadSession | undefined> {
  let response: TransportResponse;
  try {
    response = await context.authorized.send({ method: "GET", url: session.url }, session.access);
  } catch (error) {
    // A registry that is not there for this will say so again, when a new upload is asked for.
    if (error instanceof InfrastructureError && error.safeToRetry && error.code !== "aborted") return undefined;
    throw error;
  }
  if (response.status < 400) await response.discard();
  const received =
    response.status === 204 || response.status === 200 ? parseUploadRange(response.header("range")) : undefined;
  // `0-0` is one byte, and also how CNCF distribution writes none.
  if (received === undefined || received <= 1 || received > given) return undefined;
  return { ...followSession(context, session, response), received, isResumed: true };
}

/** Best effort: an upload that nobody goes on with is the registry's to clean up otherwise. */
export async function cancelUpload(context: DownloadContext, session: UploadSession): Promise<void> {
  try {
    const response = await context.authorized.send({ method: "DELETE", url: session.url, attempts: 1 }, session.access);
    if (response.status < 400) await response.discard();
  } catch (error) {
    context.debug(`an upload could not be cancelled: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The session after an answer to one of its requests: at the newest location. */
export function followSession(
  context: DownloadContext,
  session: UploadSession,
  response: TransportResponse,
): UploadSession {
  const location = response.header("location");
  return {
    ...session,
    url:
      location === undefined
        ? session.url
        : resolveOwnUrl(location, response.url, context.plainHttp, "an upload location"),
    minChunk: parseContentLength(response.header("oci-chunk-min-length")) ?? session.minChunk,
  };
}

function beginSession(context: DownloadContext, response: TransportResponse, access: Access): UploadSession {
  if (response.header("location") === undefined) {
    throw new InfrastructureError(
      `${response.url.host} starts an upload to ${formatRepository(access.repository)} and does not say where`,
      {
        code: "registry-error",
      },
    );
  }
  return followSession(context, { access, url: response.url, received: 0, minChunk: 0, isResumed: false }, response);
}

function uploadsUrl(context: DownloadContext, repository: Repository): URL {
  return apiUrl(context, repository, "blobs/uploads/");
}
