import { describe, expect, test } from "vitest";
import { readDockerfileMentions } from "./dockerfile.ts";
import { readGradleMentions, readPomMentions } from "./java-files.ts";
import type { FileMentions } from "./mention.ts";
import { readProjectMentions } from "./plain-files.ts";
import { readComposeMentions, readWorkflowMentions } from "./yaml-files.ts";

const tell = ({ mentions, unread }: FileMentions): string[] => [
  ...mentions.map(({ line, use, name }) => `${line} ${use} ${name}`),
  ...unread.map(({ line }) => `${line} unread`),
];
const compose = (...lines: string[]) => tell(readComposeMentions("c", lines.join("\n")));
const gradle = (text: string) => tell(readGradleMentions("g", text));

describe("a compose file", () => {
  test.each<[string, string[], string[]]>([
    [
      "an alias",
      ["x-b: &b", "  dockerfile_inline: FROM evil:1", "services:", "  a:", "    build: *b"],
      ["2 base evil:1"],
    ],
    [
      "a merged map",
      ["x-b: &b", "  dockerfile_inline: FROM evil:1", "services:", "  a:", "    build:", "      <<: *b"],
      ["2 base evil:1"],
    ],
    [
      "a context in a list",
      ["services:", "  a:", "    build:", "      additional_contexts:", "        - base=docker-image://evil:1"],
      ["5 build evil:1"],
    ],
    [
      "a variable that compose fills in",
      [
        "services:",
        "  a:",
        "    build:",
        "      dockerfile_inline: |",
        "        ARG B=good:1",
        `        FROM $\{B:-evil:1}`,
      ],
      ["6 base evil:1"],
    ],
    [
      "a variable that it leaves",
      ["services:", "  a:", "    build:", "      dockerfile_inline: |", "        ARG B=good:1", "        FROM $${B}"],
      ["6 base good:1"],
    ],
  ])("names by %s what it builds with", (_name, lines, expected) => expect(compose(...lines)).toEqual(expected));

  const built = (inline: string[], ...args: string[]) =>
    compose(
      ...["services:", "  a:", "    build:", "      dockerfile_inline: |"],
      ...inline.map((each) => `        ${each}`),
      ...(args.length === 0 ? [] : ["      args:", ...args.map((each) => `        ${each}`)]),
    );
  const golden = ["ARG BASE=good:1", "FROM $BASE"];

  test.each<[string, string[], string[], string[]]>([
    ["none", golden, [], ["6 base good:1"]],
    ["a map", golden, ["BASE: evil:1"], ["6 base evil:1"]],
    ["a map in quotes", golden, ['"BASE": "evil:1"'], ["6 base evil:1"]],
    ["a list", golden, ["- BASE=evil:1"], ["6 base evil:1"]],
    ["a list without a value", golden, ["- BASE"], ["6 unread"]],
    ["a map without a value", golden, ["BASE:"], ["6 unread"]],
    ["a variable without a value", golden, [`BASE: $\{IMAGE}`], ["6 unread"]],
    ["a variable with a default", golden, [`BASE: $\{IMAGE:-evil:1}`], ["6 base evil:1"]],
    ["a number", ["ARG V=1", "FROM good:$$V"], ["V: 2"], ["6 base good:2"]],
    ["another argument", golden, ["BASES: evil:1", `other: $\{X}`], ["6 base good:1"]],
    ["a frontend", golden, ["BUILDKIT_SYNTAX: evil:1"], ["8 build evil:1", "6 base good:1"]],
    ["a frontend that nobody knows", golden, ["- BUILDKIT_SYNTAX"], ["6 base good:1", "8 unread"]],
  ])("gives an inline Dockerfile arguments: %s", (_name, inline, args, expected) =>
    // Compose would fill in a variable of one dollar.
    expect(
      built(
        inline.map((each) => each.replace(/\$+/, "$$$$")),
        ...args,
      ),
    ).toEqual(expected),
  );

  test("gives arguments by an alias and a merged map, too", () => {
    const head = ["x: &x", "  BASE: evil:1", "services:", "  a:", "    build:"];
    const inline = ["      dockerfile_inline: |", "        ARG BASE=good:1", "        FROM $$BASE"];
    expect(compose(...head, ...inline, "      args: *x")).toEqual(["8 base evil:1"]);
    expect(compose(...head, ...inline, "      args:", "        <<: *x")).toEqual(["8 base evil:1"]);
    expect(compose(...head, ...inline)).toEqual(["8 base good:1"]);
  });

  test.each([
    "x-a: &a\n  image: evil:1\nservices:\n  web:\n    <<: *a\n",
    "x-a: &a\n  image: evil:1\nservices:\n  web:\n    <<: [*a]\n",
    "x-a: &a\n  web:\n    image: evil:1\nservices: *a\n",
    "x-a: &a\n  image: evil:1\nservices:\n  web: *a\n",
  ])("has the image that an alias brings: %j", (text) => {
    expect(tell(readComposeMentions("c", text)).map((each) => each.slice(2))).toEqual(["run evil:1"]);
  });

  test("has its own image rather than that of what is merged", () => {
    const text = "x-a: &a\n  image: evil:1\nservices:\n  web:\n    <<: *a\n    image: good:1\n";
    expect(tell(readComposeMentions("c", text))).toEqual(["6 run good:1"]);
  });

  test("has an end where maps are merged with themselves, or with what is merged", () => {
    const services = "services:\n  a:\n    build: *m9\n";
    const merged = Array.from(
      { length: 9 },
      (_, at) => `x${at + 1}: &m${at + 1}\n  <<: [${"*m0, ".replaceAll("0", String(at)).repeat(30)}]\n`,
    );
    const many = `x0: &m0\n  dockerfile_inline: FROM evil:1\n${merged.join("")}${services}`;
    expect(tell(readComposeMentions("c", many))).toContain("1 unread");
    const own = "x: &m9\n  <<: *m9\n  dockerfile_inline: FROM evil:1\n";
    expect(tell(readComposeMentions("c", own + services))).toContain("1 unread");
    // Nested deep, and each once.
    const deep = `x0: &m0\n  dockerfile_inline: FROM evil:1\n${Array.from({ length: 9 }, (_, at) => `x${at + 1}: &m${at + 1}\n  <<: *m${at}\n`).join("")}`;
    expect(tell(readComposeMentions("c", deep + services))).toEqual(["2 base evil:1"]);
  });

  test("has an end where many services have one long Dockerfile, or many arguments", () => {
    const services = (what: string) =>
      Array.from({ length: 1000 }, (_, at) => `  s${at}: { build: ${what} }\n`).join("");
    const long = `x: &x |\n${"  # a\n".repeat(50_000)}  FROM evil:1\nservices:\n`;
    expect(tell(readComposeMentions("c", long + services("{ dockerfile_inline: *x }")))).toContain("1 unread");
    expect(tell(readComposeMentions("c", `${long}  a: { build: { dockerfile_inline: *x } }`))).toEqual([
      "50002 base evil:1",
    ]);
    const many = `x: &x\n${"  - A=b\n".repeat(20_000)}services:\n`;
    const given = "{ dockerfile_inline: FROM evil:1, args: *x }";
    expect(tell(readComposeMentions("c", many + services(given)))).toContain("1 unread");
    expect(tell(readComposeMentions("c", `${many}  a: { build: ${given} }`))).toEqual(["20003 base evil:1"]);
  }, 20_000);

  test("of many values is read in time that grows with them", () => {
    const text = `x-a:\n${"- a\n".repeat(100_000)}services:\n  a:\n    image: evil:1\n`;
    expect(tell(readComposeMentions("c", text))).toEqual(["100004 run evil:1"]);
  }, 20_000);
});

