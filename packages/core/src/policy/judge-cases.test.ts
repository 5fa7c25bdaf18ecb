import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { parseCases } from "./cases.ts";
import { type CaseAnswer, judgeCase } from "./judge-cases.ts";
import { parsePolicy } from "./parse.ts";
import type { LoadedPolicy } from "./schema.ts";

/** Without anchors, which a policy must not have. */
const write = (value: unknown): string => stringify(value, { aliasDuplicateObjects: false });
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const key = (name: string): object => ({
  publicKey: `-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI${name.replace("-", "")}\n-----END PUBLIC KEY-----\n`,
});

const requires = (...more: object[]): object[] => [
  { stage: "build", signers: ["build"], maxAge: "30d" },
  { stage: "base", signers: ["base"] },
  { stage: "scan", signers: ["scan", "scan-next"], maxAge: "1d" },
  ...more,
];
const place = { from: ["r.test/quarantine"], to: ["r.test/vetted"], promoter: "promote" };

const policyText = write({
  ...{ version: 1, name: "acme", serial: 3 },
  signers: Object.fromEntries(["build", "base", "scan", "scan-next", "promote"].map((name) => [name, key(name)])),
  bases: [{ name: "golden", image: "r.test/bases/golden", digests: [digest("1")], until: "2026-12-31" }],
  build: {
    strategies: ["dockerfile", "buildpacks"],
    isolation: ["container"],
    sources: [{ repository: "https://github.com/acme/*", refs: ["refs/heads/main"], to: ["r.test/vetted/{name}"] }],
    builders: [
      { kind: "dockerfile", name: "files" },
      { name: "node", image: "r.test/builders/node", digests: [digest("b")], runImage: "golden" },
    ],
  },
  scan: {
    ...{ failOn: "critical", onlyFixed: true, databaseMaxAge: "5d" },
    refuse: [{ name: "known", kev: true, missing: "pass" }],
    packages: [{ name: "event-stream", reason: "taken over" }],
    licenses: { refuse: ["AGPL-3.0-only"] },
  },
  exceptions: [
    { rule: "scan.severity", vulnerability: "CVE-2026-1", reason: "r", owner: "o", expires: "2026-12-31" },
    { rule: "base.approved", repository: "r.test/quarantine/vendor", reason: "r", owner: "o", expires: "2026-12-31" },
  ],
  environments: {
    staging: { ...place, requires: requires() },
    production: {
      ...place,
      requires: requires({ stage: "promote", signers: ["promote"], environment: "staging" }),
      refuse: [{ name: "high", severity: "high", fixed: true, missing: "pass" }],
    },
  },
});

function load(content: string): LoadedPolicy {
  const bytes = new TextEncoder().encode(content);
  return { policy: parsePolicy(bytes, "p.yaml"), uri: "p.yaml", digest: digestOf(bytes) };
}

const now = new Date("2026-11-26T12:00:00Z");

/** The rules that are found, by what they are expected of; what is expected plays no part in that. */
function rulesOf(written: object, of: "scan" | "base" | "build" | "staging" | "production"): readonly string[] {
  const asked = of === "staging" || of === "production" ? { environments: { [of]: [] } } : { [of]: [] };
  const [found] = judge({ ...written, expect: asked });
  return found?.found ?? [];
}

function judge(written: object, policy = policyText): CaseAnswer[] {
  const [located] = parseCases(write({ cases: [{ name: "it", ...written }] }), "c.yaml");
  if (located === undefined) throw new Error("no case");
  return judgeCase(located.what, load(policy), now);
}

const finding = (change: object = {}): object => ({
  findings: [{ id: "CVE-2026-2", severity: "critical", package: { name: "lodash" }, fixedVersions: ["5"], ...change }],
});
const image = "r.test/quarantine/shop";
const built = { repository: "https://github.com/acme/shop", ref: "refs/heads/main", event: "push" };

