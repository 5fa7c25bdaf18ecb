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
import type { SeenChild } from "./judge-again/facts.ts";
import { judgeImpact as judgeOf } from "./judge-impact.ts";
import type { Exception, LoadedPolicy, Policy } from "./schema.ts";

// One image, let through by the policy of now, and by a changed one.

const golden = { name: "golden", image: "registry.example/bases/golden", digest: digestOf("base") };
const approved = { name: golden.name, image: golden.image, digests: [golden.digest] };
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
  const told = edited(all.base, ["children"], [{ digest: image, base, layers: imageLayers, matchedLayers: 1 }]);
  const vulnerabilities = { ...all.vulnerabilities, statement: { ...all.vulnerabilities.statement } };
  vulnerabilities.statement.predicate = scanned(...findings);
  const component = { type: "library", name: "lodash", version: "4.17.20", licenses: [{ license: { id: "MIT" } }] };
  const sbom = edited(all.sbom, ["components"], [component]);
  return { ...all, base: told, vulnerabilities, sbom };
}

const seen = (config: SeenChild["config"]["config"] = { User: "1000", Labels: { owner: "shop" } }): SeenChild => ({
  digest: image,
  platform: { os: "linux", architecture: "amd64" },
  config: { os: "linux", architecture: "amd64", config, rootfs: { type: "layers", diff_ids: [...imageLayers] } },
  manifest: { layers: imageLayers.map((digest) => ({ mediaType: "application/x", digest, size: 10 })) },
});
const judgeImpact = (given: Omit<Parameters<typeof judgeOf>[0], "children">, children = [seen()]) =>
  judgeOf({ ...given, children });

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

