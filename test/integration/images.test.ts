import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { runGate } from "@goldenpath/core/gate/verify";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { ci, commit, type ImageWorld, openImageWorld, provenanceOf } from "../support/image-world.ts";
import { passed, tell } from "../support/path-world.ts";
import { useTools } from "../support/tools.ts";

// The real cosign signs the provenance of the pipeline that was there before.
const tools = useTools("cosign", "syft", "grype");
const run = promisify(execFile);
let world: ImageWorld;
beforeAll(async () => {
  world = await openImageWorld({ syft: tools.syft, grype: tools.grype });
  await writeFile(
    join(world.root, "signing-config.json"),
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}',
  );
});
afterAll(() => world?.close());

/** As a pipeline does: with a key, without a log, as a referrer. */
async function cosignAttest(image: string, predicate: object): Promise<void> {
  const { root, origin } = world;
  const env = { HOME: root, PATH: process.env["PATH"], COSIGN_PASSWORD: "" };
  await writeFile(join(root, "predicate.json"), JSON.stringify(predicate));
  const key = join(root, "import-cosign.key");
  await run(
    tools.cosign,
    ["import-key-pair", "--key", origin.pipeline.file, "--output-key-prefix", "import-cosign", "-y"],
    {
      cwd: root,
      env,
    },
  );
  const args = ["attest", "--key", key, "--type", "slsaprovenance1", "--predicate", "predicate.json"];
  await run(tools.cosign, [...args, "--signing-config", "signing-config.json", "-y", "--allow-http-registry", image], {
    cwd: root,
    env,
  });
}

test("an image of another pipeline goes the whole way by the provenance that cosign signed there", async () => {
  const { server, client, policy, build } = world;
  const builds = { registry: server.host, name: "builds/shop" };
  const { digest } = await world.pushUpstream(builds, "1");
  const image = `${formatRepository(builds)}@${digest}`;
  const inputs = { image, tags: `${server.host}/quarantine/shop:1`, strategy: "auto" };
  const before = await build(policy, inputs);
  expect(tell(before)).toEqual({ verdict: "fail", rules: ["build.image"] });
  expect(before.result.violations[0]?.problem).toContain(
    `nothing is signed about ${digest} that says where it comes from`,
  );
  expect((await server.snapshot())["quarantine/shop"]).toBeUndefined();

  await cosignAttest(image, provenanceOf());
  const outcome = await build(policy, inputs);
  expect(tell(outcome), outcome.log.join("\n")).toEqual(passed);
  const taken = `${server.host}/quarantine/shop@${digest}`;
  expect(outcome.outputs).toEqual({ ...outcome.outputs, image: taken, digest, strategy: "image", sbom: "" });
  expect(await client.resolve(parseReference(`${server.host}/quarantine/shop:1`))).toBe(digest);
  await world.takeTheRest(policy, taken);
  expect(await world.provenanceOf(policy, taken, "build")).toMatchObject({
    buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/image/v1",
    externalParameters: { source: { repository: "https://github.com/acme/shop", ref: "refs/heads/main" } },
    internalParameters: { builders: ["old"], buildEnvironment: "elsewhere" },
    resolvedDependencies: [{ digest: { gitCommit: commit } }, { name: "run-image" }, { name: "provenance" }],
  });
  // The pipeline's own statement went along, and cosign takes it from vetted as well.
  await writeFile(join(world.root, "pipeline.pub"), parsePolicyKey());
  const args = ["verify-attestation", "--key", "pipeline.pub", "--insecure-ignore-tlog", "--type", "slsaprovenance1"];
  const { stdout } = await run(
    tools.cosign,
    [...args, "--allow-http-registry", `${server.host}/vetted/shop@${digest}`],
    {
      cwd: world.root,
      env: { HOME: world.root, PATH: process.env["PATH"] },
    },
  );
  expect(Buffer.from(JSON.parse(stdout).payload, "base64").toString()).toContain(ci.id);
});

function parsePolicyKey(): string {
  const signer = parsePolicy(Buffer.from(world.policy.text), "policy.yaml").signers["pipeline"];
  return signer !== undefined && "publicKey" in signer ? signer.publicKey : "";
}

