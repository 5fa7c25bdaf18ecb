import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import { type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, renderSigners } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { approved, pushVersion, signDecision } from "../support/signed-bases.ts";

// Where bases are approved by a workflow, approvals of another one: another file, repository, branch or event's. Each is
// the honest one with one thing changed, and beside it. A real registry; the Sigstore is constructed.

const commit = "c".repeat(40);
const workflow = "https://github.com/goldenpath-ci/goldenpath/.github/workflows/golden-base.yml";
const honest: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: `${workflow}@${commit}`,
  buildSignerDigest: commit,
  runnerEnvironment: "github-hosted",
  sourceRepository: "https://github.com/acme/platform",
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "0123456789abcdef0123456789abcdef01234567",
  buildConfigUri: "https://github.com/acme/platform/.github/workflows/golden-base.yml@refs/heads/main",
  buildTrigger: "schedule",
};

let stand: LayerStand;
let sigstore: ConstructedSigstore;
let keys: Record<"build" | "promote", string>;
let counter = 0;

beforeAll(async () => {
  stand = await startLayerStand();
  sigstore = await constructSigstore();
  keys = { build: (await makeKey()).publicKeyPem, promote: (await makeKey()).publicKeyPem };
});
afterAll(() => stand.stop());

async function writePolicy(name: string): Promise<void> {
  const approver = `  approver:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${commit}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/platform"]
    refs: [refs/heads/main]
`;
  const base = `bases:\n  - name: golden\n    image: ${stand.server.host}/${name}\n    approval: { signers: [approver], tag: stable }\n`;
  const trusted = `sigstore:\n  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }\n`;
  const text = samplePolicyText
    .replace(/^signers:\n[\s\S]*?(?=^bases:)/m, () => `${trusted}signers:\n${renderSigners(keys)}${approver}`)
    .replace(/^bases:\n[\s\S]*?(?=^build:)/m, base)
    .replace("runImage: golden-run", "runImage: golden");
  await writeFile(join(stand.directory, "policy.yaml"), text);
}

/** A version in a repository of its own, approved by one run after another; what is made of it after each. */
async function approveBy(...runs: Partial<WorkflowIdentity>[]) {
  const name = `bases/golden${++counter}`;
  await writePolicy(name);
  const { base, onIt } = await pushVersion(stand, name, "1");
  const said = [];
  for (const run of runs) {
    await signDecision(stand, base, approved(), { signer: sigstore.signer({ ...honest, ...run }) });
    const { code } = await runMain("base", "tag", "golden", "--policy", join(stand.directory, "policy.yaml"));
    const { digest } = await stand.client.readTag({ registry: stand.server.host, name }, "stable");
    const { rules } = await stand.enforce(onIt);
    said.push({ rules, code, isTagged: digest === base.image.digest });
  }
  return said;
}

const refused = { rules: ["base.approval"], code: 1, isTagged: false };
const taken = { rules: [], code: 0, isTagged: true };

test.each<[string, Partial<WorkflowIdentity>]>([
  ["the base stage's", { buildSignerUri: `${workflow.replace("golden-base", "stage-base")}@${commit}` }],
  ["one of the same name in another repository", { buildSignerUri: `${workflow.replace("ci/", "cl/")}@${commit}` }],
  ["another commit of it", { buildSignerUri: `${workflow}@${"d".repeat(40)}`, buildSignerDigest: "d".repeat(40) }],
  ["a run for an application", { sourceRepository: "https://github.com/acme/shop" }],
  ["a run on a branch", { sourceRef: "refs/heads/try" }],
  ["a pull request's run", { sourceRef: "refs/pull/7/merge", buildTrigger: "pull_request" }],
  ["another organisation's run", { sourceOwnerId: "43210" }],
])("%s approves nothing and moves no tag, and the policy's own workflow does", async (_what, other) => {
  expect(await approveBy(other, {})).toEqual([refused, taken]);
});