describe("rules of the policy's own, of what is signed and what the image's config says", () => {
  const rule = (stage: "base" | "scan", expression: string, more: object = {}): Partial<Policy> => ({
    rules: [{ name: "own", stage, expression, message: "it is not so", remedy: "make it so", ...more }],
  });
  const judge = (change: Partial<Policy>, child = seen(), before: Partial<Policy> = {}, all = evidence()) =>
    judgeImpact({ before: facts(policyWith(before), all), after: facts(next(change), all) }, [child]);

  test.each<[what: string, stage: "base" | "scan", refused: string, passed: string]>([
    ["a label", "base", '"team" in config.labels', '"owner" in config.labels'],
    ["a user", "base", 'config.user == "0"', 'config.user == "1000"'],
    ["the base", "base", 'base.name != "golden"', 'has(base.name) && base.name == "golden"'],
    ["layers", "base", "size(layers) < 2", '["base", "application"].all(f, layers.exists(l, l.from == f))'],
    ["where it is", "base", 'image.repository == "x"', 'image.repository == "registry.example/quarantine/shop"'],
    ["findings", "scan", 'findings.all(f, f.packageName != "lodash")', "findings.all(f, f.isFixed)"],
    ["a platform", "scan", 'image.platform == "linux/arm64"', 'image.platform == "linux/amd64"'],
    ["components", "scan", "size(components) == 0", 'components.exists(c, "MIT" in c.licenses)'],
  ])("a new one over %s falls, and its twin stays", (_what, stage, refused, passed) => {
    expect(judge(rule(stage, refused))).toMatchObject({
      outcome: "falls",
      because: [{ rule: `${stage}.rule`, problem: "rule 'own': it is not so" }],
    });
    expect(judge(rule(stage, passed))).toEqual({ outcome: "stays", because: [] });
    expect(judge(rule(stage, refused, { when: 'image.platform == "linux/s390x"' })).outcome).toBe("stays");
  });

  test("one that both have is told by the verdict; another expression under its name is another rule", () => {
    const old = rule("base", '"team" in config.labels');
    expect(judge(old, seen(), old).outcome).toBe("stays");
    expect(judge(rule("base", 'config.user == "0"'), seen(), old).outcome).toBe("falls");
  });

  test("one that waits for a day is later; one that waited, and does not, falls", () => {
    const own = rule("base", '"team" in config.labels');
    const waits = { ...own, enforceFrom: { "base.rule": "2099-01-01" } };
    expect(judge(waits).outcome).toBe("later");
    expect(judge(rule("base", '"team" in config.labels', { enforceFrom: "2099-01-01" }))).toMatchObject({
      ...{ outcome: "later", because: [{ problem: "will fail from 2099-01-01: rule 'own': it is not so" }] },
    });
    expect(judge(own, seen(), waits).outcome).toBe("falls");
    expect(judge(waits, seen(), waits).outcome).toBe("stays");
  });

  test.each<[what: string, change: Partial<Policy>, rule: string, says: string]>([
    ["packages of the layers", rule("base", 'packages.all(p, p.name != "curl")'), "base.rule", "`packages`"],
    [
      "a base, where there are new ones",
      { ...rule("base", "has(base.until)"), bases: [approved, { ...approved, name: "x", digests: [digestOf("x")] }] },
      ...(["base.rule", "`base`"] as const),
    ],
    ["a cache", { images: { refuse: ["package-caches"], mustHave: [] } }, "base.package-cache", "package-caches"],
    ["secrets in files", { images: { refuse: ["secrets"], mustHave: [] } }, "base.secret", "secrets"],
    ["a file", { images: { refuse: [], mustHave: [{ file: "/opt/agent" }] } }, "base.missing", "/opt/agent"],
    ["another scanner", { scan: { ...own.policy.scan, scanners: ["grype", "trivy"] } }, "scan.severity", "trivy"],
    ["the base's word alone", { scan: { ...own.policy.scan, ownWord: "refuse" } }, "scan.severity", "ownWord"],
    [
      "what CISA's list has",
      {
        scan: {
          ...own.policy.scan,
          refuse: [{ name: "known", kev: true, missing: "pass" }],
          data: { repository: "registry.test/data", signers: ["ci-scan"], maxAge: 1, kev: true },
        },
      },
      ...(["scan.gate", "scan.data.kev"] as const),
    ],
    [
      "how far behind it is",
      { bases: [{ ...approved, approval: { signers: ["base"], maxBehind: 1 } }] },
      ...(["base.behind", "maxBehind"] as const),
    ],
  ])("one that asks for %s is unknown, and never let stay", (_what, change, rule, says) => {
    const all = evidence([found], { ...golden, approval: approvedAs() });
    const { outcome, because } = judge(change, seen(), {}, all);
    expect(outcome).toBe("unknown");
    expect(because).toEqual([expect.objectContaining({ rule, problem: expect.stringContaining(says) })]);
    // Where the older asks for the same, its verdict has told.
    expect(judge(change, seen(), change, all).outcome).toBe("stays");
    // What is refused besides is certain.
    const scan = { ...own.policy.scan, ...change.scan, failOn: "medium" as const };
    expect(judge({ ...change, scan }, seen(), {}, all).outcome).toBe("falls");
  });

  test("what only files tell is unknown where an exception is gone that the verdict may rest on", () => {
    const images: Policy["images"] = { refuse: ["credentials"], mustHave: [] };
    const [repository, file] = ["registry.example/quarantine/shop", "/srv/test.pem"];
    const { vulnerability: _none, ...rest } = exception();
    const of = (change: Partial<Exception> = {}): Partial<Policy> => ({
      images,
      exceptions: [{ ...rest, rule: "base.credential", repository, file, ...change }],
    });
    const outcome = (newer: Partial<Policy>, older = of()) => judge(newer, seen(), older).outcome;
    expect(outcome(of())).toBe("stays");
    expect(outcome(of({ expires: "2026-12-30", reason: "another" }))).toBe("stays");
    expect(outcome({ images })).toBe("unknown");
    expect(outcome(of({ file: "/srv/other.pem" }))).toBe("unknown");
    expect(outcome(of({ repository: "registry.example/other" }))).toBe("unknown");
    expect(outcome(of({ expires: "2020-01-01" }))).toBe("unknown");
    expect(outcome({ images }, of({ expires: "2020-01-01" }))).toBe("stays");
    expect(outcome({ images }, of({ repository: "registry.example/other" }))).toBe("stays");
  });

  test("`components` is unknown without a signed SBOM of the image, or where one of several can't be read", () => {
    const { sbom: _sbom, ...rest } = evidence();
    const asks = rule("scan", "size(components) > 0");
    const none = { ...rest, sbom: edited(evidence().sbom, ["components"], "none") } as Whole;
    expect(judge(asks, seen(), {}, none)).toMatchObject({ outcome: "unknown", because: [{ rule: "scan.rule" }] });
    expect(judge(asks).outcome).toBe("stays");
  });

  test.each<[user: string | undefined, outcome: string]>([
    [undefined, "falls"],
    ["0:0", "falls"],
    ["app", "unknown"],
    ["1000", "stays"],
  ])("of the user %s, that none may start as root %s", (user, outcome) => {
    const refuse = { images: { refuse: ["root-user" as const], mustHave: [] } };
    expect(judge(refuse, seen(user === undefined ? {} : { User: user })).outcome).toBe(outcome);
  });

  test("a label that every image must have, a secret variable and a committed layer are told by the config", () => {
    const label = (name: string) => ({ images: { refuse: [], mustHave: [{ label: name }] } });
    expect(judge(label("team"))).toMatchObject({ outcome: "falls", because: [{ rule: "base.missing" }] });
    expect(judge(label("owner")).outcome).toBe("stays");
    const secret = { images: { refuse: ["secrets" as const], mustHave: [] } };
    expect(judge(secret, seen({ Env: ["DB_PASSWORD=hunter2"] }))).toMatchObject({
      ...{ outcome: "falls", because: [{ rule: "base.secret" }] },
    });
    const committed = { images: { refuse: ["committed" as const], mustHave: [] } };
    const made = (by: string) => ({ ...seen(), config: { ...seen().config, history: [{}, { created_by: by }] } });
    expect(judge(committed, made("nginx -g daemon")).outcome).toBe("falls");
    expect(judge(committed, made("COPY . /app")).outcome).toBe("stays");
  });
});

