import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { gzipLayer, layerTypes, plainLayer, type TestLayer } from "@goldenpath/testing/layered-image";
import { paxRecords, type TarOptions, tarEnd, tarEntry, tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import {
  base,
  gzip,
  hidden,
  judge,
  layer,
  passed,
  shown,
  stand,
  tools,
  useLayerPairs,
  zstd,
} from "../support/layer-pairs.ts";

/**
 * What is judged is what runs: layers that readers take for different things, each beside the honest one that it was
 * made of.
 */

useLayerPairs();

const unreadable = { base: "error layer-unreadable", scan: "error layer-unreadable" };
const skippable = (content: string, magic = 0x184d2a50): Buffer => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, Buffer.from(content)]);
};

test("an honest layer passes both stages, by each spelling of its type", async () => {
  const types: [string, Uint8Array][] = [
    [layerTypes.tar, shown],
    [layerTypes.gzip, gzip(shown)],
    [layerTypes.zstd, zstd(shown)],
    ["application/vnd.docker.image.rootfs.diff.tar", shown],
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(shown)],
    ["application/vnd.docker.image.rootfs.diff.tar.zstd", zstd(shown)],
  ];
  for (const [mediaType, bytes] of types) expect(await judge(layer(mediaType, bytes)), mediaType).toMatchObject(passed);
});

describe("a stream that is two things", () => {
  /**
   * A tar archive whose first entry's name begins as a zstd frame does: an archive to who goes by the type, zstd to who
   * goes by the first bytes.
   */
  const named = (start: string): Buffer => tarOf({ name: `${start}x` }, { name: "srv/a", content: "a" });
  test.each<[string, TestLayer]>([
    [
      "an empty zstd frame in front of an archive, as plain tar",
      layer(layerTypes.tar, Buffer.concat([zstd(Buffer.alloc(0)), shown])),
    ],
    [
      "a skippable frame in front of an archive, as plain tar",
      layer(layerTypes.tar, Buffer.concat([skippable("x".repeat(504)), shown])),
    ],
    ["an archive that begins like zstd", plainLayer(named("\x28\xb5\x2f\xfd"))],
    ["an archive that begins like a skippable frame", plainLayer(named("\x50\x2a\x4d\x18"))],
    ["an archive that begins like gzip", plainLayer(named("\x1f\x8b\x08"))],
    ["an archive that begins like bzip2", plainLayer(named("BZh9"))],
    ["an archive that begins like xz", plainLayer(tarOf({ name: "\xfd7zXZ" }, { name: "srv/a" }))],
    ["an archive that begins like zstd, compressed", gzipLayer(named("\x28\xb5\x2f\xfd"))],
    ["gzip as plain tar", layer(layerTypes.tar, gzip(shown))],
    ["zstd as plain tar", layer(layerTypes.tar, zstd(shown))],
    ["gzip as Docker's plain tar", layer("application/vnd.docker.image.rootfs.diff.tar", gzip(shown))],
    ["plain tar as gzip", layer(layerTypes.gzip, shown)],
    ["plain tar as zstd", layer(layerTypes.zstd, shown)],
    ["zstd as gzip", layer(layerTypes.gzip, zstd(shown))],
    ["gzip as zstd", layer(layerTypes.zstd, gzip(shown))],
    ["gzip in gzip", layer(layerTypes.gzip, gzip(gzip(shown)), gzip(shown))],
    ["zstd in gzip", layer(layerTypes.gzip, gzip(zstd(shown)), zstd(shown))],
    ["of a type that nobody knows", layer("application/vnd.oci.image.layer.v1.tar+bzip2", shown)],
    ["of an encrypted type", layer("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", gzip(shown))],
  ])("%s is refused", async (_what, each) => {
    expect(await judge(each)).toMatchObject(unreadable);
  });

  test("an archive of a file with a like name further on passes", async () => {
    expect(
      await judge(plainLayer(tarOf({ name: "a" }, { name: "BZh9" }, { name: "\x28\xb5\x2f\xfd" })), gzipLayer(shown)),
    ).toMatchObject(passed);
  });
});

