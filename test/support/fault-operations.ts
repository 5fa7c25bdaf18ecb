import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import {
  type BuiltManifest,
  buildImage,
  buildIndex,
  buildReferrer,
  describeBytes,
} from "@goldenpath/registry-client/testing";
import { expect } from "vitest";
import type { Point, RequestKind, Scenario } from "./fault-scenario.ts";
import type { Door, FaultStand } from "./fault-stand.ts";

const small = describeBytes(Buffer.from("a layer"), mediaTypes.ociLayerTar);
const smallBytes = Buffer.from("a layer");
/** More than the smallest chunk of an upload. */
const largeBytes = Buffer.alloc(1024 * 1024 + 256 * 1024 + 17, "0123456789abcdef goldenpath ");
const large = describeBytes(largeBytes, mediaTypes.ociLayerTar);
const image = buildImage({ layers: ["a layer"] });
const newer = buildImage({ layers: ["a layer"], labels: { version: "2" } });
const referrers = ["a", "b", "c", "d", "e"].map((name) =>
  buildReferrer(image.descriptor, `application/x.${name}`, { name }),
);
const added = buildReferrer(image.descriptor, "application/x.new", { name: "new" });
const fallback = fallbackTag(image.descriptor.digest);

const shop = (stand: FaultStand): Repository => ({ registry: stand.registry.server.host, name: "shop" });

async function putImage(door: Door, built: BuiltManifest, tag?: string, name = "shop"): Promise<void> {
  for (const { descriptor, bytes } of built.blobs) await door.putBlob(name, descriptor.digest, bytes);
  await door.putManifest(name, tag ?? built.descriptor.digest, built.bytes, built.descriptor.mediaType);
}

async function putReferrers(door: Door): Promise<void> {
  await putImage(door, image);
  for (const referrer of referrers) await putImage(door, referrer);
}

