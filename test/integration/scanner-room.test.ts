import { chmod, cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { scanners } from "@goldenpath/core/scan/scanners/table";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { reportVerb } from "@goldenpath/core/verbs/report";
import { createScanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, putInForce } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage, pushTinyIndex, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { debianRelease, dpkgStanza } from "../support/scan-world.ts";
import { shelf, shelfFolder } from "../support/shelf-scanner.ts";
import { useTools } from "../support/tools.ts";

// The table with a line more: all that anything learns of the guest.
const scanVerb = createScanVerb([...scanners, shelf]);

const tools = useTools("syft");
let root: string;
let server: RegistryServer;
let client: RegistryClient;
let keys: TestKeys;
let policy: ChainPolicy;
let counter = 0;

const debian = (version: string): Promise<TinyLayer> =>
  tinyLayer({ "etc/os-release": debianRelease, "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", version) });
const lodash = (version: string): Promise<TinyLayer> =>
  tinyLayer({ "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version }) });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-scanner-"));
  keys = await makeKeys(root);
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  const bases = { registry: server.host, name: "bases/golden" };
  const amd64 = await pushTinyImage(client, bases, [await debian("2.36-2")]);
  const arm64 = await pushTinyImage(client, bases, [await debian("2.36-2")], { architecture: "arm64" });
  const old = await pushTinyImage(client, bases, [await debian("2.36-1")]);
  policy = await writePolicy([await pushTinyIndex(client, bases, [amd64, arm64]), old.digest]);
  await putInForce(client, `${server.host}/vetted`, policy, { keys });
});
afterAll(async () => {
  await client?.close();
  await server?.close();
  if (root !== undefined) await rm(root, { recursive: true, force: true });
});

async function writePolicy(bases: readonly string[]): Promise<ChainPolicy> {
  const signers = Object.fromEntries(
    (["build", "base", "scan", "promote"] as const).map((name) => [name, keys[name].publicKey]),
  );
  const text = `version: 1
name: acme
serial: 7
signers:
${renderSigners(signers)}bases:
  - { name: golden, image: ${server.host}/bases/golden, digests: [${bases.map((each) => `"${each}"`).join(", ")}] }
build:
  strategies: [buildpacks]
  isolation: [host]
  sources: ["https://github.com/acme/*"]
  builders: [{ name: node, buildpacks: ["${server.host}/buildpacks/node@${digestOf("buildpack")}"], runImage: golden }]
scan: { failOn: high, databaseMaxAge: 5d, scanners: [shelf] }
environments:
  production:
    from: ["${server.host}/quarantine"]
    to: ["${server.host}/vetted"]
    promoter: promote
    requires:
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
`;
  const file = join(root, "policy.yaml");
  await writeFile(file, text);
  return { policy: parsePolicy(Buffer.from(text), file), uri: file, digest: digestOf(text), file };
}

/** The guest's data: lodash 4.17.1 is rated critical, 4.17.2 low, 4.17.3 not at all; the base's old libc6 is high. */
async function writeList({
  asOf = new Date().toISOString().slice(0, 10),
  systems = ["debian 12"],
} = {}): Promise<string> {
  const directory = await mkdtemp(join(root, "list-"));
  const advisories = [
    { id: "SHELF-1", name: "lodash", versions: ["4.17.1"], stars: 4, mendedIn: "4.17.21" },
    { id: "SHELF-2", name: "lodash", versions: ["4.17.2"], stars: 1, mendedIn: "4.17.21" },
    { id: "SHELF-3", name: "lodash", versions: ["4.17.3"], stars: 0, mendedIn: "4.17.21" },
    { id: "SHELF-4", name: "libc6", versions: ["2.36-1"], stars: 3, mendedIn: "2.36-2" },
  ];
  await writeFile(join(directory, "list.json"), JSON.stringify({ asOf, systems, advisories }));
  return directory;
}

type Outcome = VerbOutcome & { file: string };
async function run(verb: unknown, inputs: Record<string, string>, path = shelfFolder): Promise<Outcome> {
  const { outcome, resultFile } = await executeVerb(
    verb as Verb,
    { policy: policy.file, ...inputs },
    {
      ports: silentPorts(),
      run: { builderId: "local", sourceRepository: "https://github.com/acme/shop", sourceCommit: "c".repeat(40) },
      workingDirectory: root,
      temporaryRoot: join(root, "tmp"),
      defaultResultDirectory: join(root, `results-${++counter}`),
      env: { ...process.env, PATH: [dirname(tools.syft), path, process.env["PATH"]].join(delimiter), HOME: root },
      signal: new AbortController().signal,
    },
  );
  return { ...outcome, file: resultFile };
}

