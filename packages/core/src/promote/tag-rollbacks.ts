import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import type { Lineage } from "../gate/lineage.ts";
import { gatherImageLineage } from "../gate/verify.ts";
import type { Policy, PolicyEnvironment } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import { collectEvidence } from "../signing/collect.ts";
import { predicateAnnotation, predicateTypes } from "../signing/predicates.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import type { TagFacts } from "./facts.ts";
import { type ImageAge, isRebase, orderImages, readAge, unknownAge } from "./image-age.ts";
import { readHeld } from "./tag-order.ts";

/** A tag that moves to what was built before, or nobody knows when. */
export interface TagRollback {
  tag: string;
  from: Digest;
  reason: "earlier" | "unknown";
}

/** `held`: what is known of the images that tags point at now. */
export function findRollbacks(
  tags: readonly TagFacts[],
  digest: Digest,
  held: ReadonlyMap<Digest, ImageAge>,
  next: ImageAge,
): TagRollback[] {
  return tags.flatMap(({ tag, current }) => {
    if (current === undefined || current === digest) return [];
    const age = held.get(current) ?? unknownAge;
    const order = orderImages({ digest: current, age }, { digest, age: next });
    return order === "later" ? [] : [{ tag, from: current, reason: order }];
  });
}

export function judgeRollbacks(rollbacks: readonly TagRollback[], to: Repository): Violation[] {
  return rollbacks.map(({ tag, from, reason }) => ({
    rule: "promote.tag-moves-back",
    thing: `${formatRepository(to)}:${tag}`,
    problem:
      reason === "earlier"
        ? `the tag is at ${from}, which was built by a later run than this image`
        : `the tag is at ${from}, and it can't be told which of the two was built later (no signed provenance, or of another repository)`,
    wayOut:
      "Promote what was built last; or, to go back on purpose, set allow-tag-rollback: the promotion's statement says so.",
  }));
}

/**
 * Provenances about one image that are read; where there are more, its age is unknown. A rebase that something keeps out is
 * attested whenever the policy changes or its attestation grows old, and comes into vetted with all of that.
 */
const maxProvenances = 200;
const concurrency = 4;

/**
 * What is known of the images that tags point at and that would move, by their signed provenance at the destination;
 * and how many requests that took. What the list says of each referrer's predicate tells which are worth reading:
 * `judgeLabels` lets none in that says something else than it holds.
 */
export async function readTagHolders(
  client: RegistryClient,
  to: Repository,
  moving: readonly Digest[],
  policy: Policy,
  environment: PolicyEnvironment,
  now: Date,
): Promise<{ held: Map<Digest, ImageAge>; lists: number; contents: number }> {
  let contents = 0;
  const read = await mapConcurrently(concurrency, moving, async (digest): Promise<[Digest, ImageAge]> => {
    const listed = await client.listReferrers(to, digest);
    const annotated = listed.filter(
      ({ annotations }) =>
        (annotations?.[predicateAnnotation] ?? predicateTypes.provenance) === predicateTypes.provenance,
    );
    if (annotated.length > maxProvenances) return [digest, unknownAge];
    contents += 2 * annotated.length;
    // What is below one of them is asked for as ever.
    const listReferrers: RegistryClient["listReferrers"] = async (repository, subject) =>
      subject === digest ? annotated : client.listReferrers(repository, subject);
    const evidence = await collectEvidence({ ...client, listReferrers }, to, digest, policy.signers, { now });
    const lineage = await lookBehind(client, { ...to, digest }, { policy, environment, evidence, now });
    return [digest, readAge({ policy, environment, evidence, lineage, isHeld: true })];
  });
  return { held: new Map(read), lists: moving.length, contents };
}

/** What an image goes back to that a tag is at; undefined, and nothing is asked, where nobody says that it was rebased. */
async function lookBehind(
  client: RegistryClient,
  image: Reference & { digest: Digest },
  facts: { policy: Policy; environment: PolicyEnvironment; evidence: CollectedEvidence; now: Date },
): Promise<Lineage | undefined> {
  const { policy, environment, evidence, now } = facts;
  if (!readHeld(policy, environment, evidence).some(isRebase)) return undefined;
  const found = await fetchImageFacts(client, image);
  return gatherImageLineage(client, found, new Map([[image.digest, evidence]]), { policy }, now);
}
