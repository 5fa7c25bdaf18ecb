import { describe, expect, test } from "vitest";
import { readBakeMentions } from "./bake-files.ts";

function read(file: string, ...lines: string[]): string[] {
  const { mentions, unread } = readBakeMentions(file, lines.join("\n"));
  return [
    ...mentions.map(({ line, use, name }) => `${line} ${use} ${name}`),
    ...unread.map(({ line }) => `${line} unread`),
  ];
}
const hcl = (...lines: string[]) => read("docker-bake.hcl", ...lines);
const target = (...lines: string[]) => hcl('target "a" {', ...lines, "}");
const json = (body: unknown) => read("docker-bake.json", JSON.stringify({ target: { a: body } }, null, 1));
const inline = (text: string, mark = "EOT") => [`dockerfile-inline = <<${mark}`, text, mark.replace(/^-/, ""), ""];

describe("a bake file in HCL", () => {
  test.each<[string, string[], string[]]>([
    ["a heredoc", inline("FROM evil:1"), ["3 base evil:1"]],
    ["a mark with a dash in it", inline("FROM evil:1", "MY-EOT"), ["3 base evil:1"]],
    ["a heredoc that is indented", inline("  FROM evil:1", "-EOT"), ["3 base evil:1"]],
    ["a mark that is indented", ["dockerfile-inline = <<-E-1", "  FROM evil:1", "  E-1"], ["3 base evil:1"]],
    ["a text", ['dockerfile-inline = "FROM evil:1\\nRUN x"'], ["2 base evil:1"]],
    [
      "a text of several lines",
      ['dockerfile-inline = "ARG B\\nFROM evil:1\\nCOPY --from=c:1 a b"'],
      ["2 base evil:1", "2 build c:1"],
    ],
    ["a key in quotes", ['"dockerfile-inline" = "FROM evil:1\\n"'], ["2 base evil:1"]],
    ["a letter that is escaped", ['dockerfile-inline = "F\\u0052OM evil:1\\n"'], ["2 base evil:1"]],
    ["a variable of bake's", inline(`FROM $\{B:-good:1}`), ["2 unread"]],
    ["a variable of the Dockerfile's", inline(`ARG B=good:1\nFROM $$\{B}`), ["4 base good:1"]],
    ["a variable without braces", inline("ARG B=good:1\nFROM $B"), ["4 base good:1"]],
    ["bake's condition", inline("%{ if x }FROM evil:1%{ endif }"), ["2 unread"]],
    ["a variable's value", ["dockerfile-inline = FILE"], ["2 unread"]],
    ["a call", ['dockerfile-inline = trimspace("FROM good:1")'], ["2 unread"]],
    ["nothing", ["dockerfile-inline = null"], []],
    ["a context", ['contexts = { b = "docker-image://evil:1" }'], ["2 build evil:1"]],
    ["a context by a colon", ["contexts = {", '"b": "docker-image://evil:1",', "}"], ["3 build evil:1"]],
    ["an escaped context", ['contexts = { b = "\\u0064ocker-image://evil:1" }'], ["2 build evil:1"]],
    ["a composed context", ['contexts = { b = format("docker-image:%s", "//evil:1") }'], ["2 unread", "2 unread"]],
    ["a context with a variable", [`contexts = { b = "docker-image://$\{B}" }`], ["2 unread"]],
    ["a context that begins with one", [`contexts = { b = "$\{B}evil:1" }`], ["2 unread"]],
    ["a context that is one", ["contexts = { b = B }"], ["2 unread"]],
    ["contexts that are made", ["contexts = { for k, v in x : k => v }"], ["2 unread"]],
    ["a folder below one", [`contexts = { b = "./$\{B}", c = "target:$\{B}", d = "../x" }`], []],
    [
      "a comment",
      ['# contexts = { b = "docker-image://evil:1" }', '/* "docker-image://evil:1"', '*/ // "docker-image:"'],
      [],
    ],
  ])("names by %s what it builds with", (_name, lines, expected) => expect(target(...lines)).toEqual(expected));

  test("names images as a variable's default", () => {
    expect(hcl('variable "B" {', '  default = "docker-image://evil:1"', "}")).toEqual(["2 build evil:1"]);
    expect(hcl('variable "B" {', '  default = "evil:1"', "}")).toEqual([]);
  });

  test.each<[string, string[]]>([
    ["a heredoc without an end", ["x = <<EOT", "FROM good:1"]],
    ["a heredoc whose mark is filled in", ["x = <<EOT", `$\{ f(`, "EOT", ") } /*", "EOT", "# */"]],
    ["a comment in what is filled in", [`x = "$\{ y /* " */ }"`]],
    ["a text without an end", ['x = "a']],
    ["a comment without an end", ["/* x"]],
    ["a block without an end", ['target "a" {']],
    ["a name without a value", ["x", "y = 1"]],
    ["braces without an end", ["x = ", "{ a = ".repeat(5000)]],
    ["brackets without an end", [`x = ${"[".repeat(5000)}`]],
  ])("is refused for %s", (_name, lines) => expect(hcl(...lines)).toEqual([expect.stringMatching(/^\d+ unread$/)]));

  test("ends a heredoc where bake's reader does", () => {
    const hidden = (mark: string) =>
      hcl("x = <<EOT", mark, 'target "a" {', 'dockerfile-inline = "FROM evil:1"', "}", "y = <<EOT", "EOT");
    expect(hidden("\u0085EOT\u00a0")).toEqual(["4 base evil:1"]);
    // To that reader it is no white space, and the next EOT is no mark.
    expect(hidden("\ufeffEOT")).toEqual([]);
  });

  test("is read whatever else stands in it", () => {
    const lines = [
      'variable "TAG" {',
      '  default = "1"',
      "  validation {",
      `    condition = TAG != "" && (`,
      "      length(TAG) < 9 ? true : false)",
      '    error_message = "no"',
      "  }",
      "}",
      'function "f" { params = [x]',
      `result = "$\{x}-$\{upper("a$\{x}}")}" }`,
      'group "default" { targets = ["a", "b"] }',
      'target "a" {',
      '  matrix = { v = [1, 2.5, { a = "x" }] }',
      `  name = "a-$\{v}"`,
      `  tags = ["x:$\{TAG}", "100%", "a$$\{b}"]`,
      '  output = [{ type = "image" },',
      "  ]",
      "}",
      'target "b" { dockerfile-inline = "FROM evil:1" }',
    ];
    expect(hcl(...lines)).toEqual(["19 base evil:1"]);
  });
});

