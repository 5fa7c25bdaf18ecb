import type { SummaryFacts } from "@goldenpath/core/signing/verification-summary";
import { summaryExtension } from "@goldenpath/core/signing/verification-summary";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  edited,
  factsOf,
  minute,
  now,
  policy,
  provenance,
  summary,
  type Whole,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Enforcement } from "../policy/enforcement.ts";
import type { GateFacts } from "./facts.ts";

const tomorrow = "2026-05-02";
const today = "2026-05-01";
const yesterday = "2026-04-30";

const under = (enforceFrom: Enforcement): GateFacts["policy"] => ({
  ...policy,
  policy: { ...policy.policy, enforceFrom },
});
const passedWith = (exceptions: SummaryFacts["exceptions"], all: Whole = whole()) => [
  ...without(all, "scanVerdict"),
  summary("scan", "scan", [all.vulnerabilities], { excepted: 1, ...(exceptions === undefined ? {} : { exceptions }) }),
];
const rules = (facts: GateFacts): string[] => decideGate(facts).violations.map(({ rule }) => rule);

describe("a pass with a warning, signed before the day", () => {
  const from = (day: string) => [{ rule: "scan.severity", from: day }];

  test.each([
    ["on the day itself", today, { "scan.severity": today }],
    [
      "by a day that the policy of now has earlier than the one that it was signed with",
      tomorrow,
      { "scan.severity": today },
    ],
    ["by a policy of now that gives the rule no day any more", tomorrow, {}],
    ["by its own day, be the policy's of now a later one", today, { "scan.severity": tomorrow }],
  ] as const)("opens no gate %s", (_name, day, enforceFrom) => {
    const statements = passedWith({ until: yesterday, deferred: from(day) });
    const facts = factsOf(statements, { policy: under(enforceFrom) });
    const decision = decideGate(facts);
    expect(decision.verdict).toBe("fail");
    expect(decision.violations.map(({ rule }) => rule)).toEqual(["gate.deferred"]);
    expect(decision.accepted.some(({ statement }) => statement === statements.at(-1)?.statement)).toBe(false);
  });

  test("opens it until then", () => {
    const statements = passedWith({ until: today, deferred: from(tomorrow) });
    expect(rules(factsOf(statements, { policy: under({ "scan.severity": tomorrow }) }))).toEqual([]);
  });

  test("opens none that knows of exceptions alone: the day before is the last of what it rests on", () => {
    expect(rules(factsOf(passedWith({ until: yesterday })))).toEqual(["gate.exception"]);
  });

  test("opens none where its day can't be read", () => {
    const [verdict, ...others] = passedWith({ until: today, deferred: from(tomorrow) }).toReversed();
    if (verdict === undefined) throw new TypeError("no verdict");
    for (const value of ["soon", "2026-02-30", 7]) {
      const forged = edited(verdict, [summaryExtension, "exceptions", "deferred", 0, "from"], value);
      const facts = factsOf([...others, forged], { policy: under({ "scan.severity": tomorrow }) });
      expect(rules(facts)).toEqual(["gate.malformed"]);
    }
  });
});

describe("the gate's own rules", () => {
  const late = (): Whole => {
    const all = whole();
    const scanVerdict = summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(90 * minute) });
    return { ...all, scanVerdict };
  };

  test("warn until their day, and refuse from then on", () => {
    const decide = (enforceFrom: Enforcement) =>
      decideGate(factsOf(Object.values(late()), { policy: under(enforceFrom) }));
    expect(decide({}).verdict).toBe("fail");
    expect(decide({ "gate.stale": today }).verdict).toBe("fail");
    const waiting = decide({ "gate.stale": tomorrow });
    expect(waiting).toMatchObject({ verdict: "pass", missing: [] });
    expect(waiting.violations).toMatchObject([{ rule: "gate.stale", enforcedFrom: tomorrow }]);
    // What is let pass goes along as evidence like any other.
    expect(waiting.accepted).toHaveLength(6);
  });

  test("hide nothing that refuses already", () => {
    const all = late();
    const policyOfNow = under({ "gate.stale": tomorrow, "gate.build-environment": tomorrow });
    const noFinding = decideGate(factsOf(without(all, "vulnerabilities"), { policy: policyOfNow }));
    expect(noFinding).toMatchObject({ verdict: "fail", accepted: expect.not.arrayContaining([all.scanVerdict]) });
    expect(noFinding.violations.map(({ rule }) => rule)).toEqual(["gate.stale", "gate.incomplete"]);
    const onHost = provenance("build", { buildEnvironment: "host", finishedOn: ago(-60 * minute) });
    const built = decideGate(factsOf([...without(whole(), "provenance"), onHost], { policy: policyOfNow }));
    expect(built.verdict).toBe("fail");
    expect(built.violations.map(({ rule }) => rule)).toEqual(["gate.build-environment", "gate.future"]);
  });

  test("of evidence and signatures wait for no day, whatever a policy that got past the check says", () => {
    const never = Object.fromEntries(
      ["gate.missing", "gate.signer", "gate.failed", "gate.withdrawn", "gate.malformed"].map((rule) => [
        rule,
        tomorrow,
      ]),
    );
    const facts = factsOf(without(whole(), "scanVerdict"), { policy: under(never) });
    expect(decideGate(facts)).toMatchObject({ verdict: "fail", violations: [{ rule: "gate.missing" }] });
    const failed = summary("scan", "scan", [], { passed: false, timeVerified: now });
    expect(rules(factsOf([...Object.values(whole()), failed], { policy: under(never) }))).toEqual(["gate.failed"]);
  });
});
