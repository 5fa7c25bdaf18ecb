import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findOrigin } from "@goldenpath/core/origin/judge-origin";
import { gatherSigned } from "@goldenpath/core/signing/gather-signed";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BuildKit, startBuildKit } from "../support/buildkit.ts";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { loadText } from "../support/gate-answers.ts";
import { builderCommit, builderRun, builderWorkflow, buildKitType, signManifest } from "../support/signed-manifests.ts";
import { useTools } from "../support/tools.ts";

// What BuildKit itself writes where docker/github-builder starts it: of a Git context, in both ways to name one, with
// `oci-artifact=true`, pushed under two names by digest. The repository is one of this machine, which BuildKit's git is
// led to by its own configuration: it is called as it would be on github.com. Needs root.
const tools = useTools("buildkitd", "buildctl", "cosign");
let root: string;
let commit: string;
let registry: RegistryServer;
let client: RegistryClient;
let buildkit: BuildKit;
let sigstore: ConstructedSigstore;
let counter = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-builder-"));
  commit = await makeRepository();
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  sigstore = await constructSigstore();
  buildkit = await startBuildKit(tools, registry.host, join(root, "bin"));
});
afterAll(async () => {
  await buildkit?.stop();
  await client?.close();
  await registry?.close();
  await rm(root, { recursive: true, force: true });
});

/** acme/shop with one commit, and a `git` that finds it for https://github.com/. */
async function makeRepository(): Promise<string> {
  const at = (name: string): string => join(root, name);
  await Promise.all(["bin", "source", "repositories/acme"].map((name) => mkdir(at(name), { recursive: true })));
  await writeFile(at("source/Dockerfile"), "FROM scratch\nCOPY app /app\n");
  await writeFile(at("source/app"), "shop\n");
  const git = (...args: string[]): string =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@acme.example", ...args], { encoding: "utf8" });
  const source = ["-C", at("source")];
  git("init", "-q", "-b", "main", at("source"));
  git(...source, "add", "-A");
  git(...source, "commit", "-qm", "shop");
  const bare = at("repositories/acme/shop.git");
  git("clone", "-q", "--bare", at("source"), bare);
  git("-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true");
  const real = execFileSync("which", ["git"], { encoding: "utf8" }).trim();
  const options = `-c protocol.file.allow=always -c url.file://${at("repositories")}/.insteadOf=https://github.com/`;
  await writeFile(at("bin/git"), `#!/bin/sh\nexec ${real} ${options} "$@"\n`);
  await chmod(at("bin/git"), 0o755);
  return git(...source, "rev-parse", "HEAD").trim();
}

interface Built {
  repository: Repository;
  index: Descriptor["digest"];
  attestation: Descriptor;
}

async function build(context: string | undefined): Promise<Built> {
  const name = `shop-${++counter}`;
  const repository = { registry: registry.host, name };
  const names = `${registry.host}/${name},${registry.host}/${name}-copy`;
  const provenance = "mode=max,version=v1,builder-id=https://github.com/acme/shop/actions/runs/5/attempts/1";
  const index = await buildkit.buildAttested(names, {
    provenance,
    ...(context === undefined ? { files: { Dockerfile: "FROM scratch\nCOPY app /app\n", app: "x" } } : { context }),
  });
  const image = await fetchImageFacts(client, { ...repository, digest: index });
  const [attestation] = image.attestations ?? [];
  if (attestation === undefined) throw new TypeError("BuildKit attested nothing");
  const { mediaType, digest, bytes } = await client.fetchManifest({ ...repository, digest: attestation.digest });
  return { repository, index, attestation: { mediaType, digest, size: bytes.byteLength } };
}

