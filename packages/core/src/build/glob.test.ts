import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMatcher } from "./glob.ts";

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
    [["[]a]x"], "]x", true],
    [["[!a]"], "/", false],
    [["a[!b]c"], "a/c", false],
    [["[a-c-]x"], "-x", true],
    [["a/**/b"], "a/b", true],
    [["a/**/b"], "a/x/y/b", true],
    [["a/**/b"], "a/xb", false],
    [["a**b"], "axxb", true],
    [["a**b"], "ax/b", false],
    [["docs/**"], "docs", false],
    [["f\ufffd"], "f\ufffd", true],
    [["a\\ "], "a", false],
    [["a\\  "], "a ", true],
    [["*.log", "!keep.log"], "keep.log", false],
    [["*.log", "!keep.log", "keep.log"], "keep.log", true],
    [["logs/", "!logs/keep.log"], "logs/keep.log", true],
    [["a "], "a", true],
    [[""], "a", false],
    [["/"], "a", false],
  ])("%j on %s: %s", (patterns, path, expected) => {
    expect(createMatcher(patterns, "a file")(path, false)).toBe(expected);
  });

  it("matches folders alone by a slash at the end", () => {
    expect(createMatcher(["docs/"], "a file")("docs", true)).toBe(true);
  });
});

// Whoever tried each way would take hours, and the test its time limit.
describe("time", () => {
  it.each([
    ["stars within a name", `${"*a".repeat(400)}b`, "a".repeat(4_000)],
    ["stars over folders", `${"**/".repeat(300)}b`, "a/".repeat(2_000)],
    ["stars over and within", `${"**/*a*".repeat(100)}/b`, "a/".repeat(2_000)],
    ["sets without an end", "[".repeat(1_000), "[".repeat(4_000)],
    ["blanks before its end", `a${" ".repeat(998)}b`, "a"],
  ])("does not grow beyond the lengths for %s", (_what, pattern, path) => {
    expect(createMatcher([pattern], "a file")(path, false)).toBe(false);
  });

  it("is that of the places where a pattern stands, and not of its length", () => {
    const matches = createMatcher(
      Array.from({ length: 2_000 }, (_, at) => `/packages/${"a".repeat(900)}${at}`),
      "a file",
    );
    const began = performance.now();
    for (let at = 0; at < 10; at++) expect(matches(`packages/${"a".repeat(200)}`, true)).toBe(false);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it("is bounded by how many patterns there may be, and how long", () => {
    for (const patterns of [Array.from({ length: 2_001 }, () => "a"), ["a".repeat(1_001)]])
      expect(() => createMatcher(patterns, "CODEOWNERS")).toThrow(
        expect.objectContaining({ code: "project-invalid", message: expect.stringMatching(/^CODEOWNERS has /) }),
      );
  });
});

it("agrees with an expression that says the same, on short names", () => {
  const piece = fc.constantFrom("a", "b", "/", "*", "?", "**/", ".");
  const pattern = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
  const path = fc
    .array(fc.constantFrom("a", "b", ".", "/a", "/b"), { minLength: 1, maxLength: 7 })
    .map((pieces) => pieces.join("").replace(/^\//, ""));
  fc.assert(
    fc.property(pattern, path, (text, name) => {
      const bare = text.replace(/\/$/, "");
      if (
        bare === "" ||
        bare.startsWith("#") ||
        bare.startsWith("!") ||
        /[^/]\*\*|\*\*(?!\/)/.test(text) ||
        text.endsWith("/")
      )
        return;
      const source = (bare.startsWith("/") ? bare.slice(1) : bare).replace(/\*\*\/|[.*?]/g, (each) =>
        each === "**/" ? "(?:.*/)?" : each === "*" ? "[^/]*" : each === "?" ? "[^/]" : "\\.",
      );
      const expression = new RegExp(`^${bare.includes("/") ? "" : "(?:.*/)?"}${source}$`, "s");
      const parts = name.split("/");
      const expected = parts.some((_part, index) => expression.test(parts.slice(0, index + 1).join("/")));
      expect(createMatcher([text], "a file")(name, false)).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});
