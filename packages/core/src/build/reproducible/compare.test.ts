import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../../layers/contents.ts";
import { compareImages, type ImageListing } from "./compare.ts";

const entry = (path: string, changes: Partial<LayerEntry> = {}): LayerEntry => ({
  kind: "file",
  path,
  target: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 5,
  device: "",
  attributes: {},
  mtime: "0",
  contentDigest: "a".repeat(64),
  ...changes,
});
const base = { diffId: digestOf("base"), digest: digestOf("base.gz") };
const imageOf = (name: string, entries: readonly LayerEntry[], config: object = {}): ImageListing => ({
  config: { os: "linux", config: { Env: ["PATH=/bin"] }, rootfs: { diff_ids: [name] }, ...config },
  layers: [base, { diffId: digestOf(name), digest: digestOf(`${name}.gz`), entries }],
});
const compare = (first: readonly LayerEntry[], second: readonly LayerEntry[]) =>
  compareImages(imageOf("one", first), imageOf("two", second));

describe("a file of a layer", () => {
  test.each<[string, Partial<LayerEntry>, string]>([
    [
      "content",
      { contentDigest: "b".repeat(64) },
      "content: 5 bytes, sha256:aaaaaaaaaaaa and 5 bytes, sha256:bbbbbbbbbbbb",
    ],
    ["size", { size: 6 }, "content: 5 bytes, sha256:aaaaaaaaaaaa and 6 bytes, sha256:aaaaaaaaaaaa"],
    ["mode", { mode: 0o4755 }, "mode: 0644 and 4755"],
    ["owner", { uid: 1000, gid: 33 }, "owner: 0:0 and 1000:33"],
    ["time", { mtime: "1767225600" }, "mtime: 1970-01-01T00:00:00.000Z and 2026-01-01T00:00:00.000Z"],
    [
      "time below a millisecond",
      { mtime: "0.0000001" },
      "mtime: 1970-01-01T00:00:00.000Z and 1970-01-01T00:00:00.000Z (0.0000001)",
    ],
    ["time that is none", { mtime: "x\n" }, "mtime: 1970-01-01T00:00:00.000Z and 'x\\x0a'"],
    ["attributes", { attributes: { "user.b": "2", "user.a": "1" } }, "attributes: none and user.a=1 user.b=2"],
  ])("differs in %s", (_what, changes, how) => {
    expect(compare([entry("app/x")], [entry("app/x", changes)])).toEqual([{ thing: "layer 2: /app/x", how: [how] }]);
  });

  test("differs in several ways at once, and in what it is", () => {
    const link = entry("app/x", { kind: "symlink", target: "y", size: 0, contentDigest: "", mode: 0o777 });
    expect(compare([entry("app/x")], [link])).toEqual([
      {
        thing: "layer 2: /app/x",
        how: [
          "kind: file and symlink",
          "content: 5 bytes, sha256:aaaaaaaaaaaa and none",
          "mode: 0644 and 0777",
          "target:  and y",
        ],
      },
    ]);
  });

  test("is in one of them alone", () => {
    expect(compare([entry("a"), entry("x")], [entry("a"), entry("y")])).toEqual([
      { thing: "layer 2: /x", how: ["only in the first build"] },
      { thing: "layer 2: /y", how: ["only in the second build"] },
    ]);
  });
});

describe("a layer whose files are all the same", () => {
  test("has them in another order", () => {
    expect(compare([entry("a"), entry("b"), entry("c")], [entry("a"), entry("c"), entry("b")])).toEqual([
      { thing: "layer 2", how: ["order: /b where the other has /c"] },
    ]);
  });

  test("has one more than once", () => {
    expect(compare([entry("a"), entry("a")], [entry("a")])).toEqual([
      { thing: "layer 2", how: ["entries: 2 and 1, with one path more than once"] },
    ]);
  });

  test("is another archive all the same, or is compressed otherwise", () => {
    expect(compare([entry("a")], [entry("a")])).toMatchObject(
      [{ thing: "layer 2", how: [/own bytes/] }].map((each) => ({
        ...each,
        how: [expect.stringContaining("own bytes")],
      })),
    );
    const first = imageOf("one", []);
    const second = { ...first, layers: first.layers.map((layer) => ({ ...layer, digest: digestOf("again") })) };
    const [one] = compareImages(first, second);
    expect(one).toMatchObject({ thing: "layer 1", how: [expect.stringContaining("compression: the same archive")] });
  });
});

test("images differ in their number of layers, and in the places of their configs", () => {
  const first = imageOf("one", [], { created: "2026-01-01T00:00:00Z" });
  const second = {
    ...imageOf("one", [], { created: "2026-01-02T00:00:00Z", config: { Env: ["PATH=/sbin"], User: "1" } }),
    layers: [base],
  };
  expect(compareImages(first, second)).toEqual([
    { thing: "layers", how: ["2 in the first, 1 in the second"] },
    { thing: "config: config.Env[0]", how: ['"PATH=/bin" and "PATH=/sbin"'] },
    { thing: "config: config.User", how: ['nothing and "1"'] },
    { thing: "config: created", how: ['"2026-01-01T00:00:00Z" and "2026-01-02T00:00:00Z"'] },
  ]);
  expect(compareImages(first, first)).toEqual([]);
});