describe("a bake file in JSON", () => {
  test.each<[string, unknown, string[]]>([
    ["an inline Dockerfile", { "dockerfile-inline": "FROM evil:1\nRUN x\n" }, ["4 base evil:1"]],
    ["a context", { contexts: { b: "docker-image://evil:1" } }, ["5 build evil:1"]],
    ["a list of bodies", [{ contexts: [{ b: "docker-image://evil:1" }] }], ["7 build evil:1"]],
    ["a variable", { contexts: { b: `docker-image://$\{B}` } }, ["5 unread"]],
    ["a variable alone", { contexts: { b: `$\{B}` } }, ["5 unread"]],
    ["a variable in a Dockerfile", { "dockerfile-inline": `FROM $\{B:-good:1}` }, ["4 unread"]],
    ["an escaped one", { "dockerfile-inline": `ARG B=good:1\nFROM $$\{B}` }, ["4 base good:1"]],
    ["a folder", { context: ".", contexts: { b: "./x" }, "dockerfile-inline": null }, []],
  ])("names by %s what it builds with", (_name, body, expected) => expect(json(body)).toEqual(expected));

  test.each([
    ['{"target":{"a":{"contexts":{"b":"docker-image:\\/\\/evil:1"}}}}', "1 build evil:1"],
    ['{"target":{"a":{"contexts":{"b":"\\u0064ocker-image://evil:1"}}}}', "1 build evil:1"],
    ['{"target":{"a":{"dockerf\\u0069le-inline":"FROM evil:1"}}}', "1 base evil:1"],
    ['{"target":{"a":{"dockerfile-inline":"FROM evil:1"}},\n"target":{}}', "1 base evil:1"],
    ['\ufeff[{"target":{"a":{"dockerfile-inline":"FROM evil:1"}}}]', "1 base evil:1"],
    ['{"target": # x\n{}}', "1 unread"],
    [`{"target":${"[".repeat(200)}${"]".repeat(200)}}`, "1 unread"],
  ])("%s", (text, expected) => expect(read("docker-bake.json", text)).toEqual([expected]));
});

