import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import { isAboutContent } from "../signing/content-errors.ts";
import type { RecordedImage } from "./record-facts.ts";

/** Tags and images that are looked at at the same time. */
const concurrency = 4;
/** What registries without a list of referrers, and cosign before bundles, have tags for. */
const ownTag = /^sha(?:256|512)-[0-9a-f]+(?:\.\w+)?$/;

/**
 * The images of repositories that a tag points at, each with what is signed about it. An image that no tag points at any
 * more is found by none: registries list nothing else.
 * @throws the client's errors
 */
export async function gatherRecord(
  client: RegistryClient,
  repositories: readonly Repository[],
  { policy }: LoadedPolicy,
  now: Date,
): Promise<RecordedImage[]> {
  const images: RecordedImage[] = [];
  for (const repository of repositories) {
    const tags = (await client.listTags(repository)).filter((tag) => !ownTag.test(tag)).toSorted();
    const tagged = new Map<Digest, string[]>();
    const digests = await mapConcurrently(concurrency, tags, (tag) => resolveTag(client, repository, tag));
    for (const [at, digest] of digests.entries())
      if (digest !== undefined) tagged.set(digest, [...(tagged.get(digest) ?? []), tags[at] ?? ""]);
    images.push(
      ...(await mapConcurrently(concurrency, [...tagged], async ([digest, own]) => ({
        repository,
        digest,
        tags: own,
        evidence: await collectEvidence(client, repository, digest, policy.signers, { now }),
      }))),
    );
  }
  return images;
}

/** Deleted since the list was made: it points at nothing. */
async function resolveTag(client: RegistryClient, repository: Repository, tag: string): Promise<Digest | undefined> {
  try {
    return (await client.fetchManifest({ ...repository, tag })).digest;
  } catch (error) {
    if (isAboutContent(error)) return undefined;
    throw error;
  }
}
