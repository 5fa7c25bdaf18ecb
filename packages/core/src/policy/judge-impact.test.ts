import type { GateFacts } from "@goldenpath/core/gate/facts";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  ago,
  edited,
  environment,
  factsOf,
  image,
  imageLayers,
  now,
  policy as own,
  summary,
  type Whole,
  whole,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { judgeImpact } from "./judge-impact.ts";
import type { Exception, LoadedPolicy, Policy } from "./schema.ts";

// One image, let through by the policy of now, and by a changed one.

const golden = { name: "golden", image: "registry.example/bases/golden", digest: digestOf("base") };
const found = {
  id: "CVE-2026-1",
  platform: "linux/amd64",
  severity: "medium",
  package: { name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" },
  fixedVersions: ["4.17.21"],
  fixState: "fixed",
  origin: "application",
};
const scanned = (...findings: object[]) => ({
  metadata: { scanFinishedOn: ago(600_000).toISOString() },
  scanner: { result: { goldenpath: { platforms: ["linux/amd64"], findings } } },
});

/** All evidence of the image, with a base and findings that tell. */
function evidence(findings: object[] = [found], base: object | null = golden): Whole {
  const all = whole();
  const told = edited(all.base, ["children"], [{ digest: image, base, layers: imageLayers }]);
  const vulnerabilities = { ...all.vulnerabilities, statement: { ...all.vulnerabilities.statement } };
  vulnerabilities.statement.predicate = scanned(...findings);
  const component = { type: "library", name: "lodash", version: "4.17.20", licenses: [{ license: { id: "MIT" } }] };
  const sbom = edited(all.sbom, ["components"], [component]);
  return { ...all, base: told, vulnerabilities, sbom };
}

const place = { to: ["registry.example/quarantine"] };
const policyWith = (change: Partial<Policy> = {}, more: Partial<LoadedPolicy> = {}): LoadedPolicy => ({
  ...own,
  ...more,
  policy: { ...own.policy, environments: { production: { ...environment, ...place } }, ...change },
});
const facts = (policy: LoadedPolicy, all: Whole = evidence()): GateFacts =>
  factsOf(Object.values(all), {
    policy,
    place: "to",
    environment: policy.policy.environments["production"] ?? environment,
  });
const next = (change: Partial<Policy>): LoadedPolicy =>
  policyWith(
    { serial: 8, accepts: [{ serial: 7, digest: own.digest }], ...change },
    { digest: digestOf("the policy of serial 8") },
  );
const impact = (change: Partial<Policy>, all: Whole = evidence(), before: Partial<Policy> = {}) =>
  judgeImpact({ before: facts(policyWith(before), all), after: facts(next(change), all) });
const exception = (change: Partial<Exception> = {}): Exception => ({
  ...{ rule: "scan.severity", vulnerability: "CVE-2026-1", reason: "r", owner: "o", expires: "2026-12-31" },
  ...change,
});
const production = (change: Partial<typeof environment>): Partial<Policy> => ({
  environments: { production: { ...environment, ...place, ...change } },
});

describe("falls", () => {
  test.each<[what: string, change: Partial<Policy>, rule: string, says: string]>([
    ["a lower severity is refused", { scan: { ...own.policy.scan, failOn: "medium" } }, "scan.severity", "lodash"],
    [
      "a gate refuses what it has",
      { scan: { ...own.policy.scan, refuse: [{ name: "npm", types: ["npm"], missing: "refuse" }] } },
      "scan.gate",
      "CVE-2026-1",
    ],
    [
      "a package is forbidden",
      { scan: { ...own.policy.scan, packages: [{ name: "lodash", reason: "r" }] } },
      "scan.package",
      "lodash 4.17.20",
    ],
    [
      "a licence is",
      { scan: { ...own.policy.scan, licenses: { refuse: ["MIT"], unknown: "refuse" } } },
      "scan.license",
      "lodash",
    ],
    ["scans are no part of it any more", { absent: ["scan"] }, "scan.severity", "scan"],
    [
      "its base is approved no more",
      { bases: [{ ...golden, name: "new", digests: [digestOf("newer")] }] },
      "base.approved",
      image,
    ],
    [
      "its base was approved until before",
      { bases: [{ ...golden, digests: [digestOf("base")], until: "2026-04-30" }] },
      "base.expired",
      image,
    ],
    [
      "another signer speaks for scan",
      production({
        requires: environment.requires.map((each) =>
          each.stage === "scan" ? { ...each, signers: ["promote"] } : each,
        ),
      }),
      "gate.signer",
      "scan of ",
    ],
    [
      "evidence may be less old",
      production({ requires: environment.requires.map((each) => ({ ...each, maxAge: 60_000 })) }),
      "gate.stale",
      "build of ",
    ],
    [
      "its source is taken no more",
      { build: { ...own.policy.build, sources: ["https://x.test/y/z"] } },
      "gate.source",
      "",
    ],
    ["the environment puts images elsewhere", production({ to: ["registry.example/other"] }), "gate.origin", ""],
    ["there is no such environment", { environments: {} }, "gate.environment", "production"],
  ])("where %s", (_what, change, rule, says) => {
    const after = next(change);
    const all = evidence();
    const isGone = Object.keys(after.policy.environments).length === 0;
    const judged = judgeImpact({ before: facts(policyWith(), all), after: isGone ? undefined : facts(after, all) });
    expect(judged.outcome).toBe("falls");
    expect(judged.because.map((each) => each.rule)).toContain(rule);
    expect(judged.because.map(({ thing }) => thing).join()).toContain(says);
    // Its twin: the same policy under another name of nothing.
    expect(impact({}, all)).toEqual({ outcome: "stays", because: [] });
  });

  test("where an exception is taken away; not where it stays", () => {
    const lax = { scan: { ...own.policy.scan, failOn: "medium" as const }, exceptions: [exception()] };
    expect(impact({ ...lax, exceptions: [] }, evidence(), lax).outcome).toBe("falls");
    expect(impact(lax, evidence(), lax).outcome).toBe("stays");
  });

  test("where VEX is taken of nobody any more", () => {
    const scan = { ...own.policy.scan, failOn: "medium" as const };
    const closed = { ...found, vex: { status: "not_affected", by: "vendor" } };
    const by = (signers: string[]) => ({ scan: { ...scan, vex: { signers, unmatched: "refuse" as const } } });
    expect(impact(by(["promote"]), evidence([closed]), by(["vendor"])).outcome).toBe("falls");
    expect(impact(by(["vendor"]), evidence([closed]), by(["vendor"])).outcome).toBe("stays");
  });
});

test("what both refuse of what is signed does not count against the newer: the stage has let it pass", () => {
  const strict = { scan: { ...own.policy.scan, failOn: "low" as const } };
  expect(impact(strict, evidence(), strict).outcome).toBe("stays");
});

describe("again", () => {
  test("where the newer does not accept what was made under the older; what it refuses besides falls", () => {
    expect(impact({ accepts: [] })).toMatchObject({
      outcome: "again",
      because: [{ rule: "gate.policy-serial" }, {}, {}],
    });
    expect(impact({ accepts: [], scan: { ...own.policy.scan, failOn: "medium" } }).outcome).toBe("falls");
  });

  test("not where it accepts it for a time, which begins as it is put in force", () => {
    expect(impact({ accepts: 60_000 }).outcome).toBe("stays");
    const pointer = {
      ...{ repositories: ["registry.example/vetted/goldenpath-policy"], name: "acme", serial: 7, source: "s" },
      ...{ digest: own.digest, artifact: own.digest, activatedAt: ago(86_400_000), predecessors: [] },
    };
    const all = evidence();
    const before = facts(policyWith({}, { inForce: pointer }), all);
    expect(judgeImpact({ before, after: facts(next({ accepts: 60_000 }), all) }).outcome).toBe("stays");
    expect(judgeImpact({ before, after: facts(next({ accepts: [] }), all) }).outcome).toBe("again");
    const withdrawn = { thing: { kind: "image" as const, digest: image }, reason: "r", owner: "o", at: now };
    const taken = facts(policyWith({}, { inForce: { ...pointer, withdrawals: [withdrawn] } }), all);
    expect(judgeImpact({ before: taken, after: facts(next({}), all) })).toMatchObject({
      outcome: "refused",
      because: [{ rule: "gate.withdrawn" }],
    });
  });
});

test("let in: what the older refuses alone, with its reasons", () => {
  const old = production({ requires: environment.requires.map((each) => ({ ...each, maxAge: 60_000 })) });
  const { outcome, because } = impact({}, evidence(), old);
  expect(outcome).toBe("let-in");
  expect(because.map(({ rule }) => rule)).toContain("gate.stale");
  // Not before its stages have judged it again, where the newer does not accept what they said.
  expect(impact({ accepts: [] }, evidence(), old)).toMatchObject({
    outcome: "again",
    because: [{ rule: "gate.policy-serial" }, {}, {}],
  });
});

test("a verdict that says FAILED is refused by both, however lax the newer is", () => {
  const all = evidence();
  const scanVerdict = summary("scan", "scan", [all.vulnerabilities], { passed: false, violations: 1 });
  const lax = { scan: { ...own.policy.scan, failOn: "critical" as const } };
  expect(impact(lax, { ...all, scanVerdict })).toMatchObject({
    outcome: "refused",
    because: [{ rule: "gate.failed" }],
  });
});

test("a base or findings that can't be read are told where the older policy's reader could", () => {
  expect(impact({}, { ...evidence(), base: edited(evidence().base, ["children"], "none") }).outcome).toBe("refused");
});
