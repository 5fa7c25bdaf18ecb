import { findReferrers, referrerLimits } from "@goldenpath/core/promote/referrers";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import {
  type BuiltManifest,
  buildImage,
  buildIndex,
  buildReferrer,
  encodeText,
  pushBuilt,
} from "@goldenpath/registry-client/testing";
import type { TestImage } from "@goldenpath/testing/chain";
import { openStand, promoteWhole, type Stand, type StandOptions } from "@goldenpath/testing/promotion";
import { afterEach, describe, expect, test } from "vitest";

let stand: Stand;
afterEach(() => stand.close());

const notation = "application/vnd.cncf.notary.signature";
const there = (): Repository => parseRepository(`${stand.to}/shop`);
const vetted = async () => (await stand.vettedState())["vetted/shop"] ?? expect.unreachable();
const listedThere = async (subject: Digest): Promise<Digest[]> =>
  (await stand.client.listReferrers(there(), subject)).map(({ digest }) => digest);

/** Attaches an artifact to something in quarantine. */
async function attach(image: TestImage, subject: Descriptor, type = notation, note = "one"): Promise<Descriptor> {
  return pushBuilt(stand.client, image.repository, buildReferrer(plain(subject), type, { note }));
}
const plain = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });

async function pushWithSubject(image: TestImage, built: BuiltManifest): Promise<Digest> {
  const bytes = encodeText(
    JSON.stringify({ ...JSON.parse(new TextDecoder().decode(built.bytes)), subject: image.image }),
  );
  for (const blob of built.blobs) await stand.client.pushBlob(image.repository, blob.descriptor, () => blob.bytes);
  return stand.client.pushManifest(image.repository, bytes, built.descriptor.mediaType);
}

/** Attaches an artifact with one layer: of these contents, or one that is there; described as told. */
async function attachLayer(image: TestImage, content: string | Descriptor, described: Partial<Descriptor> = {}) {
  const built = buildReferrer(image.image, "application/x.data");
  const bytes = encodeText(typeof content === "string" ? content : "");
  const layer = typeof content === "string" ? { digest: digestOf(bytes), size: bytes.byteLength } : plain(content);
  if (typeof content === "string")
    await stand.client.pushBlob(image.repository, { mediaType: "application/x.data", ...layer }, () => bytes);
  const layers = [{ ...layer, mediaType: "application/x.data", ...described }];
  const manifest = encodeText(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(built.bytes)), layers }));
  const digest = await pushWithSubject(image, { ...built, bytes: manifest });
  return {
    digest,
    layer: layer.digest,
    descriptor: { mediaType: mediaTypes.ociManifest, digest, size: await sizeOf(image, digest) },
  };
}
const sizeOf = async (image: TestImage, digest: Digest): Promise<number> =>
  (await stand.client.fetchManifest({ ...image.repository, digest })).bytes.byteLength;

/** A signature as cosign 2 left it: an image by its config, under a tag. */
async function attachAsCosign(
  image: TestImage,
  suffix: string,
  layer = encodeText('{"critical":{}}'),
): Promise<Digest> {
  const payload = {
    mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
    digest: digestOf(layer),
    size: layer.byteLength,
  };
  await stand.client.pushBlob(image.repository, payload, () => layer);
  const built = buildImage({ layers: [] });
  const manifest = { ...JSON.parse(new TextDecoder().decode(built.bytes)), layers: [payload] };
  for (const blob of built.blobs) await stand.client.pushBlob(image.repository, blob.descriptor, () => blob.bytes);
  return stand.client.pushManifest(
    image.repository,
    encodeText(JSON.stringify(manifest)),
    mediaTypes.ociManifest,
    `${fallbackTag(image.digest)}.${suffix}`,
  );
}

const stands: [string, StandOptions][] = [
  ["within one registry", {}],
  ["between two registries", { apart: true }],
  ["without a referrers API", { registry: { referrers: false } }],
];

