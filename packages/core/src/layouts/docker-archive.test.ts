import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import {
  appTar,
  blobPath,
  encode,
  goldenLayer,
  type LayoutStand,
  openLayoutStand,
} from "@goldenpath/testing/built-layout";
import type { TarOptions } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushDockerArchive } from "./push-built.ts";

let stand: LayoutStand;
beforeAll(async () => {
  stand = await openLayoutStand();
});
afterAll(() => stand.close());

describe("what docker save wrote", () => {
  async function saved(change: { list?: unknown; config?: object; layers?: Uint8Array[] } = {}): Promise<TarOptions[]> {
    const tars = change.layers ?? [(await goldenLayer).tar, appTar];
    const diffIds = [(await goldenLayer).diffId, digestOf(appTar)];
    const config = encode({
      ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } },
      ...change.config,
    });
    const layers = tars.map((content, index) => ({ name: `layer-${index}/layer.tar`, content }));
    const list = [{ Config: "config.json", RepoTags: ["app:latest"], Layers: layers.map(({ name }) => name) }];
    return [
      { name: "config.json", content: config },
      ...layers,
      { name: "manifest.json", content: encode(change.list ?? list) },
    ];
  }

  it.each<[string, Parameters<typeof saved>[0], string]>([
    ["two images", { list: [1, 2].map(() => ({ Config: "config.json", Layers: [] })) }, "manifest.json"],
    ["no image", { list: [] }, "manifest.json"],
    ["a layer that is not there", { list: [{ Config: "config.json", Layers: ["a", "b"] }] }, "has no "],
    ["a config that is not there", { list: [{ Config: "../config.json", Layers: [] }] }, "has no ../config.json"],
    ["another layer than its config names", { layers: [appTar, appTar] }, "is not the layer"],
    [
      "fewer layers than its config names",
      { list: [{ Config: "config.json", Layers: ["layer-0/layer.tar"] }] },
      "1 layers",
    ],
    ["another compressed layer than its config names", { layers: [gzipSync(appTar), appTar] }, "is not the layer"],
    [
      "a compressed layer that ends in the middle",
      { layers: [gzipSync(appTar).subarray(0, -4), appTar] },
      "it ends in",
    ],
    [
      "something after a compressed layer",
      { layers: [Buffer.concat([gzipSync(appTar), appTar]), appTar] },
      "something else",
    ],
    ["a layer by bzip2", { layers: [Buffer.from("BZh91AY&SY"), appTar] }, "compressed by bzip2"],
  ])("is not pushed with %s", async (_what, change, message) => {
    const to = stand.target();
    await expect(pushDockerArchive(await stand.writeTar(await saved(change)), to)).rejects.toMatchObject({
      code: "built-image-invalid",
      message: expect.stringContaining(message),
    });
    expect(await stand.tagged(to)).toBeUndefined();
  });

  it("becomes an image with the base's own layers, and the same one again", async () => {
    const base = await stand.pushBase();
    const path = await stand.writeTar(await saved());
    const to = stand.target({ base });
    const digest = await pushDockerArchive(path, to);
    expect(await pushDockerArchive(path, stand.target({ base }))).toBe(digest);
    const [child] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    expect(child?.manifest.layers[0]).toEqual(base.image.manifest.layers[0]);
    const app = child?.manifest.layers[1] as Descriptor;
    expect(digestOf(gunzipSync(await stand.client.fetchBlob(to.repository, app)))).toBe(digestOf(appTar));
  });

  it.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
  ])("is the same image where a daemon with containerd's store saved its layers by %s", async (_name, compress) => {
    const golden = await goldenLayer;
    const tars = [golden.tar, appTar];
    const blobs = tars.map((tar) => compress(tar)).map((content) => ({ name: blobPath(digestOf(content)), content }));
    const diffIds = [golden.diffId, digestOf(appTar)];
    const config = encode({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } });
    const Config = blobPath(digestOf(config));
    const path = await stand.writeTar([
      { name: "oci-layout", content: encode({ imageLayoutVersion: "1.0.0" }) },
      { name: Config, content: config },
      ...blobs,
      { name: "manifest.json", content: encode([{ Config, RepoTags: null, Layers: blobs.map(({ name }) => name) }]) },
    ]);
    const base = await stand.pushBase();
    const plain = await pushDockerArchive(await stand.writeTar(await saved()), stand.target({ base }));
    expect(await pushDockerArchive(path, stand.target({ base }))).toBe(plain);
  });

  it("gets labels beside its own, and in place of the base's", async () => {
    const base = await stand.pushBase();
    const own = { "org.opencontainers.image.revision": "the-base-s", "acme.team": "shop" };
    const path = await stand.writeTar(await saved({ config: { config: { Labels: own, User: "1000" }, more: null } }));
    const plain = stand.target({ base });
    const to = stand.target({ base, labels: { "org.opencontainers.image.revision": "c0ffee" } });
    const digests = [await pushDockerArchive(path, plain), await pushDockerArchive(path, to)];
    expect(digests[0]).not.toBe(digests[1]);
    const [without, child] = [
      ...(await fetchImageFacts(stand.client, plain.tags[0])).children,
      ...(await fetchImageFacts(stand.client, to.tags[0])).children,
    ];
    expect(child?.digest).toBe(digests[1]);
    expect(child?.manifest.layers).toEqual(without?.manifest.layers);
    const labels = { "org.opencontainers.image.revision": "c0ffee", "acme.team": "shop" };
    expect(child?.config).toEqual({ ...without?.config, config: { User: "1000", Labels: labels } });
  });

  it("may have a layer twice, the second time as a link to the first", async () => {
    const config = encode({
      ...{ architecture: "amd64", os: "linux" },
      rootfs: { type: "layers", diff_ids: [digestOf(appTar), digestOf(appTar)] },
    });
    const path = await stand.writeTar([
      { name: "config.json", content: config },
      { name: "a/layer.tar", content: appTar },
      { name: "b/layer.tar", type: "2", linkname: "../a/layer.tar" },
      { name: "manifest.json", content: encode([{ Config: "config.json", Layers: ["b/layer.tar", "a/layer.tar"] }]) },
    ]);
    const to = stand.target();
    await pushDockerArchive(path, to);
    const [child] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    expect(child?.manifest.layers).toHaveLength(2);
  });
});
