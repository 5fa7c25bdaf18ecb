import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  edited,
  environment,
  factsOf,
  finding,
  minute,
  now,
  policy,
  rulesOf,
  summary,
  type Whole,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { RefusalGate, RescanRules } from "../policy/scan-section.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { SummaryFacts } from "../signing/verification-summary.ts";

// A rescan's failure counts from a day on: the earliest of what it has signed and what the policy of now allows; and
// before that only an image gets by whose newest other scan passed.

const day = 24 * 60 * minute;
const inDays = (days: number): Date => new Date(now.getTime() + days * day);
const under = (rescan: RescanRules | undefined): LoadedPolicy => ({
  ...policy,
  policy: { ...policy.policy, scan: { ...policy.policy.scan, ...(rescan === undefined ? {} : { rescan }) } },
});
const fortnight: RescanRules = { others: 14 * day };

/** The whole path, and then a rescan. */
const rescanned = (all: Whole, more: Partial<SummaryFacts>, first: readonly Whole[keyof Whole][] = []) => {
  const found = finding(predicateTypes.vulnerabilities, "scan");
  const failed = { passed: false, violations: 1, timeVerified: ago(5 * minute), countsFrom: inDays(13), ...more };
  return [...without(all, ...(first.length === 0 ? [] : (["scanVerdict"] as const))), ...first, found].concat(
    summary("scan", "scan", [found], failed),
  );
};

test.each<[what: string, rescan: RescanRules | undefined, more: Partial<SummaryFacts>]>([
  ["says no day", fortnight, { countsFrom: undefined }],
  ["says a day that is over", fortnight, { countsFrom: ago(minute) }],
  ["says this moment", fortnight, { countsFrom: now }],
  ["says a day, and the policy has no days", undefined, {}],
  ["says a day, and the policy's days are over", fortnight, { timeVerified: ago(14 * day), countsFrom: inDays(90) }],
  ["says a day that can't be told", fortnight, { countsFrom: new Date(8.64e15) }],
])("a rescan's failure that %s is refused", (what, rescan, more) => {
  const all = whole();
  const passed = summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(20 * day) });
  const statements = rescanned(all, more, [passed]);
  const told = what.endsWith("can't be told")
    ? statements.map((each, index) =>
        index === statements.length - 1
          ? edited(
              each,
              ["https://github.com/goldenpath-ci/goldenpath/predicates/verification-summary/v1", "countsFrom"],
              "soon",
            )
          : each,
      )
    : statements;
  const [rule] = rulesOf(factsOf(told, { policy: under(rescan) }));
  expect(["gate.failed", "gate.malformed"]).toContain(rule);
});

test.each<[what: string, earlier: (all: Whole) => Whole[keyof Whole][]]>([
  ["that never passed", (all) => [summary("scan", "scan", [all.vulnerabilities], { passed: false, violations: 1 })]],
  ["that nothing else was said of", (all) => [all.sbom]],
  [
    "whose pass is not the stage's",
    (all) => [edited(summary("scan", "scan", [all.vulnerabilities]), ["verifiedLevels"], ["GOLDENPATH_BASE"])],
  ],
  [
    "whose pass is under a policy that does not count",
    (all) => [
      summary("scan", "scan", [all.vulnerabilities], {
        policy: { uri: policy.uri, digest: digestOf("another policy"), serial: policy.policy.serial - 1 },
      }),
    ],
  ],
  [
    "whose pass rests on an exception that has ended",
    (all) => [
      summary("scan", "scan", [all.vulnerabilities], {
        ...{ excepted: 1, exceptions: { until: new Date(now.getTime() - 2 * day).toISOString().slice(0, 10) } },
      }),
    ],
  ],
  [
    "that another rescan has failed at once, before",
    (all) => [
      summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(30 * minute) }),
      summary("scan", "scan", [all.vulnerabilities], { passed: false, violations: 1, timeVerified: ago(9 * minute) }),
    ],
  ],
])("an image %s gets no days from a rescan", (_what, earlier) => {
  const all = whole();
  expect(rulesOf(factsOf(rescanned(all, {}, earlier(all)), { policy: under(fortnight) }))).toEqual(["gate.failed"]);
});