test.each<[string, string[], string[]]>([
  [
    "a composite action's step",
    ["runs:", "  using: composite", "  steps:", "    - uses: docker://evil:1"],
    ["4 run evil:1"],
  ],
  ["one of another action", ["runs:", "  using: composite", "  steps:", "    - uses: actions/checkout@v5"], []],
  ["an action's image", ["runs:", "  using: docker", "  image: docker://evil:1"], ["3 run evil:1"]],
  ["an action's Dockerfile", ["runs:", "  using: docker", "  image: Dockerfile"], []],
])("an action's file names %s", (_name, lines, expected) =>
  expect(tell(readWorkflowMentions("action.yml", lines.join("\n")))).toEqual(expected),
);

test.each<[string, string[]]>([
  ["jib.from.image = 'good' + '-evil:1'\n", ["1 unread"]],
  ["jib { from { image = 'good:1'.replace('good', 'evil') } }", ["1 unread"]],
  ["jib { from { setImage('evil:1') } }", ["1 base evil:1"]],
  ["jib.from.with { image = 'evil:1' }", ["1 base evil:1"]],
  ["tasks.bootBuildImage.builder = 'evil:1'", ["1 build evil:1"]],
  ["jib { from { image = 'good:1' } }", ["1 base good:1"]],
  ['tasks.named<BootBuildImage>("bootBuildImage") { builder.set("good:1") }', ["1 build good:1"]],
])("a build script %s", (text, expected) => expect(gradle(text)).toEqual(expected));

test("a build script of many blocks is read in time that grows with them", () => {
  expect(gradle("{a ".repeat(50_000))).toEqual([]);
}, 10_000);

test("an argument that doubles has an end", () => {
  const text = `ARG A=aaaaaaaa\n${"ARG A=$A$A\n".repeat(28)}FROM $A`;
  expect(readDockerfileMentions("d", text)).toMatchObject({ mentions: [], unread: [{ line: 14 }] });
  expect(tell(readDockerfileMentions("d", "ARG A=a\nARG A=$A$A\nFROM $A"))).toEqual(["3 base aa"]);
});

test("an image's line is that of what names it", () => {
  const toml = '[_]\nname = "r.test/m"\n[io.buildpacks]\nbuilder = "r.test/m"\n';
  expect(tell(readProjectMentions("p", toml))).toEqual(["4 build r.test/m"]);
  const pom =
    "<project>\n<!-- <jib.from.image>a:1</jib.from.image> -->\n<properties>\n<jib.from.image>a:1</jib.from.image>\n</properties></project>";
  expect(tell(readPomMentions("p", pom))).toEqual(["4 base a:1"]);
});