describe("several frames and members", () => {
  const half = Math.floor(shown.length / 2);
  const parts = [shown.subarray(0, half), shown.subarray(half)] as const;
  test.each<[string, TestLayer]>([
    ["two zstd frames", layer(layerTypes.zstd, zstd(...parts))],
    [
      "zstd frames with skippable ones before, between and after",
      layer(
        layerTypes.zstd,
        Buffer.concat([
          skippable("a"),
          zstd(parts[0]),
          skippable("", 0x184d2a5f),
          zstd(parts[1], Buffer.alloc(0)),
          skippable("end"),
        ]),
      ),
    ],
    ["two gzip members", layer(layerTypes.gzip, gzip(...parts))],
    ["empty gzip members around", layer(layerTypes.gzip, gzip(Buffer.alloc(0), ...parts, Buffer.alloc(0)))],
  ])("of one archive pass: %s", async (_what, each) => {
    expect(await judge(each)).toMatchObject(passed);
  });

  const contradicts = { base: "fail base.layer-contradicts", scan: "error layer-contradicts" };
  const withoutEnd = (tar: Buffer): Buffer => tar.subarray(0, tar.length - tarEnd.length);
  test.each<[string, TestLayer]>([
    ["a second zstd frame", layer(layerTypes.zstd, zstd(withoutEnd(shown), hidden), withoutEnd(shown))],
    [
      "a second zstd frame after a skippable one",
      layer(layerTypes.zstd, Buffer.concat([zstd(withoutEnd(shown)), skippable("x"), zstd(hidden)]), withoutEnd(shown)),
    ],
    ["a second gzip member", layer(layerTypes.gzip, gzip(withoutEnd(shown), hidden), withoutEnd(shown))],
    ["another layer altogether", { ...gzipLayer(hidden), diffId: digestOf(shown) }],
    ["another layer, not compressed", { ...plainLayer(hidden), diffId: digestOf(shown) }],
    ["another layer by SHA-512", { ...plainLayer(hidden), diffId: digestOf(shown, "sha512") }],
  ])("that bring what the config does not tell contradict it: %s", async (_what, each) => {
    const said = await judge(each);
    expect(said).toMatchObject(contradicts);
    expect(said.problems[0]).toContain("its config says that layer 2 is");
  });

  test("a right diffID by SHA-512 passes", async () => {
    expect(await judge({ ...gzipLayer(shown), diffId: digestOf(shown, "sha512") })).toMatchObject(passed);
  });

  const cases = join(import.meta.dirname, "../fixtures/zstd-frames");
  const baseTar = readFileSync(join(cases, "base.tar"));
  test.each<[string, string, string]>([
    ["two-frames.tar.zst", "pass", ""],
    ["base-plus-second-frame.tar.zst", "fail", "base.layer-contradicts"],
  ])("the base itself as %s: %s", async (file, verdict, rule) => {
    const golden: TestLayer = plainLayer(baseTar);
    await stand.approve([golden]);
    try {
      const image = await stand.push([
        { ...golden, bytes: readFileSync(join(cases, file)), mediaType: layerTypes.zstd },
        gzipLayer(shown),
      ]);
      expect(await stand.enforce(image)).toMatchObject({ verdict, rules: rule === "" ? [] : [rule] });
    } finally {
      await stand.approve([base]);
    }
  });
});