/** Promotes, and returns what it said that stays behind: digest → reason. */
async function promoteBeside(image: TestImage): Promise<Map<string, string>> {
  const execution = await stand.promote(image);
  expect(execution.error).toBeUndefined();
  expect(execution.outcome.verdict).toBe("pass");
  const { leftBehind } = await stand.plan(execution);
  for (const { digest } of leftBehind)
    expect(execution.outcome.result.notes.join("\n")).toContain(`left behind: ${digest}`);
  return new Map(leftBehind.map(({ digest, reason }) => [digest, reason]));
}

describe("stays behind, and stops nothing", () => {
  test.each<[string, (image: TestImage) => Promise<Digest>, string]>([
    [
      "an image that calls itself a referrer",
      (image) => pushWithSubject(image, buildImage({ layers: ["malware"] })),
      "nobody has judged",
    ],
    ["an index that calls itself a referrer", (image) => pushWithSubject(image, buildIndex([])), "it is an index"],
    [
      "an artifact with an image's layer",
      async (image) => {
        const built = buildReferrer(image.image, "application/x.harmless");
        const layer = { mediaType: mediaTypes.ociLayerTar, digest: digestOf("{}"), size: 2 };
        return pushWithSubject(image, {
          ...built,
          bytes: encodeText(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(built.bytes)), layers: [layer] })),
        });
      },
      "layer of an image",
    ],
    [
      "an archive under a tag of cosign's",
      (image) => attachAsCosign(image, "sig", new Uint8Array([0x1f, 0x8b, 8])),
      "config of an image",
    ],
  ])("%s", async (_what, make, reason) => {
    stand = await openStand();
    const image = await stand.stageImage();
    const digest = await make(image);
    expect((await promoteBeside(image)).get(digest)).toContain(reason);
    const { manifests, tags } = await vetted();
    expect(manifests).not.toContain(digest);
    expect(Object.keys(tags)).toEqual(["0.9.0", "1.0.0"]);
  });

  test.each<
    [
      string,
      (
        | { kind: "status"; status: number }
        | { kind: "corrupt"; at: number }
        | { kind: "replace"; body: string; repeat: number }
      ),
    ]
  >([
    ["that is listed and gone", { kind: "status", status: 404 }],
    ["of other bytes", { kind: "corrupt", at: 9 }],
    ["larger than any manifest", { kind: "replace", body: " ".repeat(1024), repeat: 5000 }],
  ])("a referrer %s", async (_what, action) => {
    stand = await openStand();
    const image = await stand.stageImage();
    const { digest } = await attach(image, image.image);
    stand.quarantine.faults = [{ method: "GET", path: `/quarantine/shop/manifests/${digest}`, action }];
    expect((await promoteBeside(image)).get(digest)).toBeDefined();
    expect((await vetted()).manifests).not.toContain(digest);
  });

  test.each<[string, { size?: number; isDeleted?: boolean }, string]>([
    ["that is gone", { isDeleted: true }, "is not there"],
    ["of another size", { size: 1 }, "is not what its digest says"],
  ])(
    "a referrer with a layer %s, and what refers to it; the next run as well",
    async (_what, { size, isDeleted }, reason) => {
      stand = await openStand({ apart: true });
      const image = await stand.stageImage();
      const sound = await attach(image, image.image);
      const { digest, descriptor, layer } = await attachLayer(
        image,
        "a layer of its own",
        size === undefined ? {} : { size },
      );
      const about = await attach(image, descriptor);
      if (isDeleted === true)
        await fetch(`${stand.quarantine.url}/v2/quarantine/shop/blobs/${layer}`, { method: "DELETE" });
      for (const _run of [1, 2]) {
        const { outcome, error } = await stand.promote(image);
        expect(error).toBeUndefined();
        expect(outcome.verdict).toBe("pass");
        expect(outcome.result.notes).toContainEqual(
          expect.stringMatching(new RegExp(`^left behind: ${digest} .*${reason}`)),
        );
        expect(outcome.result.notes).toContainEqual(
          expect.stringMatching(new RegExp(`^left behind: ${about.digest} .*${digest} stays behind`)),
        );
        const { manifests } = await vetted();
        expect(manifests).toContain(sound.digest);
        expect(manifests).not.toContain(digest);
        expect(manifests).not.toContain(about.digest);
      }
    },
  );

  test("but not a layer of the image that is gone: that is an error, whoever refers to it as well", async () => {
    stand = await openStand({ apart: true });
    const image = await stand.stageImage();
    const { manifest } = await stand.client.fetchManifest({ ...image.repository, digest: image.digest });
    // The first one is in vetted, as every image's here.
    const layer = ("layers" in manifest ? (manifest.layers as Descriptor[]).at(-1) : undefined) ?? expect.unreachable();
    await attachLayer(image, layer);
    await fetch(`${stand.quarantine.url}/v2/quarantine/shop/blobs/${layer.digest}`, { method: "DELETE" });
    const { outcome } = await stand.promote(image);
    expect(outcome.result.error?.code).toBe("blob-not-found");
    expect(Object.keys((await vetted()).tags)).toEqual(["0.9.0"]);
  });

  test("and not a layer that nobody answers for: that is an error", async () => {
    stand = await openStand({ apart: true });
    const image = await stand.stageImage();
    const { layer } = await attachLayer(image, "a layer of its own");
    stand.quarantine.faults = [{ method: "GET", path: `/blobs/${layer}`, action: { kind: "status", status: 403 } }];
    expect((await stand.promote(image)).outcome.result.error?.code).toBe("registry-unauthorized");
    expect(Object.keys((await vetted()).tags)).toEqual(["0.9.0"]);
  });

  test("a list of a statement's referrers that is none", async () => {
    stand = await openStand({ registry: { referrers: false } });
    const image = await stand.stageImage();
    const [statement] = await stand.client.listReferrers(image.repository, image.digest);
    const subject = statement?.digest ?? expect.unreachable();
    // An image at that tag would be no list, and mean that there are none; of this one, readers disagree on what it
    // lists.
    const bytes = new TextEncoder().encode(
      `{"schemaVersion":2,"mediaType":"${mediaTypes.ociIndex}","manifests":[],"manifests":[]}`,
    );
    const answer = await fetch(
      `${stand.quarantine.url}/v2/${image.repository.name}/manifests/${fallbackTag(subject)}`,
      {
        method: "PUT",
        headers: { "content-type": mediaTypes.ociIndex },
        body: bytes,
      },
    );
    expect(answer.status).toBe(201);
    expect((await promoteBeside(image)).get(subject)).toContain("what refers to it");
  });

  test("all of them, where there are more than anybody attaches on purpose; the evidence goes", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const signature = await attach(image, image.image);
    const flood = Array.from({ length: referrerLimits.referrers }, (_each, at) =>
      buildReferrer(plain(image.image), "application/x.flood", { at: `${at}` }),
    );
    await stand.client.pushReferrers(
      image.repository,
      flood.map(({ bytes, descriptor }) => ({ bytes, ...descriptor })),
    );
    expect([...(await promoteBeside(image)).values()]).toEqual([
      expect.stringContaining(`more than ${referrerLimits.referrers}`),
    ]);
    const listed = await listedThere(image.digest);
    expect(listed).toHaveLength(7);
    expect(listed).not.toContain(signature.digest);
  });

  test("what a list names and is about another image", async () => {
    stand = await openStand({ registry: { referrers: false } });
    const image = await stand.stageImage();
    const other = await stand.stageImage(undefined, "another");
    const foreign = await attach(other, other.image);
    const tag = fallbackTag(image.digest);
    const { manifest } = await stand.client.fetchManifest({ ...image.repository, tag });
    const list = {
      ...manifest,
      manifests: [...("manifests" in manifest ? (manifest.manifests as Descriptor[]) : []), foreign],
    };
    await stand.client.pushManifest(image.repository, encodeText(JSON.stringify(list)), mediaTypes.ociIndex, tag);
    expect((await promoteBeside(image)).get(foreign.digest)).toContain("refers to another image");
    expect((await vetted()).manifests).not.toContain(foreign.digest);
  });

  test("all of them, where they are larger or of more layers than anybody attaches on purpose", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    await attach(image, image.image);
    await attachLayer(image, "one");
    const source = rememberReads(stand.client);
    const evidence = new Map([
      [image.digest, await collectEvidence(source, image.repository, image.digest, stand.policy.policy.signers)],
    ]);
    const find = (limit: Partial<typeof referrerLimits>) =>
      findReferrers(source, image.repository, evidence, { ...referrerLimits, ...limit });
    // Two bytes of the empty config, which both have, and three.
    expect((await find({ bytes: 5 })).carried).toHaveLength(2);
    expect(await find({ bytes: 4 })).toMatchObject({
      carried: [],
      leftBehind: [{ reason: expect.stringContaining("more than 4 bytes") }],
    });
    // Each costs a request or two, however small it is.
    expect((await find({ blobs: 2 })).carried).toHaveLength(2);
    expect(await find({ blobs: 1 })).toMatchObject({
      carried: [],
      leftBehind: [{ reason: expect.stringContaining("more than 1 layers") }],
    });
  });

  test("one that the destination has its own of under cosign's tag", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    await promoteBeside(image);
    const own = encodeText('{"their":"own"}');
    const theirs = await attachAsCosign({ ...image, repository: there() }, "sig", own);
    const ours = await attachAsCosign(image, "sig");
    expect((await promoteBeside(image)).get(ours)).toContain("of its own");
    expect((await vetted()).tags[`${fallbackTag(image.digest)}.sig`]).toBe(theirs);
  });
});