describe("arguments that a target gives", () => {
  const golden = inline("ARG BASE=good:1\nFROM $BASE");
  const quoted = 'dockerfile-inline = "ARG BASE=good:1\\nFROM $BASE"';
  test.each<[string, string[], string[]]>([
    ["none", golden, ["4 base good:1"]],
    ["one of its own", ['args = { BASE = "evil:1" }', quoted], ["3 base evil:1"]],
    ["one by a key in quotes", [quoted, 'args = { "BASE": "evil:1" }'], ["2 base evil:1"]],
    ["another", [quoted, 'args = { BASES = "evil:1" }'], ["2 base good:1"]],
    ["another that nobody knows", [quoted, "args = { BASES = X }"], ["2 base good:1"]],
    ["one that nobody knows", [quoted, "args = { BASE = X }"], ["2 unread"]],
    ["one with a variable", [quoted, `args = { BASE = "good:$\{X}" }`], ["2 unread"]],
    ["the environment's", [quoted, "args = { BASE = null }"], ["2 unread"]],
    ["what is made", [quoted, "args = merge(a, b)"], ["2 base good:1", "3 unread"]],
    ["a name that is made", [quoted, 'args = { (X) = "evil:1" }'], ["2 base good:1", "3 unread"]],
    ["a number", ['dockerfile-inline = "ARG V=1\\nFROM good:$V"', "args = { V = 24 }"], ["2 base good:24"]],
    ["a frontend", ['args = { BUILDKIT_SYNTAX = "evil:1" }'], ["2 build evil:1"]],
    ["a frontend that nobody knows", ["args = { BUILDKIT_SYNTAX = X }"], ["2 unread"]],
  ])("count: %s", (_name, lines, expected) => expect(target(...lines)).toEqual(expected));

  test("in JSON, too", () => {
    const file = "ARG BASE=good:1\nFROM $BASE";
    expect(json({ "dockerfile-inline": file, args: { BASE: "evil:1" } })).toEqual(["4 base evil:1"]);
    expect(json({ "dockerfile-inline": file, args: { BASE: null } })).toEqual(["4 unread"]);
    expect(json({ "dockerfile-inline": file, args: {} })).toEqual(["4 base good:1"]);
  });

  test("are those of targets that it inherits from, before its own, and of blocks of its name", () => {
    const lower = `target "b" { ${quoted}\n}`;
    expect(hcl(lower, 'target "c" { args = { BASE = "evil:1" } }')).toEqual(["1 base good:1"]);
    expect(hcl(lower, 'target "b" { args = { BASE = "evil:1" } }')).toEqual(["1 base evil:1"]);
    expect(hcl(lower, 'target "c" {', 'inherits = ["b"]', 'args = { BASE = "evil:1" }', "}")).toEqual([
      "1 base good:1",
      "1 base evil:1",
    ]);
    const given = (own: string) => [
      'target "c" { args = { BASE = "evil:1" } }',
      'target "b" {',
      'inherits = ["c"]',
      quoted,
      own,
      "}",
    ];
    expect(hcl(...given(""))).toEqual(["4 base evil:1"]);
    expect(hcl(...given('args = { BASE = "good:2" }'))).toEqual(["4 base good:2"]);
    expect(hcl(...given("").map((each) => each.replace('["c"]', "[C]")))).toEqual(["3 unread"]);
  });
});

// Each has taken minutes, or all of the stack, where it is read by going back.
describe("has an end", () => {
  test.each<[string, string]>([
    ["heredocs without one", "dockerfile-inline = <<A\n".repeat(40_000)],
    ["marks that are none", `x = <<A\n${"A A\n".repeat(200_000)}`],
    ["words on one line", `x = [${"a,".repeat(400_000)}]`],
    ["texts on one line", `x = [${'"a",'.repeat(200_000)}]`],
    ["signs of what is filled in", `x = <<A\n${"$".repeat(900_000)}\nA\n`],
    ["what is filled into what is filled in", `x = <<A\n${`$\{"`.repeat(100_000)}${'"}'.repeat(100_000)}\nA\n`],
    ["texts within texts", `x = ${`"$\{`.repeat(100_000)}1${'}"'.repeat(100_000)}`],
    ["white space before a mark", `x = <<A\n${" ".repeat(900_000)}.\nA\n`],
    ["names", "a ".repeat(400_000)],
    [
      "targets that inherit in a row",
      Array.from({ length: 9000 }, (_, at) => `target "t${at}" { inherits = ["t${at + 1}"] }\n`).join(""),
    ],
    [
      "targets that inherit from two",
      Array.from({ length: 40 }, (_, at) => `target "t${at}" { inherits = ["t${at + 1}", "t${at + 1}"] }\n`).join(""),
    ],
    ["targets that inherit from themselves", 'target "a" { inherits = ["b"] }\ntarget "b" { inherits = ["a"] }\n'],
    [
      "much that is inherited by many",
      `target "a" { dockerfile-inline = "${"#\\n".repeat(100_000)}FROM good:1" }\n${Array.from({ length: 9000 }, (_, at) => `target "t${at}" { inherits = ["a"] }\n`).join("")}`,
    ],
  ])(
    "where it has many %s",
    (_name, text) => expect(() => readBakeMentions("docker-bake.hcl", text)).not.toThrow(),
    20_000,
  );
});
