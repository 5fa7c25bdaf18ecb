import { now, policy, repository, whole } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { CustomRule } from "../custom-rules/section.ts";
import type { Exception, Policy } from "../schema.ts";
import type { AgainFacts } from "./facts.ts";
import { judgeRulesAgain } from "./rules.ts";

const place = `${repository.registry}/${repository.name}`;
const rule = (name = "own"): CustomRule => ({
  ...{ name, stage: "base", expression: 'packages.all(p, p.name != "curl")', message: "m", remedy: "r" },
});
const exception = (change: Partial<Exception> = {}): Exception => ({
  ...{ rule: "base.rule", repository: place, reason: "r", owner: "o", expires: "2026-12-31", ...change },
});
const policyOf = (rules: CustomRule[], ...exceptions: Exception[]): Policy => ({ ...policy.policy, rules, exceptions });

/** Of a rule that asks for what no evidence has. */
function judge(newer: Policy, older: Policy, more: Partial<AgainFacts> = {}) {
  const { statement } = whole().base;
  const asked = { stage: "base", statement, image: `${place}@x`, repository: place, values: {} } as const;
  return judgeRulesAgain({ ...asked, isKnown: () => false }, { policy: newer, older, now, ...more });
}
const [bare, excepted] = [policyOf([rule()]), policyOf([rule()], exception())];

describe("a rule of what nothing signed tells is unknown", () => {
  test.each<[string, Policy, Policy, Partial<AgainFacts>?]>([
    ["where the older policy has not asked it", bare, policyOf([])],
    ["where the older policy has not asked it, and excepted others", bare, policyOf([], exception())],
    ["where its exception is gone", bare, excepted],
    ["where its exception is over", policyOf([rule()], exception({ expires: "2026-04-30" })), excepted],
    ["where it is for another repository now", policyOf([rule()], exception({ repository: "r.test/x" })), excepted],
    ["where it is for another rule now", policyOf([rule()], exception({ gate: "x" })), excepted],
    ["where it is of another stage's rules now", policyOf([rule()], exception({ rule: "scan.rule" })), excepted],
    [
      "where the rule has another name now, and the exception has the old one",
      policyOf([rule("new")], exception({ gate: "own" })),
      policyOf([rule()], exception({ gate: "own" })),
    ],
    ["where its exception was signed, and nothing is any more", bare, bare, { olderExceptions: () => [exception()] }],
  ])("%s", (_what, newer, older, more) => {
    const judged = judge(newer, older, more);
    expect(judged).toMatchObject([{ rule: "base.rule", isUnknown: true }]);
    const isLost = older.rules.length > 0;
    expect(judged[0]?.problem.includes("an exception of base.rule that it may have needed is gone")).toBe(isLost);
  });
});

test("its twins were told by the verdict: asked before with the same exceptions, or with what takes their place", () => {
  const named = (name: string) => policyOf([rule(name)], exception({ gate: name }));
  expect(judge(bare, bare)).toEqual([]);
  expect(judge(excepted, excepted)).toEqual([]);
  expect(judge(excepted, bare)).toEqual([]);
  expect(judge(named("new"), named("own"))).toEqual([]);
  expect(judge(policyOf([rule()], exception({ gate: "own" })), excepted)).toEqual([]);
  // Of another rule's exception nothing has rested on it; nor on one that is over.
  expect(judge(bare, policyOf([rule()], exception({ gate: "x" })))).toEqual([]);
  expect(judge(bare, policyOf([rule()], exception({ expires: "2026-04-30" })))).toEqual([]);
  const signed = () => [exception()];
  expect(judge(bare, excepted, { signedExceptions: signed })).toEqual([]);
  expect(judge(bare, bare, { signedExceptions: signed, olderExceptions: signed })).toEqual([]);
});

test("what it asks for is told, and what is gone", () => {
  const two = { ...rule(), expression: 'packages.all(p, p.name != "curl") && base.name != "x"' };
  const asks = "rule 'own' asks for `packages`, `base`, which nothing signed tells of it";
  expect(judge(policyOf([two]), policyOf([])).map(({ problem }) => problem)).toEqual([asks]);
  expect(judge(policyOf([two]), policyOf([two], exception())).map(({ problem }) => problem)).toEqual([
    `${asks}, and an exception of base.rule that it may have needed is gone`,
  ]);
});
