import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { answerError, hasProblem } from "./answers.ts";
import type { DownloadContext } from "./download.ts";
import { apiUrl } from "./endpoint.ts";
import { type Digest, digestAlgorithm, digestOf, isDigest } from "./oci/digest.ts";
import { type Manifest, maxManifestBytes, mediaTypes, parseManifest } from "./oci/manifest.ts";
import { formatReference, formatRepository, type Reference, type Repository } from "./oci/reference.ts";
import type { TransportResponse } from "./transport.ts";

/** A manifest with what the registry said about it besides. */
export interface FetchedManifest {
  manifest: Manifest;
  etag: string | undefined;
}

const accept = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
].join(", ");

export function manifestUrl(context: Pick<DownloadContext, "plainHttp">, repository: Repository, target: string): URL {
  return apiUrl(context, repository, `manifests/${target}`);
}

function targetOf(reference: Reference): string {
  const target = reference.digest ?? reference.tag;
  if (target !== undefined) return target;
  throw new UserError(`'${formatReference(reference)}' names neither a tag nor a digest`, {
    code: "reference-invalid",
    wayOut: "Say which one is meant: HOST/NAME:TAG or HOST/NAME@sha256:DIGEST.",
  });
}

/** What is behind a tag or digest, checked and not yet read. */
export interface FetchedBytes {
  bytes: Uint8Array;
  contentType: string | undefined;
  etag: string | undefined;
}

/**
 * The manifest behind a tag or digest, or undefined when the registry has none. Its digest is computed from its bytes,
 * by the algorithm of the digest asked for; a digest that the registry states has to agree.
 * @throws InfrastructureError `digest-mismatch`, `manifest-invalid`, `too-large`, `registry-error`,
 *   `registry-unreachable`; UserError `registry-unauthorized`
 */
export async function getManifest(
  context: DownloadContext,
  reference: Reference,
): Promise<FetchedManifest | undefined> {
  const fetched = await getManifestBytes(context, reference);
  if (fetched === undefined) return undefined;
  const { bytes, contentType, etag } = fetched;
  return { manifest: parseManifest(bytes, contentType, formatReference(reference), reference.digest), etag };
}

/** As {@link getManifest}, for who reads it by other rules. */
export async function getManifestBytes(
  context: DownloadContext,
  reference: Reference,
): Promise<FetchedBytes | undefined> {
  const response = await context.authorized.send(
    {
      method: "GET",
      url: manifestUrl(context, reference, targetOf(reference)),
      headers: { accept },
      readUpTo: maxManifestBytes,
    },
    { repository: reference, action: "pull" },
  );
  if (response.status === 404) return undefined;
  const where = formatReference(reference);
  if (response.status !== 200) throw answerError(response, reference, "pull from", `manifest ${where}`);
  const mismatch = (why: string): InfrastructureError =>
    new InfrastructureError(`manifest ${where} is not what its digest says: ${why}`, {
      code: "digest-mismatch",
      attempts: response.attempts,
    });
  if (reference.digest !== undefined) {
    const actual = digestOf(response.bytes, digestAlgorithm(reference.digest));
    if (actual !== reference.digest) throw mismatch(`its bytes have the digest ${actual}`);
  } else {
    const stated = response.header("docker-content-digest");
    if (isDigest(stated) && digestOf(response.bytes, digestAlgorithm(stated)) !== stated) {
      throw mismatch(`${reference.registry} says ${stated}, and sends other bytes`);
    }
  }
  return { bytes: response.bytes, contentType: response.header("content-type"), etag: response.header("etag") };
}

export function imageNotFound(reference: Reference): UserError {
  return new UserError(`image ${formatReference(reference)} does not exist`, {
    code: "image-not-found",
    wayOut: `Check the name, tag and digest; if ${reference.registry} hides images from those who may not see them, log in first: docker login ${reference.registry}`,
  });
}

/**
 * What some answer to HEAD that serve GET: registries behind gateways and storage that know no HEAD, or allow it to
 * nobody. A 404 is not among them: it is believed.
 */
