import { createContext, Script } from "node:vm";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Rule } from "@goldenpath/foundation/rules";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import type { Violation } from "../../result.ts";
import { findOwnDay, type OwnDay } from "../enforcement.ts";
import { costOf, type Expression, readExpression, usesPatterns } from "./expression.ts";
import type { FactValues, RuleStage } from "./facts.ts";
import type { CustomRule } from "./section.ts";

/** Parts of an expression that are looked at, at most: some seconds. */
export const maxCost = 20_000_000;
/** So many are looked at in some milliseconds, whatever they are: a clock of its own would take longer. */
const quickCost = 20_000;
/** Milliseconds. What takes longer, in spite of its cost, is cut off: a pattern of `matches` that goes back again and again. */
export const deadline = 10_000;

const ruleOf = {
  base: { rule: "base.rule" },
  scan: { rule: "scan.rule" },
  gate: { rule: "gate.rule" },
} as const satisfies Record<RuleStage, { rule: Rule }>;

/** A rule of the policy's own that refuses, and its name. */
export type BrokenRule = Pick<Violation, "rule" | "problem" | "wayOut"> & { name: string; own?: OwnDay };

/**
 * Which rules of a stage an image breaks. One that can't be decided, as it asks for what is not there or has too much
 * to look at, refuses as well. Rules: `base.rule`, `scan.rule`, `gate.rule`.
 * @throws InfrastructureError `rule-timeout` where a machine is not done with one in time
 */
export function judgeRules(
  rules: readonly CustomRule[],
  stage: RuleStage,
  facts: FactValues,
  limit: number = deadline,
): BrokenRule[] {
  const asked = rules.filter((rule) => rule.stage === stage);
  if (asked.length === 0) return [];
  const sizes = measure(facts);
  return asked.flatMap((rule) => {
    const own = findOwnDay(rule.name, rule);
    const refuse = (problem: string, wayOut: string): BrokenRule[] => [
      {
        ...{ name: rule.name, ...ruleOf[stage], problem: `rule '${rule.name}': ${problem}`, wayOut },
        ...(own === undefined ? {} : { own }),
      },
    ];
    for (const key of ["when", "expression"] as const) {
      const text = rule[key];
      if (text === undefined) continue;
      const answer = ask(text, { name: rule.name, stage, facts, sizes, limit });
      if (typeof answer !== "boolean")
        return refuse(
          `its \`${key}\` can't be decided: ${answer.unclear}`,
          "Have the image say what the rule asks for, or have the policy's owners ask with has(), or with `in` for a label.",
        );
      if (!answer) return key === "when" ? [] : refuse(rule.message, rule.remedy);
    }
    return [];
  });
}

interface Question {
  name: string;
  stage: RuleStage;
  facts: FactValues;
  sizes: Sizes;
  limit: number;
}

function ask(text: string, { name, stage, facts, sizes, limit }: Question): boolean | { unclear: string } {
  const read = readExpression(text, stage);
  if ("problem" in read) return { unclear: read.problem };
  const cost = costOf(read.expression, sizes);
  if (cost > maxCost)
    return {
      unclear: `it would look at ${Math.round(cost)} things in this image, and at most ${maxCost} are looked at`,
    };
  try {
    const isQuick = cost <= quickCost && !usesPatterns(read.expression);
    const answer = isQuick ? run(read.expression, facts) : runInTime(read.expression, facts, limit);
    return typeof answer === "boolean" ? answer : { unclear: "it says neither true nor false" };
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_SCRIPT_EXECUTION_TIMEOUT")
      throw new InfrastructureError(`rule '${name}' of the policy was not done within ${limit} ms`, {
        code: "rule-timeout",
        wayOut: "Have the policy's owners ask for less in it: above all in the patterns of matches().",
      });
    const { summary } = error as { summary?: unknown };
    // A fault of ours is none of the image's.
    if (typeof summary !== "string") throw error;
    return { unclear: cleanLine(summary, 200) };
  }
}

function run({ program }: Expression, facts: FactValues): unknown {
  return program(facts as Record<string, unknown>);
}

/** The library knows no clock: the engine's own cuts it off, wherever it is. */
function runInTime(expression: Expression, facts: FactValues, limit: number): unknown {
  const context = createContext({ evaluate: () => run(expression, facts) });
  return new Script("evaluate()").runInContext(context, { timeout: limit });
}

/** The longest list or map, and the longest text. */
interface Sizes {
  longest: number;
  characters: number;
}

/** Of all facts. */
function measure(facts: FactValues): Sizes {
  const sizes = { longest: 0, characters: 0 };
  const look = (value: unknown): void => {
    if (typeof value === "string") sizes.characters = Math.max(sizes.characters, value.length);
    if (typeof value !== "object" || value === null || value instanceof Date) return;
    const parts: readonly unknown[] = Array.isArray(value)
      ? value
      : value instanceof Map
        ? [...value.keys(), ...value.values()]
        : Object.values(value);
    if (Array.isArray(value) || value instanceof Map) sizes.longest = Math.max(sizes.longest, parts.length);
    for (const part of parts) look(part);
  };
  look(facts);
  return sizes;
}
