import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { StageResult } from "@goldenpath/core/result";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, putInForce } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeOsvData } from "../support/osv-data.ts";
import { debianRelease, dpkgStanza, exampleDatabase, libcVersions } from "../support/scan-world.ts";
import { useTools } from "../support/tools.ts";

// Every kind of gate on the whole way after a build, by the real syft, grype and osv-scanner: an image with a planted
// package is refused by its scan and stops at the promotion, and its twin beside it is promoted.
const tools = useTools("syft", "grype", "osv-scanner");
let root: string;
let server: RegistryServer;
let client: RegistryClient;
let keys: TestKeys;
let database = "";
const bases = { new: "", old: "" };
let layers: Record<"new" | "old", TinyLayer>;
let counter = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-gates-"));
  keys = await makeKeys(root);
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  database = await makeDatabase();
  layers = { new: await debian(libcVersions.mended), old: await debian(libcVersions.vulnerable) };
  const golden = { registry: server.host, name: "bases/golden" };
  for (const which of ["new", "old"] as const)
    bases[which] = (await pushTinyImage(client, golden, [layers[which]])).digest;
}, 120_000);
afterAll(async () => {
  await client?.close();
  await server?.close();
  if (root !== undefined) await rm(root, { recursive: true, force: true });
});

/**
 * The examples' database, with CISA's word on one vulnerability and probabilities of two: the example has neither, and
 * grype's own importer takes it. Beside it OSV's data with a malicious package.
 */
async function makeDatabase(): Promise<string> {
  const work = await mkdtemp(join(root, "data-"));
  const file = join(work, "vulnerability.db");
  await cp(join(exampleDatabase, "6", "vulnerability.db"), file);
  await chmod(file, 0o644);
  const sqlite = new DatabaseSync(file);
  const exploited = JSON.stringify({ cve: "CVE-2022-24999", date_added: "2026-10-01T00:00:00Z" });
  const { lastInsertRowid } = sqlite.prepare("INSERT INTO blobs (value) VALUES (?)").run(exploited);
  sqlite
    .prepare("INSERT INTO known_exploited_vulnerability_handles (cve, blob_id) VALUES (?, ?)")
    .run("CVE-2022-24999", lastInsertRowid);
  const probable = sqlite.prepare("INSERT INTO epss_handles (cve, epss, percentile) VALUES (?, ?, ?)");
  probable.run("CVE-2024-37890", 0.5, 0.9);
  probable.run("CVE-2024-45590", 0.49, 0.8);
  sqlite.prepare("INSERT INTO epss_metadata (date) VALUES (?)").run("2026-10-31 00:00:00+00:00");
  sqlite.close();
  await promisify(execFile)("tar", ["-C", work, "-czf", join(work, "db.tar.gz"), "vulnerability.db"]);
  const target = join(work, "placed");
  await mkdir(target);
  const env = {
    HOME: work,
    GRYPE_DB_CACHE_DIR: target,
    GRYPE_CHECK_FOR_APP_UPDATE: "false",
    GRYPE_DB_VALIDATE_AGE: "false",
  };
  await promisify(execFile)(tools.grype, ["db", "import", join(work, "db.tar.gz")], { env });
  const osv = [
    { id: "MAL-2026-1", ecosystem: "npm", package: "lodahs" },
    { id: "DEBIAN-CVE-2099-1", ecosystem: "Debian:12", package: "nothing" },
  ];
  await writeOsvData(target, osv, new Date("2026-11-01T00:00:00Z"));
  return target;
}

const debian = (version: string): Promise<TinyLayer> =>
  tinyLayer({ "etc/os-release": debianRelease, "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", version, "glibc") });

interface Planted {
  name: string;
  version?: string;
  license?: string;
}

async function push(planted: Planted, base: "new" | "old" = "new"): Promise<string> {
  const name = `quarantine/shop-${++counter}`;
  const { version = "1.0.0", ...manifest } = planted;
  const layer = await tinyLayer({
    [`workspace/node_modules/${planted.name}/package.json`]: JSON.stringify({ license: "MIT", version, ...manifest }),
  });
  const { digest } = await pushTinyImage(client, { registry: server.host, name }, [layers[base], layer]);
  return `${server.host}/${name}@${digest}`;
}