export const headRefusals: readonly number[] = [403, 405, 406, 415, 501];

/** Whether a manifest with this digest is there; only its head is asked for, where the registry lets it be. */
export async function hasManifest(context: DownloadContext, repository: Repository, digest: Digest): Promise<boolean> {
  const response = await context.authorized.send(
    { method: "HEAD", url: manifestUrl(context, repository, digest), headers: { accept } },
    { repository, action: "pull" },
  );
  if (response.status < 400) await response.discard();
  if (response.status === 200) return true;
  if (response.status === 404) return false;
  if (headRefusals.includes(response.status))
    return (await getManifestBytes(context, { ...repository, digest })) !== undefined;
  throw answerError(response, repository, "pull from", `manifest ${digest}`);
}

/**
 * Whether the login that is there may read from the repository: the manifest is there, or the registry knows that it is
 * not.
 * @throws what the transport throws
 */
export async function mayRead(context: DownloadContext, repository: Repository, digest: Digest): Promise<boolean> {
  const response = await context.authorized.send(
    { method: "GET", url: manifestUrl(context, repository, digest), headers: { accept }, readUpTo: maxManifestBytes },
    { repository, action: "pull" },
  );
  return (
    response.status === 200 ||
    (response.status === 404 && (hasProblem(response, "MANIFEST_UNKNOWN") || hasProblem(response, "NAME_UNKNOWN")))
  );
}

/**
 * Deletes a manifest, and with it the tags that point at it.
 * @returns false where the registry does not delete, or not for this login
 */
export async function deleteManifest(
  context: DownloadContext,
  repository: Repository,
  digest: Digest,
): Promise<boolean> {
  const response = await context.authorized.send(
    { method: "DELETE", url: manifestUrl(context, repository, digest), readUpTo: maxManifestBytes },
    { repository, action: "delete" },
  );
  if ([200, 202, 204, 404].includes(response.status)) return true;
  // 405 and 400 UNSUPPORTED are the specification's words for it; others say 501, and 403 whoever may only push.
  if ([400, 401, 403, 405, 501].includes(response.status)) return false;
  throw answerError(response, repository, "delete from", `manifest ${digest}`);
}

/**
 * Puts a manifest at a tag or digest. With a condition in `headers`, a 412 is an answer: the registry reads conditions,
 * and this one does not hold.
 * @throws InfrastructureError `digest-mismatch` (the registry stored something else), `tag-immutable` (Harbor says that
 *   with 412 as well), `quota-exceeded`, `registry-read-only`, `registry-error`, `too-large`; UserError
 *   `registry-unauthorized`
 */
export async function putManifest(
  context: DownloadContext,
  repository: Repository,
  target: string,
  manifest: { bytes: Uint8Array; mediaType: string; digest: Digest },
  headers: Readonly<Record<string, string>> = {},
): Promise<TransportResponse> {
  const response = await context.authorized.send(
    {
      method: "PUT",
      url: manifestUrl(context, repository, target),
      headers: { "content-type": manifest.mediaType, ...headers },
      body: manifest.bytes,
      // A manifest that another host took is at no tag and in no list of this one.
      staysOnHost: true,
      readUpTo: maxManifestBytes,
    },
    { repository, action: "push" },
  );
  if (![200, 201, 202, 204].includes(response.status)) {
    const error = answerError(
      response,
      repository,
      "push to",
      `manifest ${target}`,
      isDigest(target) ? undefined : target,
    );
    const isConditional = headers["if-match"] !== undefined || headers["if-none-match"] !== undefined;
    if (response.status === 412 && isConditional && error.code === "registry-error") return response;
    throw error;
  }
  const stated = response.header("docker-content-digest");
  if (isDigest(stated) && stated !== digestOf(manifest.bytes, digestAlgorithm(stated))) {
    throw new InfrastructureError(`${formatRepository(repository)} stored manifest ${manifest.digest} as ${stated}`, {
      code: "digest-mismatch",
    });
  }
  return response;
}
