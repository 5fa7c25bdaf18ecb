import { makeFinding } from "@goldenpath/testing/findings";
import { describe, expect, test } from "vitest";
import type { NewerVersions } from "../base/standing.ts";
import { type Severity, severities } from "../policy/scan-section.ts";
import type { Exception } from "../policy/schema.ts";
import { verdictOf } from "../result.ts";
import { type Finding, type FindingSeverity, gateSeverity, originOf } from "./finding.ts";
import { judgeDatabase, judgeFindings, type ScanGateFacts } from "./gate.ts";

const now = new Date("2026-05-10T12:00:00Z");
const finding = (fields: Partial<Finding> = {}): Finding =>
  makeFinding({
    package: { name: "lodash", version: "4.17.20", type: "npm" },
    ...fields,
  });
const exception = (fields: Partial<Exception> = {}): Exception => ({
  rule: "scan.severity",
  vulnerability: "GHSA-35jh-r3h4-6jhm",
  reason: "the template function is not used",
  owner: "team-shop",
  expires: "2026-05-31",
  ...fields,
});
const judge = (findings: Finding[], more: Partial<ScanGateFacts> = {}) =>
  judgeFindings({ findings, policy: { failOn: "high", onlyFixed: false }, exceptions: [], now, ...more }).map(
    ({ violation }) => violation,
  );

describe("by severity", () => {
  // unknown counts as high, whatever the threshold.
  const rank = (severity: FindingSeverity): number => severities.indexOf(severity === "unknown" ? "high" : severity);
  const cases = severities.flatMap((failOn) =>
    [...severities, "unknown" as const].map((severity) => [severity, failOn] as const),
  );

  test.each(cases)("%s where the policy refuses %s and above", (severity, failOn) => {
    const refused = judge([finding({ severity })], { policy: { failOn, onlyFixed: false } });
    expect(refused.map(({ rule }) => rule)).toEqual(
      rank(severity) >= severities.indexOf(failOn) ? ["scan.severity"] : [],
    );
  });

  test("an unknown severity is refused as high, and the message says so", () => {
    const [refused] = judge([finding({ severity: "unknown" })]);
    expect(refused?.problem).toContain("unknown severity, which counts as high");
    expect(gateSeverity({ severity: "unknown" })).toBe<Severity>("high");
    expect(judge([finding({ severity: "unknown" })], { policy: { failOn: "critical", onlyFixed: false } })).toEqual([]);
  });

  test("the worst comes first", () => {
    const found = [
      finding({ id: "A-1", severity: "high" }),
      finding({ id: "A-2", severity: "critical" }),
      finding({ id: "A-0" }),
    ];
    expect(judge(found).map(({ thing }) => thing.split(" ")[0])).toEqual(["A-2", "A-0", "A-1"]);
  });
});

describe("where only what can be fixed is refused", () => {
  const policy = { failOn: "high", onlyFixed: true } as const;
  const cases: [string, Partial<Finding>, boolean][] = [
    ["a fixed version is listed", {}, true],
    ["the state says fixed, and no version is listed", { fixedVersions: [] }, true],
    ["a version is listed, and the state is unknown", { fixState: "unknown" }, true],
    ["not fixed", { fixedVersions: [], fixState: "not-fixed" }, false],
    ["will not be fixed", { fixedVersions: [], fixState: "wont-fix" }, false],
    ["nothing is known of a fix", { fixedVersions: [], fixState: "unknown" }, false],
  ];
  test.each(cases)("%s", (_name, fields, isRefused) => {
    expect(judge([finding(fields)], { policy })).toHaveLength(isRefused ? 1 : 0);
    expect(judge([finding(fields)])).toHaveLength(1);
  });
});

describe("exceptions", () => {
  const refusals: [string, Exception][] = [
    ["for another vulnerability", exception({ vulnerability: "GHSA-29mw-wpgm-hmr9" })],
    ["for another package", exception({ package: "lodash-es" })],
    ["for another rule", exception({ rule: "base.approved" })],
  ];
  test.each(refusals)("one %s does not hold", (_name, granted) => {
    const violations = judge([finding()], { exceptions: [granted] });
    expect(violations[0]?.exception).toBeUndefined();
    expect(verdictOf(violations)).toBe("fail");
  });

  test("an expired one does not hold, and the message names it", () => {
    const violations = judge([finding()], { exceptions: [exception({ expires: "2026-05-09" })] });
    expect(verdictOf(violations)).toBe("fail");
    expect(violations[0]?.problem).toContain("exception by team-shop expired on 2026-05-09");
  });

  test.each([
    ["the id", exception()],
    ["an alias", exception({ vulnerability: "CVE-2021-23337" })],
    ["the id in this package", exception({ package: "lodash" })],
  ])("one for %s sets the violation aside, and it stays listed", (_name, granted) => {
    const violations = judge([finding()], { exceptions: [granted] });
    expect(violations).toMatchObject([
      { rule: "scan.severity", exception: { owner: "team-shop", expires: "2026-05-31" } },
    ]);
    expect(verdictOf(violations)).toBe("pass");
  });

  test("one finding's exception does nothing for another", () => {
    const violations = judge([finding(), finding({ id: "GHSA-xvch-5gv4-984h", aliases: [] })], {
      exceptions: [exception()],
    });
    expect(verdictOf(violations)).toBe("fail");
  });
});

