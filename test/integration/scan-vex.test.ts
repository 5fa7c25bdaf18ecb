import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { silentPorts } from "@goldenpath/foundation/ports";
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

const run = promisify(execFile);
const database = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");
const tools = useTools("syft", "grype", "cosign");

let registry: RegistryServer;
let client: RegistryClient;
let root = "";
let keys: TestKeys;
let env: Record<string, string | undefined> = {};
let base: TestImage;
let baseLayer: TinyLayer;
/** Public keys in PEM: cosign's own, of who writes VEX. */
let security = "";

const lodash = "pkg:npm/lodash@4.17.20";
const found = "GHSA-35jh-r3h4-6jhm";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-vex-"));
  env = { ...process.env, PATH: [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter) };
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  keys = await makeKeys(root);
  baseLayer = await tinyLayer({
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
    "var/lib/dpkg/status.d/libc6":
      "Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9+deb12u1\nArchitecture: amd64\nMaintainer: D <d@debian.example>\nDescription: C library\n",
  });
  const repository = parseRepository(`${registry.host}/quarantine-bases/golden`);
  base = describeTarget(repository, await pushTinyImage(client, repository, [baseLayer]), []);
  await writeFile(
    join(root, "signing-config.json"),
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}',
  );
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

/** On the base, with lodash; other `content` is another image. */
async function push(content: string): Promise<TestImage> {
  const repository = parseRepository(`${registry.host}/quarantine/shop`);
  const layer = await tinyLayer({
    "srv/content": content,
    "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.20" }),
  });
  return describeTarget(repository, await pushTinyImage(client, repository, [baseLayer, layer]), []);
}

function openVex(vulnerability: string, product: string, statement: object = {}): object {
  return {
    "@context": "https://openvex.dev/ns/v0.2.0",
    ...{ "@id": "https://acme.example/vex/1", author: "security", timestamp: "2026-05-01T00:00:00Z", version: 1 },
    statements: [
      {
        vulnerability: { name: vulnerability },
        products: [{ "@id": product }],
        status: "not_affected",
        justification: "vulnerable_code_not_in_execute_path",
        ...statement,
      },
    ],
  };
}

/** As a security team does it: with cosign, and its own key. */
async function attest(image: TestImage, document: object, type = "openvex"): Promise<void> {
  await writeFile(join(root, "vex.json"), JSON.stringify(document));
  const signing = ["--key", "cosign.key", "--signing-config", "signing-config.json"];
  await cosign("attest", ...signing, "--type", type, "--predicate", "vex.json", "--yes", image.reference);
}

async function scan(image: TestImage, vex: string | undefined = "signers: [security]"): Promise<Execution> {
  const directory = await mkdtemp(join(root, "run-"));
  const [from, to] = [`${registry.host}/quarantine`, `${registry.host}/vetted`];
  const signers = renderSigners({ security });
  const { file } = await writeChainPolicy({ directory, keys, from, to, signers });
  const taken = vex === "" ? "" : `  vex: { ${vex} }\n`;
  const text = (await readFile(file, "utf8"))
    .replace(/digests: \["sha256:[0-9a-f]+"\]/, `digests: ["${base.digest}"]`)
    .replace("failOn: high\n", `failOn: high\n  databaseMaxAge: unlimited\n${taken}`);
  await writeFile(file, text);
  return executeVerb(
    scanVerb,
    { policy: file, image: image.reference, database },
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

/** The rules and what broke them, by their first word. */
async function violationsOf(image: TestImage, vex?: string): Promise<string[]> {
  const { outcome, error } = await scan(image, vex);
  if (error !== undefined) throw error;
  return outcome.result.violations.map(({ rule, thing }) => `${rule} ${thing.split(" ")[0]}`).toSorted();
}

const libcRefused = "scan.severity CVE-2023-4911";
const lodashRefused = `scan.severity ${found}`;

describe("VEX that counts for nothing", () => {
  test("by somebody whom the policy does not name", async () => {
    const image = await push("by the wrong hand");
    const statement = buildStatement(
      buildSubjects(image.repository, [image.digest]),
      "https://openvex.dev/ns",
      openVex(found, lodash) as Record<string, unknown>,
    );
    // The build's own key is in the policy, and speaks for builds.
    await attachStatement(client, image, statement, keys.build.signer, new Date());
    expect(await violationsOf(image)).toEqual([libcRefused, lodashRefused]);
  });

  test("under a policy that takes nobody's", async () => {
    const image = await push("not taken");
    await attest(image, openVex(found, lodash));
    expect(await violationsOf(image, "")).toEqual([libcRefused, lodashRefused]);
  });

  test("of another version: it is refused itself, with the nearest thing", async () => {
    const image = await push("another version");
    await attest(image, openVex(found, "pkg:npm/lodash@4.17.19"));
    const { outcome } = await scan(image);
    expect(outcome.result.violations.map(({ rule }) => rule).toSorted()).toEqual([
      "scan.severity",
      "scan.severity",
      "scan.vex",
    ]);
    const told = outcome.result.violations.find(({ rule }) => rule === "scan.vex");
    expect(told?.problem).toContain(`${found} was found in pkg:npm/lodash@4.17.20`);
    const noted = await scan(image, "signers: [security], unmatched: tell");
    expect(noted.outcome.result.violations.map(({ rule }) => rule)).not.toContain("scan.vex");
    expect(noted.outcome.result.notes.join("\n")).toContain("VEX of security");
  });

  test("without a reason: it is refused itself", async () => {
    const image = await push("no reason");
    await attest(image, openVex(found, lodash, { justification: undefined }));
    expect(await violationsOf(image)).toContain("scan.vex a");
  });
});

describe("VEX that counts", () => {
  test("closes a finding of the image, and says by whose word and why", async () => {
    const image = await push("not affected");
    await attest(image, openVex("CVE-2021-23337", lodash));
    const { outcome } = await scan(image);
    expect(outcome.result.violations.map(({ thing }) => thing.split(" ")[0])).toEqual(["CVE-2023-4911"]);
    expect(outcome.result.notes).toContain(
      `by VEX of security, lodash 4.17.20 is not affected by ${found} (vulnerable_code_not_in_execute_path)`,
    );
    // It is reported all the same.
    expect(JSON.parse(outcome.outputs["counts"] ?? "")).toMatchObject({ high: 2 });
    const told = (outcome.result.predicate as never)["scanner"]["result"]["goldenpath"]["findings"] as object[];
    expect(told.filter((each) => "vex" in each)).toMatchObject([{ id: found, vex: { by: "security" } }]);
  });

  test("closes what comes with the base, for every image on it, where the base's maintainers say so", async () => {
    await attest(base, openVex("CVE-2023-4911", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1"));
    expect(await violationsOf(await push("on a base with VEX"))).toEqual([lodashRefused]);
    const both = await push("both");
    await attest(
      both,
      {
        ...{ bomFormat: "CycloneDX", specVersion: "1.6", metadata: { timestamp: "2026-05-01T00:00:00Z" } },
        vulnerabilities: [
          {
            id: found,
            analysis: { state: "not_affected", justification: "code_not_reachable" },
            affects: [{ ref: lodash }],
          },
        ],
      },
      "cyclonedx",
    );
    expect(await violationsOf(both)).toEqual([]);
  });
});
