import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ImageWorld, type OriginSigner, openImageWorld, provenanceOf } from "../support/image-world.ts";
import { passed, tell } from "../support/path-world.ts";
import { useTools } from "../support/tools.ts";

// Each attack stands beside the honest twin that it differs from in one thing.
const tools = useTools("syft", "grype");
const verifier = "https://verifier.acme.example/v1";
let world: ImageWorld;
let counter = 0;
beforeAll(async () => {
  world = await openImageWorld({ syft: tools.syft, grype: tools.grype }, (host) => {
    const common = `resources: ["oci://${host}/builds/*"], maxAge: 30d`;
    return `, level: { atLeast: 2, verifiers: [
        { id: "${verifier}", signers: [auditor], upTo: 2, ${common} },
        { id: "${verifier}/lesser", signers: [importer], upTo: 1, ${common} }] }`;
  });
});
afterAll(() => world?.close());

const hoursAgo = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();

async function attach(
  repository: Repository,
  image: Descriptor,
  type: string,
  predicate: Record<string, unknown>,
  by: OriginSigner,
) {
  const statement = buildStatement(buildSubjects(repository, [image.digest]), type, predicate);
  const { signer } = world.origin[by];
  await attachStatement(world.client, { repository, image, children: [] }, statement, signer, new Date());
}

interface Attempt {
  predicate?: Record<string, unknown>;
  by?: OriginSigner;
}

/** A verifier's summary, as SLSA has it. */
const vouch = (at: Repository, image: Descriptor, { predicate = {}, by = "auditor" }: Attempt = {}) =>
  attach(
    at,
    image,
    predicateTypes.verificationSummary,
    {
      verifier: { id: verifier },
      timeVerified: hoursAgo(1),
      resourceUri: `oci://${formatRepository(at)}@${image.digest}`,
      policy: { uri: "https://verifier.acme.example/policies/production" },
      verificationResult: "PASSED",
      verifiedLevels: ["SLSA_BUILD_LEVEL_3"],
      ...predicate,
    },
    by,
  );

/** An image of the pipeline, by its provenance, which says nothing of a level. */
async function pushBuilt(at: Repository): Promise<Descriptor> {
  const image = await world.pushUpstream(at);
  await attach(at, image, predicateTypes.provenance, { ...provenanceOf() }, "pipeline");
  return image;
}

const newRepository = (): Repository => ({ registry: world.server.host, name: `builds/shop-${++counter}` });

async function takeIn(at: Repository, { digest }: Descriptor) {
  const tags = `${world.server.host}/quarantine/shop-${++counter}:1`;
  const outcome = await world.build(world.policy, { image: `${formatRepository(at)}@${digest}`, tags });
  const isThere = (await world.client.resolve(parseReference(tags))) !== undefined;
  const name = tags.replace(/:1$/, `@${digest}`);
  return { ...tell(outcome), isThere, problem: outcome.result.violations[0]?.problem ?? "", name };
}
const taken = { ...passed, isThere: true };
const refused = { verdict: "fail", rules: ["build.image"], isThere: false };

