import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import type { SignedView } from "../build/strategies/strategy.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { collectEvidence } from "./collect.ts";
import type { VerifiedStatement } from "./types.ts";

export interface GatheredSigned extends SignedView {
  statements: readonly VerifiedStatement[];
}

/** Digests about which statements are collected at the same time. */
const concurrency = 4;

/**
 * What the policy's signers have signed about an image and about what runs of it, as its registry has it now.
 * @throws as collectEvidence does: what can't be asked for is an error, and not nothing
 */
export async function gatherSigned(
  client: RegistryClient,
  image: ImageFacts,
  { policy }: Pick<LoadedPolicy, "policy">,
  now: Date,
): Promise<GatheredSigned> {
  const repository: Repository = { registry: image.reference.registry, name: image.reference.name };
  const { digest } = image.reference;
  const children: Digest[] = image.children.map((child) => child.digest);
  const reader = rememberReads(client);
  const collected = await mapConcurrently(concurrency, [...new Set([digest, ...children])], (subject) =>
    collectEvidence(reader, repository, subject, policy.signers, { now, named: listNamed(image, subject) }),
  );
  const statements = collected.flatMap((each) => each.statements);
  const lapsed = collected.flatMap((each) => each.lapsed);
  const rejected = collected.flatMap((each) => each.rejected);
  return { repository, digest, children, statements, lapsed, rejected, now };
}

/** The attestations that an index names as being about one of its children. */
export function listNamed({ attestations = [] }: Pick<ImageFacts, "attestations">, child: Digest): Digest[] {
  return attestations.filter((each) => each.child === child).map(({ digest }) => digest);
}
