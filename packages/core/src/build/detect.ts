import type { StrategyName } from "./strategies/find.ts";
import { strategies } from "./strategies/strategies.ts";
import type { Survey } from "./survey/survey.ts";

interface StrategyCandidate {
  strategy: StrategyName;
  /** What speaks for it, one clause each: `package.json (Node.js) with package-lock.json`. */
  reasons: string[];
}

export interface StrategyChoice {
  strategy: StrategyName;
  /** One sentence: why this one. */
  reason: string;
  /** What the application's files also ask for, and why it isn't taken. */
  notTaken: string[];
}

/** What is in an application's folder → the strategies that it speaks for, in the table's order. */
export function detectStrategies(survey: Survey): StrategyCandidate[] {
  return strategies
    .map((each) => ({ strategy: each.name, reasons: each.detect(survey) }))
    .filter(({ reasons }) => reasons.length > 0);
}

/**
 * Which strategy builds the application. Nothing standard says which wins where several fit (some platforms prefer a
 * Dockerfile, some buildpacks), so the policy's order decides and the reason is said. A strategy for which no file
 * speaks can still be taken: the buildpacks' own detection has the last word.
 * @returns undefined where the policy does not allow the strategy that is asked for
 */
export function chooseStrategy(
  asked: "auto" | StrategyName,
  allowed: readonly StrategyName[],
  candidates: readonly StrategyCandidate[],
): StrategyChoice | undefined {
  const reasonsFor = (strategy: StrategyName): string[] =>
    candidates.find((each) => each.strategy === strategy)?.reasons ?? [];
  const preferred = allowed.find((strategy) => reasonsFor(strategy).length > 0) ?? allowed[0];
  const strategy = asked === "auto" ? preferred : allowed.find((each) => each === asked);
  if (strategy === undefined) return undefined;
  const reasons = reasonsFor(strategy);
  const found =
    reasons.length === 0 ? "no file of the application speaks for a strategy" : `there is ${reasons.join(", ")}`;
  const notTaken = candidates
    .filter((candidate) => candidate.strategy !== strategy)
    .map((candidate) => {
      const why = (allowed as readonly string[]).includes(candidate.strategy)
        ? `the policy prefers ${strategy}`
        : `the policy does not allow the strategy ${candidate.strategy}`;
      return `${candidate.reasons.join(", ")}: not used, ${why}`;
    });
  const reason =
    asked === "auto"
      ? `${found}, and the policy allows ${allowed.join(", ")}`
      : `asked for by the input 'strategy'; ${found}`;
  return { strategy, reason, notTaken };
}
