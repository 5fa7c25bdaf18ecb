import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Header, pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTree, type UnpackLimits, unpackBuildpackLayer } from "./unpack.ts";

type Entry = Partial<Header> & { name: string; content?: string };

let folder: string;
let root: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-unpack-"));
  root = join(folder, "buildpacks");
  mkdirSync(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) archive.entry(header, content ?? "");
  archive.finalize();
  return buffer(archive as AsyncIterable<unknown> as AsyncIterable<Uint8Array>);
}

async function* inPieces(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

async function unpack(
  entries: readonly Entry[] | Buffer,
  limits?: UnpackLimits,
  tree = createTree(root, limits),
): Promise<void> {
  const bytes = Buffer.isBuffer(entries) ? entries : await tar(entries);
  const layer = {
    content: inPieces(gzipSync(bytes)),
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    digest: digestOf(gzipSync(bytes)),
    diffId: digestOf(bytes),
    where: "the test",
  };
  await unpackBuildpackLayer(tree, layer);
}

const at = (path: string): string => `cnb/buildpacks/acme_node/1.0.0/${path}`;
const unpacked = (path: string): string => join(root, "acme_node/1.0.0", path);

describe("what is refused", () => {
  it.each<[string, Entry[]]>([
    ["climbs out", [{ name: at("../../../../evil"), content: "x" }]],
    ["climbs out and comes back", [{ name: at("../1.0.0/evil"), content: "x" }]],
    ["lies outside", [{ name: "etc/passwd", content: "x" }]],
    ["is absolute and lies outside", [{ name: "/etc/passwd", content: "x" }]],
    ["is a folder outside", [{ name: "cnb/lifecycle", type: "directory" }]],
    ["has a name that only begins alike", [{ name: "cnb/buildpacks2/acme_node/1.0.0/x", content: "x" }]],
    ["is a file where the folder of buildpacks is", [{ name: "cnb/buildpacks", content: "x" }]],
    ["is a file where a buildpack's folder is", [{ name: "cnb/buildpacks/acme_node", content: "x" }]],
    [
      "is a link where a version's folder is",
      [{ name: "cnb/buildpacks/acme_node/1.0.0", type: "symlink", linkname: "2.0.0" }],
    ],
    ["is a link to an absolute path", [{ name: at("link"), type: "symlink", linkname: "/etc/passwd" }]],
    ["is a link out of its buildpack", [{ name: at("bin/link"), type: "symlink", linkname: "../../2.0.0/bin/build" }]],
    ["is a link that climbs after a name", [{ name: at("a/link"), type: "symlink", linkname: "b/../../x" }]],
    ["is a link to nothing", [{ name: at("link"), type: "symlink", linkname: "" }]],
    [
      "is written through a link",
      [
        { name: at("dir"), type: "symlink", linkname: "." },
        { name: at("dir/evil"), content: "x" },
      ],
    ],
    [
      "is a folder made through a link",
      [
        { name: at("dir"), type: "symlink", linkname: "." },
        { name: at("dir/evil/"), type: "directory" },
      ],
    ],
    [
      "is a folder in the place of a link",
      [
        { name: at("dir"), type: "symlink", linkname: "." },
        { name: at("dir"), type: "directory" },
      ],
    ],
    [
      "is there twice",
      [
        { name: at("x"), content: "1" },
        { name: at("x"), content: "2" },
      ],
    ],
    ["is a hard link to what is outside", [{ name: at("x"), type: "link", linkname: "/etc/passwd" }]],
    ["is a hard link to what is not there", [{ name: at("x"), type: "link", linkname: at("y") }]],
    [
      "is a hard link to a link",
      [
        { name: at("y"), type: "symlink", linkname: "z" },
        { name: at("x"), type: "link", linkname: at("y") },
      ],
    ],
    [
      "is a hard link into another buildpack",
      [
        { name: "cnb/buildpacks/acme_go/1.0.0/y", content: "y" },
        { name: at("x"), type: "link", linkname: "cnb/buildpacks/acme_go/1.0.0/y" },
      ],
    ],
    ["is a device", [{ name: at("null"), type: "character-device", devmajor: 1, devminor: 3 }]],
    ["is a disk", [{ name: at("sda"), type: "block-device", devmajor: 8, devminor: 0 }]],
    ["is a pipe", [{ name: at("pipe"), type: "fifo" }]],
    ["removes something below it", [{ name: at(".wh.bin"), content: "" }]],
    ["has a line end in its name", [{ name: at("a\nb"), content: "x" }]],
    ["has a component that is too long", [{ name: at("x".repeat(256)), content: "x" }]],
  ])("is an entry that %s", async (_what, entries) => {
    await expect(unpack(entries)).rejects.toMatchObject({ name: "UserError", code: "buildpackage-unsafe" });
    expect(readdirSync(folder)).toEqual(["buildpacks"]);
    expect(existsSync(unpacked("evil"))).toBe(false);
  });

  it("is what would fill the disk, over all layers", async () => {
    const tree = createTree(root, { bytes: 100_000, entries: 100 });
    await unpack([{ name: at("a"), content: "x".repeat(60_000) }], undefined, tree);
    await expect(unpack([{ name: at("b"), content: "x".repeat(60_000) }], undefined, tree)).rejects.toMatchObject({
      code: "buildpackage-too-large",
    });
  });

  it("is a layer of too many entries", async () => {
    const entries = Array.from({ length: 6 }, (_, index) => ({ name: at(String(index)), content: "" }));
    await expect(unpack(entries, { bytes: 1_000_000, entries: 5 })).rejects.toMatchObject({
      code: "buildpackage-too-large",
    });
  });

  it("is not a layer of just as many as there may be", async () => {
    const entries = Array.from({ length: 5 }, (_, index) => ({ name: at(String(index)), content: "" }));
    await unpack(entries, { bytes: 1_000_000, entries: 5 });
    expect(readdirSync(unpacked(""))).toHaveLength(5);
  });

  it("is a bomb, before it is unpacked to its end", async () => {
    const tree = createTree(root, { bytes: 1_000_000, entries: 10 });
    await expect(
      unpack(await tar([{ name: at("zeros"), content: "\0".repeat(20_000_000) }]), undefined, tree),
    ).rejects.toMatchObject({
      code: "buildpackage-too-large",
    });
    expect(tree.budget.bytes).toBeLessThan(1_200_000);
  });

  it("is content that the config has another digest for", async () => {
    const bytes = await tar([{ name: at("x"), content: "x" }]);
    const layer = {
      content: inPieces(gzipSync(bytes)),
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest: digestOf(bytes),
      diffId: digestOf("other"),
      where: "the test",
    };
    await expect(unpackBuildpackLayer(createTree(root), layer)).rejects.toMatchObject({
      name: "InfrastructureError",
      code: "digest-mismatch",
    });
  });

  it.each([
    ["cut off", (bytes: Buffer) => gzipSync(bytes).subarray(0, 60)],
    ["not compressed", (bytes: Buffer) => bytes],
    ["cut off inside, and compressed again", (bytes: Buffer) => gzipSync(bytes.subarray(0, 700))],
    ["no archive", () => gzipSync(Buffer.alloc(2048, "x"))],
  ])("is a layer that is %s", async (_what, spoil) => {
    const bytes = await tar([{ name: at("x"), content: "x".repeat(1000) }]);
    const layer = {
      content: inPieces(spoil(bytes)),
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest: digestOf(bytes),
      diffId: digestOf(bytes),
      where: "the test",
    };
    await expect(unpackBuildpackLayer(createTree(root), layer)).rejects.toMatchObject({
      code: "buildpackage-malformed",
    });
  });

  it("is a media type that is no tar", async () => {
    const layer = {
      content: inPieces(Buffer.alloc(0)),
      mediaType: "application/wasm",
      digest: digestOf(""),
      diffId: digestOf(""),
      where: "the test",
    };
    await expect(unpackBuildpackLayer(createTree(root), layer)).rejects.toMatchObject({
      name: "UserError",
      code: "buildpackage-malformed",
    });
  });
});

describe("what is unpacked", () => {
  it("is files, folders and links, with plain modes whatever the archive and the umask say", async () => {
    const before = process.umask(0o077);
    try {
      await unpack([
        { name: "/", type: "directory" },
        { name: "/cnb/", type: "directory" },
        { name: "./cnb/buildpacks", type: "directory" },
        { name: at("bin"), type: "directory", mode: 0o700 },
        { name: `/${at("bin/build")}`, content: "#!/bin/sh\n", mode: 0o4711, uid: 12 },
        { name: at("deep/down/file.txt"), content: "text", mode: 0o666 },
        { name: at("bin/detect"), type: "symlink", linkname: "build" },
        { name: at("deep/down/up"), type: "symlink", linkname: "../../bin/./build" },
        { name: at("bin/same"), type: "link", linkname: at("bin/build") },
        { name: at("bin"), type: "directory" },
      ]);
    } finally {
      process.umask(before);
    }
    expect(statSync(unpacked("bin/build")).mode & 0o7777).toBe(0o755);
    expect(statSync(unpacked("deep/down/file.txt")).mode & 0o7777).toBe(0o644);
    for (const path of ["", "bin", "deep", "deep/down"]) expect(statSync(unpacked(path)).mode & 0o7777).toBe(0o755);
    expect(readFileSync(unpacked("deep/down/file.txt"), "utf8")).toBe("text");
    expect(readlinkSync(unpacked("bin/detect"))).toBe("build");
    expect(readFileSync(unpacked("deep/down/up"), "utf8")).toBe("#!/bin/sh\n");
    expect(lstatSync(unpacked("bin/same")).isFile()).toBe(true);
  });

  it.each([
    ["application/vnd.oci.image.layer.v1.tar+zstd", zstdCompressSync],
    ["application/vnd.oci.image.layer.v1.tar", (bytes: Buffer) => bytes],
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", gzipSync],
    ["application/vnd.docker.image.rootfs.diff.tar.zstd", zstdCompressSync],
    [
      "application/vnd.oci.image.layer.v1.tar+zstd",
      (bytes: Buffer) =>
        Buffer.concat([zstdCompressSync(bytes.subarray(0, 1000)), zstdCompressSync(bytes.subarray(1000))]),
    ],
  ])("may be %s", async (mediaType, compress) => {
    const bytes = await tar([{ name: at("x"), content: "y".repeat(5000) }]);
    await unpackBuildpackLayer(createTree(root), {
      content: inPieces(compress(bytes)),
      mediaType,
      digest: digestOf(bytes),
      diffId: digestOf(bytes),
      where: "the test",
    });
    expect(readFileSync(unpacked("x"), "utf8")).toBe("y".repeat(5000));
  });
});
