import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { attestationTag, nameCosignTag } from "@goldenpath/core/signing/cosign-tags";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { withLegacy } from "@goldenpath/core/signing/schemes/key/sign";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Signer } from "@goldenpath/core/signing/types";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { verdictAbout } from "@goldenpath/testing/evidence-registry";
import { makeKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { ci, type ImageWorld, openImageWorld, provenanceOf } from "../support/image-world.ts";
import { passed, tell } from "../support/path-world.ts";
import { useTools } from "../support/tools.ts";

// Provenances by what else signs them: GitHub's, by the certificate of a run, and cosign's older form, under a tag.
const tools = useTools("syft");
let world: ImageWorld;
let sigstore: ConstructedSigstore;
let counter = 0;
beforeAll(async () => {
  world = await openImageWorld(tools);
  sigstore = await constructSigstore();
});
afterAll(() => world?.close());

async function writePolicy(change: (text: string) => string): Promise<{ file: string }> {
  const file = join(world.root, `images-${++counter}.yaml`);
  await writeFile(file, change(world.policy.text));
  return { file };
}

async function attachProvenance(image: Descriptor, at: Repository, predicate: object, signer: Signer): Promise<void> {
  const subjects = buildSubjects(at, [image.digest]);
  const statement = buildStatement(subjects, predicateTypes.provenance, { ...predicate });
  await attachStatement(world.client, { repository: at, image, children: [] }, statement, signer, new Date());
}

async function takeIn(policy: { file: string }, image: Descriptor, at: Repository) {
  const name = `${world.server.host}/quarantine/signed-${++counter}`;
  const given = { image: `${formatRepository(at)}@${image.digest}`, tags: `${name}:1` };
  const outcome = await world.build(policy, given);
  return { ...tell(outcome), name: `${name}@${image.digest}`, problem: outcome.result.violations[0]?.problem ?? "" };
}

describe("GitHub's attestation, of a reusable workflow", () => {
  const workflow = "https://github.com/acme/platform/.github/workflows/build.yml";
  const repository = "https://github.com/acme/shop";
  const run: WorkflowIdentity = {
    issuer: "https://token.actions.githubusercontent.com",
    buildSignerUri: `${workflow}@refs/tags/v1.2.0`,
    buildSignerDigest: "c".repeat(40),
    runnerEnvironment: "github-hosted",
    sourceRepository: repository,
    sourceOwnerId: "4321",
    sourceRef: "refs/heads/main",
    sourceDigest: "d".repeat(40),
    buildConfigUri: `${repository}/.github/workflows/release.yml@refs/heads/main`,
    buildTrigger: "push",
  };
  /** As actions/attest-build-provenance writes it of a run. */
  const predicateOf = (of: WorkflowIdentity) => ({
    buildDefinition: {
      buildType: "https://actions.github.io/buildtypes/workflow/v1",
      externalParameters: {
        workflow: { ref: of.sourceRef, repository: of.sourceRepository, path: ".github/workflows/release.yml" },
      },
      internalParameters: {
        github: {
          event_name: of.buildTrigger,
          repository_id: "1",
          repository_owner_id: of.sourceOwnerId,
          runner_environment: of.runnerEnvironment,
        },
      },
      resolvedDependencies: [
        { uri: `git+${of.sourceRepository}@${of.sourceRef}`, digest: { gitCommit: of.sourceDigest } },
      ],
    },
    runDetails: {
      builder: { id: of.buildSignerUri },
      metadata: { invocationId: `${of.sourceRepository}/actions/runs/7/attempts/1` },
    },
  });

  let policy: { file: string };
  beforeAll(async () => {
    policy = await writePolicy((text) =>
      text
        .replace(
          "signers:\n",
          `sigstore:
  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }
signers:
  github:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${run.buildSignerDigest}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
`,
        )
        .replace(
          "    - { kind: image, name: vendors",
          `    - { kind: image, name: github, provenance: { signers: [github], builders: ["${workflow}@refs/tags/v1.2.0"] } }
    - { kind: image, name: other, provenance: { signers: [github], builders: ["${ci.id}"], buildTypes: ["${ci.type}"] } }
    - { kind: image, name: vendors`,
        ),
    );
  });

  async function attested(
    told: WorkflowIdentity,
    certified: WorkflowIdentity = told,
    predicate: object = predicateOf(told),
  ) {
    const at = { registry: world.server.host, name: `builds/certified-${++counter}` };
    const image = await world.pushUpstream(at);
    await attachProvenance(image, at, predicate, sigstore.signer(certified));
    return takeIn(policy, image, at);
  }

  test("lets its image in, and says of what it is", async () => {
    const outcome = await attested(run);
    expect(outcome).toMatchObject(passed);
    expect(tell(await world.attest(policy, outcome.name))).toEqual(passed);
    expect(await world.provenanceOf({ ...world.policy, ...policy }, outcome.name, "build")).toMatchObject({
      externalParameters: { source: { repository, ref: "refs/heads/main" } },
      internalParameters: { builders: ["github"], event: "push", workflow: run.buildConfigUri },
    });
  });

  test("of another build type, whose word says neither event nor workflow, has those of its certificate", async () => {
    const asked = { ...run, buildTrigger: "pull_request" };
    const outcome = await attested(asked, asked, provenanceOf());
    expect(outcome).toMatchObject({ verdict: "fail", rules: ["build.image"] });
    expect(outcome.problem).toContain("its event is pull_request");
    const twin = await attested(run, run, provenanceOf());
    expect(twin).toMatchObject(passed);
    expect(tell(await world.attest(policy, twin.name))).toEqual(passed);
    expect(await world.provenanceOf({ ...world.policy, ...policy }, twin.name, "build")).toMatchObject({
      internalParameters: { builders: ["other"], event: "push", workflow: run.buildConfigUri },
    });
  });

  const cart = { sourceRepository: "https://github.com/acme/cart" };
  test.each<[string, Partial<WorkflowIdentity>, Partial<WorkflowIdentity>, string]>([
    [
      "of another repository than its certificate's",
      cart,
      {},
      "is not of the run that signed it: its source is https://github.com/acme/cart",
    ],
    [
      "of another commit than its certificate's",
      { sourceDigest: "e".repeat(40) },
      {},
      "is not of the run that signed it: its commit",
    ],
    [
      "of a pull request",
      { buildTrigger: "pull_request" },
      { buildTrigger: "pull_request" },
      "its event is pull_request",
    ],
    [
      "of another branch than the policy takes",
      { sourceRef: "refs/heads/topic" },
      { sourceRef: "refs/heads/topic" },
      "refs/heads/topic",
    ],
    [
      "of a run on a runner of somebody's own",
      { runnerEnvironment: "self-hosted" },
      { runnerEnvironment: "self-hosted" },
      "nothing is signed about",
    ],
    [
      "by another version of the workflow",
      { buildSignerDigest: "f".repeat(40) },
      { buildSignerDigest: "f".repeat(40) },
      "nothing is signed about",
    ],
    ["for another owner", { sourceOwnerId: "43210" }, { sourceOwnerId: "43210" }, "nothing is signed about"],
  ])("lets nothing in %s", async (_what, told, certified, problem) => {
    const outcome = await attested({ ...run, ...told }, { ...run, ...certified });
    expect(outcome).toMatchObject({ verdict: "fail", rules: ["build.image"] });
    expect(outcome.problem).toContain(problem);
  });
});

test("a provenance under cosign's older tag takes nobody's place there", async () => {
  const at = { registry: world.server.host, name: "builds/older-again" };
  const image = await world.pushUpstream(at);
  await attachProvenance(image, at, provenanceOf(), withLegacy(world.origin.pipeline.signer));
  const older = await writePolicy((text) => text.replace("  pipeline:\n", "  pipeline:\n    kind: legacy\n"));
  const outcome = await takeIn(older, image, at);
  const { registry, name } = parseReference(outcome.name);
  const inQuarantine = { registry, name };
  const tag = nameCosignTag(image.digest, attestationTag);
  const listTypes = async () => {
    const found = await world.client.fetchManifest({ ...inQuarantine, tag });
    return found.kind === "image" ? found.manifest.layers.map(({ annotations }) => annotations?.["predicateType"]) : [];
  };
  // A stage that speaks there in the older form, too.
  const verdict = verdictAbout(inQuarantine, [image.digest], false);
  const target = { repository: inQuarantine, image, children: [] };
  await attachStatement(world.client, target, verdict, withLegacy((await makeKey()).signer), new Date());
  const both = [predicateTypes.provenance, predicateTypes.verificationSummary];
  expect(await listTypes()).toEqual(both);
  const again = { image: `${formatRepository(at)}@${image.digest}`, tags: `${formatRepository(inQuarantine)}:2` };
  expect(tell(await world.build(older, again))).toMatchObject(passed);
  expect(await listTypes()).toEqual(both);
  // A provenance of later, as a pipeline leaves it that runs again.
  await attachProvenance(image, at, { ...provenanceOf(), later: true }, withLegacy(world.origin.pipeline.signer));
  expect(tell(await world.build(older, again))).toMatchObject(passed);
  expect(await listTypes()).toEqual([...both, predicateTypes.provenance]);
  // What is not cosign's is nobody's to add to.
  await world.client.pushManifest(
    inQuarantine,
    (await world.client.fetchManifest({ ...inQuarantine, digest: image.digest })).bytes,
    image.mediaType,
    tag,
  );
  const refused = await world.build(older, again);
  expect(refused.result.error?.code).toBe("legacy-tag-taken");
  expect(await world.client.resolve({ ...inQuarantine, tag })).toBe(image.digest);
});

test("a provenance under cosign's older tag goes along with its image, and counts where the policy reads such", async () => {
  const at = { registry: world.server.host, name: "builds/older" };
  const image = await world.pushUpstream(at);
  await attachProvenance(image, at, provenanceOf(), withLegacy(world.origin.pipeline.signer));
  const older = await writePolicy((text) => text.replace("  pipeline:\n", "  pipeline:\n    kind: legacy\n"));
  const outcome = await takeIn(older, image, at);
  expect(outcome).toMatchObject(passed);
  const { registry, name, digest } = parseReference(outcome.name);
  const tags = await world.client.listTags({ registry, name });
  expect(tags.toSorted()).toEqual(["1", `${digest?.replace(":", "-")}.att`]);
  expect(tell(await world.attest(older, outcome.name))).toEqual(passed);
});