const scan = async (
  image: string,
  { path, ...inputs }: { path?: string } & Record<string, string> = {},
): Promise<Outcome> =>
  run(scanVerb, { image, scanner: "shelf", database: inputs["database"] ?? (await writeList()), ...inputs }, path);
const sign = (image: string, stage: "base" | "scan", { file }: Outcome) =>
  run(signVerb, { image, results: file, key: keys[stage].file });
const verify = (image: string) => run(verifyVerb, { image, environment: "production" });

const tell = ({ verdict, result }: VerbOutcome) => ({
  verdict,
  found: result.violations.map(({ rule, thing }) => (rule === "scan.severity" ? thing : rule)),
  ...(result.error === undefined ? {} : { error: result.error.code }),
});
const passed = { verdict: "pass", found: [] };

async function push(...layers: TinyLayer[]): Promise<string> {
  const name = `quarantine/shop-${++counter}`;
  return `${server.host}/${name}@${(await pushTinyImage(client, { registry: server.host, name }, layers)).digest}`;
}

/** For two platforms, on the base. */
async function pushBoth(layer: TinyLayer): Promise<string> {
  const repository = { registry: server.host, name: `quarantine/shop-${++counter}` };
  const made = [];
  for (const architecture of ["amd64", "arm64"]) {
    made.push(await pushTinyImage(client, repository, [await debian("2.36-2"), layer], { architecture }));
  }
  return `${server.host}/${repository.name}@${await pushTinyIndex(client, repository, made)}`;
}

describe("the input `scanner` chooses", () => {
  test("none that is not in the table, of which it names all", async () => {
    const outcome = await scan(await push(await lodash("4.17.4")), { scanner: "trove" });
    expect(tell(outcome)).toEqual({ verdict: "error", found: [], error: "input-invalid" });
    expect(outcome.result.error?.message).toContain(
      "input 'scanner' is 'trove': expected auto, or one or several of grype, osv-scanner, trivy, shelf with commas",
    );
  });

  test("and the guest's data is nothing to another scanner", async () => {
    const outcome = await scan(await push(await lodash("4.17.4")), { scanner: "grype,shelf" });
    expect(tell(outcome)).toEqual({ verdict: "error", found: [], error: "input-invalid" });
    expect(outcome.result.error?.message).toContain("there is no grype database in it");
  });

  test("the guest, which alone is recorded", async () => {
    const outcome = await scan(await push(await lodash("4.17.4")));
    expect(tell(outcome)).toEqual(passed);
    expect(outcome.result.tools.map(({ name, version }) => `${name} ${version}`)).toEqual([
      expect.stringMatching(/^syft /),
      "shelf-scan 1.0.0",
    ]);
  });
});

describe("a guest that did not do its work is an error", () => {
  test("where its data is not there", async () => {
    const outcome = await scan(await push(await lodash("4.17.4")), { database: root });
    expect(tell(outcome)).toEqual({ verdict: "error", found: [], error: "input-invalid" });
    expect(outcome.result.error?.message).toContain("there is no shelf database in it (list.json)");
  });

  test("where its data is broken, so that the program ends with an error", async () => {
    const database = await writeList();
    await writeFile(join(database, "list.json"), "{");
    expect(tell(await scan(await push(await lodash("4.17.4")), { database }))).toEqual({
      verdict: "error",
      found: [],
      error: "scanner-failed",
    });
  });

  test("where its report is not one, although the program says that all is well", async () => {
    const database = await writeList({ asOf: "long ago" });
    const outcome = await scan(await push(await lodash("4.17.4")), { database });
    expect(tell(outcome)).toEqual({ verdict: "error", found: [], error: "scanner-report-invalid" });
    expect(outcome.result.error?.message).toContain("shelf's report can't be read: Invalid ISO date at asOf");
  });

  test("where the program in PATH is not the lock's, byte for byte", async () => {
    const path = await mkdtemp(join(root, "bin-"));
    await cp(join(shelfFolder, "shelf-scan"), join(path, "shelf-scan"));
    await writeFile(join(path, "shelf-scan"), "// and a line\n", { flag: "a" });
    await chmod(join(path, "shelf-scan"), 0o755);
    const outcome = await scan(await push(await lodash("4.17.4")), { path });
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.message).toContain("is not shelf-scan 1.0.0 byte for byte");
  });
});

