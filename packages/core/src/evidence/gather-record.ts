import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import { readPayloads } from "../promote/referrers.ts";
import { isRunnableContent } from "../promote/runnable.ts";
import { collectEvidence } from "../signing/collect.ts";
import { isAboutContent } from "../signing/content-errors.ts";
import { readingLimits } from "../signing/reading-bounds.ts";
import type { Recorded } from "./record-facts.ts";

/** Tags and images that are looked at at the same time: as many as a client asks one host for at once. */
const concurrency = 8;
/** What registries without a list of referrers, and cosign before bundles, have tags for: a digest's, or its first part. */
const ownTag = /^sha(?:256|512)-[0-9a-f]{64}(?:\.\w+)?$/;

/**
 * What the tags of repositories point at, each image with what is signed about it. An image that no tag points at any
 * more is found by none: registries list nothing else. A tag that has the name of evidence is passed over only where
 * what is under it can't be run.
 * @throws the client's errors
 */
export async function gatherRecord(
  client: RegistryClient,
  repositories: readonly Repository[],
  { policy }: LoadedPolicy,
  now: Date,
): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
  for (const repository of repositories) {
    const { images, unreadable } = await listTaggedImages(client, repository);
    recorded.push(...unreadable.map(({ tag, why }) => ({ repository, tags: [tag], unreadable: why })));
    recorded.push(
      ...(await mapConcurrently(concurrency, [...images], async ([digest, own]) => ({
        repository,
        digest,
        tags: own,
        evidence: await collectEvidence(client, repository, digest, policy.signers, { now }),
      }))),
    );
  }
  return recorded;
}

/**
 * Each image that a tag of a repository points at, with those tags, and the tags of which that can't be read. A tag that
 * has the name of evidence is passed over only where what is under it can't be run.
 * @throws the client's errors
 */
export async function listTaggedImages(
  client: RegistryClient,
  repository: Repository,
): Promise<{ images: Map<Digest, string[]>; unreadable: { tag: string; why: string }[] }> {
  const tags = (await client.listTags(repository)).toSorted();
  const looked = await mapConcurrently(concurrency, tags, (tag) => lookAtTag(client, repository, tag));
  const images = new Map<Digest, string[]>();
  const unreadable: { tag: string; why: string }[] = [];
  for (const [at, found] of looked.entries()) {
    const [tag = ""] = tags.slice(at, at + 1);
    if (typeof found === "object") unreadable.push({ tag, why: found.unreadable });
    else if (found !== undefined) images.set(found, [...(images.get(found) ?? []), tag]);
  }
  return { images, unreadable };
}

/** What a tag points at, or why that can't be read; undefined for evidence, and where the tag is gone since. */
export async function lookAtTag(
  client: RegistryClient,
  repository: Repository,
  tag: string,
): Promise<Digest | { unreadable: string } | undefined> {
  try {
    const manifest = await client.fetchManifest({ ...repository, tag });
    return ownTag.test(tag) && !(await canRun(client, repository, manifest)) ? undefined : manifest.digest;
  } catch (error) {
    if (!isAboutContent(error) || !isKnownError(error)) throw error;
    return error.code === "image-not-found" ? undefined : { unreadable: error.message };
  }
}

/** Whether a runtime that is told this manifest runs something: of a list of referrers, one of what is in it. */
async function canRun(client: RegistryClient, repository: Repository, manifest: Manifest): Promise<boolean> {
  if (manifest.kind === "image") return isImage(client, repository, manifest);
  const digests = [...new Set(manifest.manifest.manifests.map(({ digest }) => digest))];
  if (digests.length > readingLimits.referrers) return true;
  const each = await mapConcurrently(concurrency, digests, async (digest) => {
    const child = await readManifest(client, repository, digest);
    return child !== undefined && isImage(client, repository, child);
  });
  return each.includes(true);
}

async function isImage(client: RegistryClient, repository: Repository, manifest: Manifest): Promise<boolean> {
  try {
    return isRunnableContent(manifest, await readPayloads(client, repository, manifest)) !== undefined;
  } catch (error) {
    // It has an image's config, and what would tell that it is none is not to be had.
    if (isAboutContent(error)) return true;
    throw error;
  }
}

/** Listed and gone, a manifest runs nowhere; malformed, it may. */
async function readManifest(
  client: RegistryClient,
  repository: Repository,
  digest: Digest,
): Promise<Manifest | undefined> {
  try {
    return await client.fetchManifest({ ...repository, digest });
  } catch (error) {
    if (isKnownError(error) && error.code === "image-not-found") return undefined;
    throw error;
  }
}
