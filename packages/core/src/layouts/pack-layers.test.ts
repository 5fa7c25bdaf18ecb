import { gunzipSync } from "node:zlib";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import {
  appTar,
  blobPath,
  encode,
  type LayoutFiles,
  type LayoutStand,
  openLayoutStand,
  put,
  putIndex,
  type TaggedOptions,
} from "@goldenpath/testing/built-layout";
import { tarFiles } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushBuiltLayout } from "./push-built.ts";

let stand: LayoutStand;
beforeAll(async () => {
  stand = await openLayoutStand();
});
afterAll(() => stand.close());

const statementType = "application/vnd.in-toto+json";
const secondTar = tarFiles({ "app/data": "x".repeat(100_000) });

interface Plain {
  files: LayoutFiles;
  image: Descriptor;
  layers: Descriptor[];
  index: Descriptor;
}

function manifestOf(files: LayoutFiles, config: Descriptor, layers: readonly object[]): Descriptor {
  const { ociManifest } = mediaTypes;
  return put(files, ociManifest, encode({ schemaVersion: 2, mediaType: ociManifest, config, layers }));
}

/** As BuildKit leaves it without compression: an index of an image and of what is stated of it. */
function plainLayout(statement?: (image: Descriptor) => unknown): Plain {
  const files: LayoutFiles = { "oci-layout": '{"imageLayoutVersion":"1.0.0"}' };
  const layers = [appTar, secondTar].map((tar) => put(files, mediaTypes.ociLayerTar, tar));
  const diffIds = layers.map(({ digest }) => digest);
  const config = put(
    files,
    mediaTypes.ociConfig,
    encode({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } }),
  );
  const annotations = { "buildkit/rewritten-timestamp": "1" };
  const image = manifestOf(
    files,
    config,
    layers.map((layer) => ({ ...layer, annotations })),
  );
  const said = put(
    files,
    statementType,
    encode(
      statement?.(image) ?? {
        _type: "https://in-toto.io/Statement/v0.1",
        subject: [
          { name: "pkg:docker/shop", digest: { sha256: digestHex(image.digest) } },
          { name: "another", digest: { sha256: "0".repeat(64) } },
        ],
        predicate: { metadata: { large: 1e21 } },
      },
    ),
  );
  const aside = manifestOf(
    files,
    put(files, mediaTypes.ociConfig, encode({ os: "unknown", rootfs: { type: "layers", diff_ids: [said.digest] } })),
    [said],
  );
  const reference = {
    "vnd.docker.reference.digest": image.digest,
    "vnd.docker.reference.type": "attestation-manifest",
  };
  const manifests = [
    { ...aside, platform: { os: "unknown", architecture: "unknown" }, annotations: reference },
    { ...image, platform: { os: "linux", architecture: "amd64" } },
  ];
  const index = put(
    files,
    mediaTypes.ociIndex,
    encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  );
  putIndex(files, [index]);
  return { files, image, layers, index };
}

async function readJson<T>({ repository }: TaggedOptions, blob: Descriptor): Promise<T> {
  return JSON.parse(Buffer.from(await stand.client.fetchBlob(repository, blob)).toString("utf8")) as T;
}

async function readManifest<T>({ repository }: TaggedOptions, digest: Descriptor["digest"]): Promise<T> {
  const { bytes } = await stand.client.fetchManifest({ ...repository, digest });
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as T;
}

describe("an image whose layers are not compressed is not pushed where", () => {
  it.each<[string, (plain: Plain) => void, string]>([
    [
      "a layer is not what its digest says",
      ({ files, layers }) => {
        files[blobPath((layers[1] as Descriptor).digest)] = tarFiles({ "app/data": "y".repeat(100_000) });
      },
      "its bytes are not those of its digest",
    ],
    [
      "what is stated of it is not what its digest says",
      ({ files }) => {
        const name = Object.keys(files).find((each) => files[each]?.toString().includes("in-toto.io/Statement"));
        files[name ?? ""] = Buffer.from(files[name ?? ""] ?? "")
          .toString("utf8")
          .replace("shop", "show");
      },
      "its bytes are not those of its digest",
    ],
  ])("%s", async (_what, change, message) => {
    const plain = plainLayout();
    const to = stand.target({ compress: true });
    const twin = stand.target({ compress: true });
    await pushBuiltLayout(await stand.writeFolder(plain.files), twin);
    change(plain);
    await expect(pushBuiltLayout(await stand.writeFolder(plain.files), to)).rejects.toThrow(message);
    expect(await stand.tagged(to)).toBeUndefined();
    expect(await stand.tagged(twin)).toBeDefined();
  });

  it.each([["a text"], [{}], [{ subject: [{ digest: "sha256" }] }]])("it is told of in %j", async (statement) => {
    const to = stand.target({ compress: true });
    const path = await stand.writeFolder(plainLayout(() => statement).files);
    await expect(pushBuiltLayout(path, to)).rejects.toThrow("it is no in-toto statement");
    expect(await stand.tagged(to)).toBeUndefined();
  });
});

