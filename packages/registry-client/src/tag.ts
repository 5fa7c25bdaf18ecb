import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { SeenTag } from "./client.ts";
import type { DownloadContext } from "./download.ts";
import { getManifest, putManifest } from "./manifests.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import type { Manifest } from "./oci/manifest.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";

/** What a tag points at now, by the bytes that are there, and the registry's word for that state. */
export async function readTag(context: DownloadContext, repository: Repository, tag: string): Promise<SeenTag> {
  const fetched = await getManifest(context, { ...repository, tag });
  return fetched === undefined ? { digest: undefined } : { digest: fetched.manifest.digest, ...etagOf(fetched.etag) };
}

function etagOf(etag: string | undefined): { etag?: string } {
  return etag === undefined ? {} : { etag };
}

/**
 * The condition under which a tag or list may be written, given what was seen: RFC 9110 section 13.1, which few
 * registries read. A weak ETag (a proxy's doing) is sent as the strong one that it was made of, since If-Match compares
 * strongly, and a weak one never fits.
 */
export function writeCondition(exists: boolean, etag: string | undefined): Record<string, string> {
  if (!exists) return { "if-none-match": "*" };
  return etag === undefined ? {} : { "if-match": etag.replace(/^W\//, "") };
}

/** How often a tag is written under a condition that the registry says does not hold, although it does. */
const maxTries = 2;

/**
 * Sets a tag that is as `expected` says, in two requests (a look and a write), or in one where the caller hands in what
 * it has just `seen`. Whatever the registry answers with a refusal is looked at once more: a write whose answer was
 * lost shows as a tag that is as it should be.
 *
 * Where the registry reads conditions (If-Match, If-None-Match), nobody can come in between. Elsewhere somebody may, in
 * the time between the look and the write, and is overwritten.
 * @throws InfrastructureError `tag-moved`, `tag-immutable`, `registry-error`, and as {@link putManifest} has them
 */
export async function setTag(
  context: DownloadContext,
  repository: Repository,
  tag: string,
  manifest: Pick<Manifest, "bytes" | "mediaType" | "digest">,
  expected: Digest | undefined,
  seen?: SeenTag,
): Promise<"set" | "unchanged"> {
  // A tag's digest is of the registry's own algorithm, whichever the manifest goes by.
  const wanted = digestOf(manifest.bytes);
  let current = seen ?? (await readTag(context, repository, tag));
  if (current.digest === wanted) return "unchanged";
  for (let attempt = 1; attempt <= maxTries; attempt++) {
    if (current.digest !== expected) throw tagMoved(repository, tag, expected, current.digest);
    let refusal: unknown;
    try {
      const response = await putManifest(
        context,
        repository,
        tag,
        manifest,
        writeCondition(current.digest !== undefined, current.etag),
      );
      if (response.status !== 412) return "set";
    } catch (error) {
      if (!isImmutableTag(error)) throw error;
      refusal = error;
    }
    current = await readTag(context, repository, tag);
    if (current.digest === wanted) return "set";
    if (refusal !== undefined) throw refusal;
  }
  if (current.digest !== expected) throw tagMoved(repository, tag, expected, current.digest);
  throw new InfrastructureError(
    `${repository.registry} refuses to set tag ${tag} of ${formatRepository(repository)} while it is ${expected ?? "not there"}, and shows it to be just that`,
    {
      code: "registry-error",
      attempts: maxTries,
      wayOut: "Run again: what the registry shows may lag behind what it holds.",
    },
  );
}

/**
 * Puts a manifest at a tag, wherever that points. An immutable tag that points there already is no refusal: the
 * registry only minds that it was asked.
 * @returns undefined in that case
 */
export async function putAtTag(
  context: DownloadContext,
  repository: Repository,
  tag: string,
  manifest: Pick<Manifest, "bytes" | "mediaType" | "digest">,
): Promise<Awaited<ReturnType<typeof putManifest>> | undefined> {
  try {
    return await putManifest(context, repository, tag, manifest);
  } catch (error) {
    if (!isImmutableTag(error)) throw error;
    const { digest } = await readTag(context, repository, tag);
    if (digest === digestOf(manifest.bytes)) return undefined;
    throw error;
  }
}

function isImmutableTag(error: unknown): boolean {
  return error instanceof InfrastructureError && error.code === "tag-immutable";
}

function tagMoved(
  repository: Repository,
  tag: string,
  from: Digest | undefined,
  to: Digest | undefined,
): InfrastructureError {
  return new InfrastructureError(
    `tag ${tag} of ${formatRepository(repository)} was moved by somebody else: it is ${to ?? "not there"}, and was ${from ?? "not there"}`,
    { code: "tag-moved", wayOut: "See who else sets this tag, then run again." },
  );
}
