import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { readBuilds } from "../gate/binding.ts";
import type { Policy, PolicyEnvironment } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import { collectEvidence } from "../signing/collect.ts";
import { isMislabelled } from "../signing/judge-signed.ts";
import { predicateAnnotation, predicateTypes } from "../signing/predicates.ts";
import type { Provenance } from "../signing/provenance.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import type { TagFacts } from "./facts.ts";

/** What is known of when an image was built: all that builders have signed about it. */
export type BuildFacts = readonly Pick<Provenance, "sourceRepository" | "run" | "finishedOn">[];

/**
 * How the build of one image stands to that of another. By run of one repository: IDs rise, and a run that is run again
 * keeps its own, so that an old run does not become the newest by being run again. Where no run is known of either
 * (outside of GitHub), by time. An image that several runs have built is as new as the last of them.
 */
export function orderBuilds(current: BuildFacts, next: BuildFacts): "later" | "earlier" | "unknown" {
  const all = [...current, ...next];
  const isOneSource = new Set(all.map(({ sourceRepository }) => sourceRepository)).size === 1;
  if (current.length === 0 || next.length === 0 || !isOneSource) return "unknown";
  const known = all.filter(({ run }) => run !== undefined).length;
  if (known === 0) {
    const newest = (builds: BuildFacts): number => Math.max(...builds.map(({ finishedOn }) => finishedOn.getTime()));
    return newest(next) >= newest(current) ? "later" : "earlier";
  }
  if (known < all.length) return "unknown";
  const [was, is] = [lastRun(current), lastRun(next)];
  return is.id > was.id || (is.id === was.id && is.attempt >= was.attempt) ? "later" : "earlier";
}

function lastRun(builds: BuildFacts): { id: number; attempt: number } {
  const [last] = builds.flatMap(({ run }) => run ?? []).toSorted((a, b) => b.id - a.id || b.attempt - a.attempt);
  if (last === undefined) throw new TypeError("no run of some");
  return last;
}

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
  held: ReadonlyMap<Digest, BuildFacts>,
  next: BuildFacts,
): TagRollback[] {
  return tags.flatMap(({ tag, current }) => {
    if (current === undefined || current === digest) return [];
    const order = orderBuilds(held.get(current) ?? [], next);
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

/** Provenances about one image that are read; where there are more, its age is unknown. */
const maxProvenances = 20;
const concurrency = 4;

/**
 * What builders have signed about an image that a tag is at. What is out of its signer's time tells as well: it makes the
 * image newer and never older, and without it a signer's end would let the tag back to what an earlier run built.
 */
export function readHeld(
  policy: Policy,
  environment: PolicyEnvironment,
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
): BuildFacts {
  return readBuilds(policy, environment, { statements: [...statements, ...lapsed] });
}

/**
 * What is known of the images that tags point at and that would move, by their signed provenance at the destination;
 * and how many requests that took. What the list says of each referrer's predicate tells which are worth reading:
 * {@link judgeLabels} lets none in that says something else than it holds.
 */
export async function readTagHolders(
  client: RegistryClient,
  to: Repository,
  moving: readonly Digest[],
  policy: Policy,
  environment: PolicyEnvironment,
  now: Date,
): Promise<{ held: Map<Digest, BuildFacts>; lists: number; contents: number }> {
  let contents = 0;
  const read = await mapConcurrently(concurrency, moving, async (digest): Promise<[Digest, BuildFacts]> => {
    const listed = await client.listReferrers(to, digest);
    const annotated = listed.filter(
      ({ annotations }) =>
        (annotations?.[predicateAnnotation] ?? predicateTypes.provenance) === predicateTypes.provenance,
    );
    if (annotated.length > maxProvenances) return [digest, []];
    contents += 2 * annotated.length;
    // What is below one of them is asked for as ever.
    const listReferrers: RegistryClient["listReferrers"] = async (repository, subject) =>
      subject === digest ? annotated : client.listReferrers(repository, subject);
    const evidence = await collectEvidence({ ...client, listReferrers }, to, digest, policy.signers, { now });
    return [digest, readHeld(policy, environment, evidence)];
  });
  return { held: new Map(read), lists: moving.length, contents };
}

/**
 * Evidence whose referrer says that it holds another kind of statement than it does is not carried on: whoever reads
 * the list at the destination, as {@link readTagHolders} does, would pass over it. An honest referrer beside it, with
 * the same bundle, is taken in its place.
 */
export function judgeLabels(evidence: ReadonlyMap<Digest, CollectedEvidence>): Violation[] {
  const found = [...evidence.values()].flatMap(({ statements }) => statements).filter(isMislabelled);
  return found.map(({ referrer, statement, subject }) => ({
    rule: "promote.evidence-label",
    thing: `${referrer.digest} about ${subject}`,
    problem: `it says that it holds ${referrer.annotations?.[predicateAnnotation]}, and what is signed in it is ${statement.predicateType}`,
    wayOut: "Find out who wrote it into quarantine, delete it there, and run the stage again that had signed it.",
  }));
}
