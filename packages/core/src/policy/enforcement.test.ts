import { rules } from "@goldenpath/foundation/rules";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { policy as sample } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { isCounted, type Violation, verdictOf } from "../result.ts";
import { judgeFindings } from "../scan/gate.ts";
import { openFinding } from "../scan/merge.ts";
import { diffPolicies } from "./diff.ts";
import {
  deferViolation,
  type Enforcement,
  findOverdue,
  findOwnDay,
  listDeferred,
  type OwnDay,
  postponable,
  postponableRules,
} from "./enforcement.ts";
import { parsePolicy } from "./parse.ts";
import type { Policy } from "./schema.ts";

const at = (time: string): Date => new Date(time);
const of = (rule: Violation["rule"], more: Partial<Violation> = {}): Violation => ({
  ...{ rule, thing: "t", problem: "p", wayOut: "w" },
  ...more,
});

describe("a violation", () => {
  const enforceFrom: Enforcement = { "scan.severity": "2027-03-01" };

  test.each([
    ["from the first moment of its day", of("scan.severity"), "2027-03-01T00:00:00Z"],
    ["of a rule without a day", of("scan.gate"), "2027-01-01T00:00:00Z"],
    ["that is firm", of("scan.severity", { isFirm: true }), "2027-01-01T00:00:00Z"],
    ["at a time that nobody knows", of("scan.severity"), "never"],
  ])("counts %s", (_name, violation, now) => {
    expect(isCounted(deferViolation(violation, { enforceFrom, now: at(now) }))).toBe(true);
  });

  test.each(["2027-02-30", "soon", "", "2027-3-1", "9999-99-99"])("counts where its day is '%s'", (day) => {
    const now = at("2020-01-01T00:00:00Z");
    expect(isCounted(deferViolation(of("scan.severity"), { enforceFrom: { "scan.severity": day }, now }))).toBe(true);
  });

  test("is a warning until its day, and never goes away", () => {
    const now = at("2027-02-28T23:59:59Z");
    const waiting = deferViolation(of("scan.severity"), { enforceFrom, now });
    expect(waiting).toEqual({ ...of("scan.severity"), enforcedFrom: "2027-03-01" });
    expect(verdictOf([waiting])).toBe("pass");
    expect(verdictOf([waiting, of("scan.gate")])).toBe("fail");
  });

  test("counts for every rule that can't wait, whatever it is given", () => {
    const days = Object.fromEntries(Object.keys(rules).map((rule) => [rule, "2027-03-01"]));
    const now = at("2027-01-01T00:00:00Z");
    for (const rule of Object.keys(rules) as Violation["rule"][]) {
      const isWaiting = !isCounted(deferViolation(of(rule), { enforceFrom: days, now }));
      expect([rule, isWaiting]).toEqual([rule, postponable[rule] === true]);
    }
    expect(postponableRules).not.toContain("gate.missing");
  });

  test("waits by the rules that a policy may have wait, and by no others; of each of those it is said why", () => {
    expect(postponableRules.toSorted()).toEqual([
      ...["base.approved", "base.behind", "base.build-image", "base.changed", "base.committed", "base.credential"],
      ...[
        "base.expired",
        "base.forbidden",
        "base.missing",
        "base.package-cache",
        "base.root-user",
        "base.rule",
        "base.secret",
      ],
      ...["gate.build-environment", "gate.finding", "gate.rule", "gate.stale"],
      ...["scan.gate", "scan.license", "scan.package", "scan.rule", "scan.severity"],
    ]);
    for (const why of Object.values(postponable).filter((each) => each !== true)) expect(why).toMatch(/\w+ \w+/);
  });

  test("of an entry with a day of its own waits for that, whatever its rule's is, and says of which", () => {
    const now = at("2027-01-01T00:00:00Z");
    const wait = (own: OwnDay | undefined, days?: Enforcement, rule: Violation["rule"] = "scan.gate") =>
      deferViolation(of(rule), { enforceFrom: days, now }, own);
    const own = findOwnDay("known", { enforceFrom: "2027-02-01" });
    const waiting = { ...of("scan.gate"), enforcedFrom: "2027-02-01", entry: "known" };
    expect(wait(own)).toEqual(waiting);
    expect(wait(own, { "scan.gate": "2027-03-01" })).toEqual(waiting);
    expect(wait(own, { "scan.gate": "2026-03-01" })).toEqual(waiting);
    expect(wait(findOwnDay("known", { enforceFrom: "2027-01-01" }), { "scan.gate": "2027-03-01" })).toEqual(
      of("scan.gate"),
    );
    expect(findOwnDay("known", {})).toBeUndefined();
    expect(wait(undefined)).toEqual(of("scan.gate"));
    expect(wait(undefined, { "scan.gate": "2027-03-01" })).not.toHaveProperty("entry");
    // That a rule never waits is of days of the rule: an entry has its own where it may, as of the SBOM's quality.
    expect(wait(own, {}, "scan.sbom")).toEqual({ ...waiting, rule: "scan.sbom" });
  });

  test("that an exception has set aside stays so", () => {
    const exception = { reason: "r", owner: "o", expires: "2027-12-31" };
    const aside = of("scan.severity", { exception });
    expect(deferViolation(aside, { enforceFrom, now: at("2027-01-01T00:00:00Z") })).toEqual(aside);
    expect(deferViolation(of("scan.severity"), { enforceFrom, now: at("2027-01-01T00:00:00Z") })).not.toEqual(
      of("scan.severity"),
    );
  });

  test("that waits is listed once by its rule, and by its entry where it has one", () => {
    const waiting = (enforcedFrom: string, entry?: string) =>
      of("scan.gate", { enforcedFrom, ...(entry === undefined ? {} : { entry }) });
    expect(
      listDeferred([
        of("scan.severity"),
        waiting("2027-03-01"),
        waiting("2027-03-01"),
        waiting("2027-02-01", "known"),
        waiting("2027-04-01", "epss"),
      ]),
    ).toEqual([
      { rule: "scan.gate", from: "2027-03-01" },
      { rule: "scan.gate/known", from: "2027-02-01" },
      { rule: "scan.gate/epss", from: "2027-04-01" },
    ]);
  });

  test("was let pass no longer than both policies say", () => {
    const now = at("2027-02-01T00:00:00Z");
    const deferred = [{ rule: "scan.severity", from: "2027-03-01" }];
    expect(findOverdue(deferred, new Map(Object.entries(enforceFrom)), now)).toEqual([]);
    expect(findOverdue(deferred, new Map(), now)).toEqual([
      { rule: "scan.severity", from: "before now, by the policy of now" },
    ]);
    const over = [{ rule: "scan.severity", from: "2027-02-01" }];
    expect(findOverdue(deferred, new Map([["scan.severity", "2027-02-01"]]), now)).toEqual(over);
    expect(findOverdue(over, new Map(Object.entries(enforceFrom)), now)).toEqual(over);
  });

  test("of an entry was let pass until its own day in the policy of now, or until that of its rule alone", () => {
    const now = at("2027-02-01T00:00:00Z");
    const deferred = [{ rule: "scan.gate/known", from: "2027-03-01" }];
    const overdue = (...days: [string, string][]) => findOverdue(deferred, new Map(days), now).map(({ from }) => from);
    expect(overdue(["scan.gate/known", "2027-02-02"])).toEqual([]);
    expect(overdue(["scan.gate", "2027-02-02"])).toEqual([]);
    expect(overdue(["scan.gate", "2027-02-01"], ["scan.gate/known", "2027-02-02"])).toEqual([]);
    expect(overdue(["scan.gate", "2027-02-02"], ["scan.gate/known", "2027-02-01"])).toEqual(["2027-02-01"]);
    expect(overdue(["scan.gate", "2027-02-01"])).toEqual(["2027-02-01"]);
    expect(overdue(["scan.gate/other", "2027-02-02"], ["scan", "2027-02-02"])).toEqual([
      "before now, by the policy of now",
    ]);
  });
});

