import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noNames, readBuildScript, readSettings } from "./gradle.ts";
import { isGoMain, readGoWork, readPackage, readPnpmWorkspace, readProcfile } from "./languages.ts";
import { readMavenProject } from "./maven.ts";
import { UnfitScript } from "./script.ts";
import { parseXml, UnfitXml } from "./xml.ts";

/** Texts in which what the readers look for is likely to stand, in any order. */
const textOf = (...words: string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 6 })), { maxLength: 60 })
    .map((all) => all.join(""));

const script = textOf(
  "plugins",
  "apply",
  " plugin: ",
  "id ",
  "'",
  '"',
  "'''",
  '"""',
  "{",
  "}",
  "(",
  ")",
  "\n",
  "//",
  "/*",
  "*/",
  "include ",
  "\\",
  "$",
  "`",
  "version ",
);
const xml = textOf(
  "<project>",
  "</project>",
  "<build>",
  "</build>",
  "<plugins>",
  "<plugin>",
  "<!--",
  "-->",
  "<![CDATA[",
  "]]>",
  "&lt;",
  "&x;",
  "$",
  "{a}",
  "<parent>",
);

describe("whatever is in a file", () => {
  test("a build script is read or refused", () => {
    fc.assert(
      fc.property(script, (text) => {
        for (const read of [() => readBuildScript(text, "f", noNames), () => readSettings(text, "f")]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(UnfitScript);
          }
        }
      }),
    );
  });

  test("a POM is read or refused", () => {
    fc.assert(
      fc.property(xml, (text) => {
        try {
          readMavenProject([{ file: "pom.xml", root: parseXml(text) }]);
        } catch (error) {
          expect(error).toBeInstanceOf(UnfitXml);
        }
      }),
    );
  });

  test("no other reader of text throws", () => {
    fc.assert(
      fc.property(
        textOf("packages:", "\n", "  - ", "use ", "(", ")", "web: ", "package main", "/*", "*/", "'"),
        (text) => {
          for (const read of [readPnpmWorkspace, readGoWork, readProcfile, isGoMain])
            expect(() => read(text)).not.toThrow();
        },
      ),
    );
  });
});

// Each of these once took time by the square of its length: it would end with the test's own limit.
test("time grows with the text alone", () => {
  const size = 1_000_000;
  expect(isGoMain("/*".repeat(size))).toBe(false);
  expect(readGoWork("use (\n".repeat(size / 6))).toEqual([]);
  const path = `${"/".repeat(size)}x`;
  const project = `<project><artifactId>a</artifactId><parent><artifactId>p</artifactId><relativePath>${path}</relativePath></parent><modules><module>${"m".repeat(size)}</module></modules></project>`;
  expect(readMavenProject([{ file: "pom.xml", root: parseXml(project) }]).modules).toEqual([]);
  expect(readSettings(`include 'a'\nproject(':a').projectDir = file('${path}')`, "f").modules).toEqual([path]);
});

test("a workspace's patterns are few enough to hold every folder to each of their stars", () => {
  const list = (stars: number) => Array.from({ length: stars / 2 }, (_, at) => `packages/*/*-${at}`.slice(0, 12));
  const npm = (stars: number) => readPackage(JSON.stringify({ workspaces: list(stars) })).workspaces.length;
  const pnpm = (stars: number) =>
    readPnpmWorkspace(
      `packages:\n${list(stars)
        .map((each) => `  - '${each}'\n`)
        .join("")}`,
    )?.length;
  expect(() => npm(1002)).toThrow();
  expect(npm(1000)).toBe(500);
  expect(pnpm(1002)).toBeUndefined();
  expect(pnpm(1000)).toBe(500);
});

test("a name of JavaScript's own is no plugin's version", () => {
  const { plugins } = readBuildScript("plugins { id 'constructor' }\napply plugin: 'toString'", "f", noNames);
  expect(plugins.map(({ version }) => version)).toEqual([undefined, undefined]);
});

test.each([
  ["package main", true],
  ["// a comment\npackage main // it is", true],
  ["/* package main */\npackage shop", false],
  ["//go:build ignore\n\npackage main", false],
  ["package mainly", false],
])("%j is a program of Go: %s", (text, is) => {
  expect(isGoMain(text)).toBe(is);
});

test.each([
  ["go 1.24\nuse ./a\n", ["./a"]],
  ['use (\n\t./a // one\n\t"./b"\n)\nreplace x => ./c\n', ["./a", "./b"]],
  ["use (./a ./b)\n./c", ["./a", "./b"]],
  ["// use ./a\n", []],
])("go.work %j uses %j", (text, folders) => {
  expect(readGoWork(text)).toEqual(folders);
});
