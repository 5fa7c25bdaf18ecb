import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { cutLines, findFromLine, findPackageLine } from "./find-line.ts";

test.each([
  [
    "npm's lock file, by the version that is installed",
    '{ "packages": {\n"": { "dependencies": { "lodash": "^4.0.0" } },\n"node_modules/lodash": {\n"version": "4.17.20"\n} } }',
    "lodash",
    "4.17.20",
    3,
  ],
  ["a manifest, which has a range", '{\n"dependencies": {\n"lodash": "^4.0.0"\n} }', "lodash", "4.17.20", 3],
  [
    "of two versions the one that is meant",
    '"node_modules/a": {\n"version": "1.0.0"\n},\n\n\n"node_modules/b/node_modules/a": {\n"version": "2.0.0"',
    "a",
    "2.0.0",
    6,
  ],
  ["yarn's", '# yarn lockfile v1\n\nlodash@^4.0.0:\n  version "4.17.20"', "lodash", "4.17.20", 3],
  ["pnpm's", "packages:\n\n  lodash@4.17.20:\n    resolution: {}", "lodash", "4.17.20", 3],
  ["a name with a scope", '"node_modules/@acme/core": {\n"version": "1.0.0"', "@acme/core", "1.0.0", 1],
  [
    "Maven's",
    "<dependency>\n<groupId>a</groupId>\n<artifactId>spring-core</artifactId>\n<version>5.3.1</version>",
    "spring-core",
    "5.3.1",
    3,
  ],
  ["Go's", "module x\n\nrequire (\n\tgithub.com/acme/lib v1.2.3\n)", "github.com/acme/lib", "v1.2.3", 4],
  ["pip's, in another case", "requests==2.0\nFlask==2.1.0\n", "flask", "2.1.0", 2],
  ["Poetry's", '[[package]]\nname = "flask"\nversion = "2.1.0"', "flask", "2.1.0", 2],
  ["Bundler's", "GEM\n  specs:\n    rack (2.2.3)\n", "rack", "2.2.3", 3],
  [
    "Composer's",
    '{ "packages": [ {\n"name": "symfony/http-kernel",\n"version": "v5.0.0"',
    "symfony/http-kernel",
    "v5.0.0",
    2,
  ],
])("%s", (_what, text, name, version, line) => expect(findPackageLine(cutLines(text), name, version)).toBe(line));

test.each([
  ["part of another name", '"node_modules/lodash-es": {\n"node_modules/@x/lodash": {\n"mylodash": "1"'],
  ["an empty file", ""],
])("not in %s", (_what, text) => expect(findPackageLine(cutLines(text), "lodash", "1")).toBeUndefined());

/** In a process of its own, which can be ended: what goes through a file once for each place in it takes hours. */
function findInChild(text: string): string {
  const script = `
    import { cutLines, findPackageLine } from ${JSON.stringify(fileURLToPath(new URL("find-line.ts", import.meta.url)))};
    console.log(findPackageLine(cutLines(${text}), "a", "9.9.9"));`;
  const args = ["--conditions=goldenpath-source", "--input-type=module", "--eval", script];
  const { stdout, signal } = spawnSync(process.execPath, args, { encoding: "utf8", env: {}, timeout: 60_000 });
  return signal ?? stdout.trim();
}

test.each([
  ["in one line is no place, and not gone through for each of its names", '"a ".repeat(2_000_000)', "undefined"],
  ["in one line that has the version at its end", '"a ".repeat(2_000_000) + "9.9.9"', "undefined"],
  ["in lines", '"a b\\n".repeat(1_000_000) + "\\na 9.9.9"', "1000002"],
  ["in lines as long as they may be", '("a ".repeat(2048) + "\\n").repeat(1000) + "\\na 9.9.9"', "1002"],
  ["with one line that is too long", '"a ".repeat(2_000_000) + "\\n\\na 9.9.9"', "3"],
])("4 MB %s", { timeout: 90_000 }, (_what, text, line) => expect(findInChild(text)).toBe(line));

test("the last FROM is the one that the image stands on", () => {
  expect(
    findFromLine("# syntax\nFROM golang AS build\nRUN x\n\n  from registry.acme.example/base\nCOPY --from=build /x /x"),
  ).toBe(5);
  expect(findFromLine("RUN x")).toBeUndefined();
});
