import { findByBuildType, findStrategy, ownPolicy } from "../build/strategies/find.ts";
import type { Violation } from "../result.ts";
import type { Provenance } from "../signing/provenance.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { explainNoBuild, readAnyBuilds, readBuilds } from "./binding.ts";
import type { GateFacts } from "./facts.ts";
import { viewSigned } from "./signed-view.ts";

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
    return objections.map(({ problem, wayOut, rule }) => ({ rule: rule ?? "gate.builder", thing, problem, wayOut }));
  });
}