describe("what else is refused", () => {
  const low = { severity: "low", kev: true } as const;
  const policy = {
    failOn: "high" as const,
    onlyFixed: false,
    refuse: [{ name: "exploited", kev: true as const, missing: "refuse" as const }],
  } satisfies ScanGateFacts["policy"];
  const rules = (fields: Partial<Finding>, exceptions: Exception[] = []) =>
    judge([finding(fields)], { policy, exceptions }).map(
      ({ rule, exception: applied }) => `${rule}${applied === undefined ? "" : " excepted"}`,
    );

  test("a finding below the threshold by a gate, told by its name", () => {
    const [refused] = judge([finding(low)], { policy });
    expect(refused).toMatchObject({ rule: "scan.gate", thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20" });
    expect(refused?.problem).toContain("gate 'exploited' refuses it: known to be exploited");
  });

  test("a malicious package at any severity, and under a policy that says nothing of it", () => {
    const mal = finding({ id: "MAL-2026-1", aliases: [], severity: "negligible", malicious: true });
    expect(judge([mal]).map(({ rule }) => rule)).toEqual(["scan.malicious"]);
    expect(judge([{ ...mal, malicious: false }])).toEqual([]);
    expect(judge([{ ...mal, withdrawn: "2026-05-01" }])).toEqual([]);
  });

  const both = { severity: "high", kev: true } as const;
  test.each<[string, Partial<Finding>, Exception[], string[]]>([
    ["one thing is told once", both, [], ["scan.severity"]],
    ["the gate counts where the severity is set aside", both, [exception()], ["scan.severity excepted", "scan.gate"]],
    [
      "both are set aside",
      both,
      [exception(), exception({ rule: "scan.gate" })],
      ["scan.severity excepted", "scan.gate excepted"],
    ],
    ["an exception of another rule", low, [exception()], ["scan.gate"]],
    ["the worst first", { ...both, malicious: true }, [], ["scan.malicious"]],
    [
      "the severity of what is let be malicious",
      { ...both, malicious: true },
      [exception({ rule: "scan.malicious" })],
      ["scan.malicious excepted", "scan.severity"],
    ],
    ["nothing is met", { severity: "low", kev: false }, [], []],
  ])("%s", (_name, fields, exceptions, told) => {
    expect(rules(fields, exceptions)).toEqual(told);
  });
});

describe("an exception for one gate", () => {
  const gates = (["exploited", "slow"] as const).map((name) => ({
    ...{ name, missing: "refuse" as const },
    ...(name === "exploited" ? { kev: true as const } : { fixed: true as const }),
  }));
  const rules = (granted: Partial<Exception>) =>
    judge([finding({ severity: "low", kev: true })], {
      policy: { failOn: "high", onlyFixed: false, refuse: gates },
      exceptions: [exception({ rule: "scan.gate", ...granted })],
    }).map(({ problem, exception: applied }) => `${/gate '(.+?)'/.exec(problem)?.[1]} ${applied === undefined}`);

  test("does not hold for another, which the finding meets as well", () => {
    expect(rules({ gate: "exploited" })).toEqual(["exploited false", "slow true"]);
    expect(rules({ gate: "slow" })).toEqual(["exploited true"]);
    expect(rules({})).toEqual(["exploited false", "slow false"]);
  });
});

describe("where only what is new is refused", () => {
  const gate = { name: "likely", epss: 0.5, missing: "pass" as const };
  test("a gate that is met only since refuses what is known", () => {
    const since = (metBefore: boolean) =>
      judge([finding({ epss: 0.9 })], {
        policy: { failOn: "high", onlyFixed: false, refuse: [gate] },
        ...{ isKnown: () => true, metBefore: () => metBefore },
      }).map(({ rule }) => rule);
    expect(since(false)).toEqual(["scan.gate"]);
    expect(since(true)).toEqual([]);
  });

  const judgeKnown = (fields: Partial<Finding>, isKnown: boolean) =>
    judge([finding(fields)], { isKnown: () => isKnown });

  test("what is known is let pass, and what is not is refused", () => {
    expect(judgeKnown({}, true)).toEqual([]);
    expect(judgeKnown({}, false)).toHaveLength(1);
  });

  test.each([
    ["known to be exploited", { kev: true }],
    ["made to do harm", { malicious: true }],
  ])("what is %s is refused, however long it has been there", (_name, fields) => {
    expect(judgeKnown(fields, true)).toHaveLength(1);
  });

  test.each([[{ kev: false }], [{ malicious: false }]])("but not where that is said to be otherwise: %j", (fields) => {
    expect(judgeKnown(fields, true)).toEqual([]);
  });
});

describe("the way out", () => {
  const cases: [string, Partial<Finding>, string][] = [
    ["a fixed version", {}, "Update lodash to 4.17.21 (npm)."],
    ["several fixed versions", { fixedVersions: ["4.18.0", "4.17.21"] }, "Update lodash to 4.18.0 or 4.17.21 (npm)."],
    [
      "several, and a recommended one",
      { fixedVersions: ["3.0.0", "4.17.21"], suggestedVersion: "4.17.21" },
      "Update lodash to 4.17.21 (npm).",
    ],
    ["fixed in an unnamed version", { fixedVersions: [] }, "Update lodash to a fixed version (npm)."],
    [
      "no fix yet",
      { fixedVersions: [], fixState: "not-fixed" },
      "There is no fixed version yet: do without lodash, or ask for an exception in the policy, with an owner and an end date.",
    ],
    [
      "no fix ever",
      { fixedVersions: [], fixState: "wont-fix" },
      "The publisher does not fix it: do without lodash, or ask for an exception in the policy, with an owner and an end date.",
    ],
    [
      "of the base",
      { origin: "base" },
      "It comes with the base image golden-run: take the base's next version, with lodash 4.17.21.",
    ],
    [
      "of the base, no fix",
      { origin: "base", fixedVersions: [], fixState: "unknown" },
      "There is no fixed version yet, and it comes with the base image golden-run: ask for an exception in the policy, with an owner and an end date.",
    ],
  ];
  test.each(cases)("%s", (_name, fields, wayOut) => {
    expect(judge([finding(fields)], { base: "golden-run" })[0]?.wayOut).toBe(wayOut);
  });

  test.each<[what: string, newerBase: NewerVersions, wayOut: string]>([
    [
      "there is none",
      { count: 0 },
      "It comes with the base image golden-run, and this is its newest version: whoever keeps the base has to bring one with lodash 4.17.21.",
    ],
    [
      "one was approved",
      { count: 1, since: new Date("2026-11-20T23:59:59Z") },
      "It comes with the base image golden-run, of which there is a newer version (since 2026-11-20): build on its newest one. It needs lodash 4.17.21; where that lacks it, whoever keeps the base has to bring it.",
    ],
    [
      "the policy lists some",
      { count: 2 },
      "It comes with the base image golden-run, of which there is a newer version: build on its newest one. It needs lodash 4.17.21; where that lacks it, whoever keeps the base has to bring it.",
    ],
  ])("of the base, of newer versions of which %s", (_what, newerBase, wayOut) => {
    expect(judge([finding({ origin: "base" })], { base: "golden-run", newerBase })[0]?.wayOut).toBe(wayOut);
  });

  test("names the thing, and the platform where there are several", () => {
    expect(judge([finding({ kev: true })], { platform: "linux/arm64" })).toMatchObject([
      {
        thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20",
        platform: "linux/arm64",
        problem:
          "It is a vulnerability of severity high; the policy refuses high and above. It is known to be exploited.",
      },
    ]);
  });
});

describe("the data's age", () => {
  const hours = 3_600_000;
  const refused: [string, Date | undefined, RegExp][] = [
    ["unknown", undefined, /does not say when it was made, and the policy accepts 5 h/],
    ["not a date", new Date("soon"), /does not say when it was made/],
    ["a millisecond too old", new Date(now.getTime() - 5 * hours - 1), /5 h old, and the policy accepts 5 h/],
    ["days too old", new Date(now.getTime() - 72 * hours), /3 d old/],
    ["of the future", new Date(now.getTime() + 2 * hours), /in the future/],
  ];
  test.each(refused)("%s is refused", (_name, built, problem) => {
    expect(judgeDatabase(built === undefined ? {} : { built }, 5 * hours, now)).toMatchObject([
      {
        rule: "scan.database-age",
        thing: "the vulnerability data",
        problem: expect.stringMatching(problem),
        wayOut: expect.any(String),
      },
    ]);
  });

  test.each([
    ["as old as it may be", new Date(now.getTime() - 5 * hours), 5 * hours],
    ["a little ahead, by the clocks", new Date(now.getTime() + hours / 2), 5 * hours],
    ["any age, where the policy says so", new Date(0), "unlimited"],
    ["unknown, where the policy says so", undefined, "unlimited"],
  ] as const)("%s is accepted", (_name, built, maxAge) => {
    expect(judgeDatabase(built === undefined ? {} : { built }, maxAge, now)).toEqual([]);
  });
});

test.each([
  ["all layers are the base's", ["a", "b"], ["a", "b", "c"], "base"],
  ["one layer is not the base's", ["a", "x"], ["a"], "application"],
  ["no layer is known", [], ["a"], "unknown"],
  ["the base is not known", ["a"], undefined, "unknown"],
])("a package's origin where %s", (_name, layers, base, origin) => {
  expect(originOf(layers, base)).toBe(origin);
});
