import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ActRun } from "../support/act.ts";
import { goldenpathCommitOnGitHub } from "../support/e2e-workflows.ts";
import { openWorld, readCaller, readCompactCaller, type World } from "../support/e2e-world.ts";
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

interface Said {
  /** Whom the certificate is for. */
  signer: string;
  predicateType: string;
  predicate: { verificationResult?: string; verifier?: { id: string } };
}

/** What is signed beside an image, and by whom. */
async function readEvidence(repository: Repository, digest: string): Promise<Said[]> {
  const said: Said[] = [];
  for (const referrer of await world.client.listReferrers(repository, parseDigest(digest))) {
    const found = await world.client.fetchManifest({ ...repository, digest: referrer.digest });
    if (found.kind === "index") throw new TypeError("a referrer is no index");
    const [layer] = found.manifest.layers;
    if (layer === undefined) throw new TypeError("a referrer has a layer");
    const bundle = JSON.parse(Buffer.from(await world.client.fetchBlob(repository, layer, 20_000_000)).toString()) as {
      verificationMaterial: { certificate?: { rawBytes: string } };
      dsseEnvelope: { payload: string };
    };
    const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString()) as Omit<Said, "signer">;
    const raw = bundle.verificationMaterial.certificate?.rawBytes;
    const name = raw === undefined ? "no certificate" : new X509Certificate(Buffer.from(raw, "base64")).subjectAltName;
    said.push({ ...statement, signer: name ?? "none" });
  }
  return said;
}

/** Whom the certificates beside a promoted image are for, by the type of statement that was signed. */
async function readSigners(name: string, digest: string): Promise<Record<string, string[]>> {
  const said = await readEvidence(parseRepository(`${world.vetted.host}/vetted/${name}`), digest);
  const byType = Map.groupBy(said, ({ predicateType }) => predicateType);
  return Object.fromEntries(
    [...byType].map(([type, all]) => [type, [...new Set(all.map(({ signer }) => signer))].sort()]),
  );
}

/** Each stage's verdict beside an image in quarantine. */
async function readVerdicts(name: string, digest: string): Promise<Record<string, string>> {
  const said = await readEvidence(parseRepository(`${world.quarantine.host}/quarantine/${name}`), digest);
  return Object.fromEntries(
    said.flatMap(({ predicate: { verifier, verificationResult } }) =>
      verifier === undefined ? [] : [[verifier.id.split("/").at(-1), verificationResult]],
    ),
  );
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

describe("the compact path", () => {
  let run: Awaited<ReturnType<World["run"]>>;
  let digest: string;
  let asked: number;
  const judge = "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-judge.yml";

  beforeAll(async () => {
    const before = sigstore.issuer.asked();
    run = await world.run("compact", application, readCompactCaller());
    asked = sigstore.issuer.asked() - before;
    digest = (await world.vetted.snapshot())["vetted/compact"]?.tags[run.commit] ?? "not promoted";
  });

  test("ends promoted by three jobs, where the policy lists the one that judges for each stage", () => {
    expect({ exitCode: run.exitCode, log: run.exitCode === 0 ? "" : run.log }).toEqual({ exitCode: 0, log: "" });
    const ended = Object.entries(run.jobs).map(([name, result]) => [name.split("/").at(-1), result]);
    expect(ended).toEqual(["build", "judge", "promote"].map((job) => [job, "success"]));
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("has all evidence before the promotion by that one workflow, by a token for the build's and one for both verdicts", async () => {
    const signers = await readSigners("compact", digest);
    const uri = `URI:${judge}@${goldenpathCommitOnGitHub}`;
    expect(signers[predicateTypes.provenance]).toEqual([uri]);
    expect(signers[predicateTypes.base]).toEqual([uri]);
    expect(signers[predicateTypes.vulnerabilities]).toEqual([uri]);
    expect(signers[predicateTypes.verificationSummary]).toEqual([uri, `URI:${workflowOf("promote")}`].sort());
    // Attest, sign, promote.
    expect(asked).toBe(3);
  });

  test("counts for nothing where the policy lists each stage's own workflow", async () => {
    const image = `${world.quarantine.host}/quarantine/compact@${digest}`;
    const before = await world.vetted.snapshot();
    const files = { ".github/workflows/promote.yml": callPromote(image, `${world.vetted.host}/vetted/compact`) };
    const refused = await world.run("compact-production", undefined, files);
    expect(refused.exitCode).toBe(1);
    expect(resultOf(refused, "promote")).toBe("failure");
    for (const stage of ["build", "base", "scan"])
      expect(refused.log).toMatch(new RegExp(`gate\\.\\w+.*${stage}|${stage}.*gate\\.\\w+`));
    expect(await world.vetted.snapshot()).toEqual(before);
  });

  test("signs a failed scan, and the base's pass beside it, and promotes nothing", async () => {
    const before = await world.vetted.snapshot();
    const vulnerable = join(projectRoot, "examples/apps/web-vulnerable");
    const failed = await world.run("compact-vulnerable", vulnerable, readCompactCaller());
    expect(failed.exitCode).toBe(1);
    expect(resultOf(failed, "judge")).toBe("failure");
    expect(resultOf(failed, "promote")).toBeUndefined();
    expect(await world.vetted.snapshot()).toEqual(before);
    const built = (await world.quarantine.snapshot())["quarantine/compact-vulnerable"]?.tags[failed.commit] ?? "";
    expect(await readVerdicts("compact-vulnerable", built)).toEqual({ base: "PASSED", scan: "FAILED" });
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

/** The promote stage alone, into production, with vetted's login even. */
function callPromote(image: string, to: string): string {
  const secrets = ["QUARANTINE", "VETTED"].flatMap((of) => [`${of}_USERNAME`, `${of}_PASSWORD`]);
  return `name: promote
on: push
permissions: {}
jobs:
  call:
    permissions:
      contents: read
      id-token: write
    uses: goldenpath-ci/goldenpath/.github/workflows/stage-promote.yml@${goldenpathCommitOnGitHub}
    with:
      policy: ${world.policy}
      policy-signer: ${JSON.stringify(world.platform.keys.policy.publicKey)}
      image: ${image}
      to: ${to}
      tags: latest
      registry: ${world.quarantine.host}
      vetted-registry: ${world.vetted.host}
    secrets:
${secrets.map((name) => `      ${name}: \${{ secrets.${name} }}`).join("\n")}
`;
}