test("a quarantine that can't be asked what refers to a statement is an error, and nothing is written", async () => {
  stand = await openStand();
  const image = await stand.stageImage();
  const [statement] = await stand.client.listReferrers(image.repository, image.digest);
  stand.quarantine.faults = [
    { path: `/quarantine/shop/referrers/${statement?.digest}`, action: { kind: "status", status: 403 } },
  ];
  stand.vetted.requests.length = 0;
  expect((await stand.promote(image)).outcome.result.error?.code).toBe("registry-unauthorized");
  expect(stand.vettedWrites()).toEqual([]);
});

test("with `referrers: signed` nothing goes along but the evidence, and nothing else is asked for", async () => {
  stand = await openStand({ carry: "signed" });
  const image = await stand.stageImage();
  const signature = await attach(image, image.image);
  await attachAsCosign(image, "sig");
  stand.quarantine.requests.length = 0;
  await promoteBeside(image);
  const { manifests, tags } = await vetted();
  expect(manifests).not.toContain(signature.digest);
  expect(Object.keys(tags)).toEqual(["0.9.0", "1.0.0"]);
  const asked = stand.quarantine.requests.filter(({ path }) =>
    /^\/v2\/quarantine\/.*\/(?:referrers|tags)\//.test(path),
  );
  expect(asked.map(({ path }) => path)).toEqual([`/v2/quarantine/shop/referrers/${image.digest}`]);
});

