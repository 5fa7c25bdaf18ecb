import { findReferrers, referrerLimits } from "@goldenpath/core/promote/referrers";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { buildImage, buildIndex, buildReferrer, encodeText } from "@goldenpath/registry-client/testing";
import type { TestImage } from "@goldenpath/testing/chain";
import { describe, expect, test } from "vitest";
import {
  attach,
  attachAsCosign,
  attachLayer,
  listedThere,
  openReferrerStand,
  plain,
  promoteBeside,
  pushWithSubject,
  stand,
  there,
  useReferrerStand,
  vetted,
} from "../support/referrer-stand.ts";

useReferrerStand();

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
    await openReferrerStand();
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
    await openReferrerStand();
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
      await openReferrerStand({ apart: true });
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
    await openReferrerStand({ apart: true });
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
    await openReferrerStand({ apart: true });
    const image = await stand.stageImage();
    const { layer } = await attachLayer(image, "a layer of its own");
    stand.quarantine.faults = [{ method: "GET", path: `/blobs/${layer}`, action: { kind: "status", status: 403 } }];
    expect((await stand.promote(image)).outcome.result.error?.code).toBe("registry-unauthorized");
    expect(Object.keys((await vetted()).tags)).toEqual(["0.9.0"]);
  });

  test("a list of a statement's referrers that is none", async () => {
    await openReferrerStand({ registry: { referrers: false } });
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
    await openReferrerStand();
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
    await openReferrerStand({ registry: { referrers: false } });
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
    await openReferrerStand();
    const image = await stand.stageImage();
    await attach(image, image.image);
    await attachLayer(image, "one");
    const source = rememberReads(stand.client);
    const evidence = new Map([
      [
        image.digest,
        await collectEvidence(source, image.repository, image.digest, stand.policy.policy.signers, { now: new Date() }),
      ],
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
    await openReferrerStand();
    const image = await stand.stageImage();
    await promoteBeside(image);
    const own = encodeText('{"their":"own"}');
    const theirs = await attachAsCosign({ ...image, repository: there() }, "sig", own);
    const ours = await attachAsCosign(image, "sig");
    expect((await promoteBeside(image)).get(ours)).toContain("of its own");
    expect((await vetted()).tags[`${fallbackTag(image.digest)}.sig`]).toBe(theirs);
  });
});
