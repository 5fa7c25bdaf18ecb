import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { startRegistry } from "@goldenpath/registry-server/server";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { goldenLayer, openPathWorld, type PathPolicy, type PathWorld, passed, tell } from "../support/path-world.ts";
import { exampleDatabase } from "../support/scan-world.ts";
import {
  type BuildKitFacts,
  builderCommit,
  builderRun,
  builderWorkflow,
  buildKitType,
  type ManifestSignatureFalsehood,
  pushAttestation,
  pushAttested,
  signManifest,
} from "../support/signed-manifests.ts";
import { useTools } from "../support/tools.ts";

// docker/github-builder signs no statement, but the manifest in the image's index that BuildKit's statements lie in.
// Each attack stands beside the honest twin that it differs from in one thing.
const tools = useTools("syft", "grype");
let world: PathWorld;
let sigstore: ConstructedSigstore;
let policy: PathPolicy;
let counter = 0;

beforeAll(async () => {
  world = await openPathWorld({ tools: { syft: tools.syft, grype: tools.grype } });
  sigstore = await constructSigstore();
  policy = await writePolicy();
});
afterAll(() => world?.close());

async function writePolicy(change: (text: string) => string = (text) => text): Promise<PathPolicy> {
  const { server } = world;
  const { text } = await world.writePolicy({
    strategies: "image",
    sources: `    - { repository: "https://github.com/acme/*", refs: [refs/heads/main], to: ["${server.host}/vetted/{name}"] }\n`,
    builders: `    - { kind: image, name: docker, provenance: { signers: [docker], builders: ["${builderWorkflow}@refs/tags/v1"], buildTypes: ["${buildKitType}"] } }\n`,
  });
  const signer = `  docker:
    kind: keyless-manifest
    sigstore: own
    workflow: ${builderWorkflow}
    at: ["${builderCommit}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
`;
  const own = change(
    text.replace(
      "signers:\n",
      `sigstore:\n  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }\nsigners:\n${signer}`,
    ),
  );
  const file = join(world.root, `manifests-${++counter}.yaml`);
  await writeFile(file, own);
  return { file, text: own, digest: digestOf(own) };
}

const newRepository = (): Repository => ({ registry: world.server.host, name: `builds/shop-${++counter}` });

/** An image of one platform, as the builder pushes it. */
async function pushChild(repository: Repository, architecture = "amd64"): Promise<Descriptor> {
  const layers = [await goldenLayer(), await tinyLayer({ "srv/app": `${++counter}` })];
  return pushTinyImage(world.client, repository, layers, { architecture });
}

interface Built {
  repository: Repository;
  child: Descriptor;
  attestation: Descriptor;
  index: Descriptor;
}

async function build(facts: BuildKitFacts = {}, repository = newRepository()): Promise<Built> {
  const child = await pushChild(repository);
  const attestation = await pushAttestation(world.client, repository, child, facts);
  return {
    repository,
    child,
    attestation,
    index: await pushAttested(world.client, repository, [[child, attestation]]),
  };
}
const sign = (
  { repository, attestation }: Pick<Built, "repository" | "attestation">,
  more?: ManifestSignatureFalsehood,
) => signManifest(world.client, repository, attestation, sigstore, more);

async function takeIn({ repository, index }: Pick<Built, "repository" | "index">, by = policy) {
  const tags = `${world.server.host}/quarantine/shop-${++counter}:1`;
  const image = `${formatRepository(repository)}@${index.digest}`;
  const outcome = await world.build(by, { image, tags });
  const isThere = (await world.client.resolve(parseReference(tags))) !== undefined;
  return { ...tell(outcome), isThere, problem: outcome.result.violations[0]?.problem ?? "" };
}
const taken = { ...passed, isThere: true };
const refused = { verdict: "fail", rules: ["build.image"], isThere: false };

async function expectHonest(built: Built): Promise<void> {
  await sign(built);
  expect(await takeIn(built)).toMatchObject(taken);
}

