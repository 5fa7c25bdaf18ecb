import { entry, link, treeOf } from "@goldenpath/testing/file-trees";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import { UnsafeEntry } from "./bytes.ts";
import { TarParser } from "./tar.ts";
import { findNode, resolvePath } from "./tree.ts";

function read(...entries: TarOptions[]): string[] {
  const parser = new TarParser();
  return [...parser.push(tarOf(...entries))].flatMap((each) => (each.kind === "entry" ? [each.entry.path] : []));
}

const longest = `${"a/".repeat(2047)}b`;

describe("what is longer than any runtime can make", () => {
  test.each<[string, TarOptions, TarOptions]>([
    ["a path", { name: "x", pax: { path: `${longest}b` } }, { name: "x", pax: { path: longest } }],
    ["a name", { name: "x", pax: { path: "b".repeat(256) } }, { name: "x", pax: { path: "b".repeat(255) } }],
    [
      "a link",
      { name: "x", type: "2", pax: { linkpath: `${longest}b` } },
      { name: "x", type: "2", pax: { linkpath: longest } },
    ],
    [
      "a hard link",
      { name: "x", type: "1", pax: { linkpath: `${longest}b` } },
      { name: "x", type: "1", pax: { linkpath: longest } },
    ],
  ])("%s is refused, and one byte less is not", (_what, long, twin) => {
    expect(() => read(long)).toThrow(UnsafeEntry);
    expect(read(twin)).toHaveLength(1);
  });

  test("what links within a layer make so deep is refused, and what they lead up and down again is not", () => {
    const below = (end: string) => [link("l", `${"a/".repeat(1500)}${end}`), entry("l/m/x", "x")];
    const next = (end: string) => link(`${"a/".repeat(1500)}m`, `${"b/".repeat(600)}${end}`);
    const made = (end: string) => () => treeOf([[], [next(end), ...below("")]], 1);
    expect(made("")).toThrow("lies too deep");
    expect(made("../".repeat(600))).toThrow("lies too deep");
    const tree = treeOf([[], [link("l", `${"a/".repeat(1500)}${"../".repeat(1500)}c`), entry("l/x", "x")]], 1);
    expect(findNode(tree, "c/x")).toBeDefined();
  });
});

describe("an archive of a few entries, said again and again, takes time that grows with them alone", () => {
  const many = 100_000;
  const files = Array.from({ length: many }, (_each, at) => entry(`d/${at}`, ""));
  const again = (path: string) => Array.from({ length: many }, () => entry(path, ""));

  test("an opaque directory", { timeout: 60_000 }, () => {
    const tree = treeOf([[entry("d/below", "")], [...files, ...again("d/.wh..wh..opq")]], 1);
    expect(findNode(tree, "d")?.children.size).toBe(many);
    expect(tree.removals.get("d/below")).toBe(1);
  });

  test("a whiteout of what the layer has put something in", { timeout: 60_000 }, () => {
    const layer = [entry("d/x", ""), ...again(".wh.d")];
    expect(() => treeOf([files, layer], 1)).toThrow("removes what the same layer adds");
    expect(findNode(treeOf([files, layer]), "d")?.children.size).toBe(many + 1);
  });

  test("a path of a megabyte that a package database lists", { timeout: 60_000 }, () => {
    const tree = treeOf([[link("l", "a"), entry("a/x", "")]]);
    expect(resolvePath(tree, `${"b/".repeat(many)}x`)).toHaveLength(2 * many + 1);
    expect(resolvePath(tree, `${"b/".repeat(many)}${"../".repeat(many)}l/x`)).toBe("a/x");
  });
});

describe("what an opaque directory hides", () => {
  const below = [entry("d/old", ""), entry("d/e/old", ""), entry("d/f/old", "")];

  test("is what lies below, wherever in the layer it stands, and not what the layer has", () => {
    const own = [entry("d/e/new", ""), entry("d/new", "")];
    for (const layer of [
      [entry("d/.wh..wh..opq", ""), ...own],
      [...own, entry("d/.wh..wh..opq", "")],
    ]) {
      const tree = treeOf([below, layer], 1);
      expect([...(findNode(tree, "d")?.children.keys() ?? [])].sort()).toEqual(["e", "new"]);
      expect([...(findNode(tree, "d/e")?.children.keys() ?? [])]).toEqual(["new"]);
    }
  });

  test("is hidden by the next layer again", () => {
    const opaque = entry("d/.wh..wh..opq", "");
    const tree = treeOf([below, [opaque, entry("d/new", "")], [opaque, entry("d/newer", "")]], 1);
    expect([...(findNode(tree, "d")?.children.keys() ?? [])]).toEqual(["newer"]);
  });

  test("is not a file that the layer has given another name, and other rights", () => {
    const hard = entry("g/x", "", { kind: "hardlink", target: "d/e/old", mode: 0o600 });
    const tree = treeOf([below, [hard, entry("d/.wh..wh..opq", "")]], 1);
    expect([...(findNode(tree, "d")?.children.keys() ?? [])]).toEqual(["e"]);
  });
});
