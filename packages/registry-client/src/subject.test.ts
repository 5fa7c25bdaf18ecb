import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { digestOf } from "./oci/digest.ts";
import { type Descriptor, mediaTypes, parseManifest } from "./oci/manifest.ts";
import { fetchImageFacts } from "./subject.ts";
import { type BuiltManifest, buildImage, buildIndex, buildReferrer, pushBuilt } from "./testing.ts";

let server: RegistryServer;
let client: RegistryClient;
let repository: { registry: string; name: string };

beforeEach(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 2, sleep: async () => undefined });
  repository = { registry: server.host, name: "team/shop" };
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const amd = buildImage({ layers: ["base", "app"], labels: { a: "b" } });
const arm = buildImage({ layers: ["base", "app"], architecture: "arm64" });
const provenance = buildImage({
  layers: ["provenance"],
  layerType: "application/vnd.in-toto+json",
  os: "unknown",
  architecture: "unknown",
});
const unknown = { os: "unknown", architecture: "unknown" };

async function pushIndex(entries: readonly (readonly [BuiltManifest, Partial<Descriptor>])[]): Promise<void> {
  for (const [child] of entries) await pushBuilt(client, repository, child);
  await pushBuilt(
    client,
    repository,
    buildIndex(entries.map(([child, more]) => ({ ...child.descriptor, ...more }))),
    "v1",
  );
}

const facts = () => fetchImageFacts(client, { ...repository, tag: "v1" });

test("a child that stands in its index twice is one child, and fetched once", async () => {
  await pushIndex([
    [amd, { platform: { os: "linux", architecture: "amd64" } }],
    [amd, { platform: { os: "linux", architecture: "amd64", variant: "v2" } }],
    [arm, { platform: { os: "linux", architecture: "arm64" } }],
    [amd, { platform: { os: "linux", architecture: "amd64" } }],
    [provenance, { platform: unknown }],
    [provenance, { platform: unknown }],
  ]);
  server.requests.length = 0;
  expect((await facts()).children.map(({ digest, platform }) => [digest, platform])).toEqual([
    [amd.descriptor.digest, { os: "linux", architecture: "amd64" }],
    [arm.descriptor.digest, { os: "linux", architecture: "arm64" }],
  ]);
  expect(server.requests.filter(({ path }) => path.includes(amd.descriptor.digest))).toHaveLength(1);
  expect(server.requests.filter(({ path }) => path.includes(provenance.descriptor.digest))).toHaveLength(1);
});

