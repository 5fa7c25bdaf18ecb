import { findByBuildType, ownPolicy } from "../build/strategies/find.ts";
import type { Violation } from "../result.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { readBuilds } from "./binding.ts";
import type { GateFacts } from "./facts.ts";
import { viewSigned } from "./signed-view.ts";

/**
 * Where an environment takes what another has promoted, and so asks for no build itself: what rests on the word of
 * others has to rest on it here as well. An import that has ended since is over in every environment.
 */
export function judgePromotedOrigin(facts: GateFacts, evidence: CollectedEvidence): Violation[] {
  const { policy } = facts.policy;
  if (facts.environment.requires.some(({ stage }) => stage === "build")) return [];
  const builds = readBuilds(policy, facts.environment, evidence);
  const latest = Math.max(...builds.map(({ finishedOn }) => finishedOn.getTime()));
  const newest = builds.filter(({ finishedOn }) => finishedOn.getTime() === latest);
  // One whose signer's word has ended since is no way back to what it overtook.
  const overtaking = readBuilds(policy, facts.environment, { statements: evidence.lapsed }).filter(
    ({ finishedOn }) => !(finishedOn.getTime() < latest),
  );
  return [...newest, ...overtaking].flatMap((build): Violation[] => {
    const strategy = findByBuildType(build.buildType);
    if (strategy?.isElsewhere !== true) return [];
    const objections = strategy.judge(build, ownPolicy(policy, strategy), viewSigned(facts));
    const thing = `build of ${facts.image.digest}`;
    return objections.map(({ problem, wayOut, rule }) => ({ rule: rule ?? "gate.builder", thing, problem, wayOut }));
  });
}
