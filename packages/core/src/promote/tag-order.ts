import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { readBuilds } from "../gate/binding.ts";
import type { Policy, PolicyEnvironment } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import { isMislabelled } from "../signing/judge-signed.ts";
import { predicateAnnotation } from "../signing/predicates.ts";
import type { Provenance } from "../signing/provenance.ts";
import type { CollectedEvidence } from "../signing/types.ts";

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

/**
 * What builders have signed about an image that a tag is at. What is out of its signer's time tells as well: it makes the
 * image newer and never older, and without it a signer's end would let the tag back to what an earlier run built.
 */
export function readHeld(
  policy: Policy,
  environment: PolicyEnvironment,
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
): Provenance[] {
  return readBuilds(policy, environment, { statements: [...statements, ...lapsed] });
}

/**
 * Evidence whose referrer says that it holds another kind of statement than it does is not carried on: whoever reads
 * the list at the destination, as `readTagHolders` does, would pass over it. An honest referrer beside it, with
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
