import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ActRun } from "../support/act.ts";
import { goldenpathCommitOnGitHub } from "../support/e2e-workflows.ts";
import { openWorld, readCaller, type World } from "../support/e2e-world.ts";
import { type RealSigstore, sigstoreTools, startSigstore } from "../support/real-sigstore.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import { projectRoot } from "../support/workflows.ts";

// The whole path without a key: github.com's workflows, each of which signs as itself by certificates of the field's
// own services. What stands in is act, for GitHub's runners, and the issuer of tokens.

const tools = useTools("act", ...sigstoreTools, "lifecycle", "launcher", "syft", "grype");
let sigstore: RealSigstore;
let world: World;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  sigstore = await startSigstore(tools);
  const git = await requireCommand("git", suite);
  world = await openWorld({ act: tools.act, cosign: tools.cosign, git }, { sigstore });
});
afterAll(async () => {
  await world?.close();
  await sigstore?.close();
});

const application = join(projectRoot, "examples/apps/web");
const workflowOf = (stage: string): string =>
  `https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-${stage}.yml@${goldenpathCommitOnGitHub}`;
const resultOf = (run: ActRun, job: string): string | undefined =>
  Object.entries(run.jobs).find(([name]) => name.split("/").at(-1) === job)?.[1];

/** Whom the certificates beside a promoted image are for, by the type of statement that was signed. */
async function readSigners(name: string, digest: string): Promise<Record<string, string[]>> {
  const repository = parseRepository(`${world.vetted.host}/vetted/${name}`);
  const signers: Record<string, string[]> = {};
  for (const referrer of await world.client.listReferrers(repository, parseDigest(digest))) {
    const found = await world.client.fetchManifest({ ...repository, digest: referrer.digest });
    if (found.kind === "index") throw new TypeError("a referrer is no index");
    const [layer] = found.manifest.layers;
    if (layer === undefined) throw new TypeError("a referrer has a layer");
    const bundle = JSON.parse(Buffer.from(await world.client.fetchBlob(repository, layer, 20_000_000)).toString()) as {
      verificationMaterial: { certificate?: { rawBytes: string } };
      dsseEnvelope: { payload: string };
    };
    const { predicateType } = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString()) as {
      predicateType: string;
    };
    const raw = bundle.verificationMaterial.certificate?.rawBytes;
    const name = raw === undefined ? "no certificate" : new X509Certificate(Buffer.from(raw, "base64")).subjectAltName;
    signers[predicateType] = [...new Set([...(signers[predicateType] ?? []), name ?? "none"])].sort();
  }
  return signers;
}

describe("an application's repository without a key", () => {
  let run: Awaited<ReturnType<World["run"]>>;
  let digest: string;

  beforeAll(async () => {
    run = await world.run("web", application, readCaller({ onGitHub: true }));
    digest = (await world.vetted.snapshot())["vetted/web"]?.tags[run.commit] ?? "not promoted";
  });

  test("ends promoted, by workflows that check nothing of goldenpath out", () => {
    expect({ exitCode: run.exitCode, log: run.exitCode === 0 ? "" : run.log }).toEqual({ exitCode: 0, log: "" });
    for (const job of ["build", "attest", "base", "scan", "promote"]) expect(resultOf(run, job)).toBe("success");
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(run.log).toContain("Check out the application");
    expect(run.log).not.toContain("Check out goldenpath");
  });

  test("has no secret but logins, and each stage said who it is before it signed", () => {
    expect(Object.keys(world.secrets).filter((name) => !/^(?:PULL|QUARANTINE|VETTED)_/.test(name))).toEqual([]);
    for (const [stage, job] of [
      ["build", "attest"],
      ["base", "base"],
      ["scan", "scan"],
      ["promote", "promote"],
    ]) {
      const said = run.log
        .split("\n")
        .filter((line) => line.includes(`/${job} |`) && line.includes("this job signs as"));
      expect({ stage, said: said.length > 0 && said.every((line) => line.includes(workflowOf(stage ?? ""))) }).toEqual({
        stage,
        said: true,
      });
    }
  });

  test("has evidence by each stage's own workflow, and a token for each job that signed alone", async () => {
    const uri = (stage: string): string => `URI:${workflowOf(stage)}`;
    const signers = await readSigners("web", digest);
    expect(signers[predicateTypes.provenance]).toEqual([uri("build")]);
    expect(signers[predicateTypes.vulnerabilities]).toEqual([uri("scan")]);
    expect(signers[predicateTypes.verificationSummary]).toEqual([uri("base"), uri("promote"), uri("scan")]);
    expect(Object.values(signers).flat()).not.toContain("no certificate");
    // attest, base, scan and promote; the one that builds could ask nobody.
    expect(sigstore.issuer.asked()).toBe(4);
  });

  test("is what cosign finds, by that stage's workflow and by no other's", async () => {
    const image = `${world.vetted.host}/vetted/web@${digest}`;
    const verify = (stage: string) =>
      runProcess(
        tools.cosign,
        [
          ...["verify-attestation", "--trusted-root", sigstore.trustedRootFile, "--allow-http-registry"],
          ...["--type", predicateTypes.vulnerabilities, "--certificate-identity", workflowOf(stage)],
          ...["--certificate-oidc-issuer", sigstore.issuer.url, image],
        ],
        { env: world.env, timeoutMs: 60_000 },
      );
    expect(await verify("base")).toMatchObject({ exitCode: 1 });
    expect(await verify("scan")).toMatchObject({ exitCode: 0 });
  });
});

describe("whoever else calls a stage", () => {
  test.each([
    ["another owner, by a repository of that name", { repository_owner_id: "6666" }],
    ["a branch that the policy does not take", { ref: "refs/heads/try" }],
    ["a runner of its own", { runner_environment: "self-hosted" as const }],
  ])("%s: gets no signature, and nothing is kept beside the image", async (_what, claims) => {
    const image = world.platform.base;
    const [name = "", digest = ""] = image.slice(world.quarantine.host.length + 1).split("@");
    const referrers = () => world.client.listReferrers({ registry: world.quarantine.host, name }, parseDigest(digest));
    const before = await referrers();
    const run = await world.run("other", undefined, { ".github/workflows/base.yml": callBase(image) }, claims);
    expect(run.exitCode).toBe(1);
    expect(resultOf(run, "base")).toBe("failure");
    expect(run.log).toContain("this job is no signer of the policy");
    expect(await referrers()).toEqual(before);
  });
});

/** The base stage alone, of an image that stands on the base: the base itself. */
function callBase(image: string): string {
  return `name: base
on: push
permissions: {}
jobs:
  call:
    permissions:
      contents: read
      id-token: write
    uses: goldenpath-ci/goldenpath/.github/workflows/stage-base.yml@${goldenpathCommitOnGitHub}
    with:
      policy: ${world.policy}
      policy-signer: ${JSON.stringify(world.platform.keys.policy.publicKey)}
      image: ${image}
      registry: ${world.quarantine.host}
    secrets:
      QUARANTINE_USERNAME: \${{ secrets.QUARANTINE_USERNAME }}
      QUARANTINE_PASSWORD: \${{ secrets.QUARANTINE_PASSWORD }}
`;
}
