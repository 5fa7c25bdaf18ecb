import { readFile } from "node:fs/promises";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { VerbOutcome } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { TestImage } from "@goldenpath/testing/chain";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Guest, openSchemeWorld, type SchemeWorld } from "../support/scheme-world.ts";
import { encodeTagged, taggedName } from "../support/tagged-scheme.ts";

// A scheme whose evidence is only read, and lies under tags: one line in the table, and none for what signs.
const loadGuests = vi.hoisted(() => async () => [
  (await import("../support/detached-scheme.ts")).detached,
  (await import("../support/tagged-scheme.ts")).tagged,
]);
vi.mock("@goldenpath/core/signing/schemes/schemes", async (original) => {
  const { schemes } = await original<typeof import("@goldenpath/core/signing/schemes/schemes")>();
  return { schemes: [...schemes, ...(await loadGuests())] };
});
vi.mock("@goldenpath/core/signing/schemes/openers", async (original) => {
  const { openers } = await original<typeof import("@goldenpath/core/signing/schemes/openers")>();
  return { openers: { ...openers, detached: (await import("../support/detached-scheme.ts")).detachedOpener } };
});

let world: SchemeWorld;
beforeAll(async () => {
  world = await openSchemeWorld((policy) => policy.replace("base: { kind: detached", "base: { kind: tagged"));
});
afterAll(() => world?.close());

const tell = ({ verdict, result }: VerbOutcome) => ({
  verdict,
  found: [...new Set(result.violations.map(({ rule }) => rule))],
  ...(result.error === undefined ? {} : { error: result.error.message }),
});
const passed = { verdict: "pass", found: [] };
const verify = (image: string, environment = "production") => world.run(verifyVerb, { image, environment });
const promote = (image: TestImage, to: string, more: Record<string, string> = {}) =>
  world.run(promoteVerb, {
    ...{ image: image.reference, to: `${world.server.host}/vetted/${to}`, tags: "1.0.0", environment: "production" },
    ...{
      signer: "detached",
      key: world.detachedKeys.promote.file,
      "policy-signer": world.keys.platform.publicKeyFile,
      ...more,
    },
  });

/**
 * What the other guest has signed about an image, under the image's tag as well: signed with a key, or not as it should
 * be.
 */
async function tag(
  image: TestImage,
  by: Guest,
  repository: Repository = image.repository,
  about: (subject: Digest) => Digest = (each) => each,
) {
  const key = await readFile(world.detachedKeys[by].file, "utf8");
  // Whose they are in a policy that has the base's signer as one of the other guest's.
  const signers = { base: { kind: "detached", ed25519: world.detachedKeys.base.ed25519 } } as never;
  for (const { digest } of [image.image, ...image.children]) {
    const { statements } = await collectEvidence(world.client, image.repository, digest, signers, { now: new Date() });
    const bundles = statements.map(({ bundle }) => ({ digest: bundle.digest, size: bundle.size, by: key }));
    expect(bundles).toHaveLength(2);
    for (const { bundle } of statements) {
      const bytes = await world.client.fetchBlob(image.repository, bundle);
      await world.client.pushBlob(repository, bundle, () => bytes);
    }
    await world.client.pushManifest(
      repository,
      encodeTagged(bundles),
      mediaTypes.ociManifest,
      taggedName(about(digest)),
    );
  }
}

async function stage(content: string): Promise<TestImage> {
  const image = await world.pushBoth(content);
  await world.attachOthers(image);
  const judged = await world.run(enforceVerb, { image: image.reference });
  const signed = await world.run(signVerb, {
    ...{ image: image.reference, results: judged.file, signer: "detached", key: world.detachedKeys.base.file },
  });
  expect(tell(signed)).toEqual(passed);
  return image;
}

test("a scheme whose evidence is only read is nothing to sign with", async () => {
  const outcome = await world.run(signVerb, { image: "a.example/b", results: "none", signer: "tagged" });
  expect(outcome.result.error?.message).toContain(
    "input 'signer' is 'tagged': expected one of key, keyless, kms, notation, detached",
  );
});

test("evidence under tags counts where the policy's signer has signed it, and for the image of the tag alone", async () => {
  const image = await stage("tagged");
  const other = await stage("another");
  // The same key, and the other scheme: the policy says with which the base's signer signs.
  expect(tell(await verify(image.reference))).toEqual({ verdict: "fail", found: ["gate.signer"] });
  await tag(image, "second");
  expect(tell(await verify(image.reference))).toEqual({ verdict: "fail", found: ["gate.signer"] });
  await tag(image, "base");
  expect(tell(await verify(image.reference))).toEqual(passed);
  const subjects = [image.image, ...image.children].map(({ digest }) => digest);
  const others = [other.image, ...other.children].map(({ digest }) => digest);
  await tag(image, "base", image.repository, (digest) => others[subjects.indexOf(digest)] ?? digest);
  expect((await verify(other.reference)).verdict).toBe("fail");
});

test("that it can't be asked for is an error, and never just missing", async () => {
  const image = await stage("unreachable");
  await tag(image, "base");
  world.server.faults = [
    { method: "GET", path: `/manifests/${taggedName(image.digest)}`, action: { kind: "status", status: 503 } },
  ];
  expect((await verify(image.reference)).result.error?.code).toBe("registry-error");
  world.server.faults = [];
  expect(tell(await verify(image.reference))).toEqual(passed);
});

test.each(["signed", "all"])(
  "it goes along under its tag, once, with referrers: %s; and not over what another has there",
  async (carried) => {
    const image = await stage(`carried ${carried}`);
    await tag(image, "base");
    const environment = carried === "signed" ? "production" : "staging";
    const to = parseRepository(`${world.server.host}/vetted/${carried}`);
    const promotion = await promote(image, carried, { environment });
    expect(tell(promotion)).toEqual(passed);
    for (const { digest } of [image.image, ...image.children]) {
      const name = taggedName(digest);
      expect(await world.client.resolve({ ...to, tag: name })).toBe(
        await world.client.resolve({ ...image.repository, tag: name }),
      );
    }
    expect(tell(await verify(promotion.outputs["image"] ?? "", "running"))).toEqual(
      carried === "signed" ? passed : { verdict: "fail", found: ["gate.environment"] },
    );
    const requests = world.server.requests.length;
    expect(tell(await promote(image, carried, { environment }))).toEqual(passed);
    expect(world.server.requests.slice(requests).filter(({ method }) => !["GET", "HEAD"].includes(method))).toEqual([]);

    const taken = parseRepository(`${world.server.host}/vetted/taken-${carried}`);
    const empty = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
    await world.client.pushBlob(taken, empty, () => emptyBlob.bytes);
    await tag(image, "second", taken);
    const refused = await promote(image, `taken-${carried}`, { environment });
    expect(refused.result.error?.code).toBe("destination-differs");
    expect(await world.client.resolve({ ...taken, tag: "1.0.0" })).toBeUndefined();
  },
);