describe("a rescan's failure counts now, where what it overtook is not there as it was", () => {
  const scanOf = (...about: Parameters<typeof finding>) => finding(...about);
  const passAt = (rests: Whole[keyof Whole], days: number, more: Partial<SummaryFacts> = {}) =>
    summary("scan", "scan", [rests], { timeVerified: ago(days * day), ...more });
  const untampered = (days = 3) => {
    const found = scanOf(predicateTypes.vulnerabilities, "scan");
    return { found, pass: passAt(found, days) };
  };
  const run = (statements: readonly Whole[keyof Whole][], lapsed: Whole[keyof Whole][] = [], rules = fortnight) => {
    const failed = rescanned(whole(), {}, []).slice(-2);
    const rest = without(whole(), "scanVerdict", "vulnerabilities");
    return factsOf([...rest, ...statements, ...failed], { policy: under(rules) }, [], lapsed);
  };

  test.each<[what: string, statements: (all: ReturnType<typeof untampered>) => Whole[keyof Whole][], says: string]>([
    [
      "the findings of the pass are gone",
      ({ pass }) => [pass],
      "rests on another finding than the ones that are there",
    ],
    ["the pass is gone, and its findings are there", ({ found }) => [found], "no pass that it overtook"],
    [
      "the findings of the pass are somebody else's",
      () => {
        const found = scanOf(predicateTypes.vulnerabilities, "base");
        return [found, passAt(found, 3)];
      },
      "rests on another finding",
    ],
    [
      "another scan of the image lies in their place",
      ({ pass }) => [scanOf(predicateTypes.vulnerabilities, "scan"), pass],
      "rests on another finding",
    ],
    [
      "what lies there is a failure that has a pass's level",
      ({ found }) => [
        edited(passAt(found, 3, { passed: false, violations: 1 }), ["verifiedLevels"], ["GOLDENPATH_SCAN"]),
      ],
      `the verdict before it, of ${ago(3 * day).toISOString()}, is FAILED as well`,
    ],
    [
      "what lies there is a pass of another level",
      ({ found, pass }) => [found, edited(pass, ["verifiedLevels"], ["GOLDENPATH_BASE"])],
      "is no pass of scan",
    ],
    [
      "the rescans since the pass are gone",
      () => {
        const { found, pass } = untampered(29);
        return [found, pass];
      },
      "is too long before it",
    ],
    [
      "the pass says that it is of after its signature",
      ({ found, pass }) => [found, { ...pass, time: ago(5 * day) }],
      "was signed at",
    ],
  ])("%s", (_what, statements, says) => {
    const { found, pass } = untampered();
    expect(rulesOf(run([found, pass]))).toEqual([]);
    const facts = run(statements({ found, pass }));
    expect(rulesOf(facts)).toEqual(["gate.failed"]);
    expect(decideGate(facts).violations[0]?.problem).toContain(says);
  });

  test("its days begin no later than `every` after the pass, and not before what it signed", () => {
    const at = (days: number, every?: number) => {
      const { found, pass } = untampered(days);
      return rulesOf(run([found, pass], [], { ...fortnight, ...(every === undefined ? {} : { every }) }));
    };
    expect(at(27)).toEqual([]);
    expect(at(28)).toEqual(["gate.failed"]);
    expect(at(28, 15 * day)).toEqual([]);
    expect(at(16, 2 * day)).toEqual(["gate.failed"]);
    expect(at(15, 2 * day)).toEqual([]);
  });

  test("a failure after the pass counts, though its signer's word has ended; one that waits as well does not", () => {
    const { found, pass } = untampered();
    const failed = (days: number, more: Partial<SummaryFacts> = {}) =>
      passAt(found, days, { passed: false, violations: 1, ...more });
    expect(rulesOf(run([found, pass], [failed(2)]))).toEqual(["gate.failed"]);
    expect(decideGate(run([found, pass], [failed(2)])).violations[0]?.problem).toContain(
      `is FAILED; one of ${ago(2 * day).toISOString()}, after the last pass, is FAILED as well`,
    );
    expect(rulesOf(run([found, pass], [failed(3)]))).toEqual(["gate.failed"]);
    expect(rulesOf(run([found, pass], [failed(4)]))).toEqual([]);
    expect(rulesOf(run([found, pass], [failed(2, { countsFrom: inDays(9) })]))).toEqual([]);
    expect(rulesOf(run([found, pass], [passAt(found, 2)]))).toEqual([]);
  });

  test("an environment's own gates refuse the pass by what it has found", () => {
    const { found, pass } = untampered();
    const refuse: RefusalGate[] = [{ name: "grave", severity: "critical", missing: "refuse" }];
    const facts = run([found, pass]);
    expect(rulesOf({ ...facts, environment: { ...environment, refuse } })).not.toEqual([]);
  });

  test("the gate's answer rests on the pass and its findings as well", () => {
    const { found, pass } = untampered();
    const accepted = decideGate(run([found, pass])).accepted.map(({ bundle }) => bundle.digest);
    expect(accepted).toContain(pass.bundle.digest);
    expect(accepted).toContain(found.bundle.digest);
  });
});

