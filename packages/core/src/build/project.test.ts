import { describe, expect, it } from "vitest";
import { createMatcher, parseProject } from "./project.ts";

describe("parseProject", () => {
  it.each([
    ["is not TOML", "[[", "line 1"],
    ["has an unknown version", '[_]\nschema-version = "9.0"', "'9.0'"],
    ["excludes and includes", '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]', "both include and exclude"],
    ["excludes what is no text", '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = [1]', "exclude"],
    [
      "has a variable that is a path",
      '[_]\nschema-version = "0.2"\n[[io.buildpacks.build.env]]\nname = "../../bin/x"\nvalue = "1"',
      "'../../bin/x' is not the name of a variable",
    ],
  ])("refuses a file that %s", (_what, text, says) => {
    expect(() => parseProject(text)).toThrow(says);
  });

  it("takes what is the application's to say, and passes over what is the policy's", () => {
    const text =
      '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "evil"\nexclude = ["docs/"]\n[[io.buildpacks.group]]\nid = "evil"\n[[io.buildpacks.build.env]]\nname = "A"\nvalue = "1"';
    expect(parseProject(text)).toEqual({ exclude: ["docs/"], env: { A: "1" }, passedOver: ["builder", "its own buildpacks"] });
  });

  it("reads the first schema, with and without its version", () => {
    for (const head of ["", '[_]\nschema-version = "0.1"\n']) {
      const text = `${head}[build]\ninclude = ["src"]\n[[build.buildpacks]]\nid = "x"\n[[build.env]]\nname = "B"\nvalue = "2"`;
      expect(parseProject(text)).toEqual({ include: ["src"], env: { B: "2" }, passedOver: ["its own buildpacks"] });
    }
  });

  it("finds nothing in a file of another tool", () => {
    expect(parseProject('[project]\nname = "shop"')).toEqual({ env: {}, passedOver: [] });
  });
});

describe("createMatcher", () => {
  it.each<[string[], string, boolean]>([
    [["*.log"], "a.log", true],
    [["*.log"], "deep/down/a.log", true],
    [["*.log"], "a.logs", false],
    [["/a.txt"], "a.txt", true],
    [["/a.txt"], "b/a.txt", false],
    [["src/*.js"], "src/a.js", true],
    [["src/*.js"], "src/b/a.js", false],
    [["src/*.js"], "x/src/a.js", false],
    [["src/**/*.js"], "src/a.js", true],
    [["src/**/*.js"], "src/b/c/a.js", true],
    [["**/tmp"], "a/b/tmp", true],
    [["**/tmp"], "tmp", true],
    [["docs/**"], "docs/a", true],
    [["docs/"], "docs/a/b.txt", true],
    [["docs/"], "docs", false],
    [["docs"], "docs/a/b.txt", true],
    [["d?cs"], "docs", true],
    [["d?cs"], "d/cs", false],
    [["[ab].txt"], "b.txt", true],
    [["[!ab].txt"], "b.txt", false],
    [["[!ab].txt"], "c.txt", true],
    [["a.b"], "axb", false],
    [["(x)"], "(x)", true],
    [["\\!a"], "!a", true],
    [["\\#a"], "#a", true],
    [["# a"], "# a", false],
    [["[z-a]"], "z", false],
    [["[a"], "[a", true],
    [["*.log", "!keep.log"], "keep.log", false],
    [["*.log", "!keep.log", "keep.log"], "keep.log", true],
    [["logs/", "!logs/keep.log"], "logs/keep.log", true],
    [["a "], "a", true],
    [[""], "a", false],
    [["/"], "a", false],
  ])("%j on %s: %s", (patterns, path, expected) => {
    expect(createMatcher(patterns)(path, false)).toBe(expected);
  });

  it("matches folders alone by a slash at the end", () => {
    expect(createMatcher(["docs/"])("docs", true)).toBe(true);
  });
});
