import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { type ChainPolicy, putInForce } from "@goldenpath/testing/chain-policy";
import { contextIn, openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import type { JobClaims } from "../support/github-issuer.ts";
import { type RealSigstore, sigstoreTools, startSigstore } from "../support/real-sigstore.ts";
import { useTools } from "../support/tools.ts";

// A promotion without a key, by the field's own services, from the gate to the tag: whoever deploys verifies it by our
// gate and by cosign.

const run = promisify(execFile);
const tools = useTools(...sigstoreTools);
const commit = "c".repeat(40);
const workflow = "https://github.com/acme/platform/.github/workflows/stage-promote.yml";
const claims: Partial<JobClaims> = {
  environment: "vetted",
  job_workflow_ref: `acme/platform/.github/workflows/stage-promote.yml@${commit}`,
};

let stand: Stand;
let sigstore: RealSigstore;
let policy: ChainPolicy;
beforeAll(async () => {
  [stand, sigstore] = await Promise.all([openStand(), startSigstore(tools)]);
  const file = join(stand.directory, "keyless.yaml");
  const text = renderPolicy(await readFile(stand.policy.file, "utf8"));
  await writeFile(file, text);
  policy = { policy: parsePolicy(Buffer.from(text), file), uri: file, digest: digestOf(text), file };
  await putInForce(stand.client, stand.to, policy, { keys: stand.keys });
});
afterAll(async () => {
  await sigstore?.close();
  await stand?.close();
});

/** The stand's policy, of which a workflow signs promotions. */
function renderPolicy(text: string): string {
  const { fulcio, rekor, timestamp, trustedRoot, issuer } = sigstore;
  const own = [
    ...["sigstore:", "  own:", `    fulcio: ${fulcio}`, `    rekor: ${rekor}`, `    timestamp: ${timestamp}`],
    ...["    privateNames: true", `    trustedRoot: '${JSON.stringify(JSON.parse(trustedRoot))}'`, "signers:"],
    ...["  by-workflow:", "    kind: keyless", "    sigstore: own", `    issuer: ${issuer.url}`],
    ...[`    workflow: ${workflow}`, `    at: ["${commit}"]`, '    ownerId: "4321"'],
    ...['    repositories: ["https://github.com/acme/*"]', "    environment: vetted", ""],
  ].join("\n");
  return text
    .replace(/^serial: (\d+)$/m, (_line, serial) => `serial: ${Number(serial) + 1}`)
    .replace(/^signers:\n/m, own)
    .replaceAll(/promoter: promote\b/g, "promoter: by-workflow");
}

async function stageImage(content: string): Promise<TestImage> {
  const { client, keys, from } = stand;
  const image = await pushImage(client, `${from}/shop`, content);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

async function promote(image: TestImage, change: Partial<JobClaims> = {}) {
  const { directory, keys, to } = stand;
  const env = { ...sigstore.issuer.jobVariables({ ...claims, ...change }) };
  const { outcome } = await executeVerb(
    promoteVerb,
    {
      image: image.reference,
      ...{ to: `${to}/shop`, tags: "1.0.0", environment: "production", signer: "keyless" },
      ...{ policy: policy.file, "policy-signer": keys.platform.publicKey },
    },
    { ...contextIn(directory), env, temporaryRoot: directory, defaultResultDirectory: join(directory, "results") },
  );
  return outcome;
}

const verify = (image: TestImage) =>
  runMain(
    ...["verify", `${stand.to}/shop@${image.digest}`, "--policy", policy.file, "--environment", "production"],
    ...["--result-dir", stand.directory, "--quiet"],
  );
const verifyByCosign = async (image: TestImage, identity: string) => {
  const { stdout } = await run(
    tools.cosign,
    [
      ...["verify-attestation", "--trusted-root", sigstore.trustedRootFile],
      ...["--type", predicateTypes.verificationSummary, "--certificate-identity", identity],
      ...["--certificate-oidc-issuer", sigstore.issuer.url, `${stand.to}/shop@${image.digest}`],
    ],
    { env: { HOME: stand.directory, PATH: process.env["PATH"] } },
  );
  return stdout;
};

describe("a promotion that a workflow signs", () => {
  test.each<[string, Partial<JobClaims>]>([
    ["of another file", { job_workflow_ref: `acme/platform/.github/workflows/stage-scan.yml@${commit}` }],
    ["of the application's own repository", { job_workflow_ref: "acme/shop/.github/workflows/x.yml@refs/heads/main" }],
    ["at another commit", { job_workflow_sha: "d".repeat(40) }],
    ["in another environment", { environment: "other" }],
    ["on a runner of its own", { runner_environment: "self-hosted" }],
    ["of another owner", { repository_owner_id: "666" }],
  ])("%s is refused, and nothing is written", async (_what, change) => {
    const image = await stageImage("refused");
    const before = await stand.vettedState();
    const { verdict, result } = await promote(image, change);
    expect({ verdict, code: result.error?.code }).toEqual({ verdict: "error", code: "signer-unknown" });
    expect(await stand.vettedState()).toEqual(before);
  });

  test("goes from the gate to the tag by one token, and holds by our gate and by cosign", async () => {
    const image = await stageImage("promoted");
    const before = sigstore.issuer.asked();
    const { verdict, outputs } = await promote(image);
    expect({ verdict, digest: outputs["digest"] }).toEqual({ verdict: "pass", digest: image.digest });
    expect(sigstore.issuer.asked() - before).toBe(1);
    const name = `${stand.to.split("/").slice(1).join("/")}/shop`;
    const tag = await stand.client.resolve({ registry: stand.vetted.host, name, tag: "1.0.0" });
    expect(tag).toBe(image.digest);
    expect(await verify(image)).toMatchObject({ code: 0 });
    await expect(verifyByCosign(image, `${workflow}@${"d".repeat(40)}`)).rejects.toThrow(/no matching attestations/);
    expect(await verifyByCosign(image, `${workflow}@${commit}`)).toContain("payload");
  });
});