/** Also where the API is served: for clients that find it missing. */
async function putFallbackIndex(door: Door): Promise<void> {
  const index = buildIndex(referrers.map(({ descriptor }) => descriptor));
  await door.putManifest("shop", fallback, index.bytes, index.descriptor.mediaType);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function expectBlob(door: Door, { digest, size }: Descriptor, name = "shop"): Promise<void> {
  const bytes = await door.read(name, "blobs", digest);
  expect([digestOf(bytes), bytes.byteLength]).toEqual([digest, size]);
}

function digestsOf(descriptors: unknown): string[] {
  return (descriptors as Descriptor[]).map(({ digest }) => digest).toSorted();
}

const get = (path: string, kind: RequestKind, at?: "source"): Point => ({
  kind,
  match: { method: "GET", path },
  ...(at === undefined ? {} : { at }),
});

const manifestGet = get("/manifests/sha256:", "manifest-get");
const blobGet = get("/blobs/sha256:", "blob-get");
const blobHead: Point = { kind: "blob-head", match: { method: "HEAD", path: "/blobs/sha256:" } };
const uploadStart: Point = { kind: "upload-start", match: { method: "POST", path: "/blobs/uploads/$" } };
const uploadContent: Point = {
  kind: "upload-content",
  match: { method: ["PUT", "PATCH"], path: "/blobs/uploads/[^/]" },
};
const mount: Point = { kind: "mount", match: { method: "POST", path: "[?&]mount=" } };
const manifestPut: Point = { kind: "manifest-put", match: { method: "PUT", path: "/manifests/sha256:" } };
const referrersGet = get("/referrers/", "referrers-get");
const fallbackGet = get("/manifests/sha256-", "fallback-get");

const pulls: Scenario[] = [
  {
    operation: "pull",
    name: "a manifest by its digest",
    points: [manifestGet],
    seed: (door) => putImage(door, image),
    run: (stand) => stand.client.fetchManifest({ ...shop(stand), digest: image.descriptor.digest }),
    verify: async (_stand, result) =>
      expect(result).toMatchObject({ kind: "image", bytes: image.bytes, digest: image.descriptor.digest }),
  },
  {
    operation: "pull",
    name: "a manifest by its tag",
    points: [get("/manifests/v1$", "tag-get")],
    seed: (door) => putImage(door, image, "v1"),
    run: (stand) => stand.client.fetchManifest({ ...shop(stand), tag: "v1" }),
    verify: async (_stand, result) =>
      expect(result).toMatchObject({ kind: "image", bytes: image.bytes, digest: image.descriptor.digest }),
  },
  {
    operation: "pull",
    name: "a small blob",
    points: [blobGet],
    seed: (door) => door.putBlob("shop", small.digest, smallBytes),
    run: (stand) => stand.client.fetchBlob(shop(stand), small),
    verify: async (_stand, result) => expect(Buffer.from(result as Uint8Array).equals(smallBytes)).toBe(true),
  },
  {
    operation: "pull",
    name: "a large blob as a stream",
    points: [blobGet],
    seed: (door) => door.putBlob("shop", large.digest, largeBytes),
    run: async (stand) => collect(await stand.client.openBlob(shop(stand), large)),
    verify: async (_stand, result) => expect((result as Buffer).equals(largeBytes)).toBe(true),
  },
  {
    operation: "pull",
    name: "whether things are there",
    points: [{ kind: "manifest-head", match: { method: "HEAD", path: "/manifests/" } }, blobHead],
    seed: (door) => putImage(door, image),
    run: async (stand) => [
      await stand.client.resolve({ ...shop(stand), digest: image.descriptor.digest }),
      await stand.client.hasBlob(shop(stand), small.digest),
    ],
    verify: async (_stand, result) => expect(result).toEqual([image.descriptor.digest, true]),
  },
];

const pushes: Scenario[] = [
  ...[
    { name: "a small blob", descriptor: small, bytes: smallBytes },
    { name: "a large blob", descriptor: large, bytes: largeBytes },
  ].map(
    ({ name, descriptor, bytes }): Scenario => ({
      operation: "push",
      name,
      points: [blobHead, uploadStart, uploadContent],
      seed: async () => undefined,
      run: (stand) => stand.client.pushBlob(shop(stand), descriptor, () => inPieces(bytes)),
      verify: (stand) => expectBlob(stand.registry, descriptor),
      mayAdd: [descriptor.digest],
    }),
  ),
  {
    operation: "push",
    name: "a manifest",
    points: [manifestPut],
    seed: (door) => putImage(door, image),
    run: (stand) => stand.client.pushManifest(shop(stand), buildIndex([image.descriptor]).bytes, mediaTypes.ociIndex),
    async verify(stand, result) {
      const { bytes, descriptor } = buildIndex([image.descriptor]);
      expect(result).toBe(descriptor.digest);
      expect(Buffer.from(await stand.registry.read("shop", "manifests", descriptor.digest)).equals(bytes)).toBe(true);
    },
    mayAdd: [buildIndex([image.descriptor]).descriptor.digest],
  },
  {
    operation: "push",
    name: "a large blob from another registry",
    points: [blobHead, uploadStart, uploadContent, { ...blobGet, at: "source" }],
    seed: async () => undefined,
    seedSource: (door) => door.putBlob("shop", large.digest, largeBytes),
    run: (stand) =>
      stand.client.copyBlob({ ...shop(stand), registry: stand.source?.server.host ?? "" }, shop(stand), large),
    verify: (stand) => expectBlob(stand.registry, large),
    mayAdd: [large.digest],
  },
];

const mounts: Scenario[] = [
  {
    operation: "mount",
    name: "a blob that is in another repository",
    points: [mount],
    seed: (door) => door.putBlob("shop", small.digest, smallBytes),
    run: (stand) => stand.client.copyBlob(shop(stand), { ...shop(stand), name: "vetted" }, small),
    verify: (stand) => expectBlob(stand.registry, small, "vetted"),
    mayAdd: [small.digest],
  },
  {
    operation: "mount",
    name: "a blob, by a registry that does not mount",
    points: [blobGet, uploadStart, uploadContent],
    faults: [{ ...mount.match, action: { kind: "status", status: 405 } }],
    seed: (door) => door.putBlob("shop", large.digest, largeBytes),
    run: (stand) => stand.client.copyBlob(shop(stand), { ...shop(stand), name: "vetted" }, large),
    verify: (stand) => expectBlob(stand.registry, large, "vetted"),
    mayAdd: [large.digest],
  },
];

const referrerReads: Scenario[] = [
  {
    operation: "referrers-read",
    name: "a list of three pages",
    points: [referrersGet, get("/referrers/.*last=", "referrers-page")],
    registry: { pageSize: 2 },
    async seed(door) {
      await putReferrers(door);
      await putFallbackIndex(door);
    },
    run: (stand) => stand.client.listReferrers(shop(stand), image.descriptor.digest),
    verify: async (_stand, result) =>
      expect(digestsOf(result)).toEqual(digestsOf(referrers.map(({ descriptor }) => descriptor))),
  },
  {
    operation: "referrers-read",
    name: "the fallback tag's list",
    points: [get("/referrers/", "referrers-absent"), fallbackGet],
    registry: { referrers: false },
    async seed(door) {
      await putReferrers(door);
      await putFallbackIndex(door);
    },
    run: (stand) => stand.client.listReferrers(shop(stand), image.descriptor.digest),
    verify: async (_stand, result) =>
      expect(digestsOf(result)).toEqual(digestsOf(referrers.map(({ descriptor }) => descriptor))),
  },
];

async function expectAdded(stand: FaultStand): Promise<void> {
  expect(Buffer.from(await stand.registry.read("shop", "manifests", added.descriptor.digest)).equals(added.bytes)).toBe(
    true,
  );
}

function digestsIn(index: Uint8Array): string[] {
  return digestsOf((JSON.parse(Buffer.from(index).toString()) as { manifests: Descriptor[] }).manifests);
}

const referrerWrites: Scenario[] = [
  {
    operation: "referrers-write",
    name: "where the registry lists them",
    points: [manifestPut, referrersGet],
    async seed(door) {
      await putReferrers(door);
      for (const { descriptor, bytes } of added.blobs) await door.putBlob("shop", descriptor.digest, bytes);
    },
    run: (stand) => stand.client.pushManifest(shop(stand), added.bytes, added.descriptor.mediaType),
    async verify(stand) {
      await expectAdded(stand);
      const page = await stand.registry.read("shop", "referrers", image.descriptor.digest);
      expect(digestsIn(page)).toEqual(digestsOf([...referrers, added].map(({ descriptor }) => descriptor)));
    },
    // Whatever it is that the registry does not serve: who asks it now has to find it.
    async verifyUnderFault(stand) {
      // Another host has a list of its own.
      if (stand.other !== undefined) return;
      const another = stand.connect();
      expect(digestsOf(await another.listReferrers(shop(stand), image.descriptor.digest))).toContain(
        added.descriptor.digest,
      );
      await another.close();
    },
    mayAdd: [added.descriptor.digest],
  },
  {
    operation: "referrers-write",
    name: "where the fallback tag lists them",
    // Another host does not get to see what is written.
    instead: {
      "redirect to another host that has the same": { "fallback-get": { once: "well", forGood: ["registry-error"] } },
    },
    points: [manifestPut, fallbackGet, { kind: "fallback-put", match: { method: "PUT", path: "/manifests/sha256-" } }],
    registry: { referrers: false },
    async seed(door) {
      await putReferrers(door);
      await putFallbackIndex(door);
      for (const { descriptor, bytes } of added.blobs) await door.putBlob("shop", descriptor.digest, bytes);
    },
    run: (stand) => stand.client.pushManifest(shop(stand), added.bytes, added.descriptor.mediaType),
    async verify(stand) {
      await expectAdded(stand);
      const index = await stand.registry.read("shop", "manifests", fallback);
      expect(digestsIn(index)).toEqual(digestsOf([...referrers, added].map(({ descriptor }) => descriptor)));
    },
    mayAdd: [added.descriptor.digest],
  },
];

const tags: Scenario[] = [
  ...[
    { name: "one that is not there yet", tag: "v2", expected: undefined },
    { name: "one that is there", tag: "v1", expected: image.descriptor.digest },
  ].map(
    ({ name, tag, expected }): Scenario => ({
      operation: "tag",
      name,
      points: [
        get("/manifests/v\\d$", expected === undefined ? "tag-absent" : "tag-get"),
        { kind: "tag-put", match: { method: "PUT", path: "/manifests/v\\d$" } },
      ],
      async seed(door) {
        await putImage(door, image, "v1");
        await putImage(door, newer);
      },
      run: (stand) =>
        stand.client.setTag(
          shop(stand),
          tag,
          parseManifest(newer.bytes, newer.descriptor.mediaType, "to be tagged"),
          expected,
        ),
      async verify(stand, result) {
        expect(result).toBe("set");
        expect((await stand.registry.server.snapshot())["shop"]?.tags[tag]).toBe(newer.descriptor.digest);
      },
      mayTag: { [tag]: newer.descriptor.digest },
    }),
  ),
  {
    operation: "tag",
    name: "the list of all, on several pages",
    points: [get("/tags/list", "tags-get"), get("/tags/list.*last=", "tags-page")],
    registry: { pageSize: 2 },
    async seed(door) {
      for (const tag of ["v1", "v2", "v3", "v4", "v5"]) await putImage(door, image, tag);
    },
    run: (stand) => stand.client.listTags(shop(stand)),
    verify: async (_stand, result) => expect((result as string[]).toSorted()).toEqual(["v1", "v2", "v3", "v4", "v5"]),
  },
];

const logins: Scenario[] = [
  ...[
    { name: "with a password", method: "GET", identityToken: false },
    { name: "with an identity token", method: "POST", identityToken: true },
  ].map(
    ({ name, method, identityToken }): Scenario => ({
      operation: "login",
      name,
      points: [{ kind: "token", match: { method, path: "^/token" } }],
      auth: "bearer",
      identityToken,
      seed: (door) => putImage(door, image, "v1"),
      run: (stand) => stand.client.fetchManifest({ ...shop(stand), tag: "v1" }),
      verify: async (_stand, result) =>
        expect(result).toMatchObject({ bytes: image.bytes, digest: image.descriptor.digest }),
    }),
  ),
];

/** As a file comes, so that what is sent breaks off between pieces as well as inside them. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024);
}

export const scenarios: readonly Scenario[] = [
  ...pulls,
  ...pushes,
  ...mounts,
  ...referrerReads,
  ...referrerWrites,
  ...tags,
  ...logins,
];
