import { createPrivateKey, sign as signBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { runGate } from "@goldenpath/core/gate/verify";
import type { PromotionPlan } from "@goldenpath/core/promote/facts";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { VerbOutcome } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { TestImage } from "@goldenpath/testing/chain";
import { statementAbout } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { encodeArtifact, signatureArtifact, statementArtifact } from "../support/detached-scheme.ts";
import { type Guest, openSchemeWorld, type SchemeWorld } from "../support/scheme-world.ts";

// The tables with a line more in each: all that anything learns of the guest. What is imported above is loaded with
// these.
const loadGuest = vi.hoisted(() => () => import("../support/detached-scheme.ts"));
vi.mock("@goldenpath/core/signing/schemes/schemes", async (original) => {
  const { schemes } = await original<typeof import("@goldenpath/core/signing/schemes/schemes")>();
  return { schemes: [...schemes, (await loadGuest()).detached] };
});
vi.mock("@goldenpath/core/signing/schemes/openers", async (original) => {
  const { openers } = await original<typeof import("@goldenpath/core/signing/schemes/openers")>();
  return { openers: { ...openers, detached: (await loadGuest()).detachedOpener } };
});

let world: SchemeWorld;
beforeAll(async () => {
  world = await openSchemeWorld();
});
afterAll(() => world?.close());

const tell = ({ verdict, result }: VerbOutcome) => ({
  verdict,
  found: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.message }),
});
const passed = { verdict: "pass", found: [] };

const sign = async (image: TestImage, by: Guest, more: Record<string, string> = {}) => {
  const judged = await world.run(enforceVerb, { image: image.reference });
  expect(tell(judged)).toEqual(passed);
  return world.run(signVerb, {
    image: image.reference,
    results: judged.file,
    signer: "detached",
    key: world.detachedKeys[by].file,
    ...more,
  });
};
const verify = (image: string, environment = "production") => world.run(verifyVerb, { image, environment });
const promote = (image: TestImage, tags: string, more: Record<string, string> = {}) =>
  world.run(promoteVerb, {
    ...{ image: image.reference, to: `${world.server.host}/vetted/shop`, tags, environment: "production" },
    ...{
      signer: "detached",
      key: world.detachedKeys.promote.file,
      "policy-signer": world.keys.platform.publicKeyFile,
      ...more,
    },
  });

describe("the input `signer` chooses", () => {
  test.each<[string, Record<string, string>, string]>([
    [
      "none that is not in the table, of which it names all",
      { signer: "detach" },
      "input 'signer' is 'detach': expected one of key, keyless, kms, notation, detached",
    ],
    ["the guest, which says what it can't do without", { key: "" }, "input 'key' is required and was not given"],
    ["a key, which the guest's key is not", { signer: "key" }, "the private key is a key of type ed25519"],
  ])("%s", async (_what, more, message) => {
    const image = await world.pushBoth("nobody's");
    const outcome = await sign(image, "base", more);
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.message).toContain(message);
    expect(await world.client.listReferrers(image.repository, image.digest)).toEqual([]);
  });
});

describe("a policy's signer of the guest's kind is refused", () => {
  test.each<[string, () => [string, string], string]>([
    ["with another kind's key", () => ["ed25519:", "publicKey:"], "unknown key (known here: kind, ed25519)"],
    ["with a typo", () => ["ed25519:", "ed2551:"], "unknown key; did you mean `ed25519`?"],
    [
      "of a kind that is nearly there",
      () => ["kind: detached", "kind: detatched"],
      "expected one of key, keyless, keyless-manifest, kms, legacy, legacy-keyless, notation, detached, found 'detatched'; did you mean `detached`?",
    ],
    [
      "with the key of another",
      () => [world.detachedKeys.second.ed25519, world.detachedKeys.base.ed25519],
      "signers.second.ed25519: is the key of 'base' as well; each signer has one of its own",
    ],
    [
      "where it says which policy is in force",
      () => ["signers:\n", "activators: [second]\nsigners:\n"],
      "'second' is of kind detached",
    ],
  ])("%s", async (_what, change, message) => {
    await expect(world.writePolicy(world.policyText.replace(...change()))).rejects.toThrow(message);
  });
});

