import { listAsked, readExpression } from "./expression.ts";
import type { FactValues } from "./facts.ts";
import type { CustomRule } from "./section.ts";

/** Rules of which all that they ask for is told. */
export function listAskable(rules: readonly CustomRule[], facts: FactValues): CustomRule[] {
  return rules.filter((rule) => listUnknown(rule, (fact) => Object.hasOwn(facts, fact)).length === 0);
}

/** As it is written, or by an escape. */
const mayNameRepository = /repository|\\/;

/**
 * Whether what rules of a stage say of an image may depend on the repository that it is in. By their text: a word too many
 * binds a verdict to its repository, and one too few would let it count in another.
 */
export function askRepository(rules: readonly CustomRule[], stage: string): boolean {
  return rules.some(
    (rule) =>
      rule.stage === stage &&
      [rule.when, rule.expression].some((text) => text !== undefined && mayNameRepository.test(text)) &&
      listUnknown(rule, (fact) => fact !== "image").length > 0,
  );
}

/** The facts that a rule asks for and nobody knows, by their names. What is no expression asks for nothing. */
export function listUnknown(
  { stage, when, expression }: Pick<CustomRule, "stage" | "when" | "expression">,
  isKnown: (fact: string) => boolean,
): string[] {
  const asked = [when, expression].flatMap((text) => {
    const read = text === undefined ? undefined : readExpression(text, stage);
    return read === undefined || "problem" in read ? [] : [...listAsked(read.expression)];
  });
  return [...new Set(asked)].filter((fact) => !isKnown(fact));
}