describe("what the guest finds is judged like all else", () => {
  test.each([
    ["4.17.1", "SHELF-1"],
    ["4.17.3", "SHELF-3"],
  ])("lodash %s is refused (the second: nobody has rated it)", async (version, id) => {
    expect(tell(await scan(await push(await lodash(version))))).toEqual({
      verdict: "fail",
      found: [`${id} in lodash ${version}`],
    });
  });

  test("old data is refused, with a way out", async () => {
    const outcome = await scan(await push(await lodash("4.17.4")), {
      database: await writeList({ asOf: "2020-01-01" }),
    });
    expect(tell(outcome)).toEqual({ verdict: "fail", found: ["scan.database-age"] });
    expect(outcome.result.violations[0]?.wayOut).toBe(
      "Update the database (a newer one in the input 'database') and scan again.",
    );
  });

  test("a system that its data does not have is a blind spot", async () => {
    const image = await push(await debian("2.36-2"));
    expect(tell(await scan(image))).toEqual(passed);
    expect(tell(await scan(image, { database: await writeList({ systems: ["debian 11"] }) }))).toEqual({
      verdict: "fail",
      found: ["scan.blind-spot"],
    });
  });

  test("what it finds in the base is not hidden by another version in the package database, whatever it calls such a package", async () => {
    const image = await push(await debian("2.36-1"), await debian("2.36-2"));
    const outcome = await scan(image);
    expect(tell(outcome)).toEqual({ verdict: "fail", found: ["SHELF-4 in libc6 2.36-1"] });
    expect(outcome.result.violations[0]?.wayOut).toContain("It comes with the base image golden");
  });
});

test("the guest goes the whole way: scanned, signed, verified, promoted and told; and what it refuses stops there", async () => {
  const promote = (image: string) =>
    run(promoteVerb, {
      image,
      to: `${server.host}/vetted/shop`,
      tags: "1.0.0",
      environment: "production",
      key: keys.promote.file,
      "policy-signer": keys.platform.publicKeyFile,
    });
  const judge = async (image: string): Promise<Outcome> => {
    const base = await run(enforceVerb, { image });
    expect(tell(base)).toEqual(passed);
    expect(tell(await sign(image, "base", base))).toEqual(passed);
    const scanned = await scan(image);
    expect(tell(await sign(image, "scan", scanned))).toEqual(passed);
    return scanned;
  };

  const refused = await pushBoth(await lodash("4.17.1"));
  expect((await judge(refused)).verdict).toBe("fail");
  expect((await verify(refused)).verdict).toBe("fail");
  expect((await promote(refused)).verdict).toBe("fail");

  const image = await pushBoth(await lodash("4.17.2"));
  expect((await verify(image)).verdict).toBe("fail");
  const scanned = await judge(image);
  expect(tell(scanned)).toEqual(passed);
  expect(JSON.parse(scanned.outputs["counts"] ?? "")).toMatchObject({ low: 1, critical: 0 });
  const hit = { id: "SHELF-2", name: "lodash", version: "4.17.2" };
  expect(scanned.result.predicate).toMatchObject({
    scanner: {
      uri: "pkg:generic/shelf@1.0.0",
      version: "1.0.0",
      db: { uri: "pkg:generic/shelf-db@1" },
      result: {
        hits: [
          { ...hit, platform: "linux/amd64" },
          { ...hit, platform: "linux/arm64" },
        ],
        goldenpath: { counts: { low: 1 }, children: [{ platform: "linux/amd64" }, { platform: "linux/arm64" }] },
      },
    },
  });
  const sarif = JSON.parse(await readFile(scanned.outputs["sarif"] ?? "", "utf8"));
  expect(sarif.runs[0].tool.driver).toMatchObject({ name: "shelf through goldenpath", version: "1.0.0" });

  expect(tell(await verify(image))).toEqual(passed);
  const promotion = await promote(image);
  expect(tell(promotion)).toEqual(passed);
  expect(tell(await verify(promotion.outputs["image"] ?? ""))).toEqual(passed);
  expect((await client.resolve(parseReference(`${server.host}/vetted/shop:1.0.0`))) as string).toBe(
    parseReference(image).digest,
  );
  const told = await run(reportVerb, { image, comment: "never" });
  expect(told.summary).toMatch(/findings\s+1 low/);
  expect(told.summary).toMatch(/scanner\s+shelf 1\.0\.0/);
});
