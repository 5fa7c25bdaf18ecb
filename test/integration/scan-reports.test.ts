import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { silentPorts } from "@goldenpath/foundation/ports";
import { parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { describeTarget, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

// Reports of scanners that others run, signed with the real cosign, or given as files, beside the real grype.
const run = promisify(execFile);
const fixtures = join(import.meta.dirname, "../fixtures/reports");
const database = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");
const tools = useTools("syft", "grype", "cosign");

let registry: RegistryServer;
let client: RegistryClient;
let root = "";
let keys: TestKeys;
let base: TestImage;
let baseLayer: TinyLayer;
/** Public keys in PEM: cosign's own, of who signs reports. */
let security = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-reports-"));
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  keys = await makeKeys(root);
  baseLayer = await tinyLayer({
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
    "var/lib/dpkg/status.d/libc6":
      "Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9+deb12u13\nArchitecture: amd64\nMaintainer: D <d@debian.example>\nDescription: C library\n",
  });
  const repository = parseRepository(`${registry.host}/quarantine-bases/golden`);
  base = describeTarget(repository, await pushTinyImage(client, repository, [baseLayer]), []);
  const config = '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}';
  await writeFile(join(root, "signing-config.json"), config);
  await cosign("generate-key-pair");
  security = await readFile(join(root, "cosign.pub"), "utf8");
});
afterAll(async () => {
  await client?.close();
  await registry?.close();
  if (root !== "") await rm(root, { recursive: true, force: true });
});

/** In a home of its own, so that no login and no trust root of this machine has a part in it. */
async function cosign(...args: string[]): Promise<void> {
  const own = { HOME: root, PATH: process.env["PATH"], COSIGN_PASSWORD: "correct horse battery" };
  await run(tools.cosign, args, { cwd: root, env: own });
}

/** With lodash in a version that grype's data has nothing against; other `content` is another image. */
async function push(content: string): Promise<TestImage> {
  const repository = parseRepository(`${registry.host}/quarantine/shop`);
  const layer = await tinyLayer({
    "srv/content": content,
    "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.21" }),
  });
  return describeTarget(repository, await pushTinyImage(client, repository, [baseLayer, layer]), []);
}

type Document = Record<string, unknown>;

/** A form of a vendor's about this image, of now, in the version of lodash that it has. */
async function reportOf(name: string, image: { digest: string }, time = new Date()): Promise<Document> {
  const text = (await readFile(join(fixtures, name), "utf8"))
    .replaceAll(`sha256:${"a".repeat(64)}`, image.digest)
    .replaceAll(`sha256%3A${"a".repeat(64)}`, encodeURIComponent(image.digest))
    .replaceAll(/2026-11-01T0[78]:[0-9:]+(?:Z|\+00:00)/g, time.toISOString())
    .replaceAll("4.17.20", "4.17.21");
  return parseJson(text) as Document;
}

async function attest(image: TestImage, document: Document, type: string): Promise<void> {
  await writeFile(join(root, "report.json"), JSON.stringify(document));
  const signing = ["--key", "cosign.key", "--signing-config", "signing-config.json"];
  await cosign("attest", ...signing, "--type", type, "--predicate", "report.json", "--yes", image.reference);
}

const sarifType = "https://docs.oasis-open.org/sarif/2.1.0";

async function scan(
  image: TestImage,
  reporter: string | undefined,
  files: Record<string, Document | string> = {},
): Promise<Execution> {
  const directory = await mkdtemp(join(root, "run-"));
  const [from, to] = [`${registry.host}/quarantine`, `${registry.host}/vetted`];
  const { file } = await writeChainPolicy({ directory, keys, from, to, signers: renderSigners({ security }) });
  const taken = reporter === undefined ? "" : `  reports: [{ ${reporter} }]\n`;
  const text = (await readFile(file, "utf8"))
    .replace(/digests: \["sha256:[0-9a-f]+"\]/, `digests: ["${base.digest}"]`)
    .replace("failOn: high\n", `failOn: high\n  databaseMaxAge: unlimited\n${taken}`);
  await writeFile(file, text);
  const lines = await Promise.all(
    Object.entries(files).map(async ([name, document], index) => {
      const path = join(directory, `report-${index}.json`);
      await writeFile(path, typeof document === "string" ? document : stringifyJson(document));
      return `${name}=${path}`;
    }),
  );
  return executeVerb(
    scanVerb,
    { policy: file, image: image.reference, database, reports: lines.join("\n") },
    {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: directory,
      temporaryRoot: join(directory, "tmp"),
      defaultResultDirectory: join(directory, "results"),
      env: { ...process.env, PATH: [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter) },
      signal: new AbortController().signal,
    },
  );
}

function tell({ outcome: { verdict, result } }: Execution): string[] {
  const { error, violations } = result;
  return [
    verdict,
    ...(error === undefined ? [] : [error.code]),
    ...violations.map(({ rule, thing, problem }) =>
      rule === "scan.report" ? `${rule}: ${problem}` : `${rule}: ${thing}`,
    ),
  ];
}