describe("a finding that breaks several rules", () => {
  const finding = openFinding(
    {
      ...{ id: "CVE-2026-1", aliases: [], severity: "critical", kev: true, fixedVersions: ["2"], fixState: "fixed" },
      package: { name: "lib", version: "1", type: "npm" },
      ...{ layers: [], paths: [], urls: [] },
    },
    "case",
  );
  const judge = (enforceFrom: Enforcement) =>
    judgeFindings({
      findings: [{ ...finding, origin: "application" }],
      policy: {
        failOn: "high",
        onlyFixed: false,
        refuse: [{ name: "known", kev: true, missing: "refuse" }],
      },
      exceptions: [],
      enforceFrom,
      now: at("2027-01-01T00:00:00Z"),
    }).map(({ violation }) => [violation.rule, isCounted(violation)]);

  test("is refused by the one that waits for no day", () => {
    expect(judge({})).toEqual([["scan.severity", true]]);
    expect(judge({ "scan.severity": "2027-03-01" })).toEqual([
      ["scan.severity", false],
      ["scan.gate", true],
    ]);
    expect(judge({ "scan.severity": "2027-03-01", "scan.gate": "2027-04-01" })).toEqual([
      ["scan.severity", false],
      ["scan.gate", false],
    ]);
  });
});

