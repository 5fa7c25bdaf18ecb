import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { parseStageResult } from "@goldenpath/core/result";
import { productionTools } from "@goldenpath/core/tools/lock";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushAttestation } from "@goldenpath/testing/chain";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey } from "@goldenpath/testing/signers";
import { pushTinyImage, pushTinyIndex, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

const database = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");

let registry: RegistryServer;
let client: RegistryClient;
let root = "";
let env: Record<string, string | undefined> = {};
const layers: Record<"base" | "oldBase" | "bareBase" | "vulnerable" | "good" | "text", TinyLayer> = {} as never;
const images: Record<string, Descriptor> = {};
let index = "";
/** Of two signers: their keys are read, to look for an SBOM that the build stage signed. */
let publicKeys: string[] = [];

const osRelease =
  'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n';
const libc = (version: string): string =>
  `Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: ${version}\nArchitecture: amd64\nMaintainer: Debian <d@debian.example>\nDescription: C library\n`;
const baseFiles = (version: string): Record<string, string> => ({
  "etc/os-release": osRelease,
  "var/lib/dpkg/status.d/libc6": libc(version),
});
const lodash = (version: string): Record<string, string> => ({
  "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version, license: "MIT" }),
});

const tools = useTools("syft", "grype");

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-scan-"));
  // A home in which configuration files would make both tools leave out what they find.
  const home = join(root, "home");
  await mkdir(home, { recursive: true });
  await writeFile(join(home, ".grype.yaml"), "ignore:\n  - package:\n      name: lodash\n");
  await writeFile(join(home, ".syft.yaml"), 'exclude:\n  - "/workspace/**"\n');
  const path = [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter);
  env = { ...process.env, PATH: path, HOME: home, GRYPE_ONLY_FIXED: "true", SYFT_EXCLUDE: "/workspace/**" };
  publicKeys = (await Promise.all([makeKey(), makeKey()])).map(({ publicKeyPem }) =>
    publicKeyPem.trim().replace(/^/gm, "      "),
  );
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  Object.assign(layers, {
    base: await tinyLayer(baseFiles("2.36-9+deb12u13")),
    oldBase: await tinyLayer(baseFiles("2.36-9+deb12u1")),
    bareBase: await tinyLayer({ "etc/os-release": osRelease }),
    vulnerable: await tinyLayer(lodash("4.17.20")),
    good: await tinyLayer(lodash("4.17.21")),
    text: await tinyLayer({ "srv/readme.txt": "hello" }),
  });
  const repository = { registry: registry.host, name: "quarantine/shop" };
  images["good"] = await pushTinyImage(client, repository, [layers.base, layers.good], { tag: "good" });
  images["vulnerable"] = await pushTinyImage(client, repository, [layers.base, layers.vulnerable]);
  images["docker"] = await pushTinyImage(client, repository, [layers.base, layers.vulnerable], { docker: true });
  images["arm"] = await pushTinyImage(client, repository, [layers.base, layers.vulnerable], { architecture: "arm64" });
  images["oldBase"] = await pushTinyImage(client, repository, [layers.oldBase, layers.good]);
  images["bareBase"] = await pushTinyImage(client, repository, [layers.bareBase, layers.good]);
  images["text"] = await pushTinyImage(client, repository, [layers.text]);
  const bases = { registry: registry.host, name: "bases/run" };
  images["base"] = await pushTinyImage(client, bases, [layers.base]);
  images["baseBefore"] = await pushTinyImage(client, bases, [layers.oldBase]);
  const attestation = {
    ...(await pushAttestation(client, repository, "{}")),
    platform: { os: "unknown", architecture: "unknown" },
  };
  index = await pushTinyIndex(client, repository, [images["good"], images["arm"], attestation]);
});
afterEach(() => {
  registry.faults = [];
});
afterAll(async () => {
  await client?.close();
  await registry?.close();
  if (root !== "") await rm(root, { recursive: true, force: true });
});

const reference = (image: string): string => `${registry.host}/quarantine/shop@${images[image]?.digest ?? image}`;