describe("something after the end", () => {
  const entry = tarEntry({ name: "srv/evil", content: "evil" });
  test.each<[string, TestLayer]>([
    ["bytes after gzip", layer(layerTypes.gzip, Buffer.concat([gzip(shown), Buffer.from("hello")]))],
    ["zeros after gzip", layer(layerTypes.gzip, Buffer.concat([gzip(shown), Buffer.alloc(512)]))],
    ["a zstd frame after gzip", layer(layerTypes.gzip, Buffer.concat([gzip(shown), zstd(hidden)]))],
    ["bytes after zstd", layer(layerTypes.zstd, Buffer.concat([zstd(shown), Buffer.from("hello")]))],
    ["a gzip member after zstd", layer(layerTypes.zstd, Buffer.concat([zstd(shown), gzip(hidden)]))],
    ["a frame that is cut off", layer(layerTypes.zstd, Buffer.concat([zstd(shown), zstd(hidden).subarray(0, 20)]))],
    [
      "a skippable frame that is cut off",
      layer(layerTypes.zstd, Buffer.concat([zstd(shown), skippable("hello").subarray(0, 10)])),
    ],
    ["an entry after the archive's end", gzipLayer(Buffer.concat([shown, entry, tarEnd]))],
    [
      "an entry after one block of zeros",
      gzipLayer(Buffer.concat([shown.subarray(0, shown.length - 512), entry, tarEnd])),
    ],
    ["a second archive", plainLayer(Buffer.concat([shown, hidden]))],
    ["a few bytes after the archive's end", plainLayer(Buffer.concat([shown, Buffer.from("x")]))],
    ["an archive cut off in a file", plainLayer(tarEntry({ name: "a", content: "x".repeat(600) }).subarray(0, 1100))],
    ["an archive cut off in a header", plainLayer(shown.subarray(0, 300))],
    [
      "a name without its entry",
      plainLayer(Buffer.concat([tarEntry({ name: "././@LongLink", type: "L", content: "evil\0" }), tarEnd])),
    ],
    ["a changed checksum in gzip", layer(layerTypes.gzip, spoil(gzip(shown)))],
  ])("%s is refused", async (_what, each) => {
    expect(await stand.enforce(await stand.push([base, each]))).toMatchObject({
      verdict: "error",
      code: "layer-unreadable",
    });
  });

  function spoil(bytes: Buffer): Buffer {
    bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 1;
    return bytes;
  }

  test.each<[string, TestLayer[]]>([
    ["zeros up to the end of a record", [gzipLayer(Buffer.concat([shown, Buffer.alloc(10240)]))]],
    ["zeros that fill no block", [gzipLayer(Buffer.concat([shown, Buffer.alloc(100)]))]],
    [
      "no end at all, and an empty layer",
      [gzipLayer(shown.subarray(0, shown.length - tarEnd.length)), gzipLayer(tarEnd)],
    ],
  ])("%s passes", async (_what, layers) => {
    expect(await judge(...layers)).toMatchObject(passed);
  });
});