describe("BuildKit's provenance in a signed manifest", () => {
  test.each<[string, ManifestSignatureFalsehood, string]>([
    [
      "by a workflow of the same file name in another repository",
      { as: { buildSignerUri: builderRun.buildSignerUri.replace("docker/", "acme/") } },
      "and not by a version of",
    ],
    [
      "by another file of the builder's repository",
      { as: { buildSignerUri: builderRun.buildSignerUri.replace("build.yml", "bake.yml") } },
      "and not by a version of",
    ],
    ["by a commit that the policy does not list", { as: { buildSignerDigest: "f".repeat(40) } }, "counts"],
    ["on a self-hosted runner", { as: { runnerEnvironment: "self-hosted" } }, "it ran on a runner that is self-hosted"],
    ["for another owner's repository", { as: { sourceOwnerId: "1" } }, "owner with the ID 1"],
    ["for a pull request", { as: { sourceRef: "refs/pull/1/merge" } }, "it ran on refs/pull/1/merge"],
    ["by an authority of nobody's", { by: "another authority" }, "does not hold"],
    ["without an entry of the log", { entry: "none" }, "does not hold"],
    ["with the log's entry of another signature", { entry: "for another signature" }, "does not hold"],
    [
      "with a signature that is another kind of statement",
      { predicateType: "https://slsa.dev/provenance/v1" },
      "no signature",
    ],
  ])("counts for nothing %s", async (_what, falsehood, says) => {
    const built = await build();
    await sign(built, falsehood);
    const outcome = await takeIn(built);
    expect(outcome).toMatchObject(refused);
    expect(outcome.problem).toContain("nothing is signed about");
    expect(outcome.problem).toContain(says);
    await expectHonest(built);
  });

  test("counts for nothing unsigned, nor by the signature of another manifest that was put beside it", async () => {
    const [honest, attacked] = [await build(), await build()];
    await sign(honest);
    expect(await takeIn(attacked)).toMatchObject(refused);
    await sign(attacked, { about: honest.attestation });
    expect(await takeIn(attacked)).toMatchObject(refused);
    expect(await takeIn(honest)).toMatchObject(taken);
    await expectHonest(attacked);
  });

  test("says nothing of another child, which an index puts it beside", async () => {
    const honest = await build();
    await sign(honest);
    const { repository, attestation } = honest;
    const evil = await pushChild(repository);
    const index = await pushAttested(world.client, repository, [[evil, attestation]]);
    expect(await takeIn({ repository, index })).toMatchObject(refused);
    // Nor from a manifest that refers to that child.
    const moved = await pushAttestation(world.client, repository, evil, { about: [honest.child] });
    await sign({ repository, attestation: moved });
    const second = { repository, index: await pushAttested(world.client, repository, [[evil, moved]]) };
    expect(await takeIn(second)).toMatchObject(refused);
    expect(await takeIn(honest)).toMatchObject(taken);
  });

  test("lets no index in of which another child's is not signed, and does once it is", async () => {
    const repository = newRepository();
    const [first, second] = [await pushChild(repository), await pushChild(repository, "arm64")];
    const pairs = await Promise.all(
      [first, second].map(async (child) => [child, await pushAttestation(world.client, repository, child)] as const),
    );
    const index = await pushAttested(world.client, repository, pairs);
    await sign({ repository, attestation: pairs[0]?.[1] as Descriptor });
    const outcome = await takeIn({ repository, index });
    expect(outcome).toMatchObject(refused);
    expect(outcome.problem).toContain(`nothing is signed about ${second.digest}, unlike others of the image`);
    await sign({ repository, attestation: pairs[1]?.[1] as Descriptor });
    expect(await takeIn({ repository, index })).toMatchObject(taken);
  });

  test.each<[string, BuildKitFacts, ManifestSignatureFalsehood, string]>([
    [
      "a source that its certificate does not name",
      { uri: `https://github.com/acme/other.git#${"d".repeat(40)}` },
      {},
      "its source is https://github.com/acme/other, and by its certificate https://github.com/acme/shop",
    ],
    [
      "another commit than its certificate",
      { uri: "https://github.com/acme/shop.git#refs/heads/main", sha1: "e".repeat(40) },
      {},
      "its commit is",
    ],
    [
      "another ref than its certificate",
      { uri: "https://github.com/acme/shop.git#refs/heads/next" },
      {},
      "its ref is refs/heads/next",
    ],
    ["files of its machine for a source", { uri: "" }, {}, "did not begin with a commit"],
    ["another build type", { type: "https://ci.acme.example/build-types/container/v1" }, {}, "not BuildKit's"],
    [
      "a version of the builder that the policy's builder does not list, whatever it calls itself",
      { builderId: builderRun.buildSignerUri },
      { as: { buildSignerUri: `${builderWorkflow}@refs/heads/main` } },
      `of a build by ${builderWorkflow}@refs/heads/main`,
    ],
    [
      "a repository that the policy does not take",
      { uri: `https://github.com/evil/shop.git#${"d".repeat(40)}` },
      {},
      "its source is https://github.com/evil/shop",
    ],
  ])("counts for nothing with %s", async (_what, facts, falsehood, says) => {
    const attacked = await build(facts);
    await sign(attacked, falsehood);
    const outcome = await takeIn(attacked, facts.type === undefined ? policy : await withType(facts.type));
    expect(outcome).toMatchObject(refused);
    expect(outcome.problem).toContain(says);
    await expectHonest(await build());
  });

  test("is no word of the same workflow's own bundles, nor is a bundle one of this signer's", async () => {
    const built = await build();
    await sign(built);
    const other = await writePolicy((text) => text.replace("kind: keyless-manifest", "kind: keyless"));
    expect(await takeIn(built, other)).toMatchObject(refused);
    expect(await takeIn(built)).toMatchObject(taken);
  });

  test("speaks for no stage, and goes the whole way: judged by the gate again, and promoted with its signature", async () => {
    const { client, server, keys, run } = world;
    const built = await build();
    await sign(built);
    const { index, child, attestation } = built;
    const quarantine = `${server.host}/quarantine/shop`;
    const image = `${quarantine}@${index.digest}`;
    expect(
      tell(
        await world.build(policy, {
          image: `${formatRepository(built.repository)}@${index.digest}`,
          tags: `${quarantine}:1`,
        }),
      ),
    ).toEqual(passed);
    expect(tell(await world.attest(policy, image, { strategy: "image" }))).toEqual(passed);
    for (const [stage, verb, inputs] of [
      ["base", enforceVerb, {}],
      ["scan", scanVerb, { database: exampleDatabase }],
    ] as const) {
      const outcome = await run(verb, policy, { image, ...inputs });
      expect(tell(outcome), stage).toEqual(passed);
      expect(tell(await run(signVerb, policy, { image, results: outcome.file, key: keys[stage].file }))).toEqual(
        passed,
      );
    }
    expect(tell(await world.verify(policy, image))).toEqual(passed);
    // Where the builder's signature is gone, what the attesting job said of it counts no more.
    const repository = parseReference(image);
    const [signature] = await client.listReferrers(repository, attestation.digest);
    const loaded = { ...policy, uri: policy.file, policy: parsePolicy(Buffer.from(policy.text), policy.file) };
    await putInForce(client, `${server.host}/vetted`, loaded as Parameters<typeof putInForce>[2], { keys });
    const promotion = await run(promoteVerb, policy, {
      ...{ image, to: `${server.host}/vetted/shop`, tags: "1.0.0", environment: "production" },
      ...{ key: keys.promote.file, "policy-signer": keys.platform.publicKeyFile },
    });
    expect(tell(promotion)).toEqual(passed);
    const vetted = { registry: server.host, name: "vetted/shop" };
    expect(await client.listReferrers(vetted, attestation.digest)).toMatchObject([{ digest: signature?.digest }]);
    expect((await client.listReferrers(vetted, child.digest)).map(({ digest }) => digest)).toContain(
      attestation.digest,
    );
    expect(tell(await world.verify(policy, promotion.outputs["image"] ?? ""))).toEqual(passed);
    await remove(repository, `${signature?.digest}`);
    const without = await world.verify(policy, image);
    expect(tell(without)).toMatchObject({ verdict: "fail", rules: ["gate.builder", "gate.builder"] });
    expect(without.result.violations[0]?.problem).toContain(
      "the statement that says where the image comes from is not there",
    );
    const evidence = await client.listReferrers(vetted, child.digest);
    expect(evidence.length).toBeGreaterThan(1);
  });

  test("is found by the index alone, where whoever pushed it did not see to a list", async () => {
    const other = await startRegistry({ referrers: false });
    try {
      const built = await build({}, { registry: other.host, name: "builds/shop" });
      await sign(built);
      const { repository, child } = built;
      const list = fallbackTag(child.digest);
      expect(await world.client.listReferrers(repository, child.digest)).toHaveLength(1);
      await remove(repository, list);
      expect(await world.client.listReferrers(repository, child.digest)).toEqual([]);
      expect(await takeIn(built)).toMatchObject(taken);
      // Who is asked for statements alone reads no index: nothing is listed, and so nothing is there.
      const keyless = await writePolicy((text) => text.replace("kind: keyless-manifest", "kind: keyless"));
      expect(await takeIn(built, keyless)).toMatchObject(refused);
    } finally {
      await other.close();
    }
  });
});

async function withType(type: string): Promise<PathPolicy> {
  return writePolicy((text) => text.replace(buildKitType, `${buildKitType}", "${type}`));
}

/** By digest or tag. */
async function remove(repository: Repository, digest: string): Promise<void> {
  const answer = await fetch(`http://${repository.registry}/v2/${repository.name}/manifests/${digest}`, {
    method: "DELETE",
  });
  expect(answer.ok).toBe(true);
}