test("until its day, a rescan's failure is as good as the pass that it overtook, and as fresh as itself", () => {
  const all = whole();
  expect(rulesOf(factsOf(rescanned(all, {}), { policy: under(fortnight) }))).toEqual([]);
  const old = summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(3 * day) });
  const excepted = { excepted: 1, exceptions: { until: inDays(2).toISOString().slice(0, 10) } };
  const resting = summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(3 * day), ...excepted });
  expect(rulesOf(factsOf(rescanned(all, {}, [resting]), { policy: under(fortnight) }))).toEqual([]);
  expect(rulesOf(factsOf(rescanned(all, {}, [old]), { policy: under(fortnight) }))).toEqual([]);
  const stale = rescanned(all, { timeVerified: ago(2 * day) }, [old]);
  expect(rulesOf(factsOf(stale, { policy: under(fortnight) }))).toEqual(["gate.stale"]);
  // Of several in a row the newest one's word counts.
  const before = summary("scan", "scan", [all.vulnerabilities], {
    ...{ passed: false, violations: 1, timeVerified: ago(2 * day), countsFrom: inDays(12) },
  });
  expect(rulesOf(factsOf(rescanned(all, {}, [old, before]), { policy: under(fortnight) }))).toEqual([]);
  // A pass is one, whatever day it says.
  const dated = summary("scan", "scan", [all.vulnerabilities], {
    ...{ timeVerified: ago(3 * day), countsFrom: inDays(9) },
  });
  expect(rulesOf(factsOf(rescanned(all, {}, [dated]), { policy: under(fortnight) }))).toEqual([]);
});

test("a pass under a policy that was superseded is overtaken by when it was signed, or else by when it says it is of", () => {
  const version = { serial: 6, digest: digestOf("serial 6") };
  const supersededAt = ago(3 * 60 * minute);
  const loaded: LoadedPolicy = {
    ...under(fortnight),
    policy: { ...under(fortnight).policy, accepts: day },
    inForce: {
      ...{ repositories: ["registry.example/goldenpath-policy"], name: "acme", serial: 7, digest: policy.digest },
      ...{ source: policy.uri, artifact: digestOf("artifact"), activatedAt: supersededAt },
      predecessors: [{ ...version, activatedAt: ago(9 * 60 * minute), supersededAt }],
    },
  };
  // What is under way when the policy changes may still end within the hour.
  const at = (made: number, signedAt?: number) => {
    const all = whole();
    const about = { timeVerified: ago(made * minute), policy: { uri: "p", ...version } };
    const pass = summary("scan", "scan", [all.vulnerabilities], about);
    const time = signedAt === undefined ? {} : { time: ago(signedAt * minute) };
    return rulesOf(factsOf(rescanned(all, {}, [{ ...pass, ...time }]), { policy: loaded }));
  };
  expect(at(130, 119)).toEqual(["gate.failed"]);
  expect(at(130, 121)).toEqual([]);
  expect(at(119)).toEqual(["gate.failed"]);
  expect(at(121)).toEqual([]);
});

test("a failure whose day is over says so", () => {
  const facts = factsOf(rescanned(whole(), { countsFrom: ago(minute) }), { policy: under(fortnight) });
  expect(decideGate(facts).violations[0]?.problem).toMatch(/is FAILED; by the policy in force it counts now$/);
});

test("a failure of another stage has no days", () => {
  const all = whole();
  const later = summary("base", "base", [all.base], {
    ...{ passed: false, violations: 1, timeVerified: ago(minute), countsFrom: inDays(9) },
  });
  expect(rulesOf(factsOf([...Object.values(all), later], { policy: under(fortnight) }))).toEqual(["gate.failed"]);
});

describe("what a rescan found", () => {
  const gate: RefusalGate[] = [{ name: "grave", severity: "critical", missing: "refuse" }];
  const told = (countsFrom?: string, finishedOn = ago(5 * minute)) => ({
    metadata: { scanFinishedOn: finishedOn.toISOString() },
    scanner: {
      result: {
        goldenpath: {
          platforms: ["linux/amd64"],
          findings: [
            {
              ...{ platform: "linux/amd64", id: "CVE-2026-1", severity: "critical", fixState: "fixed", origin: "base" },
              package: { name: "left", version: "1", type: "npm" },
              ...(countsFrom === undefined ? {} : { countsFrom }),
            },
          ],
        },
      },
    },
  });
  const facts = (rescan: RescanRules | undefined, ...about: Parameters<typeof told>) => {
    const all = whole();
    const found = finding(predicateTypes.vulnerabilities, "scan", undefined, told(...about));
    const verdict = summary("scan", "scan", [found], { timeVerified: ago(5 * minute) });
    return factsOf([...Object.values(all), found, verdict], {
      ...{ policy: under(rescan), environment: { ...environment, refuse: gate } },
    });
  };

  test.each<[string, RescanRules | undefined, ...Parameters<typeof told>]>([
    ["without a day", fortnight, undefined],
    ["from a day that is over", fortnight, ago(minute).toISOString()],
    ["at once where the policy has no days", undefined, inDays(3).toISOString()],
    ["after the policy's days, whatever is signed", fortnight, inDays(90).toISOString(), ago(15 * day)],
  ])("counts at an environment's gates %s", (_what, rescan, ...about) => {
    expect(rulesOf(facts(rescan, ...about))).toEqual(["gate.finding"]);
  });

  test("does not count there before its day", () => {
    expect(rulesOf(facts(fortnight, inDays(3).toISOString()))).toEqual([]);
  });
});
