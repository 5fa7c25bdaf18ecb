import { link, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import {
  appTar,
  asEntries,
  blobPath,
  encode,
  type LayoutFiles,
  type LayoutParts,
  type LayoutStand,
  layout,
  openLayoutStand,
  put,
  putIndex,
  type TaggedOptions,
} from "@goldenpath/testing/built-layout";
import type { TarOptions } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushBuiltLayout } from "./push-built.ts";

let stand: LayoutStand;
beforeAll(async () => {
  stand = await openLayoutStand();
});
afterAll(() => stand.close());

async function expectNothing(to: TaggedOptions): Promise<void> {
  expect(await stand.tagged(to)).toBeUndefined();
}

describe("a layout that is not pushed", () => {
  const digest = digestOf("other");
  it.each<[string, () => LayoutFiles, string]>([
    ["has no oci-layout", () => ({ ...layout().files, "oci-layout": "{}" }), "oci-layout is not of version"],
    ["has a text for oci-layout", () => ({ ...layout().files, "oci-layout": "x" }), "is not JSON"],
    ["has an index.json that is a manifest", () => ({ ...layout().files, "index.json": encode({ config: 1 }) }), ""],
    [
      "names two images",
      () => {
        const { files, root } = layout();
        putIndex(files, [root, { ...root, digest }]);
        return files;
      },
      "it holds 2 images",
    ],
    [
      "names none",
      () => {
        const { files } = layout();
        putIndex(files, []);
        return files;
      },
      "it holds 0 images",
    ],
    [
      "has another manifest than its digest says",
      () => {
        const { files, root } = layout();
        return { ...files, [blobPath(root.digest)]: encode({ schemaVersion: 2 }) };
      },
      "is not what its digest says",
    ],
    [
      "says another size of its manifest",
      () => {
        const { files, root } = layout();
        putIndex(files, [{ ...root, size: root.size + 1 }]);
        return files;
      },
      "is not what its digest says",
    ],
    [
      "says another type of its manifest",
      () => {
        const { files, root } = layout();
        putIndex(files, [{ ...root, mediaType: mediaTypes.dockerManifest }]);
        return files;
      },
      "says it is application/vnd.oci.image.manifest.v1+json",
    ],
    ["lacks a layer", () => layout({ layer: { digest } }).files, "is not in it"],
    ["has a layer that is cut off", () => layout({ layer: { size: 100_000 } }).files, "not 100000"],
    ["has a layer of a type that is none", () => layout({ layerType: "application/wasm" }).files, "application/wasm"],
    [
      "has a foreign layer",
      () => layout({ layerType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }).files,
      "foreign",
    ],
    ["has a layer that lies elsewhere", () => layout({ layer: { urls: ["https://evil.test/x"] } }).files, "elsewhere"],
    ["has fewer diffIDs than layers", () => layout({ config: { rootfs: { type: "layers", diff_ids: [] } } }).files, ""],
    [
      "refers to another image, as evidence does",
      () => layout({ manifest: { subject: { mediaType: mediaTypes.ociManifest, digest, size: 2 } } }).files,
      "refers to another image",
    ],
    [
      "has an index in an index",
      () => {
        const { files, root } = layout();
        const inner = put(
          files,
          mediaTypes.ociIndex,
          encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [root] }),
        );
        const outer = put(
          files,
          mediaTypes.ociIndex,
          encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [inner] }),
        );
        putIndex(files, [outer]);
        return files;
      },
      "an index in an index",
    ],
    [
      "has an image that says it does not run",
      () => {
        const { files, root } = layout();
        const platform = { os: "unknown", architecture: "unknown" };
        const outer = put(
          files,
          mediaTypes.ociIndex,
          encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...root, platform }] }),
        );
        putIndex(files, [outer]);
        return files;
      },
      "is not an attestation",
    ],
  ])("%s", async (_what, make, message) => {
    for (const path of [await stand.writeFolder(make()), await stand.writeTar(asEntries(make()))]) {
      const to = stand.target();
      await expect(pushBuiltLayout(path, to)).rejects.toMatchObject({
        name: "InfrastructureError",
        code: expect.stringMatching(/^(?:built-image|manifest|config)-invalid$/),
        message: expect.stringContaining(message),
      });
      await expectNothing(to);
    }
  });

  it.each<[string, (path: string, parts: LayoutParts) => Promise<void>]>([
    [
      "a link to a layer",
      async (path, { files, layer }) => {
        const blob = Object.keys(files).find((name) => files[name] === layer) ?? "";
        await rm(join(path, blob));
        await writeFile(join(stand.folder, "elsewhere"), layer);
        await symlink(join(stand.folder, "elsewhere"), join(path, blob));
      },
    ],
    [
      "a second name of a file outside",
      async (path) => {
        await writeFile(join(stand.folder, "outside"), '{"imageLayoutVersion":"1.0.0"}');
        await rm(join(path, "oci-layout"));
        await link(join(stand.folder, "outside"), join(path, "oci-layout"));
      },
    ],
    [
      "a link to the folder of blobs",
      async (path) => {
        await mkdir(join(stand.folder, "theirs"));
        await rm(join(path, "blobs"), { recursive: true });
        await symlink(join(stand.folder, "theirs"), join(path, "blobs"));
      },
    ],
  ])("has %s", async (_what, spoil) => {
    const parts = layout();
    const path = await stand.writeFolder(parts.files);
    await spoil(path, parts);
    const to = stand.target();
    await expect(pushBuiltLayout(path, to)).rejects.toMatchObject({
      code: "built-image-invalid",
      message: expect.stringContaining("is not an ordinary"),
    });
    await expectNothing(to);
  });

  it.each<[string, (files: LayoutFiles) => TarOptions[], string]>([
    ["a name twice", (files) => [...asEntries(files), { name: "./oci-layout", content: "{}" }], "in it twice"],
    ["a device", (files) => [...asEntries(files), { name: "null", type: "3" }], "is a character-device"],
    [
      "a hard link",
      (files) => [...asEntries(files), { name: "x", type: "1", linkname: "oci-layout" }],
      "is a hardlink",
    ],
    ["a name that climbs out", (files) => [...asEntries(files), { name: "../x", content: "" }], "climbs out"],
    [
      "a link out of it where a file is needed",
      (files) => [
        ...asEntries(files).filter(({ name }) => name !== "oci-layout"),
        { name: "oci-layout", type: "2", linkname: "../../etc/passwd" },
      ],
      "has no oci-layout",
    ],
    [
      "a link to itself",
      (files) => [
        ...asEntries(files).filter(({ name }) => name !== "oci-layout"),
        { name: "oci-layout", type: "2", linkname: "oci-layout" },
      ],
      "has no oci-layout",
    ],
  ])("is an archive with %s", async (_what, entries, message) => {
    const to = stand.target();
    const path = await stand.writeTar(entries(layout().files));
    await expect(pushBuiltLayout(path, to)).rejects.toMatchObject({
      code: "built-image-invalid",
      message: expect.stringContaining(message),
    });
    await expectNothing(to);
  });

  it("is larger than is read, or has more entries", async () => {
    const path = await stand.writeTar(asEntries(layout().files));
    await expect(pushBuiltLayout(path, stand.target({ limits: { bytes: 1000, entries: 100 } }))).rejects.toMatchObject({
      code: "built-image-invalid",
    });
    await expect(pushBuiltLayout(path, stand.target({ limits: { bytes: 1e6, entries: 4 } }))).rejects.toMatchObject({
      message: expect.stringContaining("more than 4 entries"),
    });
    await pushBuiltLayout(path, stand.target({ limits: { bytes: 1e6, entries: 5 } }));
  });

  it("is no archive, cut off, a pipe, or not there", async () => {
    const text = join(stand.folder, "text");
    await writeFile(text, "x".repeat(2000));
    const cut = join(stand.folder, "cut.tar");
    await writeFile(cut, (await readFile(await stand.writeTar(asEntries(layout().files)))).subarray(0, 1300));
    for (const path of [text, cut, "/dev/null", join(stand.folder, "nothing")])
      await expect(pushBuiltLayout(path, stand.target())).rejects.toMatchObject({ code: "built-image-invalid" });
  });

  it("has a layer that is not what its digest says: it gets no tag", async () => {
    const { files, layer } = layout();
    const blob = Object.keys(files).find((name) => files[name] === layer) ?? "";
    const other = Buffer.from(layer);
    other[20] = (other[20] ?? 0) ^ 1;
    const to = stand.target();
    await expect(pushBuiltLayout(await stand.writeFolder({ ...files, [blob]: other }), to)).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    await expectNothing(to);
  });
});

