import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { appTar, encode, goldenLayer, type LayoutStand, openLayoutStand } from "@goldenpath/testing/built-layout";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushDockerArchive } from "./push-built.ts";
import { openStorage } from "./storage.ts";
import { writeDockerArchive } from "./write-docker-archive.ts";

let stand: LayoutStand;
let counter = 0;
beforeAll(async () => {
  stand = await openLayoutStand();
});
afterAll(() => stand.close());

interface Layer {
  mediaType: string;
  bytes: Uint8Array;
  tar: Uint8Array;
}

async function pushImage(layers: readonly Layer[]) {
  const repository = { registry: stand.host, name: `bases/made-${++counter}` };
  const push = async (mediaType: string, bytes: Uint8Array) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await stand.client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const diffIds = layers.map(({ tar }) => digestOf(tar));
  const config = encode({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } });
  const manifest = encode({
    ...{ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: await push(mediaTypes.ociConfig, config) },
    layers: await Promise.all(layers.map(({ mediaType, bytes }) => push(mediaType, bytes))),
  });
  const digest = await stand.client.pushManifest(repository, manifest, mediaTypes.ociManifest);
  const [image] = (await fetchImageFacts(stand.client, { ...repository, digest })).children;
  if (image === undefined) throw new TypeError("an image has a child");
  return { repository, image };
}

async function write(layers: readonly Layer[]) {
  const { repository, image } = await pushImage(layers);
  const path = join(stand.folder, `written-${counter}.tar`);
  const signal = new AbortController().signal;
  await writeDockerArchive(stand.client, repository, image, path, { signal });
  return { path, image };
}

const gzip = (tar: Uint8Array): Layer => ({ mediaType: mediaTypes.ociLayerTarGzip, bytes: gzipSync(tar), tar });
const plain = (tar: Uint8Array): Layer => ({ mediaType: mediaTypes.ociLayerTar, bytes: tar, tar });
const zstd = (tar: Uint8Array): Layer => ({
  mediaType: `${mediaTypes.ociLayerTar}+zstd`,
  bytes: zstdCompressSync(tar),
  tar,
});

describe("an image as docker save writes it", () => {
  it("has layers that are compressed by gzip as the registry has them, each once", async () => {
    const golden = gzip((await goldenLayer).tar);
    const { path } = await write([golden, gzip(appTar), golden]);
    const storage = await openStorage(path);
    const [list] = JSON.parse((await storage.read("manifest.json", 10_000)).toString()) as { Layers: string[] }[];
    expect(list?.Layers).toHaveLength(3);
    for (const [index, layer] of [golden, gzip(appTar), golden].entries())
      expect(digestOf(await storage.read(list?.Layers[index] ?? "", 100_000))).toBe(digestOf(layer.bytes));
    await storage.close();
    // Any other program lists it alike.
    const names = execFileSync("tar", ["--list", "--file", path], { encoding: "utf8" }).trim().split("\n");
    expect(names).toEqual([...new Set(list?.Layers), "config.json", "manifest.json"]);
  });

  it.each([
    ["one that is not compressed", () => [gzip(appTar), plain(appTar)]],
    ["one that is compressed in another way", () => [zstd(appTar)]],
  ])("has all layers without compression where there is %s", async (_what, layers) => {
    const { path, image } = await write(layers());
    const to = stand.target();
    await pushDockerArchive(path, to);
    const [child] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    expect(child?.config).toEqual(image.config);
    expect((await readFile(path)).includes(Buffer.from(appTar).subarray(0, 400))).toBe(true);
  });
});
