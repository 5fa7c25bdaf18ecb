import { formatReference, isWithin } from "@goldenpath/registry-client/oci/reference";
import { decideGate } from "../gate/decide.ts";
import { type ExplainedStage, explainGate } from "../gate/explain-gate.ts";
import type { GateFacts } from "../gate/facts.ts";
import { tellDay } from "../result.ts";
import { showDuration } from "./diff-words.ts";
import type { JudgedAgain, SeenChild } from "./judge-again/facts.ts";
import { judgeAgain } from "./judge-again/judge.ts";
import type { Policy } from "./schema.ts";

/** What one environment would need of an image. */
export interface ExplainedEnvironment {
  environment: string;
  isMet: boolean;
  stages: (ExplainedStage & { asks: string })[];
  besides: string[];
  /** What only warns until a day. */
  later: string[];
  /** What the policy refuses of what is signed about it, be it that another version let it pass. */
  refused: JudgedAgain[];
}

/** The environments that an image is on its way into, or in: by the repository that it is in. */
export function listOwnEnvironments({ environments }: Policy, repository: GateFacts["image"]["repository"]): string[] {
  return Object.entries(environments)
    .filter(([, { from, to }]) => [...from, ...to].some((prefix) => isWithin(repository, prefix)))
    .map(([name]) => name);
}

/** The gate's decision about an image, with what the environment asks for, and what the policy says of what was found. */
export function explainEnvironment(facts: GateFacts, children: readonly SeenChild[]): ExplainedEnvironment {
  const decision = decideGate(facts);
  const { environment, isMet, stages, besides, later } = explainGate(facts, decision);
  const requires = new Map(facts.environment.requires.map((each) => [each.stage as string, each]));
  return {
    ...{ environment, besides, later },
    stages: stages.map((stage) => {
      const { signers = [], maxAge, environment: before } = requires.get(stage.stage) ?? {};
      const names = signers.map((name) => `'${name}'`).join(" or ");
      const into = before === undefined ? "" : `, into '${before}'`;
      const age = maxAge === undefined ? ", however old" : `, ${showDuration(maxAge)} old at most`;
      return { ...stage, asks: `the word of ${names}${into}${age}` };
    }),
    isMet,
    refused: judgeAgain(decision, { policy: facts.policy.policy, now: facts.now, children }).filter(
      ({ isUnknown }) => isUnknown !== true,
    ),
  };
}

export function renderExplained(image: GateFacts["image"], environments: readonly ExplainedEnvironment[]): string[] {
  const name = formatReference({ ...image.repository, digest: image.digest });
  return environments.flatMap(({ environment, isMet, stages, besides, later, refused }) => [
    `${name} ${isMet ? "has all" : "does not have all"} that environment '${environment}' requires.`,
    ...stages.flatMap(({ stage, isMet: isThere, asks, sentences, commands }) => [
      `${isThere ? "✓" : "✗"} ${stage}: ${asks}`,
      ...sentences.map((sentence) => `    ${sentence}`),
      ...(commands.length === 0
        ? []
        : ["    To get it, run its job again, or:", ...commands.map((line) => `      ${line}`)]),
    ]),
    ...besides.map((sentence) => `✗ ${sentence}`),
    ...later.map((sentence) => `! ${sentence}`),
    ...(refused.length === 0
      ? []
      : [
          "By what is signed about it, its stages would refuse it under this policy:",
          ...refused.map(
            ({ rule, thing, problem, from }) =>
              `    ${from === undefined ? "" : `${tellDay(from)}: `}${rule}: ${thing}: ${problem}`,
          ),
        ]),
    "",
  ]);
}