describe("a layout that is pushed", () => {
  it("is in the registry under each tag, by the digest that it has on the disk", async () => {
    const { files, root } = layout();
    for (const path of [await stand.writeFolder(files), await stand.writeTar(asEntries(files))]) {
      const to = stand.target();
      const tags = [to.tags[0], { ...to.repository, tag: "latest" }] as const;
      expect(await pushBuiltLayout(path, { ...to, tags })).toBe(root.digest);
      for (const tag of tags) expect(await stand.client.resolve(tag)).toBe(root.digest);
      const { children } = await fetchImageFacts(stand.client, { ...to.repository, digest: root.digest });
      expect(children[0]?.config.rootfs.diff_ids).toEqual([digestOf(appTar)]);
    }
  });

  it("may have several names for its image, and be an index with an attestation", async () => {
    const { files, root } = layout();
    const statement = put(files, "application/vnd.in-toto+json", encode({}));
    const config = put(files, mediaTypes.ociConfig, encode({ os: "unknown" }));
    const aside = put(
      files,
      mediaTypes.ociManifest,
      encode({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [statement] }),
    );
    const unknown = { os: "unknown", architecture: "unknown" };
    const platform = { os: "linux", architecture: "amd64" };
    const index = put(
      files,
      mediaTypes.ociIndex,
      encode({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [
          { ...root, platform },
          { ...aside, platform: unknown },
        ],
      }),
    );
    putIndex(files, [index, { ...index, annotations: { "org.opencontainers.image.ref.name": "2" } }]);
    const to = stand.target();
    expect(await pushBuiltLayout(await stand.writeFolder(files), to)).toBe(index.digest);
    const facts = await fetchImageFacts(stand.client, to.tags[0]);
    expect(facts.children.map(({ digest }) => digest)).toEqual([root.digest]);
  });

  it("takes the base's layers from the base's repository", async () => {
    const base = await stand.pushBase();
    const { image } = base;
    const { files } = layout();
    const app = put(files, mediaTypes.ociLayerTarGzip, gzipSync(appTar));
    const config = put(
      files,
      mediaTypes.ociConfig,
      encode({
        ...image.config,
        rootfs: { type: "layers", diff_ids: [...image.config.rootfs.diff_ids, digestOf(appTar)] },
      }),
    );
    const layers = [...image.manifest.layers, app];
    const root = put(
      files,
      mediaTypes.ociManifest,
      encode({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }),
    );
    putIndex(files, [root]);
    const path = await stand.writeFolder(files);
    await expect(pushBuiltLayout(path, stand.target())).rejects.toMatchObject({
      message: expect.stringContaining("is not in it"),
    });
    expect(await pushBuiltLayout(path, stand.target({ base }))).toBe(root.digest);
  });

  it("is refused where it stands on something else than the base, and where it ends before it", async () => {
    const base = await stand.pushBase();
    for (const change of [{}, { manifest: { layers: [] }, config: { rootfs: { type: "layers", diff_ids: [] } } }]) {
      const to = stand.target({ base });
      await expect(pushBuiltLayout(await stand.writeFolder(layout(change).files), to)).rejects.toMatchObject({
        name: "PolicyViolation",
        code: "base-not-used",
        rule: "base.approved",
        message: expect.stringContaining("its layer 1 is"),
      });
      await expectNothing(to);
    }
  });
});