/** Each gate has a policy, and a place to promote to, of its own. */
async function writePolicy(gate: string, scan: string, environment: string): Promise<ChainPolicy> {
  const signers = Object.fromEntries(
    (["build", "base", "scan", "promote"] as const).map((name) => [name, keys[name].publicKey]),
  );
  const text = `version: 1
name: acme
serial: 7
signers:
${renderSigners(signers)}bases:
  - { name: golden, image: ${server.host}/bases/golden, digests: ["${bases.old}", "${bases.new}"] }
build:
  strategies: [buildpacks]
  isolation: [host]
  sources: ["https://github.com/acme/*"]
  builders: [{ name: node, buildpacks: ["${server.host}/buildpacks/node@${digestOf("buildpack")}"], runImage: golden }]
scan: { failOn: critical, databaseMaxAge: unlimited, scanners: [grype, osv-scanner]${scan} }
environments:
  production:
    from: ["${server.host}/quarantine"]
    to: ["${server.host}/vetted-${gate}"]
    promoter: promote
    requires:
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
${environment}`;
  const file = join(await mkdtemp(join(root, "policy-")), "policy.yaml");
  await writeFile(file, text);
  return { policy: parsePolicy(Buffer.from(text), file), uri: file, digest: digestOf(text), file };
}

async function run(verb: unknown, policy: ChainPolicy, inputs: Record<string, string>) {
  const { outcome, resultFile } = await executeVerb(
    verb as Verb,
    { policy: policy.file, ...inputs },
    {
      ports: silentPorts(),
      run: { builderId: "local", sourceRepository: "https://github.com/acme/shop", sourceCommit: "c".repeat(40) },
      workingDirectory: root,
      temporaryRoot: join(root, "tmp"),
      defaultResultDirectory: join(root, `results-${++counter}`),
      env: {
        ...process.env,
        PATH: [...Object.values(tools).map((tool) => dirname(tool ?? "")), process.env["PATH"]].join(delimiter),
        HOME: root,
      },
      signal: new AbortController().signal,
    },
  );
  return { ...outcome, file: resultFile };
}

/** The rest of the path for a built image: what its scan refuses, and what the promotion says. */
async function walk(
  gate: string,
  policy: ChainPolicy,
  image: string,
): Promise<{ scan: string[]; promotion: string[] }> {
  const told = (
    { verdict, result }: VerbOutcome,
    tell: (violation: StageResult["violations"][number]) => string,
  ): string[] => [result.error?.code ?? verdict, ...result.violations.map(tell)];
  const judged = await run(enforceVerb, policy, { image });
  expect(judged.verdict).toBe("pass");
  expect((await run(signVerb, policy, { image, results: judged.file, key: keys.base.file })).verdict).toBe("pass");
  const scanned = await run(scanVerb, policy, { image, database });
  expect((await run(signVerb, policy, { image, results: scanned.file, key: keys.scan.file })).verdict).toBe("pass");
  const to = { to: `${server.host}/vetted-${gate}/shop`, tags: "1.0.0", environment: "production" };
  const signer = { key: keys.promote.file, "policy-signer": keys.platform.publicKeyFile };
  const promoted = await run(promoteVerb, policy, { image, ...to, ...signer });
  return {
    scan: told(scanned, ({ rule, thing }) => (thing.includes(server.host) ? rule : `${rule} ${thing}`)),
    promotion: told(promoted, ({ rule }) => rule),
  };
}

interface Gate {
  scan?: string;
  /** The environment's own gates, in YAML. */
  environment?: string;
  refused: Planted;
  twin: Planted;
  base?: "old";
  found: string[];
  /** The rule by which the promotion refuses it; the gate's of a failed scan unless told. */
  promotion?: string;
}

