import { tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import { createCollector, keepContent } from "../layers/contents.ts";
import { TarParser } from "../layers/tar.ts";
import { buildTree, type FileTree } from "../layers/tree.ts";
import { findRebuiltBase } from "./rebuilt.ts";

/** Ten files, one of which an image may have in another form. */
const files = (change: Record<string, string> = {}): Record<string, string> => ({
  ...Object.fromEntries(Array.from({ length: 10 }, (_each, index) => [`usr/lib/${index}`, `content ${index}`])),
  ...change,
});

function treeOf(contents: Readonly<Record<string, string>>): FileTree {
  const collector = createCollector(keepContent());
  const parser = new TarParser();
  collector.take(parser.push(tarOf(...Object.entries(contents).map(([name, content]) => ({ name, content })))));
  parser.finish();
  return buildTree([{ diffId: `sha256:${"0".repeat(64)}`, entries: collector.entries }], 1);
}

const golden = { name: "golden", tree: treeOf(files({ empty: "" })) };

describe("an image on no base", () => {
  test.each([
    ["has all of its files, packed in another way, and more", files({ "srv/app": "a" }), 10],
    ["has nine of ten", files({ "usr/lib/3": "changed" }), 9],
  ])("%s: it is that base, packed again", (_what, contents, same) => {
    expect(findRebuiltBase(treeOf(contents), [golden])).toEqual({ name: "golden", same, of: 10 });
  });

  test.each([
    ["has eight of ten", files({ "usr/lib/3": "changed", "usr/lib/4": "changed" })],
    ["has none", { "srv/app": "a" }],
  ])("%s: it is not", (_what, contents) => {
    expect(findRebuiltBase(treeOf(contents), [golden])).toBeUndefined();
  });

  test("two small files say nothing", () => {
    const small = { name: "small", tree: treeOf({ a: "1", b: "2" }) };
    expect(findRebuiltBase(treeOf({ a: "1", b: "2" }), [small])).toBeUndefined();
  });

  test("three are enough", () => {
    const three = { a: "1", b: "2", c: "3" };
    expect(findRebuiltBase(treeOf(three), [{ name: "small", tree: treeOf(three) }])).toMatchObject({ same: 3, of: 3 });
  });

  test("of several, the one with the most files of it", () => {
    const part = {
      name: "part",
      tree: treeOf({ "usr/lib/0": "content 0", "usr/lib/1": "content 1", "usr/lib/2": "content 2" }),
    };
    expect(findRebuiltBase(treeOf(files()), [part, golden])?.name).toBe("golden");
  });
});
