import { rebaseImage } from "@goldenpath/core/base/rebase/execute";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Statement } from "@goldenpath/core/signing/types";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { type PathPolicy, passed, tell } from "../support/path-world.ts";
import { openRolloutWorld, type RolloutWorld } from "../support/rollout-world.ts";
import { useTools } from "../support/tools.ts";

// Who attests rebases as a workflow: by its certificate it is that file, called from the platform's repository, and its
// word takes an image all the way to vetted. The Sigstore is made by hand, since no run of GitHub's can be had here.

const commit = "c".repeat(40);
const workflow = "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-rebase.yml";
const platform = "https://github.com/acme/platform";
const honest: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: `${workflow}@${commit}`,
  buildSignerDigest: commit,
  runnerEnvironment: "github-hosted",
  sourceRepository: platform,
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "0123456789abcdef0123456789abcdef01234567",
  buildConfigUri: `${platform}/.github/workflows/rebase.yml@refs/heads/main`,
  buildTrigger: "schedule",
  environment: undefined,
};

const tools = useTools("syft", "grype");
let world: RolloutWorld;
let sigstore: ConstructedSigstore;
let policy: PathPolicy;
let shipped: string;
/** Provenance and SBOM of the rebased image, as its job states them. */
let stated: Statement[];
let counter = 0;
/** From an hour before now to an hour after it: the log made by hand has the time at which it was made in all its entries. */
const validity = [-3_600_000, 3_600_000] as const;

beforeAll(async () => {
  [world, sigstore] = await Promise.all([openRolloutWorld(tools), constructSigstore()]);
  shipped = await world.ship(await world.enact({ versions: 1 }), "shop", { tags: "prod" });
  policy = await world.enact({
    versions: 2,
    change: (text) =>
      text
        .replace(
          "signers:\n",
          `sigstore:\n  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }\nsigners:\n${signer}`,
        )
        .replace("signers: [rebaser]", "signers: [rebaser, workflow]")
        .replace("stage: build, signers: [build, rebaser]", "stage: build, signers: [build, rebaser, workflow]"),
  });
  const rebased = await putOn("quarantine/stated");
  expect(tell(await world.attestRebased(policy, rebased, shipped))).toEqual(passed);
  const { registry, name, digest } = parseReference(rebased);
  const { signers } = parsePolicy(Buffer.from(policy.text), "policy.yaml");
  const { client } = world;
  const found = await collectEvidence(client, { registry, name }, digest as Digest, signers, { now: new Date() });
  stated = found.statements.map(({ statement }) => statement);
}, 120_000);
afterAll(() => world?.close());

const signer = `  workflow:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${commit}"]
    ownerId: "4321"
    repositories: ["${platform}"]
    refs: [refs/heads/main]
`;

/** The same bytes in a repository of their own: what is signed of the one says nothing of the other's place. */
async function putOn(name: string): Promise<string> {
  const loaded = { uri: policy.file, digest: "sha256:" as Digest, policy: parsePolicy(Buffer.from(policy.text), "p") };
  const { image = "", refused } = await rebaseImage(world.client, loaded, {
    image: parseReference(shipped),
    to: `${world.server.host}/${name}:1`,
    ...{ isDryRun: false, now: new Date(), signal: new AbortController().signal },
  });
  expect(refused).toEqual([]);
  return image;
}

/** What a run of the workflow attests, with whatever is false about its identity. */
async function attest(identity: WorkflowIdentity): Promise<string> {
  const image = await putOn(`quarantine/keyless-${++counter}`);
  const { registry, name, digest = "sha256:" } = parseReference(image);
  const { bytes, mediaType } = await world.client.fetchManifest(parseReference(image));
  const target = { repository: { registry, name }, image: { mediaType, digest, size: bytes.byteLength }, children: [] };
  for (const { predicateType, predicate } of stated) {
    const own =
      predicateType === predicateTypes.provenance ? { ...predicate, runDetails: runDetails(identity) } : predicate;
    const statement = buildStatement(buildSubjects(target.repository, [digest]), predicateType, own);
    await attachStatement(world.client, target, statement, sigstore.signer(identity, { validity }), new Date());
  }
  return image;
}
const verify = async (image: string) => {
  const { result } = await world.verify(policy, image);
  return result.violations.map(({ rule, problem }) => (rule === "gate.missing" ? rule : `${rule}: ${problem}`));
};
const runDetails = ({ buildSignerUri }: WorkflowIdentity) => ({
  builder: { id: buildSignerUri },
  metadata: {
    invocationId: `${platform}/actions/runs/7/attempts/1`,
    startedOn: new Date().toISOString(),
    finishedOn: new Date().toISOString(),
  },
});

test.each<[string, Partial<WorkflowIdentity>]>([
  ["another stage's workflow", { buildSignerUri: `${workflow.replace("rebase", "scan")}@${commit}` }],
  [
    "the workflow at another commit",
    { buildSignerUri: `${workflow}@${"d".repeat(40)}`, buildSignerDigest: "d".repeat(40) },
  ],
  ["an application's repository, which calls the workflow", { sourceRepository: "https://github.com/acme/shop" }],
  ["a branch of the platform's repository", { sourceRef: "refs/heads/x" }],
])("by %s: it speaks for no rebase", async (_what, falsehood) => {
  const told = await verify(await attest({ ...honest, ...falsehood }));
  expect(told).toContainEqual(expect.stringMatching(/^gate\.signer: /));
});

test("by the workflow itself, called from the platform's main: past both judges the tag goes to the rebased image", async () => {
  const image = await attest(honest);
  expect(await verify(image)).toEqual(["gate.missing", "gate.missing"]);
  await world.judge(policy, image);
  const promoted = await world.promote(policy, image, "shop", "prod");
  expect(tell(promoted)).toEqual(passed);
  const repository = { registry: world.server.host, name: "vetted/shop" };
  expect((await world.client.readTag(repository, "prod")).digest).toBe(promoted.outputs["digest"]);
}, 180_000);
