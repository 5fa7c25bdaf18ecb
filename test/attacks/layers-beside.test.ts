import { gzipSync, zstdCompressSync } from "node:zlib";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { ImageManifest } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { gzipLayer, layerTypes, plainLayer, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarEnd, tarEntry, tarFiles, tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import {
  base,
  gzip,
  hidden,
  judge,
  layer,
  lodash,
  passed,
  shown,
  stand,
  tools,
  useLayerPairs,
  zstd,
} from "../support/layer-pairs.ts";
import { requireCommand } from "../support/tools.ts";

/**
 * What is judged is what runs: layers that readers take for different things, each beside the honest one that it was
 * made of.
 */

useLayerPairs();

describe("bombs", () => {
  test("a layer of zeros that unpacks to far more than its size ends in an error before it fills anything", async () => {
    const member = gzipSync(Buffer.alloc(16 * 1024 * 1024));
    const header = tarEntry({ name: "srv/zeros", size: 512 * 1024 * 1024 });
    const bytes = Buffer.concat([gzipSync(header), ...Array.from({ length: 32 }, () => member), gzipSync(tarEnd)]);
    const bomb = layer(layerTypes.gzip, bytes);
    expect(await judge(bomb)).toMatchObject({ base: "error layers-too-dense", scan: "error layers-too-dense" });
  });
});

describe("foreign layers", () => {
  const foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
  const urls = ["https://example.com/layer.tar.gz"];
  test.each([
    foreign,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
  ])("%s that the registry does not have is refused, and said what it is", async (mediaType) => {
    const tar = tarFiles({ "srv/elsewhere": mediaType });
    const missing: TestLayer = {
      ...(mediaType.endsWith("gzip") ? gzipLayer(tar) : plainLayer(tar)),
      mediaType,
      urls,
      isPushed: false,
    };
    expect(await judge(missing)).toMatchObject({ base: "error layer-foreign", scan: "error layer-foreign" });
  });

  test("one that it has is judged like any other", async () => {
    expect(await judge({ ...gzipLayer(shown), mediaType: foreign, urls })).toMatchObject(passed);
    const lying: TestLayer = { ...gzipLayer(hidden), mediaType: foreign, urls, diffId: digestOf(shown) as Digest };
    expect(await judge(lying)).toMatchObject({ base: "fail base.layer-contradicts" });
  });
});

describe("a table of contents beside the archive, by which a runtime may unpack", () => {
  const bigFile =
    "x".repeat(100_000) + "\0".repeat(400_000) + Array.from({ length: 300_000 }, (_each, at) => String(at)).join("");

  test("zstd:chunked as containers/storage writes it passes", async () => {
    const image = await stand.push([base, plainLayer(tarFiles({ ...lodash, "srv/big": bigFile, "srv/empty": "" }))]);
    const [from, to] = [`docker://${image}`, `docker://${stand.server.host}/quarantine/chunked:v1`];
    const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    await runChecked(
      await requireCommand("skopeo"),
      ["--insecure-policy", "copy", ...plain, "--dest-compress-format", "zstd:chunked", from, to],
      {
        env: { ...process.env, HOME: stand.directory },
        timeoutMs: 60_000,
      },
    );
    const repository = parseRepository(`${stand.server.host}/quarantine/chunked`);
    const { manifest, digest } = await stand.client.fetchManifest({ ...repository, tag: "v1" });
    const annotations = (manifest as ImageManifest).layers.flatMap((each) => Object.keys(each.annotations ?? {}));
    expect(annotations.filter((name) => name.endsWith("zstd-chunked.manifest-position"))).toHaveLength(2);
    const reference = `${stand.server.host}/quarantine/chunked@${digest}`;
    expect((await stand.enforce(reference)).result.error?.message).toBeUndefined();
    const scanned = await stand.scan(reference, tools);
    expect(scanned.result.error?.message).toBeUndefined();
    expect(scanned.problems).toEqual([]);
  });

  const sha = (content: string | Uint8Array): string =>
    digestOf(typeof content === "string" ? Buffer.from(content) : content);
  const content = "hello world";
  const archive = tarOf(
    { name: "srv/", type: "5" },
    { name: "srv/a", content },
    { name: "srv/l", type: "2", linkname: "a", mode: 0o777 },
    { name: "srv/c\xe9", content: "" },
  );
  type Row = Record<string, unknown>;
  const rows: Row[] = [
    { type: "dir", name: "srv/", mode: 0o755 },
    {
      type: "reg",
      name: "srv/a",
      mode: 0o644,
      size: content.length,
      digest: sha(content),
      offset: 100,
      endOffset: 200,
    },
    { type: "symlink", name: "srv/l", linkName: "a", mode: 0o777 },
    { type: "reg", name: "srv/c\ufffd", mode: 0o644 },
  ];
  const chunk = (from: number, to: number, text = content): Row => ({
    chunkOffset: from,
    chunkSize: to - from,
    chunkDigest: sha(text.slice(from, to)),
  });
  const chunks = (...parts: Row[]): Row[] =>
    rows.flatMap((row) =>
      row["name"] === "srv/a"
        ? parts.map((part, at) => (at === 0 ? { ...row, ...part } : { type: "chunk", name: "srv/a", ...part }))
        : [row],
    );
  const edit = (name: string, change: Row): Row[] =>
    rows.map((row) => (row["name"] === name ? { ...row, ...change } : row));

  function chunked(
    entries: Row[],
    spoil: Partial<Record<"checksum" | "position", string>> = {},
    tar: Uint8Array = archive,
  ): TestLayer {
    const frames = zstd(tar);
    const table = zstdCompressSync(JSON.stringify({ version: 1, entries }));
    const header = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    header.writeUInt32LE(table.length, 4);
    const size = JSON.stringify({ version: 1, entries }).length;
    const annotations = {
      "io.github.containers.zstd-chunked.manifest-checksum": spoil.checksum ?? sha(table),
      "io.github.containers.zstd-chunked.manifest-position":
        spoil.position ?? `${frames.length + 8}:${table.length}:${size}:1`,
    };
    return { ...layer(layerTypes.zstd, Buffer.concat([frames, header, table]), tar), annotations };
  }

  function stargz(entries: Row[], digest?: string): TestLayer {
    const json = JSON.stringify({ version: 1, entries });
    const body = archive.subarray(0, archive.length - tarEnd.length);
    const index = Buffer.concat([tarEntry({ name: "stargz.index.json", content: json }), tarEnd]);
    const annotations = { "containerd.io/snapshot/stargz/toc.digest": digest ?? sha(json) };
    return { ...layer(layerTypes.gzip, gzip(body, index), Buffer.concat([body, index])), annotations };
  }

  const enforced = async (each: TestLayer) => stand.enforce(await stand.push([base, each]));
  test.each<[string, Row[]]>([
    ["the same", rows],
    ["the same, in parts", chunks(chunk(0, 5), chunk(5, 11))],
    ["the same, the last part up to the end", chunks(chunk(0, 5), { ...chunk(5, 11), chunkSize: 0 })],
  ])("that tells %s passes", async (_what, entries) => {
    expect(await enforced(chunked(entries))).toMatchObject({ verdict: "pass" });
    expect(await enforced(stargz(entries))).toMatchObject({ verdict: "pass" });
  });

  test.each<[string, Row[]]>([
    ["another content", edit("srv/a", { digest: sha("evil") })],
    ["no content's digest", edit("srv/a", { digest: undefined })],
    ["a digest for an empty file", edit("srv/c\ufffd", { digest: sha("evil"), chunkDigest: sha("evil") })],
    ["another content of the whole as one part", edit("srv/a", { chunkDigest: sha("evil") })],
    ["another content of a part", chunks(chunk(0, 5), chunk(5, 11, "hello evil!"))],
    ["zeros for a part", chunks(chunk(0, 5), { chunkOffset: 5, chunkSize: 6, chunkType: "zeros" })],
    ["zeros for the whole", edit("srv/a", { chunkType: "zeros" })],
    ["parts with a hole", chunks(chunk(0, 5), chunk(6, 11))],
    ["parts that end early", chunks(chunk(0, 5), chunk(5, 10))],
    ["a part of another file", chunks(chunk(0, 5), { ...chunk(5, 11), name: "srv/b" })],
    ["another mode", edit("srv/a", { mode: 0o4755 })],
    ["another owner", edit("srv/a", { uid: 1 })],
    ["another link", edit("srv/l", { linkName: "/etc" })],
    ["another name", edit("srv/a", { name: "srv/b" })],
    ["another kind", edit("srv/l", { type: "hardlink" })],
    ["an attribute more", edit("srv/a", { xattrs: { "security.capability": "AQ==" } })],
    ["a file more", [...rows, { type: "reg", name: "etc/passwd", mode: 0o644 }]],
    ["a file less", rows.slice(0, 3)],
    ["another order", rows.toReversed()],
    ["a name in two spellings", edit("srv/a", { Name: "srv/evil" })],
    ["nothing", []],
  ])("that tells %s is refused", async (_what, entries) => {
    expect(await enforced(chunked(entries))).toMatchObject({ verdict: "error", code: "layer-unreadable" });
    expect(await enforced(stargz(entries))).toMatchObject({ verdict: "error", code: "layer-unreadable" });
  });

  test.each<[string, TestLayer]>([
    ["of another checksum", chunked(rows, { checksum: sha("x") })],
    ["at another place", chunked(rows, { position: "0:10:10:1" })],
    ["beyond the layer", chunked(rows, { position: "10:100000:10:1" })],
    ["at no place", chunked(rows, { position: "here" })],
    ["that is not in the layer", stargz(rows, sha("x"))],
    [
      "that is nowhere",
      { ...gzipLayer(archive), annotations: { "containerd.io/snapshot/stargz/toc.digest": sha("x") } },
    ],
  ])("%s is refused", async (_what, each) => {
    expect(await enforced(each)).toMatchObject({ verdict: "error", code: "layer-unreadable" });
  });
});
