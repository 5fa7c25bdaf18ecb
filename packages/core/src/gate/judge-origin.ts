import { findByBuildType, findStrategy, ownPolicy } from "../build/strategies/find.ts";
import { mostRebases } from "../build/strategies/rebase.ts";
import type { Violation } from "../result.ts";
import type { Provenance } from "../signing/provenance.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { explainNoBuild, readAnyBuilds, readBuilds } from "./binding.ts";
import type { GateFacts } from "./facts.ts";
import { describeOld } from "./judge-rebase.ts";
import { findPair, findRebased } from "./lineage.ts";
import { evidenceAbout, viewSigned } from "./signed-view.ts";

/**
 * Where an environment takes what another has promoted, and so asks for no build itself: what rests on the word of
 * others has to rest on it here as well. An import that has ended since is over in every environment. Where the policy
 * takes images of elsewhere at all, a build of which nothing is known may have been one, whose provenance somebody left
 * behind. An environment that asks for no promotion either takes what nobody has built: it is judged by what is there.
 */
export function judgePromotedOrigin(facts: GateFacts, evidence: CollectedEvidence): Violation[] {
  const { policy } = facts.policy;
  const asksFor = (wanted: string): boolean => facts.environment.requires.some(({ stage }) => stage === wanted);
  if (asksFor("build")) return [];
  const isPromoted = asksFor("promote");
  const read = (from: Pick<CollectedEvidence, "statements">): Provenance[] =>
    isPromoted ? readBuilds(policy, facts.environment, from) : readAnyBuilds(policy, from);
  const builds = read(evidence);
  const thing = `build of ${facts.image.digest}`;
  const canBeOfElsewhere = policy.build.strategies.some((name) => findStrategy(name).isElsewhere === true);
  if (builds.length === 0 && isPromoted && canBeOfElsewhere)
    return [{ rule: "gate.builder", thing, ...explainNoBuild(facts, "where the image comes from") }];
  const latest = Math.max(...builds.map(({ finishedOn }) => finishedOn.getTime()));
  const newest = builds.filter(({ finishedOn }) => finishedOn.getTime() === latest);
  // One whose signer's word has ended since is no way back to what it overtook.
  const overtaking = read({ statements: evidence.lapsed }).filter(({ finishedOn }) => !(finishedOn.getTime() < latest));
  return [...newest, ...overtaking].flatMap((build): Violation[] => {
    const strategy = findByBuildType(build.buildType);
    if (strategy?.isElsewhere !== true) return [];
    const objections = strategy.judge(build, ownPolicy(policy, strategy), viewSigned(facts));
    if (strategy.isRebase === true && objections.length === 0) return judgeRebasedOrigin(facts, build, thing);
    return objections.map(({ problem, wayOut, rule }) => ({ rule: rule ?? "gate.builder", thing, problem, wayOut }));
  });
}

/** What was rebased may be of elsewhere: an import that is over is over for all that was made of the image. */
function judgeRebasedOrigin(facts: GateFacts, build: Provenance, thing: string): Violation[] {
  const refuse = (problem: string): Violation[] => {
    const wayOut = "Keep the image that was rebased in its registry, or build again from the source (docs/rebase.md).";
    return [{ rule: "gate.builder", thing, problem, wayOut }];
  };
  const { times, ...limits } = facts.rebases ?? { times: 0, most: mostRebases, maxAge: Number.POSITIVE_INFINITY };
  if (times >= mostRebases) return refuse(`it was rebased more than ${mostRebases} times since its build`);
  const pair = findPair(facts.lineage, facts.image.digest, findRebased(build)?.digest);
  if ("problem" in pair) return refuse(pair.problem);
  const old = describeOld(facts, pair.old, { ...limits, times: times + 1 });
  return judgePromotedOrigin(old, evidenceAbout(old, old.image.digest)).map((each) => ({
    ...each,
    problem: `of the image that was rebased: ${each.problem}`,
  }));
}
