import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
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
import { putInForce } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { folder } from "../support/folder-strategy.ts";
import { debianRelease, dpkgStanza, exampleDatabase, libcVersions } from "../support/scan-world.ts";
import { useTools } from "../support/tools.ts";

// The tables with a line more in each: all that anything learns of the guest. What is imported above is loaded with
// these.
const loadGuest = vi.hoisted(() => () => import("../support/folder-strategy.ts"));
vi.mock("@goldenpath/core/build/strategies/strategies", async (original) => {
  const { strategies } = await original<typeof import("@goldenpath/core/build/strategies/strategies")>();
  return { strategies: [...strategies, (await loadGuest()).folder] };
});
vi.mock("@goldenpath/core/build/strategies/runners", async (original) => {
  const { runners } = await original<typeof import("@goldenpath/core/build/strategies/runners")>();
  return { runners: { ...runners, folder: (await loadGuest()).folderRunner } };
});

const tools = useTools("syft", "grype");
let root: string;
let server: RegistryServer;
let client: RegistryClient;
let keys: TestKeys;
let base: TinyLayer;
let baseDigest: string;
let counter = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-strategy-"));
  keys = await makeKeys(root);
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  base = await tinyLayer({
    "etc/os-release": debianRelease,
    "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
  });
  baseDigest = (await pushTinyImage(client, { registry: server.host, name: "bases/golden" }, [base])).digest;
  await mkdir(join(root, "site"));
  await writeFile(join(root, "site/index.html"), "<h1>hello</h1>\n");
});
afterAll(async () => {
  await client?.close();
  await server?.close();
  if (root !== undefined) await rm(root, { recursive: true, force: true });
});

const site = "    - { kind: folder, name: site, into: /srv/www, runImage: golden }\n";

/** A policy that allows these strategies, with a builder for each. */
async function writePolicy({ strategies = "folder", builders = site, serial = 7, accepts = "[]" } = {}) {
  const signers = Object.fromEntries(
    (["build", "base", "scan", "promote"] as const).map((name) => [name, keys[name].publicKey]),
  );
  const text = `version: 1
name: acme
serial: ${serial}
accepts: ${accepts}
signers:
${renderSigners(signers)}bases:
  - { name: golden, image: ${server.host}/bases/golden, digests: ["${baseDigest}"] }
build:
  strategies: [${strategies}]
  isolation: [host]
  sources: ["https://github.com/acme/*"]
  builders:
    - { name: node, buildpacks: ["${server.host}/buildpacks/node@${digestOf("buildpack")}"], runImage: golden }
${builders}scan: { failOn: high, databaseMaxAge: unlimited }
environments:
  production:
    from: ["${server.host}/quarantine"]
    to: ["${server.host}/vetted"]
    promoter: promote
    requires:
      - { stage: build, signers: [build], maxAge: 1d }
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
`;
  const file = join(root, `policy-${++counter}.yaml`);
  await writeFile(file, text);
  return { file, text, digest: digestOf(text) };
}

async function run(
  verb: unknown,
  policy: { file: string },
  inputs: Record<string, string>,
): Promise<VerbOutcome & { file: string }> {
  const path = [...Object.values(tools).map((tool) => dirname(tool)), process.env["PATH"]].join(delimiter);
  const { outcome, resultFile } = await executeVerb(
    verb as Verb,
    { policy: policy.file, ...inputs },
    {
      ports: silentPorts(),
      run: {
        builderId: "local",
        sourceRepository: "https://github.com/acme/site",
        sourceCommit: "c".repeat(40),
        sourceRef: "refs/heads/main",
      },
      workingDirectory: root,
      temporaryRoot: join(root, "tmp"),
      defaultResultDirectory: join(root, `results-${++counter}`),
      env: { ...process.env, PATH: path, HOME: root },
      signal: new AbortController().signal,
    },
  );
  return { ...outcome, file: resultFile };
}

const tell = ({ verdict, result }: VerbOutcome) => ({
  verdict,
  rules: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.code }),
});
const passed = { verdict: "pass", rules: [] };

const build = (policy: { file: string }, inputs: Record<string, string> = {}) =>
  run(buildVerb, policy, { context: "site", tags: `${server.host}/quarantine/site-${++counter}:1`, ...inputs });
const attest = (policy: { file: string }, image: string, inputs: Record<string, string> = {}) =>
  run(attestVerb, policy, { image, key: keys.build.file, ...inputs });

