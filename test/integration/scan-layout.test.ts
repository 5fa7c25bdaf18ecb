import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeImageLayout } from "@goldenpath/core/scan/layout";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushTinyImage, pushTinyIndex, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let registry: RegistryServer;
let client: RegistryClient;
let directory = "";
let image: Descriptor;
let layers: TinyLayer[];
const repository = () => ({ registry: registry.host, name: "shop" });
const context = () => ({ ports: silentPorts(), signal: new AbortController().signal });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-layout-"));
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  // Eight layers: more than are fetched at once. The last one is there twice.
  layers = await Promise.all(
    [0, 1, 2, 3, 4, 5, 6, 6].map((index) => tinyLayer({ [`file-${index}`]: `content ${index}`.repeat(2_000) })),
  );
  image = await pushTinyImage(client, repository(), layers);
  registry.requests.length = 0;
});
afterEach(async () => {
  await client.close();
  await registry.close();
  await rm(directory, { recursive: true, force: true });
});

describe("no layout is made", () => {
  test("of an index: it has no one image", async () => {
    const index = await pushTinyIndex(client, repository(), [image]);
    await expect(writeImageLayout(client, repository(), index, directory, context())).rejects.toMatchObject({
      code: "layout-invalid",
    });
  });

  test.each([
    ["a layer is not what its digest says", { kind: "corrupt" as const, at: 15 }],
    ["a layer is cut short", { kind: "truncate" as const, afterBytes: 40 }],
  ])("where %s, and nothing is written any more once that is said", async (_name, action) => {
    registry.faults = [{ method: "GET", path: "/blobs/", after: 1, times: 1, action }];
    await expect(writeImageLayout(client, repository(), image.digest, directory, context())).rejects.toThrow();
    expect(existsSync(join(directory, "index.json"))).toBe(false);
    // The owner removes the directory now: a writer that is still at work would make it appear again, or fail unheard.
    await rm(directory, { recursive: true });
    const asked = registry.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(registry.requests.length).toBe(asked);
    expect(existsSync(directory)).toBe(false);
  });

  test("where a layer fails, and those that were not begun are not asked for any more", async () => {
    registry.faults = [
      { method: "GET", path: "/blobs/", after: 1, times: 1, action: { kind: "corrupt", at: 15 } },
      { method: "GET", path: "/blobs/", after: 2, action: { kind: "delay", milliseconds: 300 } },
    ];
    await expect(writeImageLayout(client, repository(), image.digest, directory, context())).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    // Config and seven layers would be eight.
    expect(registry.requests.filter(({ path }) => path.includes("/blobs/")).length).toBeLessThan(8);
  });

  test("when the run is cancelled", async () => {
    const signal = AbortSignal.abort(new Error("cancelled"));
    await expect(
      writeImageLayout(client, repository(), image.digest, directory, { ports: silentPorts(), signal }),
    ).rejects.toThrow("cancelled");
    expect(existsSync(join(directory, "index.json"))).toBe(false);
  });
});

test("a layout has what the image's layers unpack to under their diffIDs, each fetched once, and a manifest that names them", async () => {
  const advanced: number[] = [];
  const ports = {
    ...silentPorts(),
    progress: {
      start: (_label: string, total?: { amount?: number }) => ({
        advance: (bytes: number) => advanced.push(bytes),
        done: () => advanced.push(-(total?.amount ?? 0)),
        failed: () => undefined,
      }),
    },
  };
  await writeImageLayout(client, repository(), image.digest, directory, { ...context(), ports });
  expect(JSON.parse(await readFile(join(directory, "oci-layout"), "utf8"))).toEqual({ imageLayoutVersion: "1.0.0" });
  const { manifests } = JSON.parse(await readFile(join(directory, "index.json"), "utf8"));
  const read = async (digest: string) =>
    JSON.parse(await readFile(join(directory, "blobs/sha256", digest.slice("sha256:".length)), "utf8"));
  const manifest = await read(manifests[0].digest);
  const config = await read(manifest.config.digest);
  expect(config.rootfs.diff_ids).toEqual(layers.map(({ diffId }) => diffId));
  expect(manifest.layers).toEqual(
    layers.map(({ tar, diffId }) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: diffId,
      size: tar.length,
    })),
  );
  const blobs = await readdir(join(directory, "blobs/sha256"));
  // Manifest, config, and seven different layers.
  expect(blobs).toHaveLength(9);
  for (const name of blobs)
    expect(digestOf(await readFile(join(directory, "blobs/sha256", name)))).toBe(`sha256:${name}`);
  expect(registry.requests.filter(({ path }) => path.includes("/blobs/"))).toHaveLength(8);
  // What was told of the progress is all that there was to do.
  expect(advanced.reduce((sum, bytes) => sum + bytes, 0)).toBe(0);
});

test("a layout of the lowest layers has these alone, and a config that says so", async () => {
  const contents = await writeImageLayout(client, repository(), image.digest, directory, context(), { layers: 2 });
  const lowest = layers.slice(0, 2).map(({ diffId }) => diffId);
  expect(contents.map(({ diffId }) => diffId)).toEqual(lowest);
  expect(contents[1]?.entries).toMatchObject([
    { path: "file-1", kind: "file", contentDigest: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  const { manifests } = JSON.parse(await readFile(join(directory, "index.json"), "utf8"));
  const read = async (digest: string) =>
    JSON.parse(await readFile(join(directory, "blobs/sha256", digest.slice("sha256:".length)), "utf8"));
  const manifest = await read(manifests[0].digest);
  expect(await read(manifest.config.digest)).toMatchObject({ os: "linux", rootfs: { diff_ids: lowest } });
  expect(manifest.layers).toHaveLength(2);
});