describe("what is refused, and its twin that passes", () => {
  test.each<[string, Parameters<typeof rulesOf>[1], string[], object, object]>([
    ["severity", "scan", ["scan.severity"], finding(), finding({ severity: "high" })],
    ["a fix", "scan", ["scan.severity"], finding(), finding({ fixedVersions: [] })],
    [
      "known to be exploited",
      "scan",
      ["scan.gate"],
      finding({ severity: "low", kev: true }),
      finding({ severity: "low" }),
    ],
    [
      "malicious",
      "scan",
      ["scan.malicious"],
      finding({ severity: "low", malicious: true }),
      finding({ severity: "low" }),
    ],
    [
      "an exception that is over",
      "scan",
      ["scan.severity"],
      { on: "2027-01-01", ...finding({ id: "CVE-2026-1" }) },
      { on: "2026-12-31", ...finding({ id: "CVE-2026-1" }) },
    ],
    ["a licence", "scan", ["scan.license"], licensed("AGPL-3.0-only"), licensed("MIT")],
    ["a package", "scan", ["scan.package"], licensed("MIT", "event-stream"), licensed("MIT")],
    ["the data's age", "scan", ["scan.database-age"], { databaseAge: "6d" }, { databaseAge: "5d" }],
    ["a foreign base", "base", ["base.approved"], { image, base: digest("2") }, { image, base: digest("1") }],
    [
      "a foreign base but for one",
      "base",
      ["base.approved"],
      { image, base: digest("2") },
      { image: "r.test/quarantine/vendor", base: digest("2") },
    ],
    [
      "a base that is over",
      "base",
      ["base.expired"],
      { on: "2027-01-01", image, base: digest("1") },
      { on: "2026-12-31", image, base: digest("1") },
    ],
    [
      "a builder's image",
      "base",
      ["base.approved", "base.build-image"],
      { image, base: digest("b") },
      { image, base: digest("1") },
    ],
    ["a branch", "build", ["gate.source"], { build: { ...built, ref: "refs/heads/x" } }, { build: built }],
    ["an unsaid ref", "build", ["gate.source"], { build: { repository: built.repository } }, { build: built }],
    [
      "another's image",
      "build",
      ["gate.destination"],
      { build: built, to: "r.test/vetted/till" },
      { build: built, to: "r.test/vetted/shop" },
    ],
    [
      "a branch, at the gate",
      "staging",
      ["gate.source"],
      { build: { ...built, ref: "refs/heads/x" } },
      { build: built },
    ],
    ["where it comes from", "staging", ["gate.origin"], { image: "r.test/other/shop" }, { image }],
    ["a look-alike of that", "staging", ["gate.origin"], { image: "r.test/quarantine-x/shop" }, { image }],
    ["where it goes", "staging", ["gate.origin"], { to: "r.test/other/shop" }, { to: "r.test/vetted/shop" }],
    ["a failed scan", "staging", ["gate.failed"], finding(), finding({ severity: "high" })],
    ["a failed base", "staging", ["gate.failed"], { image, base: digest("2") }, { image, base: digest("1") }],
    [
      "a verdict",
      "staging",
      ["gate.failed"],
      { evidence: { scan: { verdict: "fail" } } },
      { evidence: { scan: { verdict: "pass" } } },
    ],
    [
      "the environment's own gate",
      "production",
      ["gate.finding"],
      finding({ severity: "high" }),
      finding({ severity: "medium" }),
    ],
    [
      "an old scan",
      "staging",
      ["gate.stale"],
      { evidence: { scan: { age: "25h" } } },
      { evidence: { scan: { age: "23h" } } },
    ],
    [
      "an old build",
      "staging",
      ["gate.stale"],
      { evidence: { build: { age: "31d" } } },
      { evidence: { build: { age: "29d" } } },
    ],
    ["no build", "staging", ["gate.missing"], { evidence: { build: { missing: true } } }, {}],
    ["no scan", "staging", ["gate.missing"], { evidence: { scan: { missing: true } } }, {}],
    [
      "a stage's wrong signer",
      "staging",
      ["gate.signer"],
      { evidence: { base: { by: ["scan"] } } },
      { evidence: { scan: { by: ["scan-next"] } } },
    ],
    ["a build's wrong signer", "staging", ["gate.signer"], { evidence: { build: { by: ["scan"] } } }, {}],
    ["no promotion before", "production", ["gate.missing"], { evidence: { promote: { missing: true } } }, {}],
    [
      "a promotion into another",
      "production",
      ["gate.environment"],
      { evidence: { promote: { environment: "production" } } },
      { evidence: { promote: { environment: "staging" } } },
    ],
  ])("%s", (_name, of, rules, refused, twin) => {
    expect(rulesOf(refused, of)).toEqual(rules);
    expect(rulesOf(twin, of)).toEqual([]);
  });

  function licensed(license: string, name = "x"): object {
    return { packages: [{ name, version: "1", license }] };
  }
});