const scout = "name: scout, tools: [docker scout], signers: [security], maxAge: 24h, undated: accept";
const trivy = "name: aqua, tools: [trivy], signers: [security], maxAge: 24h";
const snyk = "name: snyk, tools: [Snyk Container], maxAge: 24h, undated: accept, given: by-digest";

describe("a report that the policy's signer has signed about the image", () => {
  test("is demanded, read and judged, with who says it", async () => {
    const image = await push("signed");
    expect(tell(await scan(image, undefined))).toEqual(["pass"]);
    expect(tell(await scan(image, scout))).toEqual(["fail", "scan.report: There is none."]);

    await attest(image, await reportOf("docker-scout.sarif.json", image), sarifType);
    const execution = await scan(image, scout);
    expect(tell(execution)).toEqual([
      "fail",
      "scan.severity: CVE-2023-4911 in glibc 2.36-9+deb12u1",
      "scan.severity: CVE-2021-23337 in lodash 4.17.21",
    ]);
    const { predicate } = execution.outcome.result as unknown as {
      predicate: { scanner: { result: { goldenpath: { reports: object[] } } } };
    };
    expect(predicate.scanner.result.goldenpath.reports).toEqual([
      {
        ...{ reporter: "scout", format: "SARIF", tool: "docker scout 1.18.3", signer: "security", findings: 2 },
        digest: expect.stringMatching(/^sha256:/),
      },
    ]);
  });

  test("in CycloneDX; an old one is overtaken by a newer, and a broken newer one is not", async () => {
    const image = await push("cyclonedx");
    const hoursAgo = (hours: number): Date => new Date(Date.now() - hours * 3_600_000);
    await attest(image, await reportOf("trivy.cdx.json", image, hoursAgo(30)), "cyclonedx");
    expect(tell(await scan(image, trivy))).toEqual([
      "fail",
      expect.stringMatching(/^scan\.report: One that security signed.*policy accepts 1 d/),
    ]);

    const clean = { ...(await reportOf("trivy.cdx.json", image, hoursAgo(2))), vulnerabilities: [] };
    await attest(image, clean, "cyclonedx");
    expect(tell(await scan(image, trivy))).toEqual(["pass"]);

    await attest(image, { ...clean, specVersion: "2.0" }, "cyclonedx");
    expect(tell(await scan(image, trivy))).toEqual([
      "fail",
      expect.stringMatching(/^scan\.report: One that security signed.*1\.4 to 1\.7/),
    ]);
  });

  test("about another image counts for nothing, wherever it is attached", async () => {
    const [image, other] = [await push("moved"), await push("other")];
    await attest(image, await reportOf("trivy.cdx.json", other), "cyclonedx");
    expect(tell(await scan(image, trivy))).toEqual([
      "fail",
      expect.stringContaining(`it says that it is of ${other.digest}`),
    ]);
  });
});

describe("a report that the job gives as a file", () => {
  test("counts only where the policy takes that reporter's files", async () => {
    const image = await push("given");
    const report = await reportOf("snyk.sarif.json", image);
    expect(tell(await scan(image, undefined, { snyk: report }))).toEqual(["error", "input-invalid"]);
    expect(tell(await scan(image, scout, { scout: report }))).toEqual(["error", "input-invalid"]);
    const execution = await scan(image, snyk, { snyk: report });
    expect(tell(execution)).toEqual([
      "fail",
      "scan.severity: CVE-2023-4911 in glibc/libc6 2.36-9+deb12u1",
      "scan.severity: CVE-2021-23337 in lodash 4.17.21",
    ]);
    const { predicate } = execution.outcome.result as unknown as {
      predicate: { scanner: { result: { goldenpath: { reports: object[] } } } };
    };
    expect(predicate.scanner.result.goldenpath.reports).toMatchObject([
      { reporter: "snyk", said: "given in the job that scanned", tool: "Snyk Container 1.1295.0" },
    ]);
  });

  test.each<[string, (report: Document) => Document | string, RegExp]>([
    ["empty", () => "", /it is empty/],
    ["cut off", (report) => stringifyJson(report).slice(0, 500), /ends in the middle/],
    ["of a tool that failed", (report) => failed(report), /says that it failed/],
    [
      "of another image",
      (report) => parseJson(stringifyJson(report).replaceAll(/sha256:\w{60}/g, `sha256:${"0".repeat(60)}`)) as Document,
      /says that it is of sha256:0000/,
    ],
    [
      "of another tool",
      (report) => parseJson(stringifyJson(report).replaceAll("Snyk Container", "Other")) as Document,
      /that calls itself 'Snyk Container'/,
    ],
  ])("one that is %s is no pass", async (_name, change, problem) => {
    const image = await push("given-broken");
    const report = change(await reportOf("snyk.sarif.json", image));
    expect(tell(await scan(image, snyk, { snyk: report }))).toEqual(["fail", expect.stringMatching(problem)]);
  });
});

function failed(report: Document): Document {
  const [first] = report["runs"] as Document[];
  return { ...report, runs: [{ ...first, results: [], invocations: [{ executionSuccessful: false }] }] };
}