describe("evidence of two levels counts for nothing", () => {
  let counter = 0;
  /** A statement by hand, and what signs it; the signature's own manifest can be changed. */
  async function attachByHand(
    signature: (signed: Descriptor, image: TestImage) => Promise<Uint8Array | undefined>,
    about: (image: TestImage) => Digest = (image) => image.digest,
  ) {
    const image = await world.pushBoth(`by hand ${++counter}`);
    const { repository } = image;
    const statement = Buffer.from(JSON.stringify(statementAbout(repository, [about(image)])));
    const layer = await pushBlob(repository, statement, "application/vnd.in-toto+json");
    await pushBlob(repository, Buffer.from("{}"), mediaTypes.ociEmpty);
    const manifest = encodeArtifact(statementArtifact, image.image, layer);
    const digest = await world.client.pushManifest(repository, manifest, mediaTypes.ociManifest);
    const signed = { mediaType: mediaTypes.ociManifest, digest, size: manifest.byteLength };
    const bytes = await signature(signed, image);
    if (bytes !== undefined) await world.client.pushManifest(repository, bytes, mediaTypes.ociManifest);
    return collectEvidence(world.client, repository, image.digest, world.policy.policy.signers, { now: new Date() });
  }
  async function pushBlob(repository: Repository, bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await world.client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  }
  /** A signature on the manifest `of`, as a manifest that refers to `subject`. */
  async function signatureBy(
    name: Guest,
    of: Descriptor,
    subject: Descriptor,
    image: TestImage,
    change = (bytes: Buffer) => bytes,
  ) {
    const key = createPrivateKey(await readFile(world.detachedKeys[name].file, "utf8"));
    const raw = signBytes(null, Buffer.from(of.digest), key);
    const layer = await pushBlob(image.repository, change(raw), "application/octet-stream");
    return encodeArtifact(signatureArtifact, subject, layer);
  }
  const unknown = /^it is signed with a key that is not in this policy/;

  test.each<[string, Parameters<typeof attachByHand>, RegExp]>([
    ["without a signature", [async () => undefined], unknown],
    [
      "by somebody whom the policy does not have",
      [(signed, image) => signatureBy("stranger", signed, signed, image)],
      unknown,
    ],
    [
      "with a byte of its signature changed",
      [
        (signed, image) =>
          signatureBy("base", signed, signed, image, (bytes) => bytes.fill(bytes[7] === 0 ? 1 : 0, 7, 8)),
      ],
      unknown,
    ],
    [
      "with a signature on something else",
      [(signed, image) => signatureBy("base", image.image, signed, image)],
      unknown,
    ],
    [
      "with a signature that lies beside it, not below",
      [(signed, image) => signatureBy("base", signed, image.image, image)],
      unknown,
    ],
    [
      "about another image",
      [(signed, image) => signatureBy("base", signed, signed, image), () => digestOf("another")],
      /^its statement is about another image$/,
    ],
  ])("%s", async (_what, given, reason) => {
    const { statements, rejected } = await attachByHand(...given);
    expect(statements).toEqual([]);
    expect(rejected.map((each) => each.reason)).toContainEqual(expect.stringMatching(reason));
  });

  test("which, signed as it should be, it does", async () => {
    const { statements, rejected } = await attachByHand((signed, image) => signatureBy("base", signed, signed, image));
    expect(statements).toMatchObject([{ signers: ["base"], below: [{}] }]);
    expect(rejected).toEqual([]);
  });

  test("where there is more below it than anybody reads: that is no answer", async () => {
    const image = await world.pushBoth("flooded");
    const statement = statementAbout(image.repository, [image.digest]);
    const attach = (by: Guest) =>
      attachStatement(world.client, { ...image, children: [] }, statement, world.detachedKeys[by].signer, new Date(0));
    const { referrer } = await attach("base");
    expect((await attach("second")).referrer).toEqual(referrer);
    const within = (referrers: number) =>
      collectEvidence(world.client, image.repository, image.digest, world.policy.policy.signers, {
        referrers,
        evidenceBytes: 1_000_000,
        now: new Date(),
      });
    // One statement, and below it the signatures of two.
    expect((await within(3)).statements).toMatchObject([{ signers: ["base", "second"] }]);
    await expect(within(2)).rejects.toMatchObject({ code: "too-much-evidence" });
    world.server.faults = [
      { method: "GET", path: `/referrers/${referrer.digest}`, action: { kind: "status", status: 503 } },
    ];
    await expect(within(3)).rejects.toMatchObject({ code: "registry-error" });
    world.server.faults = [];
  });
});

