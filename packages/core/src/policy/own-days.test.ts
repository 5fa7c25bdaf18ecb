import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { base as baseOf, child, decide } from "@goldenpath/testing/base-facts";
import {
  ago,
  edited,
  environment,
  factsOf,
  now,
  policy as sample,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { fakeDigest, samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { decideGate } from "../gate/decide.ts";
import { type Violation, verdictOf } from "../result.ts";
import { judgeFindings } from "../scan/gate.ts";
import { openFinding } from "../scan/merge.ts";
import { judgePackages } from "../scan/package-gates.ts";
import { diffPolicies } from "./diff.ts";
import { listDays } from "./own-days.ts";
import { parsePolicy } from "./parse.ts";
import type { Policy } from "./schema.ts";
import { describeWeaknesses } from "./weaknesses.ts";

// A day for one entry of the policy alone, where `enforceFrom` is of a whole rule. By a clock of 1 and 10 May 2026.

const later = "2026-06-01";
const over = "2026-05-01";
const cel = { message: "m", remedy: "r" };
const told = (violations: readonly Violation[]) =>
  violations.map(({ rule, enforcedFrom, entry }) => [rule, enforcedFrom, entry]);

/** What refuses by one entry, with the day that it is given; each entry by the name that verdicts have for it. */
const judges: Record<string, { entry: string; judge: (enforceFrom: string | undefined) => readonly Violation[] }> = {
  "base.rule": {
    entry: "own",
    judge: (enforceFrom) =>
      decide([child("os libc app")], {
        customRules: [{ name: "own", stage: "base", expression: "false", ...cel, enforceFrom }],
      }).violations,
  },
  "base.missing": {
    entry: "label owner",
    judge: (enforceFrom) =>
      decide([child("os libc app")], { rules: { refuse: [], mustHave: [{ label: "owner", enforceFrom }] } }).violations,
  },
  "base.expired": { entry: "golden", judge: (enforceFrom) => onApproved({ maxAge: 1, enforceFrom }) },
  "base.behind": { entry: "golden", judge: (enforceFrom) => onApproved({ maxBehind: 1, enforceFrom }) },
  "base.approval": {
    entry: "golden",
    judge: (enforceFrom) => onApproved({ score: { publisher: 5 }, enforceFrom }),
  },
  "scan.gate": {
    entry: "known",
    judge: (enforceFrom) =>
      judgeFindings({
        findings: [finding],
        policy: {
          failOn: "critical",
          onlyFixed: false,
          refuse: [{ name: "known", kev: true, missing: "refuse", enforceFrom }],
        },
        exceptions: [],
        now,
      }).map(({ violation }) => violation),
  },
  "scan.package": {
    entry: "lodash 1",
    judge: (enforceFrom) => onPackages({ packages: [{ name: "lodash", versions: ["1"], reason: "r", enforceFrom }] }),
  },
  "scan.sbom": {
    entry: "quality",
    judge: (enforceFrom) =>
      onPackages({ sbom: { version: 0, identifier: 100, license: 0, hash: 0, supplier: 0, enforceFrom } }),
  },
  "gate.rule": {
    entry: "own",
    judge: (enforceFrom) =>
      onGate({ rules: [{ name: "own", stage: "gate", expression: "false", ...cel, enforceFrom }] }),
  },
  "gate.finding": {
    entry: "production/known",
    judge: (enforceFrom) => onGate({}, [{ name: "known", kev: true, missing: "refuse", enforceFrom }]),
  },
};

const finding = {
  ...openFinding(
    {
      ...{ id: "CVE-2026-1", aliases: [], severity: "low", kev: true, fixedVersions: [], fixState: "unknown" },
      package: { name: "lodash", version: "1", type: "npm" },
      ...{ layers: [], paths: [], urls: [] },
    },
    "case",
  ),
  origin: "application" as const,
};

function onApproved(rules: object, enforceFrom?: Policy["enforceFrom"]): readonly Violation[] {
  const approval = {
    ...{ approvedAt: new Date("2026-01-01T00:00:00Z"), endOfLife: "2026-12-31", role: "both" as const },
    ...{ proven: [], signers: ["a"], bundle: digestOf("b") },
  };
  const newer = [new Date("2026-02-01T00:00:00Z")];
  const golden = baseOf("golden", "os libc", { approval: { rules, found: { kind: "approved", approval }, newer } });
  return decide([child("os libc app")], { approved: [golden], ...(enforceFrom === undefined ? {} : { enforceFrom }) })
    .violations;
}

function onPackages(policy: Parameters<typeof judgePackages>[0]["policy"]): readonly Violation[] {
  const sbom = {
    metadata: { timestamp: "2026-05-01T00:00:00Z", tools: [{ name: "syft" }] },
    components: [{ type: "library", name: "lodash", version: "1" }],
  };
  return judgePackages({ sbom, policy, exceptions: [], now, image: "r.example/shop@sha256:1" });
}

function onGate(
  change: Partial<Policy>,
  refuse?: NonNullable<typeof environment.refuse>,
  others: readonly object[] = [],
): readonly Violation[] {
  const all = whole();
  const { id, aliases, severity, package: of, fixedVersions, fixState, origin } = finding;
  const one = { id, aliases, severity, package: of, fixedVersions, fixState, origin, kev: true, platform: "p" };
  const findings = [one, ...others.map((other) => ({ ...one, ...other }))];
  const result = { goldenpath: { platforms: ["p"], findings } };
  const vulnerabilities = edited(edited(all.vulnerabilities, ["scanner"], { result }), ["metadata"], {
    scanFinishedOn: ago(1).toISOString(),
  });
  return decideGate(
    factsOf(Object.values({ ...all, vulnerabilities }), {
      policy: { ...sample, policy: { ...sample.policy, ...change } },
      environment: { ...environment, ...(refuse === undefined ? {} : { refuse }) },
    }),
  ).violations;
}

describe.each(Object.entries(judges))("%s", (rule, { entry, judge }) => {
  test("refuses without a day, and from its day on; warns until then, with it", () => {
    for (const day of [undefined, over]) expect(told(judge(day))).toEqual([[rule, undefined, undefined]]);
    expect(verdictOf(judge(over))).toBe("fail");
    expect(told(judge(later))).toEqual([[rule, later, entry]]);
    expect(verdictOf(judge(later))).toBe("pass");
  });
});

test("what waits hides nothing that refuses: another gate, another package, another rule, other things to have", () => {
  const gates = ["a", "b"].map((name, at) => ({
    ...{ name, kev: true as const, missing: "refuse" as const, enforceFrom: at === 0 ? later : undefined },
  }));
  expect(told(onGate({}, gates))).toEqual([
    ["gate.finding", later, "production/a"],
    ["gate.finding", undefined, undefined],
  ]);
  const packages = [
    { name: "lodash", reason: "r", enforceFrom: later },
    { name: "lodash", versions: ["1"], reason: "r" },
  ];
  expect(told(onPackages({ packages }))).toEqual([
    ["scan.package", later, "lodash"],
    ["scan.package", undefined, undefined],
  ]);
  const mustHave = [{ label: "a" }, { label: "b", enforceFrom: later }, { label: "c" }];
  expect(told(decide([child("os libc app")], { rules: { refuse: [], mustHave } }).violations)).toEqual([
    ["base.missing", undefined, undefined],
    ["base.missing", undefined, undefined],
    ["base.missing", later, "label b"],
  ]);
});

test("a finding that refuses by its gate's own day is not lost among many that wait for the day of their rule", () => {
  const many = Array.from({ length: 25 }, (_, at) => ({ id: `CVE-2026-1${at}` }));
  const judge = (enforceFrom: string) =>
    onGate(
      { enforceFrom: { "gate.finding": "2026-12-01" } },
      [
        { name: "known", kev: true, missing: "refuse" },
        { name: "worst", severity: "critical", missing: "refuse", enforceFrom },
      ],
      [...many, { id: "CVE-2026-2", kev: false, severity: "critical" }],
    );
  expect(verdictOf(judge(over))).toBe("fail");
  expect(verdictOf(judge(later))).toBe("pass");
  expect(told(judge(later)).at(0)).toEqual(["gate.finding", later, "production/worst"]);
});

test("an entry's own day counts, whatever that of its rule is", () => {
  const rule = { name: "own", stage: "base" as const, expression: "false", ...cel };
  const judge = (enforceFrom: string | undefined) =>
    told(
      decide([child("os libc app")], {
        customRules: [{ ...rule, enforceFrom }],
        enforceFrom: { "base.rule": "2026-12-01" },
      }).violations,
    );
  expect(judge(over)).toEqual([["base.rule", undefined, undefined]]);
  expect(judge(later)).toEqual([["base.rule", later, "own"]]);
  expect(judge(undefined)).toEqual([["base.rule", "2026-12-01", undefined]]);
});

test("what an approval asks refuses from its own day on, and from that of its rule where it has none", () => {
  const judge = (enforceFrom: string | undefined) =>
    told(onApproved({ maxAge: 1, enforceFrom }, { "base.expired": "2026-12-01" }));
  expect(judge(over)).toEqual([["base.expired", undefined, undefined]]);
  expect(judge(later)).toEqual([["base.expired", later, "golden"]]);
  expect(judge(undefined)).toEqual([["base.expired", "2026-12-01", undefined]]);
});

describe("a pass with such a warning, at the gate", () => {
  const rules = (enforceFrom: string | undefined): Policy["rules"] => [
    { name: "own", stage: "scan", expression: "true", ...cel, enforceFrom },
  ];
  const ask = (change: Partial<Policy>) => {
    const all = whole();
    const verdict = summary("scan", "scan", [all.vulnerabilities], {
      ...{ excepted: 1, exceptions: { until: "2026-05-31", deferred: [{ rule: "scan.rule/own", from: later }] } },
    });
    const policy = { ...sample, policy: { ...sample.policy, ...change } };
    return decideGate(factsOf([...without(all, "scanVerdict"), verdict], { policy })).violations.map(
      ({ rule }) => rule,
    );
  };

  test("opens none where the entry has an earlier day or none, or another one's alone; and opens it where it has", () => {
    expect(ask({ rules: rules(over) })).toEqual(["gate.deferred"]);
    expect(ask({ rules: rules(undefined) })).toEqual(["gate.deferred"]);
    expect(ask({ rules: [] })).toEqual(["gate.deferred"]);
    expect(ask({ rules: rules(later) })).toEqual([]);
    expect(ask({ rules: rules(undefined), enforceFrom: { "scan.rule": later } })).toEqual([]);
  });
});

const entries = `rules:
  - { name: own, stage: gate, expression: "true", message: m, remedy: r, enforceFrom: 2027-03-01 }
images:
  mustHave: [{ label: owner, value: shop, enforceFrom: 2027-03-02 }]
`;
const parse = (text: string): Policy => parsePolicy(new TextEncoder().encode(text), "p.yaml");
const scan = /^scan:\n/m;
const withDays = samplePolicyText.replace(
  scan,
  `scan:\n  refuse: [{ name: known, kev: true, enforceFrom: 2027-03-03 }]\n  packages: [{ name: x, reason: r, enforceFrom: 2027-03-04 }]\n  sbom: { version: 90, enforceFrom: 2027-03-05 }\n`,
);

test("every such day is listed by `policy check`, and a mistyped one is refused at its place", () => {
  const policy = parse(withDays + entries);
  expect(Object.fromEntries(listDays(policy))).toEqual({
    ...{
      "gate.rule/own": "2027-03-01",
      "base.missing/label owner=shop": "2027-03-02",
      "scan.gate/known": "2027-03-03",
    },
    ...{ "scan.package/x": "2027-03-04", "scan.sbom/quality": "2027-03-05" },
  });
  const weak = describeWeaknesses({ policy });
  expect(weak).toContain("enforceFrom.gate.rule/own: only warns until it refuses from 2027-03-01 on");
  for (const wrong of ["soon", "2027-02-30", "''"])
    expect(() => parse(samplePolicyText + entries.replace("2027-03-01", wrong))).toThrow(
      /rules\[0\]\.enforceFrom: expected a day, YYYY-MM-DD/,
    );
});

test("`policy diff` tells a later day as what lets in, and a new entry with a day as what shuts out", () => {
  const diff = (before: string, after: string) =>
    diffPolicies(
      { policy: parse(samplePolicyText + before), digest: fakeDigest("a") },
      { policy: parse(samplePolicyText + after), digest: fakeDigest("b") },
    )
      .filter(({ key }) => !key.startsWith("serial"))
      .map(({ direction, key }) => `${direction} ${key}`);
  const postponed = entries.replace("2027-03-01", "2027-04-01");
  expect(diff(entries, postponed)).toEqual(["widening rules[own].enforceFrom"]);
  expect(diff(postponed, entries)).toEqual(["narrowing rules[own].enforceFrom"]);
  expect(diff(entries.replace(", enforceFrom: 2027-03-01", ""), entries)).toEqual(["widening rules[own].enforceFrom"]);
  expect(diff("", entries).every((each) => each.startsWith("narrowing"))).toBe(true);
});

test("a day of its own that is taken away is a widening where that of its rule is later, and none where it is not", () => {
  const diff = (day: string) => {
    const rules = `enforceFrom: { gate.rule: ${day} }\n`;
    const policies = [entries, entries.replace(", enforceFrom: 2027-03-01", "")].map((text, index) => ({
      policy: parse(samplePolicyText + text + rules),
      digest: fakeDigest(index === 0 ? "a" : "b"),
    }));
    const [before, after] = policies;
    if (before === undefined || after === undefined) throw new Error("two policies");
    return diffPolicies(before, after).flatMap(({ direction, says }) => (direction === "widening" ? [says] : []));
  };
  expect(diff("2027-12-01")).toEqual([
    "gate.rule/own only warns until it refuses from 2027-12-01 on (before: from 2027-03-01 on)",
  ]);
  for (const day of ["2027-03-01", "2027-01-01"]) expect(diff(day)).toEqual([]);
});