interface Options {
  raw?: Record<string, string>;
  scan?: string;
  exceptions?: string;
}

/** As a door does it, on a policy whose base is the one pushed here. */
async function scan(
  image: string,
  { raw = {}, scan: rules = "failOn: high, databaseMaxAge: unlimited", exceptions = "[]" }: Options = {},
): Promise<Execution> {
  const directory = await mkdtemp(join(root, "run-"));
  const keys = [...publicKeys];
  const policy = samplePolicyText
    .replaceAll(/ {6}-----BEGIN[\s\S]*?-----END PUBLIC KEY-----/g, () => keys.shift() ?? "")
    .replace("registry.test:5000/bases/run", `${registry.host}/bases/run`)
    .replace(
      /digests:\n {6}- sha256:a+\n/,
      `digests:\n      - ${images["base"]?.digest}\n      - ${images["baseBefore"]?.digest}\n`,
    )
    .replace(/scan:\n {2}failOn: high\n/, `scan: {${rules}}\n`)
    .replace(/exceptions:\n(?: {2}.*\n)+/, `exceptions: ${exceptions}\n`);
  await writeFile(join(directory, "policy.yaml"), policy);
  const lock = { lockfileVersion: 3, packages: { "node_modules/lodash": { version: "4.17.20" } } };
  await writeFile(join(directory, "package-lock.json"), JSON.stringify(lock, null, 2));
  return executeVerb(
    scanVerb,
    { policy: "policy.yaml", image, database, ...raw },
    {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: directory,
      temporaryRoot: join(directory, "tmp"),
      defaultResultDirectory: join(directory, "results"),
      env,
      signal: new AbortController().signal,
    },
  );
}

/** The outcome, or the error behind it: a test that wants a verdict is told why there is none. */
async function outcomeOf(execution: Promise<Execution>) {
  const { outcome, error, resultFile } = await execution;
  if (error !== undefined) throw error;
  expect(parseStageResult(await readFile(resultFile, "utf8"), resultFile)).toEqual(outcome.result);
  return outcome;
}

