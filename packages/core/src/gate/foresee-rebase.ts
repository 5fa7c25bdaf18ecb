import { ownPolicy } from "../build/strategies/find.ts";
import { mostRebases, type RebaseBuilder, rebase } from "../build/strategies/rebase.ts";
import type { GateFacts, StageScope } from "./facts.ts";
import { decideBuildStage } from "./judge-build.ts";
import { evidenceAbout } from "./signed-view.ts";

/**
 * What the gate will have against any rebase of an image, as far as it can be told before there is one: how often it was
 * rebased, how old the build is that it goes back to, and whether that counts, by the judgement that a rebase's old image
 * gets ({@link decideBuildStage}). A sentence; undefined where nothing is known against it.
 * @param facts of the image as it is, with what it goes back to itself
 */
export function foreseeRebase(facts: GateFacts): string | undefined {
  const { policy } = facts.policy;
  const requires = facts.environment.requires.filter(({ stage }) => stage === "build");
  if (requires.length === 0) return undefined;
  const { builders } = ownPolicy(policy, rebase);
  const strategies: readonly string[] = policy.build.strategies;
  if (!strategies.includes(rebase.name) || builders.length === 0)
    return "the policy takes no rebases: it has no builder of kind 'rebase', or build.strategies has not that name";
  // Which of them the run that attests is of, nobody knows yet.
  const against = builders.map((builder) => judgeFor(builder, facts, requires));
  return against.every((each) => each !== undefined) ? against[0] : undefined;
}

function judgeFor(
  { name, signers, most, buildMaxAge }: RebaseBuilder,
  facts: GateFacts,
  requires: readonly StageScope["requirement"][],
): string | undefined {
  const where = `in environment '${facts.environmentName}'`;
  for (const requirement of requires) {
    if (!signers.some((each) => requirement.signers.includes(each)))
      return `no signer of builder '${name}' speaks for build ${where}`;
    const maxAge = buildMaxAge ?? requirement.maxAge ?? Number.POSITIVE_INFINITY;
    const own = { ...facts, place: "from", rebases: { times: 1, most: Math.min(most, mostRebases), maxAge } } as const;
    for (const digest of new Set([facts.image.digest, ...facts.image.children])) {
      const evidence = evidenceAbout(facts, digest);
      const scope = { facts: own, digest, stage: "build", requirement: { ...requirement, maxAge }, evidence } as const;
      const { accepted, problems } = decideBuildStage(scope);
      const [first] = problems;
      if (accepted.length === 0 && first !== undefined)
        return `a rebase of it would not count ${where}: ${first.problem}. Have it built again from its source`;
    }
  }
  return undefined;
}
