import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { RecordedRequest } from "@goldenpath/registry-server/server";
import { attachEvidence, pieces, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import {
  openStand,
  promoteWhole,
  promotionsAmong,
  readStatements,
  type Stand,
  type StandOptions,
} from "@goldenpath/testing/promotion";
import { pushedLayers } from "@goldenpath/testing/tiny-image";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let stand: Stand;
afterEach(() => stand.close());

const isManifestPut = ({ method, path }: RecordedRequest): boolean => method === "PUT" && path.includes("/manifests/");
const targetOf = ({ path }: RecordedRequest): string => path.slice(path.lastIndexOf("/") + 1);
const tagsOf = async (): Promise<Record<string, string>> => (await stand.vettedState())["vetted/shop"]?.tags ?? {};

async function stageIndex(): Promise<TestImage> {
  const { client, policy, keys } = stand;
  const image = await pushIndex(client, `${stand.from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

describe.each<[string, StandOptions]>([
  ["within one registry", {}],
  ["between two registries", { apart: true }],
  ["without a referrers API", { registry: { referrers: false } }],
  ["between two without a referrers API", { apart: true, registry: { referrers: false } }],
])("%s", (_what, options) => {
  beforeEach(async () => {
    stand = await openStand(options);
  });

  test("an image arrives with its evidence, the promotion is signed, and the tag is set last of all", async () => {
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    const puts = stand.vettedWrites().filter(isManifestPut).map(targetOf);
    expect(puts.at(-1)).toBe("1.0.0");
    expect(puts.filter((target) => target === "1.0.0")).toHaveLength(1);
    // The image, six statements, the promotion, the tag; and, without the API, the lists.
    expect(puts.filter((target) => !target.startsWith("sha256-"))).toHaveLength(9);
    const all = stand.vetted.requests;
    const tagged = all.findIndex((request) => isManifestPut(request) && targetOf(request) === "1.0.0");
    const statements = await readStatements(stand, `${stand.to}/shop`, image.digest);
    const [promotion] = promotionsAmong(statements).map(({ referrer }) => referrer);
    const putAt = (digest: string | undefined): number =>
      all.findIndex((request) => isManifestPut(request) && targetOf(request) === digest);
    expect(putAt(promotion)).toBeLessThan(tagged);
    for (const { referrer } of statements.filter((each) => each.referrer !== promotion)) {
      expect(putAt(referrer)).toBeGreaterThan(putAt(image.digest));
      expect(putAt(referrer)).toBeLessThan(putAt(promotion));
    }
  });

  test("an index arrives with its children and the evidence of each, leaves first", async () => {
    const image = await stageIndex();
    await promoteWhole(stand, image);
    const puts = stand.vettedWrites().filter(isManifestPut).map(targetOf);
    const at = (digest: string): number => puts.indexOf(digest);
    for (const child of image.children) {
      expect(at(child.digest)).toBeGreaterThanOrEqual(0);
      expect(at(child.digest)).toBeLessThan(at(image.digest));
    }
    const { manifest } = await stand.client.fetchManifest({
      ...parseRepository(`${stand.to}/shop`),
      digest: image.digest,
    });
    const named =
      "manifests" in manifest ? (manifest.manifests as { digest: string }[]).map(({ digest }) => digest) : [];
    expect(named).toHaveLength(3);
    expect((await stand.vettedState())["vetted/shop"]?.manifests).toEqual(expect.arrayContaining(named));
  });

  test("a second run sends nothing, signs nothing, and passes", async () => {
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    const before = await stand.vettedState();
    stand.vetted.requests.length = 0;
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.notes).toContain("the promotion was signed before");
    expect(stand.vettedWrites()).toEqual([]);
    expect(await stand.vettedState()).toEqual(before);
  });

  test("another tag later costs one request that writes", async () => {
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    await promoteWhole(stand, image, "stable");
    expect(stand.vettedWrites().map(targetOf)).toEqual(["stable"]);
  });

  test("tags are made by rules as well, and what one makes is held to the same", async () => {
    const image = await stand.stageImage();
    const before = stand.vettedWrites().length;
    const evidence = `type=raw,value=sha256-${"a".repeat(64)}`;
    const refused = await stand.promote(image, { tags: evidence });
    expect(refused.error).toMatchObject({
      code: "input-invalid",
      message: expect.stringContaining("evidence of images"),
    });
    expect((await stand.promote(image, { tags: "type=sha,form=long" })).error).toMatchObject({
      code: "tag-rule-invalid",
    });
    expect(stand.vettedWrites()).toHaveLength(before);
    const tags = "stable\ntype=semver,pattern={{major}}.{{minor}},value=v1.2.3";
    expect((await stand.promote(image, { tags })).outcome.verdict).toBe("pass");
    const there = (await stand.vettedState())["vetted/shop"]?.tags ?? {};
    for (const tag of ["stable", "1.2", "latest"]) expect(there[tag]).toBe(image.digest);
  });

  test("a dry run writes nothing, and its plan says what would be", async () => {
    const image = await stand.stageImage();
    const before = await stand.vettedState();
    stand.vetted.requests.length = 0;
    const execution = await stand.promote(image, { "dry-run": "true", key: "" });
    expect(execution.outcome.verdict).toBe("pass");
    expect(execution.outcome.outputs["image"]).toBeUndefined();
    expect(execution.outcome.result.notes).toContain("dry run: nothing was written");
    expect(await stand.vettedState()).toEqual(before);
    expect(stand.vettedWrites()).toEqual([]);
    const plan = await stand.plan(execution);
    expect(plan).toMatchObject({ from: `${stand.from}/shop`, to: `${stand.to}/shop`, digest: image.digest });
    expect(plan.tags).toEqual([{ tag: "1.0.0", to: image.digest, action: "set" }]);
    expect(plan.manifests.map(({ role, action }) => `${role} ${action}`)).toEqual([
      "image copy",
      ...pieces.map(() => "evidence copy"),
    ]);
  });
});

describe("what goes over the wire", () => {
  /** Bytes of blobs that came into vetted, as the registry counted them. */
  const uploaded = (): number =>
    stand
      .vettedWrites()
      .filter(({ path }) => path.includes("/blobs/uploads/"))
      .reduce((sum, request) => sum + request.bytesIn, 0);
  const mounts = (): number =>
    stand.vettedWrites().filter(({ query, status }) => query.includes("mount=") && status === 201).length;

  test("within one registry no blob of the image or its evidence is sent, but the promotion's own", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const planned = await stand.plan(await stand.promote(image, { "dry-run": "true" }));
    // Not asked for one by one: a mount of what is there costs as much as the question.
    expect(planned.blobs.map(({ action }) => action)).toEqual(planned.blobs.map(() => "mount"));
    await promoteWhole(stand, image);
    expect(mounts()).toBe(planned.blobs.length);
    expect(
      stand.vetted.requests.filter(
        ({ method, path }) => method === "HEAD" && path.startsWith("/v2/vetted/") && path.includes("/blobs/"),
      ),
    ).toEqual([]);
    const [promotion] = promotionsAmong(await readStatements(stand, `${stand.to}/shop`, image.digest));
    const { manifest } = await stand.client.fetchManifest({
      ...parseRepository(`${stand.to}/shop`),
      digest: promotion?.referrer ?? image.digest,
    });
    expect(uploaded()).toBe("layers" in manifest ? (manifest.layers as { size: number }[])[0]?.size : -1);
  });

  test("between two registries each blob that is missing is sent once, and nothing is mounted", async () => {
    stand = await openStand({ apart: true });
    const image = await stand.stageImage();
    const planned = await stand.plan(await stand.promote(image, { "dry-run": "true" }));
    expect(planned.bytes.mount).toBe(0);
    const copied = planned.blobs.filter(({ action }) => action === "copy");
    expect(copied).toHaveLength(planned.blobs.length - 1);
    await promoteWhole(stand, image);
    expect(mounts()).toBe(0);
    const puts = stand
      .vettedWrites()
      .filter(({ method, path }) => method === "PUT" && path.includes("/blobs/uploads/"));
    expect(puts).toHaveLength(copied.length + 1);
    for (const { digest, size } of copied) {
      expect(
        puts.filter(({ query }) => decodeURIComponent(query).includes(digest)).map(({ bytesIn }) => bytesIn),
      ).toEqual([size]);
    }
  });

  test("where the registry mounts nothing, the blobs are copied", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    stand.vetted.faults = [{ method: "POST", path: "mount=", action: { kind: "status", status: 405 } }];
    await promoteWhole(stand, image);
    expect(mounts()).toBe(0);
    expect(uploaded()).toBeGreaterThan(1000);
  });

  /** The image with other layer descriptors, with evidence of its own. */
  async function stageVariant(
    edit: (layer: Descriptor, at: number) => Descriptor,
  ): Promise<{ image: TestImage; layers: Descriptor[] }> {
    const { client, policy, keys } = stand;
    const { repository, digest: original } = await stand.stageImage();
    const { kind, manifest } = await client.fetchManifest({ ...repository, digest: original });
    if (kind === "index") throw new TypeError("an index");
    const layers = manifest.layers.map(edit);
    const bytes = new TextEncoder().encode(JSON.stringify({ ...manifest, layers }));
    const digest = await client.pushManifest(repository, bytes, mediaTypes.ociManifest);
    const image: TestImage = {
      repository,
      children: [],
      digest,
      image: { mediaType: mediaTypes.ociManifest, digest, size: bytes.byteLength },
      reference: `${stand.from}/shop@${digest}`,
    };
    pushedLayers.set(digest, pushedLayers.get(original) ?? []);
    await attachEvidence({ client, image, policy, keys });
    return { image, layers };
  }

  test("a layer that has addresses besides is carried like any other", async () => {
    stand = await openStand();
    const { image, layers } = await stageVariant((layer) => ({ ...layer, urls: ["https://example.org/layer"] }));
    await promoteWhole(stand, image);
    expect((await stand.vettedState())["vetted/shop"]?.blobs).toEqual(
      expect.arrayContaining(layers.map((layer) => layer.digest)),
    );
  });

  test("a foreign layer is carried like any other, and one that quarantine does not have ends it before there is an image", async () => {
    stand = await openStand();
    const mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    const urls = ["https://example.org/layer"];
    const absent = `sha256:${"7".repeat(64)}` as const;
    const missing = await stageVariant((layer, at) =>
      at === 0 ? { ...layer, mediaType, digest: absent, urls } : layer,
    );
    const { outcome } = await stand.promote(missing.image);
    expect(outcome.result).toMatchObject({ verdict: "error", error: { code: "layer-foreign" } });
    expect(Object.values((await stand.vettedState())["vetted/shop"]?.tags ?? {})).not.toContain(missing.image.digest);
    const { image, layers } = await stageVariant((layer) => ({ ...layer, mediaType, urls }));
    await promoteWhole(stand, image);
    expect((await stand.vettedState())["vetted/shop"]?.blobs).toEqual(
      expect.arrayContaining(layers.map((layer) => layer.digest)),
    );
  });
});

describe("tags", () => {
  test("several are set, one moves, one stays; without any, the image is there by its digest", async () => {
    stand = await openStand();
    const first = await stand.stageImage(undefined, "first");
    const second = await stand.stageImage(undefined, "second");
    expect((await stand.promote(first, { tags: "" })).outcome.verdict).toBe("pass");
    expect(Object.keys(await tagsOf())).toEqual(["0.9.0"]);
    expect((await stand.promote(first, { tags: "1.0.0\nlatest\nlatest" })).outcome.verdict).toBe("pass");
    const execution = await stand.promote(second, { tags: "1.0.1\nlatest" });
    expect((await stand.plan(execution)).tags).toEqual([
      { tag: "1.0.1", to: second.digest, action: "set" },
      { tag: "latest", from: first.digest, to: second.digest, action: "move" },
    ]);
    expect(await tagsOf()).toMatchObject({ "1.0.0": first.digest, "1.0.1": second.digest, latest: second.digest });
  });

  test("an image given by a tag is the digest that the tag had when the gate looked", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const { bytes, mediaType } = await stand.client.fetchManifest({ ...image.repository, digest: image.digest });
    await stand.client.pushManifest(image.repository, bytes, mediaType, "candidate");
    stand.quarantine.requests.length = 0;
    expect((await stand.promote(`${stand.from}/shop:candidate`)).outcome.outputs["digest"]).toBe(image.digest);
    expect(stand.quarantine.requests.filter(({ path }) => path.endsWith("/manifests/candidate"))).toHaveLength(1);
  });

  test("without a referrers API the evidence is found by the fallback tag, which no promotion touches for another image", async () => {
    stand = await openStand({ registry: { referrers: false } });
    const image = await stand.stageImage();
    const other = await stand.stageImage(undefined, "another");
    await promoteWhole(stand, image);
    const before = (await tagsOf())[fallbackTag(image.digest)];
    expect(before).toBeDefined();
    await promoteWhole(stand, other, "2.0.0");
    expect((await tagsOf())[fallbackTag(image.digest)]).toBe(before);
  });
});
