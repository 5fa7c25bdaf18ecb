import { describe, expect, test } from "vitest";
import { readBakeMentions } from "./bake-files.ts";

const read = (text: string, file = "docker-bake.hcl"): string[] => {
  const { mentions, unread } = readBakeMentions(file, text);
  return [
    ...mentions.map(({ line, use, name }) => `${line} ${use} ${name}`),
    ...unread.map(({ line }) => `${line} unread`),
  ];
};
const json = (target: object): string => JSON.stringify({ target: { a: target } }, null, 1);
const inTarget = (...lines: string[]): string => `target "a" {\n${lines.join("\n")}\n}\n`;

describe("a bake file in HCL", () => {
  test.each([
    ["a text", inTarget('dockerfile-inline = "FROM evil:1\\n"'), ["2 base evil:1"]],
    ["a key in quotes", inTarget('"dockerfile-inline" = "FROM evil:1"'), ["2 base evil:1"]],
    ["a block of one line", 'target "a" { dockerfile-inline = "FROM evil:1" }', ["1 base evil:1"]],
    ["a heredoc", inTarget("dockerfile-inline = <<EOT", "FROM evil:1", "EOT"), ["3 base evil:1"]],
    ["a mark with a hyphen", inTarget("dockerfile-inline = <<-MY-EOT", "FROM evil:1", "MY-EOT"), ["3 base evil:1"]],
    ["a context", inTarget('contexts = { b = "docker-image://evil:1" }'), ["2 build evil:1"]],
    ["an escape", inTarget('contexts = { b = "\\u0064ocker-image://evil:1" }'), ["2 build evil:1"]],
    [
      "an argument of the Dockerfile's own",
      inTarget("dockerfile-inline = <<EOT", "ARG B=good:1", `FROM $$\{B}`, "EOT"),
      ["4 base good:1"],
    ],
  ])("names an image in %s", (_what, text, expected) => expect(read(text)).toEqual(expected));

  test.each([
    ["a variable in a context", inTarget(`contexts = { b = "docker-image://\${B}" }`), 2],
    ["a format", inTarget('contexts = { b = format("docker-image:%s", "//evil:1") }'), 2],
    ["bake's variable in a Dockerfile", inTarget("dockerfile-inline = <<EOT", "ARG B=good:1", `FROM \${B}`, "EOT"), 3],
    ["bake's variable in a text", inTarget(`dockerfile-inline = "FROM \${B}"`), 2],
    ["a function", inTarget('dockerfile-inline = join("", ["FROM ", "evil:1"])'), 2],
    ["a variable alone", inTarget("dockerfile-inline = TEXT"), 2],
  ])("leaves nobody to guess: %s", (_what, text, line) => expect(read(text)).toEqual([`${line} unread`]));

  test("has nothing in what is no image", () => {
    const text = inTarget("# docker-image://evil:1", 'contexts = { src = "target:base", lib = "../lib" }');
    expect(read(text)).toEqual([]);
    expect(read(inTarget('args = { V = "1" }', 'dockerfile = "Dockerfile"'))).toEqual([]);
  });

  // Who looked from each line to the end of the file would take minutes, and the test its time limit.
  test("is read in time that grows with it", () => {
    expect(read("dockerfile-inline = <<A\n".repeat(50_000))).toEqual(["2 unread"]);
    expect(read("dockerfile-inline = <<A\nFROM a\nA\n".repeat(30_000))).toHaveLength(30_000);
  });
});

describe("a bake file in JSON", () => {
  const file = "docker-bake.json";
  test.each([
    ["a context", json({ contexts: { b: "docker-image://evil:1" } }), ["5 build evil:1"]],
    [
      "slashes that are escaped",
      json({ contexts: { b: "docker-image://evil:1" } }).replaceAll("/", "\\/"),
      ["1 build evil:1"],
    ],
    ["another escape", json({ contexts: { b: "@" } }).replace("@", "\\u0064ocker-image://evil:1"), ["1 build evil:1"]],
    ["a Dockerfile", json({ "dockerfile-inline": "FROM evil:1\n" }), ["4 base evil:1"]],
    [
      "a list of targets",
      JSON.stringify({ target: [{ a: [{ "dockerfile-inline": "FROM evil:1" }] }] }),
      ["1 base evil:1"],
    ],
  ])("names an image in %s", (_what, text, expected) => expect(read(text, file)).toEqual(expected));

  test.each([
    ["a variable in a context", json({ contexts: { b: `\${B}` } })],
    ["a variable in an image", json({ contexts: { b: `docker-image://\${B}` } })],
    ["bake's variable in a Dockerfile", json({ "dockerfile-inline": `FROM \${B}` })],
    ["no JSON", "{"],
  ])("leaves nobody to guess: %s", (_what, text) => {
    expect(read(text, file)).toEqual([expect.stringMatching(/^\d+ unread$/)]);
  });

  test("has nothing in what is no image, however deep", () => {
    expect(read(json({ contexts: { src: "target:base" }, args: { V: `\${V}` } }), file)).toEqual([]);
    const depth = 5_000;
    expect(read(`{"target":${"[".repeat(depth)}${"]".repeat(depth)}}`, file)).toEqual([]);
  });
});
