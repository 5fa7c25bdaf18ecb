import { execFileSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import {
  appTar,
  encode,
  goldenLayer,
  type LayoutFiles,
  type LayoutStand,
  openLayoutStand,
  put,
  putIndex,
} from "@goldenpath/testing/built-layout";
import { tarFiles } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushBuiltLayout } from "./push-built.ts";
import { writeStandIn } from "./stand-in.ts";
import { openStorage } from "./storage.ts";

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

const otherTar = tarFiles({ "usr/lib/other": "other" });
const gzip = (tar: Uint8Array): Layer => ({ mediaType: mediaTypes.ociLayerTarGzip, bytes: gzipSync(tar), tar });
const zstd = (tar: Uint8Array): Layer => ({
  ...{ mediaType: `${mediaTypes.ociLayerTar}+zstd`, bytes: zstdCompressSync(tar), tar },
});

async function pushBase(layers: readonly Layer[]) {
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
  return { repository, image, config, diffIds };
}

/** What jib makes of a stand-in: each layer as it is there, and the application's on top. */
async function buildOn(archive: string, app = appTar, diffIds?: readonly string[]) {
  const storage = await openStorage(archive);
  const [list] = JSON.parse((await storage.read("manifest.json", 10_000)).toString()) as { Layers: string[] }[];
  const config = JSON.parse((await storage.read("config.json", 10_000)).toString()) as {
    rootfs: { type: string; diff_ids: string[] };
  };
  const layers = await Promise.all((list?.Layers ?? []).map((name) => storage.read(name, 10_000)));
  await storage.close();
  const files: LayoutFiles = { "oci-layout": '{"imageLayoutVersion":"1.0.0"}' };
  const rootfs = { ...config.rootfs, diff_ids: diffIds ?? [...config.rootfs.diff_ids, digestOf(app)] };
  const manifest = {
    ...{ schemaVersion: 2, mediaType: mediaTypes.ociManifest },
    config: put(files, mediaTypes.ociConfig, encode({ ...config, rootfs })),
    layers: [...layers, gzipSync(app)].map((bytes) => put(files, mediaTypes.ociLayerTarGzip, bytes)),
  };
  const root = put(files, mediaTypes.ociManifest, encode(manifest));
  putIndex(files, [root]);
  return { path: await stand.writeFolder(files), files, root };
}

async function standIn(layers: readonly Layer[]) {
  const base = await pushBase(layers);
  const archive = join(stand.folder, `stand-in-${counter}.tar`);
  await writeStandIn(archive, base.config, base.diffIds);
  return { base, archive };
}

describe("an image that was built on a stand-in", () => {
  it("is not pushed where it stands on something else, or is another than the build says", async () => {
    const { base, archive } = await standIn([gzip((await goldenLayer).tar)]);
    const foreign = await buildOn(archive, appTar, [digestOf(otherTar), digestOf(appTar)]);
    const to = stand.target({ base, hasStandIns: true });
    await expect(pushBuiltLayout(foreign.path, to)).rejects.toMatchObject({ code: "base-not-used" });
    const { path } = await buildOn(archive);
    await expect(pushBuiltLayout(path, { ...to, expected: digestOf("x") })).rejects.toMatchObject({
      code: "built-image-invalid",
    });
    expect(await stand.tagged(to)).toBeUndefined();
  });

  it("is no index, which can't be given labels either", async () => {
    const { base, archive } = await standIn([gzip((await goldenLayer).tar)]);
    const { files, root } = await buildOn(archive);
    const manifests = [{ ...root, platform: { os: "linux", architecture: "amd64" } }];
    const index = encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
    putIndex(files, [put(files, mediaTypes.ociIndex, index)]);
    for (const change of [{ hasStandIns: true }, { labels: { a: "b" } }]) {
      const to = stand.target({ base, ...change });
      await expect(pushBuiltLayout(await stand.writeFolder(files), to)).rejects.toMatchObject({
        ...{ code: "built-image-invalid", message: expect.stringContaining("it is an index") },
      });
      expect(await stand.tagged(to)).toBeUndefined();
    }
  });

  it.each<[string, () => Promise<Layer[]>]>([
    ["gzip", async () => [gzip((await goldenLayer).tar), gzip(otherTar)]],
    ["zstd", async () => [zstd((await goldenLayer).tar), gzip(otherTar)]],
    ["one layer twice", async () => [gzip(otherTar), gzip((await goldenLayer).tar), gzip(otherTar)]],
    [
      "Docker's types",
      async () => [
        { ...gzip(otherTar), mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip" },
        { ...zstd(otherTar), mediaType: "application/vnd.docker.image.rootfs.diff.tar.zstd" },
      ],
    ],
  ])("has the base's own layers, and nothing that stood for them: %s", async (_what, layers) => {
    const { base, archive } = await standIn(await layers());
    const built = await buildOn(archive);
    const to = stand.target({ base, hasStandIns: true, expected: built.root.digest });
    await pushBuiltLayout(built.path, to);
    const [child] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    const own = base.image.manifest.layers.map((layer) => ({
      ...layer,
      mediaType: layer.mediaType.replace("docker.image.rootfs.diff.tar.", "oci.image.layer.v1.tar+"),
    }));
    const app = gzipSync(appTar);
    const ofApp = { mediaType: mediaTypes.ociLayerTarGzip, digest: digestOf(app), size: app.length };
    expect(child?.manifest.layers).toEqual([...own, ofApp]);
    for (const layer of child?.manifest.layers ?? [])
      expect(digestOf(await stand.client.fetchBlob(to.repository, layer))).toBe(layer.digest);
    // Whoever builds with the base's real bytes has the same image.
    expect(child?.config.rootfs.diff_ids).toEqual([...base.diffIds, digestOf(appTar)]);
  });
});

it("stands for a base as an archive that others read and list alike", async () => {
  const { base, archive } = await standIn([gzip(otherTar), gzip(otherTar)]);
  const names = execFileSync("tar", ["--list", "--file", archive], { encoding: "utf8" }).trim().split("\n");
  expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.tar\.gz$/), "config.json", "manifest.json"]);
  expect((await stat(archive)).mode & 0o777).toBe(0o644);
  expect((await stat(archive)).size).toBeLessThan(10_000);
  expect(base.diffIds).toHaveLength(2);
});