test.each<[string, Attempt | undefined, string]>([
  ["that is not there", undefined, "would count, and there is none"],
  ["of the verifier, signed by another signer of the policy", { by: "pipeline" }, "there is none"],
  [
    "of another verifier, signed by this one's signer",
    { predicate: { verifier: { id: "https://verifier.evil.example/v1" } } },
    "there is none",
  ],
  [
    "of a level that its verifier may not vouch for",
    { by: "importer", predicate: { verifier: { id: `${verifier}/lesser` } } },
    `verifier ${verifier}/lesser vouches for level 1`,
  ],
  [
    "of what is verified for something else",
    { predicate: { resourceUri: "oci://registry.test/staging/shop" } },
    "there is none",
  ],
  [
    "that failed, with a level all the same",
    { predicate: { verificationResult: "FAILED" } },
    "is FAILED; a newer one that PASSED outweighs it",
  ],
  ["of a lower level", { predicate: { verifiedLevels: ["SLSA_BUILD_LEVEL_1"] } }, "vouches for level 1"],
  [
    "of another track's level",
    { predicate: { verifiedLevels: ["SLSA_SOURCE_LEVEL_3"] } },
    "no level of the Build track",
  ],
  ["of a level that there is not", { predicate: { verifiedLevels: ["SLSA_BUILD_LEVEL_9"] } }, "SLSA_BUILD_LEVEL_9"],
  ["of two levels", { predicate: { verifiedLevels: ["SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_3"] } }, "several levels"],
  ["that is too old", { predicate: { timeVerified: hoursAgo(31 * 24) } }, "older than the policy's `maxAge`"],
  ["of a time to come", { predicate: { timeVerified: hoursAgo(-2) } }, "from the future"],
  ["without a time", { predicate: { timeVerified: undefined } }, "has no `timeVerified`"],
])("a summary %s vouches for no level", async (_what, attempt, problem) => {
  const at = newRepository();
  const [honest, attacked] = [await pushBuilt(at), await pushBuilt(at)];
  await vouch(at, honest);
  if (attempt !== undefined) await vouch(at, attacked, attempt);
  expect(await takeIn(at, honest)).toMatchObject(taken);
  const outcome = await takeIn(at, attacked);
  expect(outcome).toMatchObject(refused);
  expect(outcome.problem).toContain(problem);
});

test("about another image, put beside this one, vouches for no level", async () => {
  const at = newRepository();
  const [honest, attacked] = [await pushBuilt(at), await pushBuilt(at)];
  await vouch(at, honest);
  for (const { digest } of await world.client.listReferrers(at, honest.digest)) {
    const { bytes, mediaType } = await world.client.fetchManifest({ ...at, digest });
    const moved = JSON.parse(Buffer.from(bytes).toString());
    moved.subject = { mediaType: attacked.mediaType, digest: attacked.digest, size: attacked.size };
    await world.client.pushManifest(at, Buffer.from(JSON.stringify(moved)), mediaType);
  }
  expect(await world.client.listReferrers(at, attacked.digest)).toHaveLength(3);
  const outcome = await takeIn(at, attacked);
  expect(outcome).toMatchObject(refused);
  expect(outcome.problem).toContain("there is none");
  expect(await takeIn(at, honest)).toMatchObject(taken);
});

test("is no origin: without a provenance nothing is taken in by it", async () => {
  const at = newRepository();
  const image = await world.pushUpstream(at);
  await vouch(at, image);
  const outcome = await takeIn(at, image);
  expect(outcome).toMatchObject(refused);
  expect(outcome.problem).toContain("nothing is signed about");
});

test("that failed since is refused by the gate as well, and nothing is promoted", async () => {
  const at = newRepository();
  const image = await pushBuilt(at);
  await vouch(at, image);
  const { name, ...outcome } = await takeIn(at, image);
  expect(outcome).toMatchObject(taken);
  const { policy, server, client, keys } = world;
  // What it has its level by is among what its provenance rests on, and in vetted.
  await world.takeTheRest(policy, name, "image");
  expect(await world.provenanceOf(policy, name, "build")).toMatchObject({
    resolvedDependencies: [{}, { name: "run-image" }, { name: "provenance" }, { name: "verification-summary" }],
  });

  const { name: quarantine } = parseReference(name);
  const resourceUri = `oci://${formatRepository(at)}@${image.digest}`;
  const failed = { verificationResult: "FAILED", verifiedLevels: ["FAILED"], timeVerified: hoursAgo(0), resourceUri };
  await vouch({ registry: server.host, name: quarantine }, image, { predicate: failed });
  const judged = await world.verify(policy, name);
  expect(tell(judged)).toEqual({ verdict: "fail", rules: ["gate.builder"] });
  expect(judged.result.violations[0]?.problem).toContain("is FAILED; a newer one that PASSED outweighs it");
  const promotion = await world.run(promoteVerb, policy, {
    ...{ image: name, to: `${server.host}/vetted/shop`, tags: "1.0.1", environment: "production" },
    ...{ key: keys.promote.file, "policy-signer": keys.platform.publicKeyFile },
  });
  expect(tell(promotion)).toEqual({ verdict: "fail", rules: ["gate.builder"] });
  expect(await client.resolve({ registry: server.host, name: "vetted/shop", tag: "1.0.1" })).toBeUndefined();
});