describe("an image whose layers are not compressed", () => {
  it("has them compressed, and all that names them or it does so by the new digests", async () => {
    const { files, image, layers, index } = plainLayout();
    const to = stand.target({ compress: true });
    const digest = await pushBuiltLayout(await stand.writeFolder(files), to);
    expect(digest).not.toBe(index.digest);
    expect(await stand.tagged(to)).toBe(digest);
    const [child, ...others] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    expect(others).toEqual([]);
    const pushed = child?.manifest.layers ?? [];
    expect(child?.config.rootfs.diff_ids).toEqual(layers.map((layer) => layer.digest));
    for (const [at, tar] of [appTar, secondTar].entries()) {
      const layer = pushed[at] as Descriptor;
      expect(layer).toMatchObject({
        mediaType: mediaTypes.ociLayerTarGzip,
        annotations: { "buildkit/rewritten-timestamp": "1" },
      });
      expect(gunzipSync(await stand.client.fetchBlob(to.repository, layer)).equals(tar)).toBe(true);
    }
    const list = await readManifest<{ manifests: Descriptor[] }>(to, digest);
    expect(list.manifests.map(({ platform }) => platform?.os)).toEqual(["unknown", "linux"]);
    const [aside, runs] = list.manifests as [Descriptor, Descriptor];
    expect(runs.digest).toBe(child?.digest);
    expect(runs.digest).not.toBe(image.digest);
    expect(aside.annotations).toEqual({
      "vnd.docker.reference.digest": runs.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    });
    const { config, layers: said } = await readManifest<ImageManifest>(to, aside.digest);
    expect((await readJson<{ rootfs: object }>(to, config)).rootfs).toEqual({
      ...{ type: "layers", diff_ids: said.map((each) => each.digest) },
    });
    expect(await readJson(to, said[0] as Descriptor)).toEqual({
      _type: "https://in-toto.io/Statement/v0.1",
      subject: [
        { name: "pkg:docker/shop", digest: { sha256: digestHex(runs.digest) } },
        { name: "another", digest: { sha256: "0".repeat(64) } },
      ],
      predicate: { metadata: { large: 1e21 } },
    });
  });

  it("is the same each time, and stays as it is where nobody asks for it, or all is compressed", async () => {
    const { files, index } = plainLayout();
    const path = await stand.writeFolder(files);
    const [one, two] = [stand.target({ compress: true }), stand.target({ compress: true })];
    expect(await pushBuiltLayout(path, one)).toBe(await pushBuiltLayout(path, two));
    expect(await pushBuiltLayout(path, stand.target())).toBe(index.digest);
  });

  it("keeps a layer of another digest as it is, and is refused where its bytes are others", async () => {
    const digest = digestOf(appTar, "sha512");
    const layoutWith = (bytes: Uint8Array) => {
      const { files } = plainLayout();
      files[`blobs/sha512/${digestHex(digest)}`] = bytes;
      const rootfs = { type: "layers", diff_ids: [digestOf(appTar)] };
      const config = put(files, mediaTypes.ociConfig, encode({ architecture: "amd64", os: "linux", rootfs }));
      const layer = { mediaType: mediaTypes.ociLayerTar, digest, size: bytes.byteLength };
      putIndex(files, [manifestOf(files, config, [layer])]);
      return stand.writeFolder(files);
    };
    const changed = Buffer.from(appTar);
    changed[changed.length - 1] = 1;
    const [swapped, to] = [stand.target({ compress: true }), stand.target({ compress: true })];
    await expect(pushBuiltLayout(await layoutWith(changed), swapped)).rejects.toThrow();
    expect(await stand.tagged(swapped)).toBeUndefined();
    await pushBuiltLayout(await layoutWith(appTar), to);
    const [child] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    expect(child?.manifest.layers[0]).toMatchObject({ mediaType: mediaTypes.ociLayerTar, digest });
  });

  it("keeps the base's layers as the base's repository has them", async () => {
    const { files } = plainLayout();
    const tar = tarFiles({ "etc/os-release": "plain" });
    const repository = { registry: stand.host, name: "bases/plain" };
    const layer = { mediaType: mediaTypes.ociLayerTar, digest: digestOf(tar), size: tar.byteLength };
    await stand.client.pushBlob(repository, layer, () => tar);
    const app = put(files, mediaTypes.ociLayerTar, appTar);
    const rootfs = { type: "layers", diff_ids: [layer.digest, app.digest] };
    const config = put(files, mediaTypes.ociConfig, encode({ architecture: "amd64", os: "linux", rootfs }));
    putIndex(files, [manifestOf(files, config, [layer, app])]);
    const manifest: ImageManifest = { schemaVersion: 2, config, layers: [layer] };
    const image = {
      manifest,
      config: { architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [layer.digest] } },
    };
    const to = stand.target({ compress: true, base: { repository, image } });
    await pushBuiltLayout(await stand.writeFolder(files), to);
    const [child] = (await fetchImageFacts(stand.client, to.tags[0])).children;
    expect(child?.manifest.layers.map(({ mediaType }) => mediaType)).toEqual([
      mediaTypes.ociLayerTar,
      mediaTypes.ociLayerTarGzip,
    ]);
    expect(child?.manifest.layers[0]?.digest).toBe(layer.digest);
  });
});
