import { readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { readSince } from "@goldenpath/core/fleet/plan-days";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { TestImage } from "@goldenpath/testing/chain";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { makeKevDatabase } from "../support/changed-database.ts";
import { runMain } from "../support/cli.ts";
import { addAll, type FleetWorld, openFleetWorld } from "../support/fleet-world.ts";
import { useTools } from "../support/tools.ts";

// All that was promoted, scanned again by real syft and grype: what is signed, and from when on it counts. What owners are
// told is in fleet-issues.test.ts, and all of it with 300 images in test/slow.

const tools = useTools("syft", "grype");
const day = 86_400_000;
let world: FleetWorld;
let database = "";
let images: Record<"shop" | "pay" | "docs", TestImage>;

beforeAll(async () => {
  world = await openFleetWorld();
  database = await makeKevDatabase(join(world.directory, "data"), ["CVE-2023-4911"]);
  const [shop, pay, docs] = (await addAll(world, [
    { name: "shop", base: "old", lodash: "4.17.21" },
    { name: "pay", lodash: "4.17.20" },
    { name: "docs" },
  ])) as [TestImage, TestImage, TestImage];
  images = { shop, pay, docs };
}, 120_000);
afterAll(() => world?.close());
beforeEach(() => {
  const path = [...Object.values(tools).map((tool) => dirname(tool ?? "")), process.env["PATH"]].join(delimiter);
  vi.stubEnv("PATH", path);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const names = (...which: string[]): string[] => which.map((name) => `${world.registry.host}/vetted/${name}`);

async function scan(repositories: readonly string[], ...more: string[]) {
  const by = more.includes("--dry-run") || more.includes("--key") ? [] : ["--key", world.keys.scan.file];
  const args = ["fleet", "scan", ...repositories, "--policy", world.policyFile, "--checkouts", world.checkouts];
  return runMain(...args, "--database", database, ...by, ...more);
}

interface Told {
  image: string;
  owner: string;
  verdict: string;
  countsFrom?: string;
  evidence: string;
  refused: { thing: string; action: string; owner: string; countsFrom: string; place?: object }[];
}
async function scanJson(repositories: readonly string[], ...more: string[]) {
  const { code, out, err } = await scan(repositories, "--json", ...more);
  if (out === "") throw new Error(err);
  const told = JSON.parse(out) as { images: Told[]; failures: object[]; rebase: object; issues?: object };
  return { code, ...told, of: (name: string) => told.images.find(({ image }) => image.includes(`/vetted/${name}@`)) };
}

/** The gate of the environment for what is there, at a time. */
async function verify(image: TestImage, days = 0): Promise<{ verdict: string; rules: string[] }> {
  const { outcome } = await executeVerb(
    verifyVerb as Verb,
    { policy: world.policyFile, image: image.reference, environment: "production" },
    {
      ...{ ports: silentPorts(), run: { builderId: "local" }, env: {}, signal: new AbortController().signal },
      ...{ workingDirectory: world.directory, temporaryRoot: world.directory },
      defaultResultDirectory: join(world.directory, "results"),
      now: () => new Date(Date.now() + days * day),
    },
  );
  return { verdict: outcome.verdict, rules: outcome.result.violations.map(({ rule }) => rule) };
}

describe("what is refused", () => {
  test.each<[what: string, more: string[], says: string]>([
    ["neither a key nor a dry run", ["--dry-run", "--issues"], "--dry-run writes no issues"],
    ["another data directory", ["--dry-run", "--database", "/nowhere"], "/nowhere"],
  ])("%s", async (_what, more, says) => {
    const { code, err } = await scan(names("docs"), ...more);
    expect(code).toBe(2);
    expect(err).toContain(says);
  });

  test("whoever does not speak for the scan: nothing is signed", async () => {
    world.registry.requests.length = 0;
    const { code, err } = await scan(names("docs"), "--key", world.keys.build.file);
    expect(code).toBe(2);
    expect(err).toContain("none of those who speak for stage scan");
    expect(world.registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
  });

  test("images without an SBOM and without a promotion are told, and the one beside them is scanned", async () => {
    await addAll(world, [
      { name: "bare", without: ["sbom"] },
      { name: "smuggled", without: ["promotion"] },
    ]);
    const told = await scanJson(names("docs", "bare", "smuggled"), "--dry-run");
    expect(told.code).toBe(2);
    expect(told.of("docs")).toMatchObject({ verdict: "pass", evidence: "not" });
    expect(told.failures).toEqual([
      { what: expect.stringContaining("/bare@"), problem: expect.stringContaining("no SBOM of it is signed") },
      { what: expect.stringContaining("/smuggled@"), problem: expect.stringContaining("no promotion") },
    ]);
  });
});

test("KEV counts at once, the rest from a day on; gates go by it; and what was said is not said again", async () => {
  for (const image of Object.values(images)) expect(await verify(image)).toEqual({ verdict: "pass", rules: [] });
  world.registry.requests.length = 0;
  const first = await scanJson(names("shop", "pay", "docs"), "--html", join(world.directory, "fleet.html"));
  expect(first.code).toBe(1);
  expect(first.failures).toEqual([]);
  expect(first.of("docs")).toMatchObject({ verdict: "pass", evidence: "signed", refused: [] });
  expect(first.of("shop")).toMatchObject({ verdict: "fail", evidence: "signed" });
  expect(first.of("shop")?.refused).toMatchObject([{ action: "rebase", thing: expect.stringContaining("libc6") }]);
  expect(first.rebase).toEqual({ "golden-old": [expect.stringContaining("/vetted/shop@")] });
  const pay = first.of("pay");
  expect(pay).toMatchObject({ verdict: "later", evidence: "signed" });
  expect(pay?.refused).toMatchObject([
    { action: "update", owner: "@acme/pay-team", place: { file: "package-lock.json", line: 5 } },
  ]);
  // The bases' layers are read, each once, and no other.
  const { layers } = await layersOf(images.pay);
  const read = world.registry.requests.filter(({ method, path }) => method === "GET" && path.includes("/blobs/"));
  expect(read.filter(({ path }) => path.includes("/vetted/") && layers.some((each) => path.endsWith(each)))).toEqual(
    [],
  );

  expect(await verify(images.shop)).toEqual({ verdict: "fail", rules: ["gate.failed"] });
  expect(await verify(images.pay)).toEqual({ verdict: "pass", rules: [] });
  expect(await verify(images.pay, 13)).toEqual({ verdict: "pass", rules: [] });
  expect(await verify(images.pay, 15)).toEqual({ verdict: "fail", rules: ["gate.failed"] });
  expect(await verify(images.docs, 15)).toEqual({ verdict: "pass", rules: [] });

  const second = await scanJson(names("shop", "pay", "docs"));
  expect(second.images.map(({ evidence }) => evidence)).toEqual(["unchanged", "unchanged", "unchanged"]);
  expect(second.of("pay")?.countsFrom).toBe(pay?.countsFrom);
  const page = await readFile(join(world.directory, "fleet.html"), "utf8");
  for (const part of ["By strategy", "By base", "By owner", "By age", "golden-old", "@acme/pay-team"])
    expect(page).toContain(part);
  expect(page).not.toContain("<script");
});

test("a report that a job gave is what the scan told that judged it; where none had one, that is refused from a day on", async () => {
  const [filed] = (await addAll(world, [{ name: "filed", lodash: "4.17.21" }, { name: "unfiled" }])) as [TestImage];
  const given = { reporter: "snyk", format: "SARIF", tool: "Snyk Container 1", said: "given in the job that scanned" };
  const lodash = { name: "lodash", version: "4.17.21", type: "npm", purl: "pkg:npm/lodash@4.17.21" };
  const said = { id: "CVE-2026-9", severity: "low" };
  const goldenpath = {
    platforms: ["linux/amd64"],
    reports: [{ ...given, digest: "sha256:0", findings: 1, time: new Date(Date.now() - 30 * day).toISOString() }],
    findings: [
      {
        ...{ platform: "linux/amd64", ...said, package: lodash, fixState: "unknown", origin: "application" },
        saidBy: [{ source: "snyk", ...said }],
      },
    ],
  };
  const scannedOn = new Date(Date.now() - day).toISOString();
  const judged = buildStatement(buildSubjects(filed.repository, [filed.digest]), predicateTypes.vulnerabilities, {
    metadata: { scanFinishedOn: scannedOn },
    scanner: { result: { goldenpath } },
  });
  await world.sign(filed, judged, "scan");
  const policyFile = join(world.directory, "reports.yaml");
  const reports = "reports: [{ name: snyk, tools: [Snyk Container], given: any, maxAge: 24h }]";
  const text = await readFile(world.policyFile, "utf8");
  await writeFile(policyFile, text.replace("scan: { failOn: high,", `scan: { failOn: high, ${reports},`));
  const told = await scanJson(names("filed", "unfiled"), "--policy", policyFile);
  expect(told.failures).toEqual([]);
  expect(told.of("unfiled")).toMatchObject({
    verdict: "later",
    refused: [{ thing: expect.stringMatching(/^the report of snyk/) }],
  });
  expect(told.of("filed")).toMatchObject({ verdict: "pass", evidence: "signed" });
  const { statements } = await collectEvidence(
    world.client,
    filed.repository,
    filed.digest,
    world.policy.policy.signers,
    {
      now: new Date(),
    },
  );
  const rescan = statements.map(({ statement }) => statement.predicate).find((each) => "since" in readSince(each));
  expect(rescan).toMatchObject({
    scanner: {
      result: {
        goldenpath: {
          findings: expect.arrayContaining([
            expect.objectContaining({ ...said, saidBy: [expect.objectContaining({ source: "snyk", ...said })] }),
          ]),
          reports: [{ ...given, digest: "sha256:0", findings: 1, scannedOn }],
        },
      },
    },
  });
});

describe("the registry's owner takes scans away, or puts some there", () => {
  const referrers = async ({ repository, digest }: TestImage): Promise<string[]> =>
    (await world.client.listReferrers(repository, digest)).map((each) => each.digest);
  const takeAway = async ({ repository }: TestImage, digests: readonly string[]): Promise<void> => {
    for (const each of digests) {
      const url = `${world.registry.url}/v2/${repository.name}/manifests/${each}`;
      expect((await fetch(url, { method: "DELETE" })).status).toBe(202);
    }
  };
  const about = ({ repository, digest }: TestImage, findings: unknown) =>
    buildStatement(buildSubjects(repository, [digest]), predicateTypes.vulnerabilities, {
      metadata: { scanFinishedOn: new Date(Date.now() - 2 * day).toISOString() },
      scanner: { result: { goldenpath: { platforms: ["linux/amd64"], findings } } },
    });

  test("that wins nobody days: not what is gone, what can't be read, another name, or an old pass alone", async () => {
    const made = await addAll(world, [
      { name: "late", lodash: "4.17.20", age: 20 },
      { name: "older", lodash: "4.17.20", age: 29 },
      { name: "renamed", lodash: "4.17.20" },
      { name: "unread", lodash: "4.17.20" },
    ]);
    const [late, older, renamed, unread] = made as [TestImage, TestImage, TestImage, TestImage];
    const lodash = { name: "lodash", version: "4.17.20", type: "npm" };
    const cve = { platform: "linux/amd64", id: "CVE-2021-23337", severity: "high", package: lodash };
    await world.sign(renamed, about(renamed, [{ ...cve, fixState: "fixed", origin: "application" }]), "scan");
    await world.sign(unread, about(unread, "none"), "scan");
    const before = await referrers(late);
    const first = await scanJson(names("late", "older", "renamed", "unread"));
    expect(first.of("late")?.refused).toMatchObject([{ thing: expect.stringMatching(/^GHSA-\S+ in lodash 4.17.20$/) }]);
    expect(first.images.map(({ verdict }) => verdict)).toEqual(["later", "fail", "fail", "fail"]);
    expect(first.failures).toEqual([
      { what: expect.stringContaining("/unread@"), problem: expect.stringMatching(/can't be read: .*has days$/) },
    ]);
    expect(first.code).toBe(2);
    expect(await verify(older)).toEqual({ verdict: "fail", rules: ["gate.failed"] });
    expect(await verify(late)).toEqual({ verdict: "pass", rules: [] });
    expect(await verify(late, 9)).toEqual({ verdict: "fail", rules: ["gate.failed"] });

    const rescans = (await referrers(late)).filter((each) => !before.includes(each));
    expect(rescans).toHaveLength(2);
    await takeAway(late, rescans);
    const second = await scanJson(names("late"));
    expect(second.of("late")).toMatchObject({ evidence: "signed", countsFrom: first.of("late")?.countsFrom });

    // What the pass rests on is gone: beside its twin above, nothing waits any more.
    const evidence = await collectEvidence(world.client, late.repository, late.digest, world.policy.policy.signers, {
      now: new Date(),
    });
    const scans = evidence.statements.filter(
      ({ statement }) => statement.predicateType === predicateTypes.vulnerabilities,
    );
    await takeAway(
      late,
      scans.map(({ referrer }) => referrer.digest).filter((each) => before.includes(each)),
    );
    expect(await verify(late)).toEqual({ verdict: "fail", rules: ["gate.failed"] });
  });
});

async function layersOf({ repository, digest }: TestImage): Promise<{ layers: string[] }> {
  const found = await world.client.fetchManifest({ ...repository, digest });
  if (found.kind !== "image") throw new TypeError("an index");
  return { layers: found.manifest.layers.map((layer) => layer.digest) };
}
