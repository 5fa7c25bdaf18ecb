import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import type { Finding } from "@goldenpath/core/scan/finding";
import { judgeDatabase } from "@goldenpath/core/scan/gate";
import { describe, expect, test } from "vitest";
import { runMain } from "../../../test/support/cli.ts";
import {
  ago,
  type Change,
  day,
  inDockerfile,
  inSbom,
  isBySchema,
  judge,
  listDocumentedKeys,
  now,
  onForeignBase,
  plan,
  policiesFolder,
  policyNames,
  readPolicy,
  scan,
} from "../../../test/support/documented-policies.ts";

const policies = new Map(policyNames.map((name) => [name, readPolicy(name)]));
function the(name: string): LoadedPolicy {
  const found = policies.get(name);
  if (found === undefined) throw new TypeError(`there is no policy ${name}`);
  return found.loaded;
}
const environments = policyNames.flatMap((name) =>
  Object.keys(the(name).policy.environments).map((environment) => [name, environment] as const),
);

describe.each(policyNames)("docs/policies/%s.yaml", (name) => {
  const { text, loaded } = policies.get(name) ?? { text: "", loaded: the(name) };

  test("passes `policy check`, and its comments name what that notes, and nothing else", async () => {
    const { code, out, err } = await runMain("policy", "check", join(policiesFolder, `${name}.yaml`));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const noted = [...out.matchAll(/^note: (\S+): /gm)].map(([, field]) => field);
    const named = [...text.matchAll(/^# - ([a-z]\S*): /gm)].map(([, field]) => field);
    expect(noted.toSorted()).toEqual(named.toSorted());
    expect(text.includes("notes nothing of it")).toBe(named.length === 0);
  });

  test("is by the schema that editors read", () => {
    expect(isBySchema(text)).toBe(true);
    expect(isBySchema(text.replace("failOn: ", "failsOn: "))).toBe(false);
  });

  test("has every section, begins with whom it is for, and goes by its name in docs/policies.md", () => {
    expect(loaded.policy.absent).toBeUndefined();
    expect(text).toMatch(/^# yaml-language-server: \$schema=https:\S+\n\n# [A-Z]/);
    const guide = readFileSync(join(policiesFolder, "../policies.md"), "utf8");
    const [, section = ""] = guide.split(`](policies/${name}.yaml)\n`);
    const [own = ""] = section.split("\n## ");
    expect(own.match(/^- \*\*/gm)).toHaveLength(5);
  });
});

test("there are ten, and docs/policies.md has no other", () => {
  const guide = readFileSync(join(policiesFolder, "../policies.md"), "utf8");
  const linked = [...guide.matchAll(/^## \[.*\]\(policies\/(\S+)\.yaml\)$/gm)].map(([, name]) => name);
  expect(linked.toSorted()).toEqual(policyNames.toSorted());
  expect(policyNames).toHaveLength(10);
});

test.each(["policies.md", "migration.md"])("docs/%s names keys that there are", (file) => {
  const keys = listDocumentedKeys();
  const guide = readFileSync(join(policiesFolder, "..", file), "utf8");
  const sections = [...keys].filter((key) => /^\w+$/.test(key));
  const named = [...guide.matchAll(/`([a-zA-Z]+)((?:\.|\[)[^`\s]*)`/g)]
    .filter(([, first = ""]) => sections.includes(first) || first === "requires")
    .map(([, first, rest]) => (first === "requires" ? `environments.NAME.requires${rest}` : `${first}${rest}`));
  const rules = ["scan.blind-spot"];
  expect(keys.size).toBeGreaterThan(100);
  expect(named.length).toBeGreaterThan(1);
  expect(named.filter((each) => !keys.has(each) && !rules.includes(each))).toEqual([]);
});

describe.each(environments)("%s, environment %s", (name, environment) => {
  const loaded = the(name);
  const { policy } = loaded;
  const rules = (change?: Change) => judge(loaded, environment, change);
  const requires = policy.environments[environment]?.requires ?? [];

  test("lets an image through that has gone the whole path", () => {
    expect(rules()).toEqual([]);
  });

  test.each(requires.map((each) => [each.stage, each] as const))("refuses it without %s", (stage, { maxAge }) => {
    // Of what was promoted, the build comes along; without the promotion nothing says who may have built it.
    expect(rules({ without: stage })).toContain("gate.missing");
    const stranger = policy.environments[environment]?.promoter ?? "";
    expect(rules({ by: { [stage]: stranger } })).toContain("gate.signer");
    const old = ago((maxAge ?? 0) + day);
    const aged: Change =
      stage === "build" ? { build: { finishedOn: old } } : { verdict: { [stage]: { timeVerified: old } } };
    expect(rules(aged)).toEqual(["gate.stale"]);
  });

  test("refuses what was judged under another policy", () => {
    const other = { policy: { uri: "x", digest: loaded.digest, serial: policy.serial + 1 } };
    expect(rules({ verdict: { scan: other } })).toEqual(["gate.policy-serial"]);
  });

  test("refuses another source, and another's name", () => {
    const [to] = policy.environments[environment]?.to ?? [];
    const elsewhere = policy.build.strategies[0] === "image";
    if (!elsewhere) {
      const source = { repository: "https://github.com/mallory/shop", commit: "b".repeat(40), ref: "refs/heads/main" };
      expect(rules({ build: { source } })).toContain("gate.source");
    }
    // A monorepo's images have any name below its own.
    const destination = name === "monorepo" ? "registry.acme.example/vetted/other" : `${to}/other`;
    expect(rules({ destination })).toContain("gate.destination");
  });
});

const high: Partial<Finding> = { severity: "high", kev: false, epss: "none" };
const unfixed: Partial<Finding> = { fixedVersions: [], fixState: "not-fixed" };
const malicious: Partial<Finding> = { severity: "low", malicious: true };

test.each<[string, Partial<Finding>, string[]]>([
  ["first-week", { ...high, severity: "critical" }, ["scan.severity"]],
  ["first-week", { ...high, severity: "critical", ...unfixed }, []],
  ["first-week", high, []],
  ["first-week", { severity: "low", kev: true }, ["scan.gate"]],
  ["first-week", malicious, ["scan.malicious"]],
  ["small-team", high, ["scan.severity"]],
  ["small-team", { ...high, ...unfixed }, []],
  ["small-team", { ...high, severity: "medium" }, []],
  ["small-team", { severity: "low", kev: true }, ["scan.gate"]],
  ["regulated-bank", { ...high, ...unfixed }, ["scan.severity"]],
  ["regulated-bank", { ...high, severity: "medium" }, []],
  ["regulated-bank", { severity: "low", kev: true }, ["scan.gate"]],
  ["vendor-images", { ...high, severity: "critical" }, ["scan.severity"]],
  ["vendor-images", { ...high, severity: "critical", ...unfixed }, []],
  ["vendor-images", { severity: "low", kev: true }, ["scan.gate"]],
  ["java-shop", high, ["scan.severity"]],
  [
    "java-shop",
    { severity: "low", epss: 0.4, package: { name: "a", version: "1", type: "java-archive" } },
    ["scan.gate"],
  ],
  ["java-shop", { severity: "low", epss: 0.4, package: { name: "a", version: "1", type: "npm" } }, []],
  ["java-shop", { severity: "low", package: { name: "a", version: "1", type: "java-archive" } }, []],
])("a scan under %s of %o: %o", (name, found, rules) => {
  expect(scan(the(name), found)).toEqual(rules);
});

test("monorepo lets pass what production has already, but what is exploited or malicious, and nothing new", () => {
  const isKnown = () => true;
  expect(scan(the("monorepo"), high)).toEqual(["scan.severity"]);
  expect(scan(the("monorepo"), high, { isKnown })).toEqual([]);
  expect(scan(the("monorepo"), { ...high, kev: true }, { isKnown })).toEqual(["scan.severity"]);
  expect(scan(the("monorepo"), malicious, { isKnown })).toEqual(["scan.malicious"]);
});

test.each<[string, Record<string, unknown>, string[]]>([
  ["regulated-bank", { name: "zlib", purl: "pkg:deb/debian/zlib@1" }, []],
  ["regulated-bank", { name: "telnetd", purl: "pkg:deb/debian/telnetd@1" }, ["scan.package"]],
  ["regulated-bank", { name: "a", purl: "pkg:npm/a@1", licenses: [{ license: { id: "SSPL-1.0" } }] }, ["scan.license"]],
  ["regulated-bank", { name: "a" }, ["scan.sbom"]],
  ["regulated-bank", { name: "a", purl: "pkg:npm/a@1", supplier: undefined }, ["scan.sbom"]],
  ["java-shop", { name: "log4j-core", version: "2.14.1", purl: log4j("2.14.1") }, ["scan.package"]],
  ["java-shop", { name: "log4j-core", version: "2.25.0", purl: log4j("2.25.0") }, []],
  ["java-shop", { name: "a", licenses: [{ license: { id: "GPL-3.0-only" } }] }, ["scan.license"]],
  ["java-shop", { name: "a", licenses: [] }, []],
])("under %s a package %o: %o", (name, component, rules) => {
  expect(inSbom(the(name), component)).toEqual(rules);
});
function log4j(version: string): string {
  return `pkg:maven/org.apache.logging.log4j/log4j-core@${version}`;
}

test.each([
  ["regulated-bank", 0.5, 1.5],
  ["air-gap", 7.5, 8.5],
  ["first-week", 4.5, 5.5],
])("%s takes vulnerability data of %d days, and not of %d", (name, young, old) => {
  const { databaseMaxAge } = the(name).policy.scan;
  const rules = (days: number) =>
    judgeDatabase({ built: ago(days * day) }, databaseMaxAge, now).map(({ rule }) => rule);
  expect(rules(young)).toEqual([]);
  expect(rules(old)).toEqual(["scan.database-age"]);
});

test("regulated-bank: production refuses of a scan what test has let through", () => {
  const old = { version: "4.17.21", on: ago(31 * day).toISOString() };
  const young = { version: "4.17.21", on: ago(29 * day).toISOString() };
  const found = (more: Partial<Finding>) => (environment: string) =>
    judge(the("regulated-bank"), environment, { found: [{ severity: "medium", epss: "none", ...more }] });
  expect(["test", "production"].map(found({ fixReleases: [old] }))).toEqual([[], ["gate.finding"]]);
  expect(["test", "production"].map(found({ fixReleases: [young] }))).toEqual([[], []]);
  expect(["test", "production"].map(found({ ...unfixed, epss: 0.6 }))).toEqual([[], ["gate.finding"]]);
});

test("regulated-bank: an image goes into production by way of test, and a branch nowhere", () => {
  const bank = the("regulated-bank");
  expect(judge(bank, "production", { verdict: { promote: { environment: "production" } } })).toEqual([
    "gate.environment",
  ]);
  const ref = { repository: "https://github.com/acme-bank/shop", commit: "a".repeat(40), ref: "refs/heads/main" };
  expect(judge(bank, "test", { build: { source: ref } })).toEqual(["gate.source"]);
  expect(judge(bank, "test", { build: { event: "workflow_dispatch" } })).toEqual(["gate.source"]);
  expect(judge(bank, "test", { build: { buildEnvironment: "host" } })).toEqual(["gate.build-environment"]);
});

test("a builder that was approved more than 90 days ago builds nothing at the bank, and in the Java shop", () => {
  const pom = { files: ["pom.xml"], jib: { strategy: "spring-boot" as const, builder: undefined, module: undefined } };
  for (const [name, strategy] of [
    ["regulated-bank", "buildpacks"],
    ["java-shop", "spring-boot"],
  ] as const) {
    const application = { ...pom.jib, strategy, context: ".", tree: { top: treeOf("pom.xml"), below: [] } };
    expect(plan(the(name), pom.files, { application })).toMatchObject({ strategy: { strategy } });
    expect(plan(the(name), pom.files, { application, now: new Date("2027-02-15T00:00:00Z") })).toBe("build.builder");
  }
});
function treeOf(...files: string[]) {
  return { path: "", files, folders: [], unread: [], remarks: [] };
}

test.each([
  ["package.json", "node"],
  ["pom.xml", "java"],
  ["go.mod", "go"],
  ["requirements.txt", "python"],
  ["shop.csproj", "dotnet"],
])("monorepo: an application with %s is built by the builder %s", (file, name) => {
  expect(plan(the("monorepo"), [file])).toMatchObject({ builder: { name } });
});

test("vendor-images: an import counts until its last day, of the vendors that are named, for its own image", () => {
  const rules = (change: Change) => judge(the("vendor-images"), "production", change);
  expect(rules({ imported: { until: "2026-12-01" } })).toEqual([]);
  expect(rules({ imported: { until: "2026-12-02" }, now: new Date("2026-12-03T00:00:00Z") })).toContain("gate.import");
  expect(rules({ imported: { from: "docker.io/library/mongo" } })).toEqual(["gate.source"]);
  expect(rules({ imported: { from: "quay.io/keycloak/keycloak" } })).toEqual(["gate.destination"]);
});

test.each([
  ["first-week", "registry.acme.example/quarantine/portal", "registry.acme.example/quarantine/shop"],
  ["vendor-images", "registry.acme.example/quarantine/keycloak", "registry.acme.example/quarantine/mongo"],
])("%s excepts %s from the golden base until its day, and not %s", (name, its, others) => {
  const excepted = (repository: string, on: Date) => onForeignBase(the(name), repository, on);
  expect(excepted(its, now)).toEqual(["base.approved, excepted"]);
  expect(excepted(others, now)).toEqual(["base.approved"]);
  expect(excepted(its, new Date("2028-01-01T00:00:00Z"))).toEqual(["base.approved"]);
});

test("existing-pipelines takes a provenance of the builder that is named, by its signer, and no other", () => {
  const rules = (pipeline: Change["pipeline"]) => judge(the("existing-pipelines"), "production", { pipeline });
  expect(rules({})).toEqual([]);
  expect(rules({ builder: "https://ci.acme.example/builders/v2" })).toContain("gate.builder");
  expect(rules({ signer: "github-pipeline" })).toContain("gate.builder");
  expect(rules({ signer: "scan" })).toContain("gate.builder");
  expect(rules({ ref: "refs/heads/try" })).toEqual(["gate.source"]);
  expect(rules({ ref: "refs/tags/v1" })).toEqual([]);
});

test("enterprise-server: the next key counts beside the old one, for its own stage, and a foreign caller does not", () => {
  const rules = (change: Change) => judge(the("enterprise-server"), "production", change);
  expect(rules({ by: { scan: "scan-2027" } })).toEqual([]);
  expect(rules({ by: { base: "scan-2027" } })).toContain("gate.signer");
  const callerId = "https://github.acme.example/acme/shop/.github/workflows/mine.yml@refs/heads/main";
  expect(rules({ build: { callerId } })).toEqual(["gate.source"]);
});

test("small-team: what is on another branch than main is not promoted", () => {
  const source = { repository: "https://github.com/acme/shop", commit: "a".repeat(40), ref: "refs/heads/try" };
  expect(judge(the("small-team"), "production", { build: { source } })).toEqual(["gate.source"]);
});

const pinned = (digit: string) => `@sha256:${digit.repeat(64)}`;
test.each<[string, string, "base" | "build", string]>([
  ["first-week", "alpine:3", "base", "base.approved"],
  ["first-week", "debian:13", "base", `docker.io/library/debian${pinned("1")}`],
  ["first-week", "golang:1.25", "build", "docker.io/library/golang:1.25"],
  ["first-week", "mallory/golang:1.25", "build", "build.images"],
  ["small-team", "ghcr.io/mallory/run:1", "base", "base.approved"],
  ["air-gap", "golang:1.25", "build", "build.images"],
  ["air-gap", "mirror.acme.example/library/golang:1.25", "build", `mirror.acme.example/library/golang${pinned("3")}`],
  ["air-gap", `mirror.acme.example/library/golang${pinned("4")}`, "build", "build.images"],
])("a Dockerfile under %s that names %s as %s gets %s", (name, named, use, gets) => {
  expect(inDockerfile(the(name), named, use)).toBe(gets);
});

test("air-gap: another root beside the policy than the reviewed one is an error", async () => {
  const folder = mkdtempSync(join(tmpdir(), "goldenpath-air-gap-"));
  try {
    cpSync(policiesFolder, folder, { recursive: true });
    const check = () => runMain("policy", "check", join(folder, "air-gap.yaml"));
    expect(await check()).toMatchObject({ code: 0 });
    appendFileSync(join(folder, "trust/air-gap.json"), " ");
    const { code, err } = await check();
    expect(code).not.toBe(0);
    expect(err).toContain("trust/air-gap.json");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("notary-project: notation gets a trust policy of each stage's identity, and of no other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "goldenpath-notary-"));
  try {
    const policy = join(policiesFolder, "notary-project.yaml");
    expect(await runMain("policy", "trust", "notation", policy, folder)).toMatchObject({ code: 0, err: "" });
    const written = readFileSync(join(folder, "trustpolicy.json"), "utf8");
    const named = [...written.matchAll(/CN=goldenpath-([a-z]+)/g)].map(([, stage]) => stage);
    expect(named.toSorted()).toEqual(["base", "build", "promote", "scan"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