test("what is found in one environment says nothing of the other", () => {
  expect(rulesOf(finding({ severity: "high" }), "staging")).toEqual([]);
});

test("an expectation holds by exactly the rules that count", () => {
  const holds = (scan: string[]): boolean | undefined =>
    judge({ ...finding({ kev: true }), expect: { scan } })[0]?.holds;
  // By the first rule that counts, as a scan tells it.
  expect(holds(["scan.severity"])).toBe(true);
  expect(holds([])).toBe(false);
  expect(holds(["scan.gate"])).toBe(false);
  expect(holds(["scan.severity", "scan.gate"])).toBe(false);
  expect(holds(["scan.severity", "scan.severity"])).toBe(true);
  // One that is found is no answer to two that are expected.
  expect(holds(["scan.severity", "scan.vex"])).toBe(false);
});

describe("what is no case is an error", () => {
  test.each<[string, object, string]>([
    ["nothing is expected", { findings: [], expect: {} }, "expects nothing"],
    ["nothing to judge by", { expect: { scan: [] } }, "needs `findings`"],
    ["a base without an image", { base: digest("1"), expect: { base: [] } }, "needs `base` and `image`"],
    ["no build", { expect: { build: [] } }, "needs `build`"],
    ["a rule that is none", { findings: [], expect: { scan: ["scan.severty"] } }, "did you mean `scan.severity`?"],
    ["an unknown key", { finding: [], findings: [], expect: { scan: [] } }, "finding"],
    [
      "evidence that nobody judges",
      { findings: [], evidence: { scan: { age: "1d" } }, expect: { scan: [] } },
      "is judged by environments",
    ],
    [
      "a verdict of build",
      { evidence: { build: { verdict: "fail" } }, expect: { environments: { staging: [] } } },
      "build signs no verdict",
    ],
    [
      "an environment of a scan",
      { evidence: { scan: { environment: "staging" } }, expect: { environments: { staging: [] } } },
      "only a promotion",
    ],
    ["an unknown environment", { expect: { environments: { prod: [] } } }, "the policy has: staging, production"],
    ["an inherited name", { expect: { environments: { constructor: [] } } }, "the policy has: staging, production"],
    [
      "an unknown signer",
      { evidence: { scan: { by: ["scna"] } }, expect: { environments: { staging: [] } } },
      "no signer of the policy",
    ],
  ])("%s", (_name, written, message) => {
    expect(() => judge(written)).toThrow(message);
  });

  test("a file without cases, and one that is no plain YAML, each with its place", () => {
    expect(() => parseCases("cases: []\n", "c.yaml")).toThrow(/c\.yaml:1:\d+: cases: must have at least one entry/);
    expect(() => parseCases("cases: &a []\n", "c.yaml")).toThrow("anchors are not allowed");
    expect(() => parseCases("- cases\n", "c.yaml")).toThrow("c.yaml:1:1");
  });

  test("a section that the policy does not have judges nothing", () => {
    const { environments, scan, ...small } = parse(policyText);
    expect(() => judge({ findings: [], expect: { scan: [] } }, write(small))).toThrow("section `scan`");
    expect(() => judge({ expect: { environments: { staging: [] } } }, write(small))).toThrow("section `environments`");
    expect([environments, scan]).not.toContain(undefined);
  });
});

test("the documentation's cases hold for its policy, and their places are told", () => {
  const docs = readFileSync(join(import.meta.dirname, "../../../../docs/policy.md"), "utf8");
  const block = (mark: string): string =>
    new RegExp(`<!-- ${mark} -->\\n\`\`\`yaml\\n([\\s\\S]*?)\\n\`\`\``).exec(docs)?.[1] ?? "";
  const cases = parseCases(block("cases"), "c.yaml");
  expect(cases.map(({ place: at }) => at)).toEqual(["c.yaml:2", "c.yaml:11", "c.yaml:16", "c.yaml:21"]);
  const policy = load(block("example"));
  expect(cases.flatMap(({ what }) => judgeCase(what, policy, now).filter(({ holds }) => !holds))).toEqual([]);
});