describe("an archive that readers read in two ways", () => {
  const long = "d/".repeat(60);
  const raw = (options: TarOptions): TestLayer =>
    gzipLayer(Buffer.concat([shown.subarray(0, shown.length - tarEnd.length), tarEntry(options), tarEnd]));
  const meta = (type: string, content: string | Uint8Array): Buffer => tarEntry({ name: "meta", type, content });
  const twice = (...metas: Buffer[]): TestLayer =>
    gzipLayer(Buffer.concat([...metas, tarEntry({ name: "srv/a" }), tarEnd]));
  test.each<[string, TestLayer]>([
    ["a name that climbs", raw({ name: "../etc/passwd" })],
    ["a name that climbs and comes back", raw({ name: "srv/../srv/a" })],
    ["a hard link that climbs", raw({ name: "srv/a", type: "1", linkname: "../../etc/passwd" })],
    ["no name", raw({ name: "" })],
    ["a file with a directory's name", raw({ name: "srv/" })],
    ["a directory with content", raw({ name: "srv", type: "5", content: "x".repeat(512) })],
    ["a link with content", raw({ name: "srv/a", type: "2", linkname: "b", content: "x".repeat(512) })],
    ["a kind that not every reader knows", raw({ name: "srv/a", type: "V" })],
    ["an old sparse file", raw({ name: "srv/a", type: "S", magic: "ustar  \0" })],
    ["a sparse file by pax", raw({ name: "srv/a", pax: { "GNU.sparse.major": "1", "GNU.sparse.name": "srv/evil" } })],
    ["two sizes", raw({ name: "srv/a", content: "x".repeat(1024), pax: { size: "0" } })],
    ["a size by pax alone", raw({ name: "srv/a", content: "x".repeat(1024), size: 0, pax: { size: "1024" } })],
    ["a path with a zero byte", raw({ name: "srv/a", pax: { path: "srv/b\0c" } })],
    ["an empty path by pax", raw({ name: "srv/a", pax: { path: "" } })],
    ["a pax record of a wrong length", twice(meta("x", "99 path=srv/evil\n"))],
    [
      "a pax record twice",
      twice(meta("x", Buffer.concat([paxRecords({ path: "srv/evil" }), paxRecords({ path: "srv/good" })]))),
    ],
    ["a path for all that follows", twice(meta("g", paxRecords({ path: "srv/evil" })))],
    ["two pax headers", twice(meta("x", paxRecords({ path: "srv/evil" })), meta("x", paxRecords({ mtime: "1234" })))],
    ["two long names", twice(meta("L", "srv/evil\0"), meta("L", "srv/good\0"))],
    ["a long name and a pax path", twice(meta("L", "srv/evil\0"), meta("x", paxRecords({ path: "srv/good" })))],
    [
      "a header whose checksum is wrong",
      gzipLayer(Buffer.concat([Buffer.from(tarEntry({ name: "srv/a" })).fill("9", 148, 154), tarEnd])),
    ],
    ["a size that is no number", raw({ name: "srv/a", change: (block) => block.write("12x4567", 124) })],
    ["a size below zero", raw({ name: "srv/a", change: (block) => block.fill(0xff, 124, 136) })],
    ["an unknown version of ustar", raw({ name: "srv/a", magic: "ustar\x0007" })],
    ["the star format", raw({ name: "srv/a", change: (block) => block.write("tar\0", 508, "latin1") })],
    [
      "a name's prefix in GNU's format",
      raw({ name: "a", magic: "ustar  \0", change: (block) => block.write("srv/evil", 345) }),
    ],
    [
      "an old header with more in it",
      raw({ name: "a", magic: "\0\0\0\0\0\0\0\0", change: (block) => block.write("evil", 345) }),
    ],
  ])("%s is refused", async (_what, each) => {
    expect(await stand.enforce(await stand.push([base, each]))).toMatchObject({
      verdict: "error",
      code: "layer-unreadable",
    });
  });

  test("what all of them read alike passes", async () => {
    const archive = Buffer.concat([
      meta("g", paxRecords({ comment: "0123456" })),
      tarEntry({ name: "./", type: "5" }),
      tarEntry({ name: "/srv/absolute" }),
      tarEntry({ name: "srv/old/", type: "\0", magic: "\0\0\0\0\0\0\0\0" }),
      tarEntry({ name: "a", change: (block) => block.write("srv/prefix", 345) }),
      tarEntry({ name: "srv/gnu", magic: "ustar  \0" }),
      meta("L", `srv/${long}x\0`),
      tarEntry({ name: `srv/${long}`.slice(0, 100) }),
      tarEntry({ name: "srv/link", type: "2", linkname: "../srv/a" }),
      tarEntry({ name: "srv/hard", type: "1", linkname: "./srv/gnu" }),
      tarEntry({ name: "srv/latin-\xe9\xff" }),
      tarEntry({
        name: "srv/x",
        pax: {
          path: "srv/\xc3\xa4\n",
          "SCHILY.xattr.user.note": "\x01\0=",
          mtime: "1.5",
          "LIBARCHIVE.xattr.user.note": "AQA9",
        },
      }),
      shown,
    ]);
    const image = await stand.push([base, gzipLayer(archive)]);
    expect((await stand.enforce(image)).result).toMatchObject({ verdict: "pass" });
    expect((await stand.scan(image, tools)).result).toMatchObject({ verdict: "pass" });
  });
});