describe("refused", () => {
  test("an image that does not exist", async () => {
    await expect(facts()).rejects.toMatchObject({ name: "UserError", code: "image-not-found" });
  });

  test.each([
    ["more", [digestOf("a"), digestOf("b"), digestOf("c")]],
    ["fewer", [digestOf("a")]],
    ["no", []],
  ])("an image with %s diffIDs than layers", async (_what, diffIds) => {
    await pushBuilt(client, repository, buildImage({ layers: ["a", "b"], diffIds }), "v1");
    await expect(facts()).rejects.toMatchObject({
      code: "manifest-invalid",
      message: expect.stringContaining("2 layers"),
    });
  });

  test.each<[string, (child: Descriptor) => Descriptor[]]>([
    ["more entries than anybody reads", (child) => Array.from({ length: 257 }, () => child)],
    [
      "children that have too much together, before one of them is fetched",
      (child) => Array.from({ length: 20 }, (_, at) => ({ ...child, digest: digestOf(String(at)), size: 4_000_000 })),
    ],
    ["one child in two sizes", (child) => [child, { ...child, size: child.size + 1 }]],
  ])("an index with %s", async (_what, entries) => {
    await pushBuilt(client, repository, amd);
    const { bytes } = buildIndex(entries({ ...amd.descriptor, platform: { os: "linux", architecture: "amd64" } }));
    const own = { ...client, fetchManifest: async () => parseManifest(bytes, undefined, "x") };
    const asked = server.requests.length;
    await expect(fetchImageFacts(own, { ...repository, tag: "v1" })).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:too-large|manifest-invalid)$/),
    });
    expect(server.requests).toHaveLength(asked);
  });

  test("the configs of many children, which have too much together", async () => {
    const image = parseManifest(amd.bytes, undefined, "x");
    const children = Array.from({ length: 20 }, (_, at) => ({ ...amd.descriptor, digest: digestOf(String(at)) }));
    const { bytes } = buildIndex(children);
    const own: RegistryClient = {
      ...client,
      fetchManifest: async ({ digest }) => {
        if (digest === undefined) return parseManifest(bytes, undefined, "x");
        if (image.kind !== "image") throw new Error("it is an image");
        return {
          ...image,
          digest,
          manifest: { ...image.manifest, config: { ...image.manifest.config, size: 7_000_000 } },
        };
      },
      fetchBlob: async () => amd.blobs[0]?.bytes ?? new Uint8Array(),
    };
    await expect(fetchImageFacts(own, { ...repository, tag: "v1" })).rejects.toMatchObject({ code: "too-large" });
  });

  test("an image with such a child, the good one beside it notwithstanding", async () => {
    await pushIndex([
      [amd, { platform: { os: "linux", architecture: "amd64" } }],
      [buildImage({ diffIds: [], architecture: "arm64" }), { platform: { os: "linux", architecture: "arm64" } }],
    ]);
    await expect(facts()).rejects.toMatchObject({ code: "manifest-invalid" });
  });

  test("an index in which nothing runs", async () => {
    await pushIndex([[provenance, { platform: unknown }]]);
    await expect(facts()).rejects.toMatchObject({
      code: "manifest-invalid",
      message: expect.stringContaining("nothing in it runs"),
    });
  });

  test.each([
    ["an ordinary image", amd],
    [
      "an image that calls itself the same",
      buildImage({ layers: ["provenance"], os: "unknown", architecture: "unknown" }),
    ],
    ["an attestation without a layer", buildImage({ layers: [], os: "unknown", architecture: "unknown" })],
    ["an index", buildIndex([])],
  ])("an index with a child of no platform that is %s: nobody would judge it", async (_what, child) => {
    await pushIndex([
      [arm, { platform: { os: "linux", architecture: "arm64" } }],
      [child, { platform: unknown }],
    ]);
    await expect(facts()).rejects.toMatchObject({
      code: "manifest-invalid",
      message: expect.stringContaining("not an attestation"),
    });
  });

  test("an empty index", async () => {
    await pushIndex([]);
    await expect(facts()).rejects.toMatchObject({ code: "manifest-invalid" });
  });

  test("an index inside an index, also where it calls itself an image", async () => {
    await pushBuilt(client, repository, amd);
    const inner = buildIndex([amd.descriptor]);
    for (const more of [{}, { mediaType: mediaTypes.ociManifest, platform: { os: "linux", architecture: "amd64" } }]) {
      await pushIndex([[inner, more]]);
      await expect(facts()).rejects.toMatchObject({
        code: "manifest-invalid",
        message: expect.stringContaining("is an index again"),
      });
    }
  });

  test("a child of another size than the index says", async () => {
    await pushIndex([[amd, { size: amd.descriptor.size + 1 }]]);
    await expect(facts()).rejects.toMatchObject({ code: "manifest-invalid" });
  });

  test("a config with other bytes, and one that is none", async () => {
    await pushBuilt(client, repository, amd, "v1");
    server.faults = [{ method: "GET", path: "/blobs/", action: { kind: "corrupt" } }];
    await expect(facts()).rejects.toMatchObject({ code: "digest-mismatch" });
    server.faults = [{ method: "GET", path: "/blobs/", action: { kind: "status", status: 404 } }];
    await expect(facts()).rejects.toMatchObject({ code: "blob-not-found" });
  });

  test("an artifact, whose config is not an image's", async () => {
    await pushBuilt(client, repository, buildReferrer(amd.descriptor, "application/vnd.example.sbom"), "v1");
    await expect(facts()).rejects.toMatchObject({ code: "config-invalid" });
  });
});

test("a single image is one child: itself, with the platform of its config", async () => {
  await pushBuilt(client, repository, amd, "v1");
  const found = await facts();
  expect(found).toMatchObject({
    reference: { ...repository, tag: "v1", digest: amd.descriptor.digest },
    mediaType: mediaTypes.ociManifest,
    size: amd.bytes.byteLength,
  });
  expect(found.children).toMatchObject([
    {
      platform: { os: "linux", architecture: "amd64" },
      descriptor: amd.descriptor,
      digest: amd.descriptor.digest,
      config: { config: { Labels: { a: "b" } } },
    },
  ]);
  expect(found.children[0]?.manifest.layers).toHaveLength(2);
});

test("an index has a child for each that runs, in its order, attestations left out", async () => {
  await pushIndex([
    [arm, { platform: { os: "linux", architecture: "arm64", variant: "v8" } }],
    [provenance, { platform: unknown }],
    [amd, {}],
  ]);
  const { children, reference, mediaType } = await facts();
  expect(mediaType).toBe(mediaTypes.ociIndex);
  expect(children.map((child) => [child.digest, child.platform])).toEqual([
    [arm.descriptor.digest, { os: "linux", architecture: "arm64", variant: "v8" }],
    [amd.descriptor.digest, { os: "linux", architecture: "amd64" }],
  ]);
  expect(children[0]?.descriptor).toMatchObject({ digest: arm.descriptor.digest, platform: { variant: "v8" } });
  expect(reference.digest).not.toBe(arm.descriptor.digest);
});

test("a tag is resolved once: what moves afterwards plays no part", async () => {
  await pushIndex([[amd, {}]]);
  server.requests.length = 0;
  await facts();
  expect(server.requests.filter((request) => request.path.endsWith("/manifests/v1"))).toHaveLength(1);
});
