import { PolicyViolation } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { copyManifest } from "@goldenpath/registry-client/copy";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Reference, Repository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import type { VerifiedStatement } from "../signing/types.ts";
import { mergeAttestationTag } from "../signing/write-cosign-tag.ts";

/** Where a copy goes. */
export interface CopyTarget {
  repository: Repository;
  /** Each with its tag, all in `repository`. */
  tags: readonly Reference[];
}

/**
 * Brings an image that something else built into quarantine, byte for byte: the image or index with all that it names,
 * then the statements that it counts by, and its tags last, so that nothing that is broken off halfway carries one.
 * @param statements about it and its children, where it lies now
 * @param attach puts there what it counts by besides, and does not lie with the image
 * @throws InfrastructureError `legacy-tag-taken`, `tag-moved`; the client's errors
 */
export async function copyIntoQuarantine(
  client: RegistryClient,
  { reference }: Pick<ImageFacts, "reference">,
  { repository, tags }: CopyTarget,
  statements: readonly VerifiedStatement[] = [],
  attach: () => Promise<void> = async () => {},
): Promise<void> {
  const from: Repository = { registry: reference.registry, name: reference.name };
  const { digest } = reference;
  await copyManifest(client, from, repository, digest);
  for (const each of listCarriers(statements)) {
    await copyManifest(client, from, repository, each.digest);
    // What is found by a tag alone is in no list. What stages have left there meanwhile stays.
    if (each.tag !== undefined)
      await mergeAttestationTag(
        client,
        repository,
        each.tag,
        await client.fetchManifest({ ...repository, digest: each.digest }),
      );
  }
  await attach();
  for (const { tag } of tags) if (tag !== undefined) await tagAs(client, repository, digest, tag);
}

async function tagAs(client: RegistryClient, repository: Repository, digest: Digest, tag: string): Promise<void> {
  const { bytes, mediaType } = await client.fetchManifest({ ...repository, digest });
  await client.pushManifest(repository, bytes, mediaType, tag);
}

/** Each manifest once, and after what it refers to. */
function listCarriers(statements: readonly VerifiedStatement[]): { digest: Digest; tag?: string }[] {
  const carriers = statements.flatMap(({ referrer, tag, below = [] }) => [
    { digest: referrer.digest, ...(tag === undefined ? {} : { tag }) },
    ...below.map(({ descriptor }) => ({ digest: descriptor.digest })),
  ]);
  return [...new Map(carriers.map((each) => [each.digest, each])).values()];
}

/** That the policy does not take an image of elsewhere, and why. */
export function refuseOrigin(image: string, problems: readonly string[], wayOut: string): PolicyViolation {
  return new PolicyViolation(`${image} is not taken in: ${problems.join("; ")}`, {
    code: "origin-unproven",
    rule: "build.image",
    wayOut,
  });
}