describe.each(stands)("%s", (_where, options) => {
  test("signatures of others, on the image, on a statement, and on a signature, arrive after what they are about", async () => {
    stand = await openStand(options);
    const image = await stand.stageImage();
    const [statement] = await stand.client.listReferrers(image.repository, image.digest);
    if (statement === undefined) throw new TypeError("no statement");
    const onImage = await attach(image, image.image);
    const onStatement = await attach(image, statement);
    const onSignature = await attach(image, onStatement);
    const deeper = await attach(image, onSignature);
    const tooDeep = await attach(image, deeper);
    const { referrer: byOthers } = await attachStatement(
      stand.client,
      image,
      buildStatement(buildSubjects(image.repository, [image.digest]), predicateTypes.vulnerabilities, { scanner: {} }),
      stand.keys.stranger.signer,
      new Date(),
    );
    stand.vetted.requests.length = 0;
    expect((await promoteBeside(image)).size).toBe(0);
    const puts = stand
      .vettedWrites()
      .filter(({ method, path }) => method === "PUT" && path.includes("/manifests/"))
      .map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
    const order = [image.digest, statement.digest, onStatement.digest, onSignature.digest, deeper.digest].map(
      (digest) => puts.indexOf(digest),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThanOrEqual(0);
    expect(puts).not.toContain(tooDeep.digest);
    expect(puts.at(-1)).toBe("1.0.0");
    expect(await listedThere(image.digest)).toEqual(expect.arrayContaining([onImage.digest, byOthers.digest]));
    expect(await listedThere(statement.digest)).toEqual([onStatement.digest]);
    expect(await listedThere(onStatement.digest)).toEqual([onSignature.digest]);

    stand.vetted.requests.length = 0;
    await promoteBeside(image);
    expect(stand.vettedWrites()).toEqual([]);
    // One that came later is brought, and nothing else.
    const late = await attach(image, onSignature, notation, "late");
    await promoteBeside(image);
    expect(await listedThere(onSignature.digest)).toEqual(expect.arrayContaining([deeper.digest, late.digest]));
    const sent = stand.vettedWrites().filter(({ method, path }) => method === "PUT" && /manifests\/sha256:/.test(path));
    expect(sent.map(({ path }) => path.slice(path.lastIndexOf("/") + 1))).toEqual([late.digest]);
  });

  test("what cosign attached under tags arrives under the same", async () => {
    stand = await openStand(options);
    const image = await stand.stageImage();
    const signature = await attachAsCosign(image, "sig");
    const attestation = await attachAsCosign(image, "att", encodeText('{"payloadType":"x"}'));
    expect((await promoteBeside(image)).size).toBe(0);
    expect((await vetted()).tags).toMatchObject({
      [`${fallbackTag(image.digest)}.sig`]: signature,
      [`${fallbackTag(image.digest)}.att`]: attestation,
    });
    stand.vetted.requests.length = 0;
    await promoteBeside(image);
    expect(stand.vettedWrites()).toEqual([]);
  });
});

test("what is listed at the destination already is set under cosign's tag as well", async () => {
  stand = await openStand();
  const image = await stand.stageImage();
  const tag = `${fallbackTag(image.digest)}.sbom`;
  const { bytes, descriptor } = buildReferrer(plain(image.image), "application/x.both");
  const at = async (...target: [] | [string]): Promise<Digest> =>
    stand.client.pushManifest(image.repository, bytes, mediaTypes.ociManifest, ...target);
  await attach(image, image.image);
  await at();
  await promoteBeside(image);
  await at(tag);
  await promoteBeside(image);
  expect((await vetted()).tags).toHaveProperty([tag], descriptor.digest);
  expect(await listedThere(image.digest)).toContain(descriptor.digest);
  stand.vetted.requests.length = 0;
  await promoteBeside(image);
  expect(stand.vettedWrites()).toEqual([]);
});

test("a layer of an artifact that calls itself foreign and has addresses is copied: only an image's is in no registry", async () => {
  stand = await openStand({ apart: true });
  const image = await stand.stageImage();
  const described = { mediaType: "application/x.foreign.y", urls: ["https://example.org/layer"] };
  const { digest, layer } = await attachLayer(image, "somewhere else", described);
  expect([...(await promoteBeside(image)).keys()]).toEqual([]);
  const { manifests, blobs } = await vetted();
  expect(manifests).toContain(digest);
  expect(blobs).toContain(layer);
});

test("an account that may pull and not list tags finds what cosign attached all the same", async () => {
  stand = await openStand();
  const image = await stand.stageImage();
  const signature = await attachAsCosign(image, "sig");
  stand.quarantine.faults = [{ path: "/quarantine/shop/tags/list", action: { kind: "status", status: 403 } }];
  await promoteBeside(image);
  expect((await vetted()).tags[`${fallbackTag(image.digest)}.sig`]).toBe(signature);
});

test("the evidence alone makes a whole promotion", async () => {
  stand = await openStand({ carry: "signed" });
  await promoteWhole(stand, await stand.stageImage());
});
