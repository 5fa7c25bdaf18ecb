import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects, encodeStatement } from "@goldenpath/core/signing/statement";
import { buildVerb } from "@goldenpath/core/verbs/build";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { type GithubStand, startGithub } from "../support/github-api.ts";
import { type ImageWorld, openImageWorld } from "../support/image-world.ts";
import { passed, tell } from "../support/path-world.ts";
import { builderRun } from "../support/signed-manifests.ts";
import { useTools } from "../support/tools.ts";

// An image that GitHub keeps attestations of, and whose registry has none. GitHub's API can't run here: a stand-in that
// is held to GitHub's own description hands out bundles, of a Sigstore that the test made.
const tools = useTools("syft");
let world: ImageWorld;
let sigstore: ConstructedSigstore;
let foreign: ConstructedSigstore;
let github: GithubStand;
let policy: { file: string };
let counter = 0;
const workflow = "https://github.com/acme/platform/.github/workflows/build.yml";
const run = { ...builderRun, buildSignerUri: `${workflow}@refs/tags/v1.2.0` };

beforeAll(async () => {
  world = await openImageWorld(tools);
  [sigstore, foreign, github] = await Promise.all([constructSigstore(), constructSigstore(), startGithub()]);
  vi.stubEnv("GITHUB_API_URL", github.url);
  vi.stubEnv("GITHUB_TOKEN", "a-token");
  const signer = `  github: { kind: keyless, sigstore: own, workflow: "${workflow}", at: ["${run.buildSignerDigest}"], ownerId: "4321", repositories: ["https://github.com/acme/*"] }\n`;
  const builder = `    - { kind: image, name: github, provenance: { signers: [github], builders: ["${workflow}@refs/tags/v1.2.0"] } }\n`;
  const text = world.policy.text
    .replace(
      "signers:\n",
      `sigstore:\n  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }\nsigners:\n${signer}`,
    )
    .replace("    - { kind: image, name: vendors", `${builder}    - { kind: image, name: vendors`);
  policy = { file: join(world.root, "from-api.yaml") };
  await writeFile(policy.file, text);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await github?.close();
  await world?.close();
});

/** As actions/attest-build-provenance writes it, without `push-to-registry`. */
async function attest(at: Repository, image: Descriptor, by = sigstore): Promise<string> {
  const { sourceRepository: repository, sourceRef: ref, sourceDigest, buildTrigger, buildSignerUri } = run;
  const statement = buildStatement(buildSubjects(at, [image.digest]), predicateTypes.provenance, {
    buildDefinition: {
      buildType: "https://actions.github.io/buildtypes/workflow/v1",
      externalParameters: { workflow: { ref, repository, path: ".github/workflows/build.yml" } },
      internalParameters: { github: { event_name: buildTrigger } },
      resolvedDependencies: [{ uri: `git+${repository}@${ref}`, digest: { gitCommit: sourceDigest } }],
    },
    runDetails: { builder: { id: buildSignerUri } },
  });
  return by.sign(encodeStatement(statement), run);
}

async function push(): Promise<{ at: Repository; image: Descriptor }> {
  const at = { registry: world.server.host, name: `builds/api-${++counter}` };
  return { at, image: await world.pushUpstream(at) };
}

async function takeIn(at: Repository, image: Descriptor, more: Record<string, string> = { "from-api": "acme/shop" }) {
  const name = `${world.server.host}/quarantine/api-${++counter}`;
  const given = { image: `${formatRepository(at)}@${image.digest}`, tags: `${name}:1`, ...more };
  const outcome = await world.build(policy, given);
  const isThere = (await world.client.resolve(parseReference(`${name}:1`))) !== undefined;
  const message = outcome.result.violations[0]?.problem ?? outcome.result.error?.message ?? "";
  return { ...tell(outcome), isThere, name: `${name}@${image.digest}`, message };
}
const refused = { verdict: "fail", rules: ["build.image"], isThere: false };
const keep = (image: Descriptor, ...bundles: string[]) =>
  github.attestations.set(
    image.digest,
    bundles.map((bundle) => JSON.parse(bundle) as object),
  );

describe("an image that GitHub keeps attestations of", () => {
  test.each<[string, (at: Repository, image: Descriptor) => Promise<string[]>, string]>([
    ["none", async () => [], "nothing is signed about"],
    ["another image's", async (at) => [await attest(at, (await push()).image)], "nothing is signed about"],
    ["one by nobody's authority", async (at, image) => [await attest(at, image, foreign)], "does not hold"],
    [
      "one that was changed on the way",
      async (at, image) => [(await attest(at, image)).replace(/"sig":"...../, '"sig":"AAAAA')],
      "does not hold",
    ],
  ])("is not taken in where it is %s", async (_what, make, says) => {
    const { at, image } = await push();
    keep(image, ...(await make(at, image)));
    const outcome = await takeIn(at, image);
    expect(outcome).toMatchObject(refused);
    expect(outcome.message).toContain(says);
    keep(image, await attest(at, image));
    expect(await takeIn(at, image)).toMatchObject({ ...passed, isThere: true });
  });

  test("is taken in with what it counts by, which lies beside it from then on and is read there by who attests", async () => {
    const { at, image } = await push();
    keep(image, await attest(at, image), await attest(at, image, foreign));
    expect(await takeIn(at, image, {})).toMatchObject(refused);
    const { name, ...outcome } = await takeIn(at, image);
    expect(outcome).toMatchObject({ ...passed, isThere: true });
    // The stranger's is put nowhere, and nothing was written where the image came from.
    expect(await world.client.listReferrers(parseReference(name), image.digest)).toHaveLength(1);
    expect(await world.client.listReferrers(at, image.digest)).toEqual([]);
    keep(image);
    expect(tell(await world.attest(policy, name, { strategy: "image" }))).toEqual(passed);
    // By a file as well, where GitHub can't be asked from here.
    const file = join(world.root, `bundle-${++counter}.jsonl`);
    await writeFile(file, await attest(at, image));
    expect(await takeIn(at, image, { bundle: file })).toMatchObject({ ...passed, isThere: true });
  });

  test("is an error where GitHub hides the repository, and counts for nothing where what it hands out is no bundle", async () => {
    const { at, image } = await push();
    keep(image, await attest(at, image));
    github.isHidden = true;
    expect(await takeIn(at, image)).toMatchObject({ verdict: "error", error: "github-unauthorized", isThere: false });
    github.isHidden = false;
    github.attestations.set(image.digest, [{}]);
    expect(await takeIn(at, image)).toMatchObject(refused);
    keep(image, await attest(at, image));
    expect(await takeIn(at, image)).toMatchObject({ ...passed, isThere: true });
  });

  test("is what the inputs are for: with a build of one's own, or for no repository, they are an error", async () => {
    const { at, image } = await push();
    keep(image, await attest(at, image));
    const tags = `${world.server.host}/quarantine/api-${++counter}:1`;
    const alone: Record<string, string>[] = [{ "from-api": "acme/shop" }, { bundle: "bundle.json" }];
    for (const more of alone)
      expect(tell(await world.run(buildVerb, policy, { tags, ...more }))).toEqual({
        verdict: "error",
        rules: [],
        error: "input-invalid",
      });
    const wrong = await takeIn(at, image, { "from-api": "acme" });
    expect(wrong).toMatchObject({ verdict: "error", error: "input-invalid" });
    expect(wrong.message).toContain("expected OWNER/REPO");
    expect(github.faults).toEqual([]);
  });
});