const imports = (image: string, ...more: string[]) =>
  runMain(
    ...["import", image, "--policy", world.policy.file, "--key", world.origin.importer.file],
    ...["--reason", "sessions", "--owner", "team-shop", ...more],
  );
const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

test("a vendor's image is imported, judged, promoted, and over after its last day", async () => {
  const { server, client, vendor, policy } = world;
  const { digest } = await world.pushUpstream(vendor, "7.4");
  const to = `${server.host}/quarantine/redis`;
  const until = inDays(30);
  const imported = await imports(`${formatRepository(vendor)}:7.4`, "--to", `${to}:7.4`, "--until", until);
  expect(imported).toEqual({ code: 0, out: `${to}@${digest}: imported, until ${until}\n`, err: "" });
  const image = `${to}@${digest}`;
  await world.takeTheRest(policy, image, "image", "redis");
  expect(await world.provenanceOf(policy, image, "build")).toMatchObject({
    externalParameters: { source: { repository: `oci://${formatRepository(vendor)}` } },
    internalParameters: { builders: ["vendors"], buildEnvironment: "elsewhere" },
  });

  const loaded = {
    uri: policy.file,
    digest: policy.digest as `sha256:${string}`,
    policy: parsePolicy(Buffer.from(policy.text), ""),
  };
  const gateOn = async (day: string) => {
    const now = new Date(`${day}T23:59:59Z`);
    const { violations } = await runGate(client, parseReference(image), "production", loaded, now);
    return new Set(violations.map(({ rule }) => rule));
  };
  expect(await gateOn(until)).toEqual(new Set(["gate.stale"]));
  expect(await gateOn(inDays(31))).toEqual(new Set(["gate.stale", "gate.import"]));
});

test("an index is imported with each image that it names, and one statement is about all of them", async () => {
  const { server, client, vendor, policy } = world;
  const { index, children } = await world.pushUpstreamIndex(vendor);
  const to = `${server.host}/quarantine/redis-index`;
  const imported = await imports(
    `${formatRepository(vendor)}@${index.digest}`,
    "--to",
    `${to}:1`,
    "--until",
    inDays(1),
  );
  expect(imported).toMatchObject({ code: 0, err: "" });
  const { signers } = parsePolicy(Buffer.from(policy.text), "policy.yaml");
  for (const { digest } of [index, ...children]) {
    const { statements } = await collectEvidence(client, parseReference(to), digest, signers, { now: new Date() });
    expect(statements).toMatchObject([{ signers: ["importer"], statement: { predicateType: predicateTypes.import } }]);
  }
  expect(tell(await world.attest(policy, `${to}@${index.digest}`))).toEqual(passed);
  // Only what the other stages would have said is missing.
  expect(new Set(tell(await world.verify(policy, `${to}@${index.digest}`)).rules)).toEqual(new Set(["gate.missing"]));
});

test("what is newer upstream is proposed, and what was imported is not", async () => {
  const { server, vendor, policy } = world;
  const to = `${server.host}/quarantine/proposed`;
  const { digest } = await world.pushUpstream(vendor, "1.2-slim");
  await world.pushUpstream(vendor, "1.10");
  await imports(`${formatRepository(vendor)}:1.2-slim`, "--to", `${to}:1.2-slim`, "--until", inDays(90));
  const propose = (...more: string[]) => runMain("import", "--propose", to, "--policy", policy.file, ...more);
  expect(await propose()).toEqual({ code: 0, out: "nothing newer than what was imported\n", err: "" });
  const newer = await world.pushUpstream(vendor, "1.10-slim");
  const moved = await world.pushUpstream(vendor, "1.2-slim");
  const { out } = await propose("--json");
  expect(JSON.parse(out)).toMatchObject([
    { why: "moved", tag: "1.2-slim", from: { tag: "1.2-slim", digest }, digest: moved.digest },
    { why: "newer", tag: "1.10-slim", from: { tag: "1.2-slim" } },
  ]);
  const again = await imports(
    `${formatRepository(vendor)}:1.10-slim`,
    "--to",
    `${to}:1.10-slim`,
    "--until",
    inDays(90),
  );
  expect(again.out).toContain(newer.digest);
  expect((await propose()).out).toBe(
    `moved  oci://${formatRepository(vendor)}:1.2-slim: 1.2-slim was ${digest} when it was imported, and is ${moved.digest} now\n`,
  );
});