describe("`enforceFrom` as it is written", () => {
  const write = (lines: string): Uint8Array =>
    new TextEncoder().encode(`version: 1\nname: acme\nserial: 1\nenforceFrom:\n${lines}\n`);

  test.each([
    [
      "  gate.missing: 2027-03-01",
      "policy.yaml:5:3: enforceFrom.gate.missing: `gate.missing` cannot be a name here: can't wait for a day: without its evidence nothing is known",
    ],
    ["  gate.signer: 2027-03-01", "can't wait for a day: without its evidence nothing is known"],
    ["  gate.withdrawn: 2027-03-01", "can't wait for a day: what was withdrawn is not to run anywhere"],
    ["  scan.severty: 2027-03-01", "did you mean `scan.severity`?"],
    ["  constructor: 2027-03-01", "`constructor` cannot be a name here: is no rule that can wait"],
    ["  scan.severity: soon", "policy.yaml:5:18: enforceFrom.scan.severity: expected a day, YYYY-MM-DD, found 'soon'"],
    ["  scan.severity: 2027-02-30", "expected a day, YYYY-MM-DD, found '2027-02-30'"],
    ["  scan.severity: ''", "expected a day, YYYY-MM-DD"],
    ["  scan.severity: 2027-03-01\n  scan.severity: 2028-03-01", "policy.yaml:6:"],
  ])("%s is refused", (lines, message) => {
    expect(() => parsePolicy(write(lines), "policy.yaml")).toThrow(message);
  });

  test("its twin is read", () => {
    expect(parsePolicy(write("  scan.severity: 2027-03-01"), "policy.yaml").enforceFrom).toEqual({
      "scan.severity": "2027-03-01",
    });
  });
});

describe("a change of `enforceFrom`", () => {
  const policyWith = (enforceFrom: Enforcement) => ({
    policy: { ...sample.policy, enforceFrom } as Policy,
    digest: digestOf(JSON.stringify(enforceFrom)),
  });
  const told = (before: Enforcement, after: Enforcement) =>
    diffPolicies(policyWith(before), policyWith(after))
      .filter(({ key }) => key.startsWith("enforceFrom"))
      .map(({ direction, says }) => [direction, says]);

  test("is told in sentences, with what it lets in", () => {
    const [march, april] = [{ "scan.severity": "2027-03-01" }, { "scan.severity": "2027-04-01" }];
    expect(told({}, march)).toEqual([
      ["widening", "scan.severity only warns until it refuses from 2027-03-01 on (before: at once)"],
    ]);
    expect(told(march, april)).toEqual([
      ["widening", "scan.severity only warns until it refuses from 2027-04-01 on (before: from 2027-03-01 on)"],
    ]);
    expect(told(april, march)[0]?.[0]).toBe("narrowing");
    expect(told(march, {})).toEqual([["narrowing", "scan.severity refuses at once (before: from 2027-03-01 on)"]]);
    expect(told(march, march)).toEqual([]);
  });
});