describe("what is signed beside the policy", () => {
  const signed = parse(policyText);
  signed.signers.security = key("security");
  signed.signers.lead = key("lead");
  signed.signers.approver = key("approver");
  const exceptionsAt = { repository: "r.test/platform/exceptions" };
  signed.signedExceptions = {
    ...exceptionsAt,
    signers: [{ signer: "security" }, { signer: "lead", repositories: ["r.test/other"], longest: "14d" }],
  };
  signed.bases.push({ name: "own", image: "r.test/bases/own", approval: { signers: ["approver"], maxAge: "30d" } });
  const text = write(signed);
  const image = "r.test/quarantine/shop";
  const granted = (change: object = {}): object => ({
    ...finding(),
    ...{ image, on: "2026-11-20" },
    exceptions: [
      { by: "security", rule: "scan.severity", vulnerability: "CVE-2026-2", expires: "2026-11-30", ...change },
    ],
    expect: { scan: [] },
  });
  const scan = (written: object) => judge(written, text)[0]?.found;

  test.each<[what: string, change: object]>([
    ["of another finding", { vulnerability: "CVE-2026-3" }],
    ["that is over", { starts: "2026-11-01", expires: "2026-11-19" }],
    ["that begins tomorrow", { starts: "2026-11-21" }],
    ["for longer than its signer may", { expires: "2027-11-30" }],
    ["for another repository", { repository: "r.test/quarantine/other" }],
    ["by one who may grant none here", { by: "lead" }],
    ["by one who grants nothing", { by: "scan" }],
  ])("an exception %s counts for nothing, and the one as it should be does", (_what, change) => {
    expect(scan(granted(change))).toEqual(["scan.severity"]);
    expect(scan(granted())).toEqual([]);
  });

  const stands = (approval: object | undefined): object => ({
    ...{ image, base: digest("7"), on: "2026-11-20", expect: { base: [] } },
    ...(approval === undefined
      ? {}
      : { approval: { by: ["approver"], on: "2026-11-01", endOfLife: "2027-01-31", ...approval } }),
  });
  test.each<[what: string, approval: object | undefined, rules: string[]]>([
    ["nobody approved", undefined, ["base.approved"]],
    ["somebody else approved", { by: ["scan"] }, ["base.approval"]],
    ["is past its end of life", { endOfLife: "2026-11-19" }, ["base.expired"]],
    ["was approved too long ago", { on: "2026-10-01" }, ["base.expired"]],
    ["is to build in", { role: "build-only" }, ["base.build-image"]],
    ["was approved as it should be", {}, []],
  ])("a version that %s", (_what, approval, rules) => {
    expect(scan(stands(approval))).toEqual(rules);
  });

  test("points and newer versions are asked of what the case tells", () => {
    const own = { ...signed.bases[1], approval: { signers: ["approver"], maxBehind: "5d", score: { publisher: 10 } } };
    const demanding = write({ ...signed, bases: [signed.bases[0], own] });
    const of = (approval: object) => judge(stands(approval), demanding)[0]?.found;
    expect(of({})).toEqual(["base.approval"]);
    expect(of({ points: { publisher: 9 } })).toEqual(["base.approval"]);
    expect(of({ points: { publisher: 10 } })).toEqual([]);
    expect(of({ points: { publisher: 10 }, newer: ["2026-11-10"] })).toEqual(["base.behind"]);
  });

  test.each<[what: string, written: object, message: string, policy?: string]>([
    ["exceptions without a section", granted({ by: "scan" }), "no section `signedExceptions`", policyText],
    ["exceptions without an image", { ...granted(), image: undefined }, "needs `image` beside it"],
    ["an exception for what its rule does not know", granted({ license: "MIT" }), "is set aside for a vulnerability"],
    ["an unknown granter", granted({ by: "securty" }), "no signer of the policy"],
    [
      "an approval without a base",
      { ...stands({}), base: undefined, expect: { build: [] }, build: { repository: "x" } },
      "needs `base`",
    ],
    ["an unknown approver", stands({ by: ["approvr"] }), "no signer of the policy"],
  ])("%s is refused", (_what, written, message, policy = text) => {
    expect(() => judge(JSON.parse(JSON.stringify(written)), policy)).toThrow(message);
  });
});