/** Builds a site and returns its image. */
async function buildSite(policy: { file: string }): Promise<string> {
  const outcome = await build(policy);
  expect(tell(outcome)).toEqual(passed);
  return outcome.outputs["image"] ?? "";
}

/** The evidence of the stages after the build. */
async function judge(policy: { file: string }, image: string): Promise<void> {
  for (const [stage, verb, inputs] of [
    ["base", enforceVerb, {}],
    ["scan", scanVerb, { database: exampleDatabase }],
  ] as const) {
    const outcome = await run(verb, policy, { image, ...inputs });
    expect(tell(outcome), stage).toEqual(passed);
    expect(tell(await run(signVerb, policy, { image, results: outcome.file, key: keys[stage].file }))).toEqual(passed);
  }
}

const verify = (policy: { file: string }, image: string) =>
  run(verifyVerb, policy, { image, environment: "production" });

async function provenanceOf(policy: { text: string }, image: string): Promise<Record<string, unknown>> {
  const { registry, name, digest } = parseReference(image);
  if (digest === undefined) throw new TypeError("an image by its digest");
  const { signers } = parsePolicy(Buffer.from(policy.text), "policy.yaml");
  const { statements } = await collectEvidence(client, { registry, name }, digest, signers, { now: new Date() });
  const found = statements.filter(({ statement }) => statement.predicateType === predicateTypes.provenance);
  expect(found).toHaveLength(1);
  return found[0]?.statement.predicate["buildDefinition"] as Record<string, unknown>;
}

describe("where the policy does not allow the strategy", () => {
  test("nothing is built by it", async () => {
    const policy = await writePolicy({ strategies: "buildpacks" });
    const before = server.requests.length;
    expect(tell(await build(policy, { strategy: "folder" }))).toEqual({ verdict: "fail", rules: ["build.strategy"] });
    expect(server.requests.length).toBe(before);
  });

  test("nothing that it built is attested as what it is", async () => {
    const image = await buildSite(await writePolicy());
    const policy = await writePolicy({ strategies: "buildpacks" });
    expect(tell(await attest(policy, image, { strategy: "folder" }))).toEqual({
      verdict: "fail",
      rules: ["build.strategy"],
    });
  });

  test("the gate refuses what was attested when it was allowed, beside the twin that still is", async () => {
    const allowing = await writePolicy();
    const image = await buildSite(allowing);
    expect(tell(await attest(allowing, image))).toEqual(passed);
    await judge(allowing, image);
    const accepts = `[{ serial: 7, digest: "${allowing.digest}" }]`;
    const later = await writePolicy({ serial: 8, accepts });
    expect(tell(await verify(later, image))).toEqual(passed);
    const refusing = await writePolicy({ serial: 8, accepts, strategies: "buildpacks" });
    const outcome = await verify(refusing, image);
    expect(tell(outcome)).toEqual({ verdict: "fail", rules: ["gate.builder"] });
    expect(outcome.result.violations[0]?.problem).toBe(
      "the image was built by strategy 'folder', and the policy allows buildpacks",
    );
  });
});

describe("a policy", () => {
  test.each([
    [
      "of a strategy without a builder of its kind",
      { builders: "" },
      "build.strategies[0]: 'folder' has no builder of its kind",
    ],
    [
      "with a key of another kind",
      { builders: site.replace("into: /srv/www", 'buildpacks: ["a.example/b@sha256:1"]') },
      "build.builders[1].buildpacks: unknown key (known here: kind, name, into, runImage)",
    ],
    [
      "with a typo in a builder's key",
      { builders: site.replace("into", "int") },
      "build.builders[1].int: unknown key; did you mean `into`?",
    ],
    [
      "with a kind that there is not",
      { builders: site.replace("kind: folder", "kind: folders") },
      "folder, found 'folders'; did you mean `folder`?",
    ],
  ])("%s is refused", async (_what, parts, message) => {
    const outcome = await build(await writePolicy(parts));
    expect(tell(outcome)).toEqual({ verdict: "error", rules: [], error: "policy-invalid" });
    expect(outcome.result.error?.message).toContain(message);
  });

  test("names the builders of the strategy that is taken, and no other's", async () => {
    const outcome = await build(await writePolicy({ strategies: "folder, buildpacks" }), {
      strategy: "folder",
      builder: "node",
    });
    expect(outcome.result.error).toMatchObject({ code: "builder-unknown" });
    expect(outcome.result.error?.message).toBe("input 'builder' is 'node': policy 'acme' has the builders site");
  });
});