async function judge({ repository, index }: Pick<Built, "repository" | "index">, proof = "log") {
  const { policy } = loadText(`version: 1
name: acme
serial: 1
sigstore:
  own: { trustedRoot: '${sigstore.trustedRoot}', proof: ${proof} }
signers:
  docker:
    kind: keyless-manifest
    sigstore: own
    workflow: ${builderWorkflow}
    at: ["${builderCommit}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
`);
  const image = await fetchImageFacts(client, { ...repository, digest: index });
  const view = await gatherSigned(client, image, { policy }, new Date());
  const builders = [`${builderWorkflow}@refs/tags/v1`];
  const found = findOrigin(view, [
    { name: "docker", provenance: { signers: ["docker"], builders, buildTypes: [buildKitType] } },
  ]);
  return "objections" in found ? found.objections.map(({ problem }) => problem).join("; ") : found;
}
const run = () => ({ as: { ...builderRun, sourceDigest: commit } });
const shop = "https://github.com/acme/shop";

describe("what BuildKit says of a build, in a manifest that a workflow has signed", () => {
  test.each([
    ["by its commit", () => `${shop}.git#${commit}`],
    ["by its branch, held to its commit", () => `${shop}.git?ref=refs/heads/main&checksum=${commit}`],
  ])("of a repository %s says where the image is from, and nothing before it is signed", async (_what, context) => {
    const built = await build(context());
    expect(await judge(built)).toContain("nothing is signed about");
    expect(await judge(built)).toContain("nobody has signed the manifest that it lies in");
    await signManifest(client, built.repository, built.attestation, sigstore, run());
    expect(await judge(built)).toMatchObject({
      source: { repository: shop, version: commit, ref: "refs/heads/main", event: "push" },
      builders: ["docker"],
    });
  });

  test("counts for nothing by a run of another commit; by that of its own it does", async () => {
    const built = await build(`${shop}.git#${commit}`);
    await signManifest(client, built.repository, built.attestation, sigstore);
    expect(await judge(built)).toContain(`its commit is ${commit}, and by its certificate ${builderRun.sourceDigest}`);
    await signManifest(client, built.repository, built.attestation, sigstore, run());
    expect(await judge(built)).toMatchObject({ source: { version: commit } });
  });

  test("of files of its machine counts for nothing, signed as the other is", async () => {
    const built = await build(undefined);
    await signManifest(client, built.repository, built.attestation, sigstore, run());
    expect(await judge(built)).toContain("the build did not begin with a commit");
  });

  test("of a private repository, in no log, is what cosign verifies by the command that the builder prints, and is not where another manifest is signed", async () => {
    const [signed, other] = [await build(`${shop}.git#${commit}`), await build(`${shop}.git#${commit}`)];
    await signManifest(client, signed.repository, signed.attestation, sigstore, { ...run(), entry: "none" });
    await signManifest(client, other.repository, other.attestation, sigstore, {
      ...{ ...run(), about: signed.attestation, entry: "none" },
    });
    const trustedRoot = join(root, "trusted-root.json");
    await writeFile(trustedRoot, sigstore.trustedRoot);
    const verify = ({ repository, attestation }: Built) => {
      const image = `${formatRepository(repository)}@${attestation.digest}`;
      const identity = `^${builderWorkflow.replaceAll(".", "\\.")}.*$`;
      const whose = ["--certificate-oidc-issuer", builderRun.issuer, "--certificate-identity-regexp", identity];
      const args = [
        "verify",
        "--trusted-root",
        trustedRoot,
        "--use-signed-timestamps",
        "--insecure-ignore-tlog",
        ...whose,
      ];
      const env = { HOME: root, PATH: process.env["PATH"] };
      return runProcess(tools.cosign, [...args, "--allow-http-registry", image], { env, timeoutMs: 60_000 });
    };
    // It is one more manifest only where BuildKit wrote another one: its times differ.
    expect(other.attestation.digest).not.toBe(signed.attestation.digest);
    expect(await verify(other)).toMatchObject({ exitCode: expect.any(Number), stdout: "" });
    expect((await verify(other)).exitCode).not.toBe(0);
    expect(await verify(signed)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("were validated") });
    expect(await judge(other, "timestamp")).toContain("is of another manifest");
    expect(await judge(signed, "timestamp")).toMatchObject({ source: { version: commit } });
  });
});