test("what is broken below a statement does not keep it from counting", async () => {
  const image = await world.pushBoth("beset");
  const { repository } = image;
  const statement = statementAbout(repository, [image.digest]);
  const { referrer } = await attachStatement(
    world.client,
    { ...image, children: [] },
    statement,
    world.detachedKeys.base.signer,
    new Date(),
  );
  const { mediaType, digest, size } = referrer;
  const subject = { mediaType, digest, size };
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    artifactType: signatureArtifact,
    manifests: [],
    subject,
  };
  await world.client.pushManifest(repository, Buffer.from(JSON.stringify(index)), mediaTypes.ociIndex);
  // What is no signature, and what is one by a size that is not that of its bytes.
  for (const bytes of [2, 64]) {
    const layer = { mediaType: "application/octet-stream", digest: digestOf("{}"), size: bytes };
    await world.client.pushManifest(
      repository,
      Buffer.from(encodeArtifact(signatureArtifact, subject, layer)),
      mediaTypes.ociManifest,
    );
  }
  const { statements } = await collectEvidence(world.client, repository, image.digest, world.policy.policy.signers, {
    now: new Date(),
  });
  expect(statements).toMatchObject([{ signers: ["base"], statement }]);
  expect(statements[0]?.below).toHaveLength(1);
});

test("the guest goes the whole way: signed, verified, promoted with all that it takes, and verified where it is", async () => {
  const image = await world.pushBoth("whole");
  await world.attachOthers(image);
  expect(tell(await verify(image.reference))).toEqual({
    verdict: "fail",
    found: ["gate.missing", "gate.missing", "gate.missing"],
  });
  // By somebody whom the policy does not have, and by somebody whose word does not count for the stage.
  for (const name of ["stranger", "second"] as const) {
    expect(tell(await sign(image, name))).toEqual(passed);
    expect((await verify(image.reference)).verdict).toBe("fail");
  }
  expect(tell(await sign(image, "base"))).toEqual(passed);
  expect(tell(await verify(image.reference))).toEqual(passed);

  const wrong = await promote(image, "1.0.0", { key: world.detachedKeys.base.file });
  expect(wrong.result.error).toMatchObject({ code: "key-not-promoter" });
  const promotion = await promote(image, "1.0.0");
  expect(tell(promotion)).toEqual(passed);
  const there = promotion.outputs["image"] ?? "";
  expect(tell(await verify(there, "running"))).toEqual(passed);

  // Each statement, and each signature that it takes; `referrers: signed` brings nothing else, and so not the
  // stranger's.
  const vetted = parseRepository(`${world.server.host}/vetted/shop`);
  const { evidence } = await runGate(world.client, parseReference(there), "running", world.policy, new Date());
  for (const { digest } of [image.image, ...image.children]) {
    const { statements } = evidence.get(digest) ?? expect.unreachable();
    const byGuest = statements.filter(({ below }) => below !== undefined);
    expect(new Set(byGuest.flatMap(({ signers }) => signers))).toEqual(new Set(["build", "base", "second", "promote"]));
    for (const { referrer, below = [] } of byGuest) {
      const listed = await world.client.listReferrers(vetted, referrer.digest);
      expect(listed.map((each) => each.digest).toSorted()).toEqual(
        below.map(({ descriptor }) => descriptor.digest).toSorted(),
      );
    }
  }
  const requests = world.server.requests.length;
  expect(tell(await promote(image, "1.0.0"))).toEqual(passed);
  const again = world.server.requests.slice(requests).filter(({ method }) => !["GET", "HEAD"].includes(method));
  expect(again).toEqual([]);
});