describe("by which strategy an image was built", () => {
  const both = { strategies: "buildpacks, folder" };

  test("is not guessed where the policy allows several and the image bears no mark; who knows says it, and what is proven then decides", async () => {
    const policy = await writePolicy(both);
    const layer = await tinyLayer({ "srv/www/index.html": "by hand" });
    const name = `quarantine/by-hand-${counter}`;
    const image = `${server.host}/${name}@${(await pushTinyImage(client, { registry: server.host, name }, [base, layer])).digest}`;
    expect(tell(await attest(policy, image))).toEqual({ verdict: "error", rules: [], error: "strategy-unknown" });
    expect(tell(await attest(policy, image, { strategy: "folder" }))).toEqual(passed);
    expect(await provenanceOf(policy, image)).toMatchObject({
      buildType: folder.buildType,
      internalParameters: { builders: [] },
    });
    await judge(policy, image);
    const outcome = await verify(policy, image);
    expect(tell(outcome)).toEqual({ verdict: "fail", rules: ["gate.builder"] });
    expect(outcome.result.violations[0]?.problem).toBe("the provenance names no builder of the policy");
  });

  test("is the image's own word where nobody else says it, and the provenance says whose it is", async () => {
    const policy = await writePolicy(both);
    const image = await buildSite(policy);
    expect(tell(await attest(policy, image))).toEqual(passed);
    expect(await provenanceOf(policy, image)).toMatchObject({
      buildType: folder.buildType,
      internalParameters: { builders: ["site"], buildSays: { strategy: "folder" } },
    });
  });

  test("is not the caller's to say against the image's mark: beside it, what the mark says is taken as said", async () => {
    const policy = await writePolicy(both);
    const image = await buildSite(policy);
    const refused = await attest(policy, image, { strategy: "buildpacks" });
    expect(tell(refused)).toEqual({ verdict: "error", rules: [], error: "strategy-unknown" });
    expect(refused.result.error?.message).toContain("the image bears the mark of folder");
    expect(tell(await attest(policy, image, { strategy: "folder" }))).toEqual(passed);
    expect(await provenanceOf(policy, image)).toMatchObject({ buildType: folder.buildType });
  });

  test("is nobody's word but the policy's where it allows one", async () => {
    const policy = await writePolicy();
    const image = await buildSite(policy);
    expect(tell(await attest(policy, image))).toEqual(passed);
    const { internalParameters } = await provenanceOf(policy, image);
    expect(internalParameters).toMatchObject({ builders: ["site"] });
    expect(internalParameters).not.toHaveProperty("buildSays");
  });
});

test("the guest goes the whole way: built, attested, judged by base and scan, verified and promoted", async () => {
  const policy = await writePolicy({ strategies: "buildpacks, folder" });
  const outcome = await build(policy, { tags: `${server.host}/quarantine/shop:1` });
  expect(tell(outcome)).toEqual(passed);
  expect(outcome.outputs).toMatchObject({ strategy: "folder", sbom: "" });
  expect(outcome.result.notes).toEqual(["the files are in /srv/www", "a folder has no SBOM"]);
  expect(outcome.summary).toContain("folder: there is index.html (a site), and the policy allows buildpacks, folder");
  const image = outcome.outputs["image"] ?? "";

  const promote = () =>
    run(promoteVerb, policy, {
      image,
      to: `${server.host}/vetted/shop`,
      tags: "1.0.0",
      environment: "production",
      key: keys.promote.file,
      "policy-signer": keys.platform.publicKeyFile,
    });
  await putInForce(
    client,
    `${server.host}/vetted`,
    { ...policy, uri: policy.file, policy: parsePolicy(Buffer.from(policy.text), policy.file) },
    { keys },
  );
  expect(tell(await attest(policy, image))).toEqual(passed);
  expect(tell(await verify(policy, image))).toEqual({ verdict: "fail", rules: ["gate.missing", "gate.missing"] });
  expect((await promote()).verdict).toBe("fail");
  await judge(policy, image);
  expect(tell(await verify(policy, image))).toEqual(passed);
  const promotion = await promote();
  expect(tell(promotion)).toEqual(passed);
  expect(tell(await verify(policy, promotion.outputs["image"] ?? ""))).toEqual(passed);
  expect((await client.resolve(parseReference(`${server.host}/vetted/shop:1.0.0`))) as string).toBe(
    parseReference(image).digest,
  );
});
