import type { Rule } from "@goldenpath/foundation/rules";
import { settleRules } from "../../scan/rule-facts.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { listUnknown } from "../custom-rules/askable.ts";
import type { FactValues } from "../custom-rules/facts.ts";
import { judgeRules } from "../custom-rules/judge-rules.ts";
import type { CustomRule } from "../custom-rules/section.ts";
import { type AgainFacts, hasLostException, type JudgedAgain, listExceptions, withoutExcepted } from "./facts.ts";

interface Asked {
  stage: "base" | "scan";
  statement: VerifiedStatement["statement"];
  /** HOST/NAME@sha256:…, and the repository alone. */
  image: string;
  repository: string;
  values: FactValues;
  /** Of the stage's facts those that are in `values`, or are known not to be there. */
  isKnown: (fact: string) => boolean;
}

const ruleOf: Record<Asked["stage"], Rule> = { base: "base.rule", scan: "scan.rule" };

/** What a rule asks, whatever it is called and says. */
const tellAsked = ({ stage, when = "", expression }: CustomRule): string => JSON.stringify([stage, when, expression]);

/**
 * The policy's own rules of a stage, of what is signed. One that asks for what no evidence has is unknown; but for one
 * that the older policy has as well, with the same exceptions, of which the signed verdict has told.
 */
export function judgeRulesAgain(
  { stage, statement, image, repository, values, isKnown }: Asked,
  facts: AgainFacts,
): JudgedAgain[] {
  const rules = facts.policy.rules.filter((rule) => rule.stage === stage);
  if (rules.length === 0) return [];
  const before = Map.groupBy(facts.older?.rules ?? [], tellAsked);
  const lacking = new Map(rules.map((rule) => [rule, listUnknown(rule, isKnown)]));
  const known = rules.filter((rule) => lacking.get(rule)?.length === 0);
  const asks = new Map(rules.map((rule) => [rule.name, tellAsked(rule)]));
  const broken = judgeRules(known, stage, values).flatMap((each) => {
    const settled = settleRules([each], {
      ...{ image, repository, exceptions: listExceptions(facts, statement) },
      ...{ enforceFrom: facts.policy.enforceFrom, now: facts.now },
    });
    return withoutExcepted(settled.map((violation) => ({ ...violation, asks: asks.get(each.name) ?? "" })));
  });
  const unknown = rules.flatMap((rule): JudgedAgain[] => {
    const lacks = lacking.get(rule) ?? [];
    if (lacks.length === 0) return [];
    const told = before.get(tellAsked(rule))?.map(({ name }) => name);
    const own = { before: told ?? [], now: rule.name };
    const isLost = told !== undefined && hasLostException({ rule: ruleOf[stage], own }, facts, statement);
    if (told !== undefined && !isLost) return [];
    const lost = isLost ? `, and an exception of ${ruleOf[stage]} that it may have needed is gone` : "";
    const problem = `rule '${rule.name}' asks for \`${lacks.join("`, `")}\`, which nothing signed tells of it${lost}`;
    return [{ rule: ruleOf[stage], thing: image, problem, asks: tellAsked(rule), isUnknown: true }];
  });
  return [...broken, ...unknown];
}