const approvedAs = (change: object = {}) => ({
  ...{ approvedAt: ago(86_400_000).toISOString(), endOfLife: "2026-12-31", role: "run-only", signers: ["base"] },
  ...change,
});

describe("a base that counts by its signed approval", () => {
  const base = (approval: object) => ({ ...approved, approval: { signers: ["base"], ...approval } });
  const judge = (newer: object, signed: object = {}) =>
    impact({ bases: [base(newer)] }, evidence([found], { ...golden, approval: approvedAs(signed) }), {
      bases: [base({})],
    });

  test.each<[what: string, newer: object, signed: object]>([
    ["its approval may be less old", { maxAge: 3_600_000 }, {}],
    ["nobody signed when", { maxAge: 30 * 86_400_000 }, { approvedAt: "never" }],
  ])("falls where %s, and stays where it is young enough", (_what, newer, signed) => {
    expect(judge(newer, signed)).toMatchObject({ outcome: "falls", because: [{ rule: "base.expired" }] });
    expect(judge({ maxAge: 30 * 86_400_000 }).outcome).toBe("stays");
  });
});

describe("exceptions that are signed beside the policy", () => {
  const scan = { ...own.policy.scan, failOn: "medium" as const };
  const granted = (name: string) => (name === "registry.example/quarantine/shop" ? [exception()] : []);
  const judge = (exceptions: NonNullable<Parameters<typeof judgeOf>[0]["exceptions"]>, before: Partial<Policy>) =>
    judgeImpact({ before: facts(policyWith(before)), after: facts(next({ scan })), exceptions });

  test("count by each policy's granters: where the newer takes nobody's, what they set aside falls", () => {
    expect(judge({ before: granted }, { scan })).toMatchObject({
      outcome: "falls",
      because: [{ rule: "scan.severity" }],
    });
    expect(judge({ before: granted, after: granted }, { scan }).outcome).toBe("stays");
    expect(judge({ after: granted }, {}).outcome).toBe("stays");
    expect(judge({ after: () => [exception({ expires: "2026-04-30" })] }, {}).outcome).toBe("falls");
  });
});