const gates: Record<string, Gate> = {
  severity: {
    refused: { name: "minimist", version: "1.2.5" },
    twin: { name: "minimist", version: "1.2.6" },
    found: ["scan.severity GHSA-xvch-5gv4-984h in minimist 1.2.5"],
  },
  exploited: {
    scan: ", refuse: [{ name: exploited, kev: true, missing: pass }]",
    refused: { name: "qs", version: "6.5.2" },
    // As bad, and not known to be exploited.
    twin: { name: "ws", version: "8.17.0" },
    found: ["scan.gate GHSA-hrpp-h998-j3pp in qs 6.5.2"],
  },
  probable: {
    scan: ", refuse: [{ name: probable, epss: 0.5, missing: pass }]",
    refused: { name: "ws", version: "8.17.0" },
    // A hundredth less.
    twin: { name: "body-parser", version: "1.20.2" },
    found: ["scan.gate GHSA-3h5v-q93c-6h6q in ws 8.17.0"],
  },
  unsaid: {
    scan: ", refuse: [{ name: probable, epss: 0.5, types: [npm] }]",
    // Nobody says how probable it is.
    refused: { name: "express", version: "4.19.1" },
    twin: { name: "body-parser", version: "1.20.2" },
    found: ["scan.gate GHSA-rv95-896h-c2vc in express 4.19.1"],
  },
  score: {
    scan: ", refuse: [{ name: score, cvss: 7.4, types: [npm] }]",
    refused: { name: "lodash", version: "4.17.19" },
    // 7.2 is its worst.
    twin: { name: "lodash", version: "4.17.20" },
    found: ["scan.gate GHSA-p6mc-m468-83gw in lodash 4.17.19"],
  },
  mendable: {
    scan: ", refuse: [{ name: mendable, severity: medium, fixed: true, origins: [application] }]",
    refused: { name: "express", version: "4.19.1" },
    // As bad, and nobody mends it.
    twin: { name: "request", version: "2.88.2" },
    found: ["scan.gate GHSA-rv95-896h-c2vc in express 4.19.1"],
  },
  base: {
    scan: ", refuse: [{ name: base, cvss: 7.8, origins: [base], missing: pass }]",
    base: "old",
    refused: { name: "left-pad" },
    twin: { name: "left-pad" },
    found: ["scan.gate CVE-2023-4911 in libc6 2.36-9+deb12u1"],
  },
  malicious: {
    refused: { name: "lodahs" },
    twin: { name: "left-pad" },
    found: ["scan.malicious MAL-2026-1 in lodahs 1.0.0"],
  },
  forbidden: {
    scan: ", packages: [{ purl: pkg:npm/event-stream, versions: [3.3.6], reason: it steals }]",
    refused: { name: "event-stream", version: "3.3.6" },
    twin: { name: "event-stream", version: "3.3.5" },
    found: ["scan.package event-stream 3.3.6"],
  },
  licence: {
    scan: ", licenses: { refuse: [AGPL-3.0-only], unknown: pass }",
    refused: { name: "left-pad", license: "AGPL-3.0-only" },
    twin: { name: "left-pad", license: "AGPL-3.0-only OR MIT" },
    found: ["scan.license left-pad 1.0.0"],
  },
  quality: {
    scan: ", sbom: { license: 50 }",
    // The base's package has none in the SBOM: of two it is none, or one.
    refused: { name: "left-pad", license: "" },
    twin: { name: "left-pad" },
    found: ["scan.sbom"],
  },
  environment: {
    environment: "    refuse: [{ name: exploited, kev: true, missing: pass }]\n",
    refused: { name: "qs", version: "6.5.2" },
    twin: { name: "ws", version: "8.17.0" },
    found: [],
    promotion: "gate.finding",
  },
};

describe.each(Object.entries(gates))("the gate %s", (name, gate) => {
  const { scan = "", environment = "", found, promotion } = gate;

  test("stops what it refuses before vetted, and lets its twin through", async () => {
    const policy = await writePolicy(name, scan, environment);
    await putInForce(client, `${server.host}/vetted-${name}`, policy, { keys });
    const refused = await walk(name, policy, await push(gate.refused, gate.base));
    expect(refused.scan).toEqual([found.length === 0 ? "pass" : "fail", ...found]);
    expect(refused.promotion).toEqual(["fail", promotion ?? "gate.failed"]);
    expect(await client.resolve({ registry: server.host, name: `vetted-${name}/shop`, tag: "1.0.0" })).toBeUndefined();
    expect(await walk(name, policy, await push(gate.twin))).toEqual({ scan: ["pass"], promotion: ["pass"] });
  });
});