describe("a scan refuses", () => {
  test("a vulnerable dependency, with what to do", async () => {
    const outcome = await outcomeOf(scan(reference("vulnerable")));
    expect(outcome.verdict).toBe("fail");
    expect(outcome.enforced).toBe(true);
    expect(outcome.result.violations).toEqual([
      {
        rule: "scan.severity",
        thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20",
        problem: "It is a vulnerability of severity high; the policy refuses high and above.",
        wayOut: "Update lodash to 4.17.21 (npm).",
        place: { file: "package-lock.json", line: 4 },
      },
    ]);
    expect(outcome.result.subject?.children).toMatchObject([{ digest: images["vulnerable"]?.digest, verdict: "fail" }]);
    expect(outcome.summary).toContain("Update lodash to 4.17.21");
    // What is not refused is reported all the same.
    expect(JSON.parse(outcome.outputs["counts"] ?? "")).toEqual({
      critical: 0,
      high: 1,
      unknown: 0,
      medium: 1,
      low: 0,
      negligible: 1,
    });
    expect(outcome.summary).toContain("GHSA-29mw-wpgm-hmr9");
  });

  test("the same in an image of Docker's media types", async () => {
    const outcome = await outcomeOf(scan(reference("docker")));
    expect(outcome.result.violations).toMatchObject([{ thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20" }]);
  });

  test("what comes with the base, and says whose it is to mend", async () => {
    const outcome = await outcomeOf(scan(reference("oldBase")));
    expect(outcome.result.violations).toMatchObject([
      {
        thing: "CVE-2023-4911 in libc6 2.36-9+deb12u1",
        wayOut:
          "It comes with the base image golden-run, and this is its newest version: whoever keeps the base has to bring one with libc6 2.36-9+deb12u3.",
      },
    ]);
  });

  test("one child of an index: it fails, and the other's own verdict is pass", async () => {
    const outcome = await outcomeOf(scan(reference(index)));
    expect(outcome.verdict).toBe("fail");
    expect(outcome.result.subject?.children.map(({ digest, verdict }) => [digest, verdict])).toEqual([
      [images["good"]?.digest, "pass"],
      [images["arm"]?.digest, "fail"],
    ]);
    expect(outcome.result.violations).toMatchObject([
      { platform: "linux/arm64", thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20" },
    ]);
    const files = (outcome.outputs["sbom"] ?? "").split("\n");
    const named = await Promise.all(
      files.map(async (file) => JSON.parse(await readFile(file, "utf8")).metadata.component.version),
    );
    expect(named).toEqual([images["good"]?.digest, images["arm"]?.digest]);
  });

  test("data that is too old, even where nothing is found", async () => {
    const outcome = await outcomeOf(scan(reference("good"), { scan: "failOn: high, databaseMaxAge: 1m" }));
    expect(outcome.verdict).toBe("fail");
    expect(outcome.result.violations).toMatchObject([{ rule: "scan.database-age" }]);
    expect(outcome.result.subject?.children).toMatchObject([{ verdict: "fail" }]);
  });

  test.each([
    [
      "expired",
      "{ rule: scan.severity, vulnerability: GHSA-35jh-r3h4-6jhm, reason: r, owner: o, expires: 2020-01-01 }",
    ],
    [
      "for another package",
      "{ rule: scan.severity, vulnerability: GHSA-35jh-r3h4-6jhm, package: lodash-es, reason: r, owner: o, expires: 2999-01-01 }",
    ],
  ])("where the exception is %s", async (_name, exception) => {
    const outcome = await outcomeOf(scan(reference("vulnerable"), { exceptions: `[${exception}]` }));
    expect(outcome.verdict).toBe("fail");
  });

  test.each([
    ["no package", "text", "no-packages"],
    ["no package of the operating system", "bareBase", "system-without-packages"],
  ])("an image of which %s is visible", async (_name, image, kind) => {
    const outcome = await outcomeOf(scan(reference(image)));
    expect(outcome.verdict).toBe("fail");
    expect(outcome.result.violations).toMatchObject([
      { rule: "scan.blind-spot", thing: `${reference(image)}: ${kind}` },
    ]);
  });

  test("in audit mode as well: only the step does not fail", async () => {
    const outcome = await outcomeOf(scan(reference("vulnerable"), { raw: { mode: "audit" } }));
    expect(outcome).toMatchObject({ verdict: "fail", enforced: false });
  });
});

describe("a scan that can't be done is an error and not a pass", () => {
  const nowhere = `sha256:${"0".repeat(64)}`;
  const cases: [string, () => Promise<Execution>, string][] = [
    [
      "a base that can't be looked at on its own",
      () => {
        registry.faults = [{ path: "bases/run", action: { kind: "status", status: 403 } }];
        return scan(reference("oldBase"));
      },
      "registry-unauthorized",
    ],
    ["an image that is not there", () => scan(reference(nowhere)), "image-not-found"],
    ["a directory without a database", () => scan(reference("good"), { raw: { database: "." } }), "input-invalid"],
    ["a scanner that there is not", () => scan(reference("good"), { raw: { scanner: "other" } }), "input-invalid"],
    ["no image", () => scan(""), "input-invalid"],
    ["a database cut in half", () => scanWithBrokenDatabase(), "scanner-failed"],
    [
      "a layer that is not what its digest says",
      () => {
        // The layers' downloads, and not the config's, which comes before them.
        registry.faults = [
          { method: "GET", path: "/quarantine/shop/blobs/", after: 2, action: { kind: "corrupt", at: 20 } },
        ];
        return scan(reference("good"));
      },
      "digest-mismatch",
    ],
  ];
  test.each(cases)("%s", async (_name, run, code) => {
    const { outcome, resultFile } = await run();
    expect(outcome.result.error).toMatchObject({ code });
    expect(outcome.verdict).toBe("error");
    expect(outcome.outputs).toEqual({});
    expect(parseStageResult(await readFile(resultFile, "utf8"), resultFile).verdict).toBe("error");
  });

  async function scanWithBrokenDatabase(): Promise<Execution> {
    const broken = await mkdtemp(join(root, "db-"));
    await cp(database, broken, { recursive: true });
    await truncate(join(broken, "6/vulnerability.db"), 70_000);
    return scan(reference("good"), { raw: { database: broken } });
  }
});

describe("a scan passes", () => {
  test("an image with nothing that the policy refuses, and reports the rest", async () => {
    const outcome = await outcomeOf(scan(`${registry.host}/quarantine/shop:good`));
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.subject?.digest).toBe(images["good"]?.digest);
    expect(outcome.result.violations).toEqual([]);
    expect(outcome.result.notes).toEqual([]);
    expect(JSON.parse(outcome.outputs["counts"] ?? "")).toMatchObject({ high: 0, negligible: 1 });
    expect(outcome.result.tools.map(({ name }) => name)).toEqual(["syft", "grype"]);
  });

  test("a finding with an exception, which stays listed", async () => {
    const exceptions =
      "[{ rule: scan.severity, vulnerability: CVE-2021-23337, package: lodash, reason: r, owner: team-shop, expires: 2999-01-01 }]";
    const outcome = await outcomeOf(scan(reference("vulnerable"), { exceptions }));
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.violations).toMatchObject([{ exception: { owner: "team-shop" } }]);
    const sarif = JSON.parse(await readFile(outcome.outputs["sarif"] ?? "", "utf8"));
    expect(sarif.runs[0].results.filter((entry: object) => "suppressions" in entry)).toHaveLength(1);
  });
});

test("the files: an SBOM that names its subject and its layers, the same in SPDX, SARIF in the checkout's files, and cosign's predicate", async () => {
  const outcome = await outcomeOf(scan(reference("vulnerable"), { raw: { spdx: "true" } }));
  const digest = images["vulnerable"]?.digest ?? "";
  const sbomFile = outcome.outputs["sbom"] ?? "";
  expect(basename(sbomFile)).toBe(`scan-${digest.slice(7, 19)}.cdx.json`);
  const sbom = JSON.parse(await readFile(sbomFile, "utf8"));
  expect(sbom.metadata.component).toMatchObject({
    type: "container",
    name: `${registry.host}/quarantine/shop`,
    version: digest,
    purl: `pkg:oci/shop@${encodeURIComponent(digest)}?arch=amd64&os=linux&repository_url=${encodeURIComponent(`${registry.host}/quarantine/shop`)}`,
  });
  const component = sbom.components.find(({ name }: { name: string }) => name === "lodash");
  expect(component.properties).toContainEqual({ name: "syft:location:0:layerID", value: layers.vulnerable.diffId });
  const spdx = JSON.parse(await readFile(outcome.outputs["spdx"] ?? "", "utf8"));
  expect(spdx.creationInfo.creators).toContainEqual(expect.stringMatching(/^Tool: syft-\d/));
  const purls = spdx.packages.flatMap(({ externalRefs }: { externalRefs: object[] }) => externalRefs);
  expect(purls).toContainEqual(expect.objectContaining({ referenceLocator: sbom.metadata.component.purl }));
  expect(purls).toContainEqual(expect.objectContaining({ referenceLocator: component.purl }));
  const sarif = JSON.parse(await readFile(outcome.outputs["sarif"] ?? "", "utf8"));
  const uris = sarif.runs[0].results.map(
    (entry: never) => entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
  );
  expect(new Set(uris)).toEqual(new Set(["package-lock.json", "policy.yaml"]));
  expect(outcome.result.predicateType).toBe("https://cosign.sigstore.dev/attestation/vuln/v1");
  expect(outcome.result.predicate).toMatchObject({
    scanner: {
      uri: `pkg:github/anchore/grype@v${productionTools.find(({ name }) => name === "grype")?.version}`,
      db: { version: "v6.1.10", lastUpdate: "2026-11-01T00:00:00.000Z" },
    },
  });
  expect(JSON.stringify(outcome.result.predicate)).not.toContain(root);
});