test("what else refers to evidence of two levels goes along where the policy lets it, after what it refers to", async () => {
  const image = await world.pushBoth("with others");
  const statement = statementAbout(image.repository, [image.digest]);
  expect(tell(await sign(image, "base"))).toEqual(passed);
  const target = { ...image, children: [] };
  const { referrer } = await attachStatement(
    world.client,
    target,
    statement,
    world.detachedKeys.second.signer,
    new Date(0),
  );
  // Below a statement of the policy's signers, somebody else's signature on it; and below that, and below theirs, one
  // more.
  await attachStatement(world.client, target, statement, world.detachedKeys.stranger.signer, new Date(0));
  const [, more] = await world.client.listReferrers(image.repository, referrer.digest);
  const [own] = await world.client.listReferrers(image.repository, referrer.digest);
  const layer = { mediaType: "application/octet-stream", digest: digestOf("{}"), size: 2 };
  for (const each of [own, more]) {
    if (each === undefined) return expect.unreachable();
    await world.client.pushManifest(
      image.repository,
      encodeArtifact("application/vnd.example.note.v1", each, layer),
      mediaTypes.ociManifest,
    );
  }
  const { outputs, ...outcome } = await promote(image, "", {
    environment: "staging",
    to: `${world.server.host}/vetted/others`,
  });
  expect(tell({ outputs, ...outcome })).toEqual(passed);
  const vetted = parseRepository(`${world.server.host}/vetted/others`);
  const plan = JSON.parse(await readFile(outputs["plan"] ?? "", "utf8")) as PromotionPlan;
  expect(new Set(plan.manifests.map(({ digest }) => digest)).size).toBe(plan.manifests.length);
  const levels = new Map(plan.manifests.map(({ digest, level }) => [digest, level]));
  for (const { subject, level } of plan.manifests)
    if (subject !== undefined) expect(levels.get(subject)).toBeLessThan(level);
  for (const { digest } of [referrer, own, more].filter((each) => each !== undefined)) {
    const there = await world.client.listReferrers(vetted, digest);
    expect(there.map((each) => each.digest).toSorted()).toEqual(
      (await world.client.listReferrers(image.repository, digest)).map((each) => each.digest).toSorted(),
    );
    expect(there.length).toBeGreaterThan(0);
  }
});

test("what the guest signed twice is there once", async () => {
  const image = await world.pushBoth("twice");
  expect(tell(await sign(image, "base"))).toEqual(passed);
  const target = { ...image, children: image.children };
  const statement = statementAbout(image.repository, [image.digest, ...image.children.map(({ digest }) => digest)]);
  const first = await attachStatement(world.client, target, statement, world.detachedKeys.base.signer, new Date());
  const before = await world.server.snapshot();
  expect(await attachStatement(world.client, target, statement, world.detachedKeys.base.signer, new Date(0))).toEqual({
    ...first,
    existed: true,
  });
  expect(await world.server.snapshot()).toEqual(before);
});

test("which image was built later is told by what the guest signed", async () => {
  const [old, next] = [await world.pushBoth("old"), await world.pushBoth("next")];
  for (const [image, age] of [
    [old, 120_000],
    [next, 60_000],
  ] as const) {
    await world.attachOthers(image, age);
    expect(tell(await sign(image, "base"))).toEqual(passed);
  }
  expect(tell(await promote(next, "latest"))).toEqual(passed);
  const back = await promote(old, "latest");
  expect(tell(back)).toEqual({ verdict: "fail", found: ["promote.tag-moves-back"] });
  expect(back.result.violations[0]?.problem).toContain("which was built by a later run than this image");
});
