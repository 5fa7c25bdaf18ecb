import { describe, expect, it } from "vitest";
import { listUsed, requireOwnNames, type TriggersOf } from "./images.ts";
import { readDockerfile } from "./stages.ts";
import { DockerfileProblem } from "./words.ts";

const platform = { os: "linux", architecture: "amd64" };

interface Given {
  buildArgs?: Record<string, string>;
  target?: string;
  triggers?: TriggersOf;
}

function used(text: string, { buildArgs = {}, target, triggers = () => undefined }: Given = {}) {
  const parsed = readDockerfile(text, { buildArgs, platform, target });
  const found = listUsed(parsed, target, triggers);
  requireOwnNames(parsed, found.images);
  return found;
}
/** `base golden:1@3`: what it is for, its name, its line. */
const images = (text: string, given?: Given): string[] =>
  used(text, given).images.map(({ use, name, line }) => `${use} ${name}@${line}`);

function problem(text: string, given?: Given): string {
  try {
    used(text, given);
  } catch (error) {
    if (error instanceof DockerfileProblem) return `${error.line}: ${error.message}`;
    throw error;
  }
  throw new Error("it was understood");
}

describe("an image is found wherever it is named", () => {
  it.each<[string, string, string[], Given?]>([
    ["in FROM", "FROM evil:1", ["base evil:1@1"]],
    ["in lower case, with white space before it", "  \tfrom\tevil:1", ["base evil:1@1"]],
    ["after a byte order mark", "\u{feff}FROM evil:1", ["base evil:1@1"]],
    ["with line ends of Windows", "FROM good AS a\r\nFROM evil:1\r\n", ["base evil:1@2"]],
    ["over two lines", "FROM \\\n  evil:1", ["base evil:1@1"]],
    ["over a comment and an empty line", "FROM \\\n# a comment\n\n  evil:1", ["base evil:1@1"]],
    ["with the other escape character", "# escape=`\nFROM `\n  evil:1", ["base evil:1@2"]],
    ["with a backslash that is none", "# escape=`\nFROM good AS a\nRUN echo \\\nFROM evil:1", ["base evil:1@4"]],
    [
      "after what looks like a heredoc to a reader",
      'FROM good AS a\nRUN echo "<<EOF"\nFROM evil:1\n',
      ["base evil:1@3"],
    ],
    ["after a here-string", "FROM good AS a\nRUN cat <<<EOF\nFROM evil:1", ["base evil:1@3"]],
    ["after a shift", "FROM good AS a\nRUN echo $((1<<3))\nFROM evil:1", ["base evil:1@3"]],
    ["after a heredoc in JSON, which is none", 'FROM good AS a\nRUN ["cat", "<<EOF"]\nFROM evil:1', ["base evil:1@3"]],
    ["after a heredoc in CMD, which has none", "FROM good AS a\nCMD cat <<EOF\nFROM evil:1", ["base evil:1@3"]],
    ["after a heredoc's end", "FROM good AS a\nRUN <<EOF\nFROM hidden\nEOF\nFROM evil:1", ["base evil:1@5"]],
    ["after two heredocs", "FROM good AS a\nCOPY <<A <<B /x/\nA\nB\nFROM evil:1", ["base evil:1@5"]],
    ["after a heredoc with tabs", "FROM good AS a\nRUN <<-EOF\n\tx\n\tEOF\nFROM evil:1", ["base evil:1@5"]],
    ["by a default", "ARG A=evil:1\nFROM $A", ["base evil:1@2"]],
    ["by an argument", `ARG A=good\nFROM \${A}`, ["base evil:1@2"], { buildArgs: { A: "evil:1" } }],
    ["put together", `ARG A=ev\nARG B=\${A}il\nFROM \${B}:\${C:-1}`, ["base evil:1@3"]],
    ["in quotes", "FROM \"ev\"'il':1", ["base evil:1@1"]],
    ["by another value's absence", `ARG A=\nFROM \${A:-evil:1}`, ["base evil:1@2"]],
    ["by another value's presence", `ARG A=x\nFROM \${A:+evil:1}`, ["base evil:1@2"]],
    ["by the platform", "FROM evil-$TARGETARCH", ["base evil-amd64@1"]],
    ["by the target's name", "FROM evil-$TARGETSTAGE AS it", ["base evil-it@1"]],
    ["in COPY --from", "FROM good\nCOPY --from=evil:1 /a /b", ["base good@1", "build evil:1@2"]],
    ["in a quoted flag", 'FROM good\nCOPY "--from=evil:1" /a /b', ["base good@1"]],
    ["in a flag with quotes in it", 'FROM good\nCOPY --from="evil:1" /a /b', ["base good@1", "build evil:1@2"]],
    ["in a second flag", "FROM good\nCOPY --chown=1:1 --from=evil:1 /a /b", ["base good@1", "build evil:1@2"]],
    ["in a mount", "FROM good\nRUN --mount=type=bind,from=evil:1,target=/x ls", ["base good@1", "build evil:1@2"]],
    ["in a mount's quotes", 'FROM good\nRUN --mount=type=bind,\\"from=evil:1\\" ls', ["base good@1", "build evil:1@2"]],
    [
      "in a mount of a cache",
      "FROM good\nRUN --mount=type=cache,FROM=evil:1,target=/x ls",
      ["base good@1", "build evil:1@2"],
    ],
    ["in a stage below", "FROM evil:1 AS a\nFROM a AS b\nFROM b", ["base evil:1@1"]],
    [
      "in a stage that files are copied from",
      "FROM evil:1 AS a\nFROM good\nCOPY --from=a /x /x",
      ["base good@2", "build evil:1@1"],
    ],
    ["in a stage by its number", "FROM evil:1\nFROM good\nCOPY --from=0 /x /x", ["base good@2", "build evil:1@1"]],
    [
      "in an image's trigger",
      "FROM good",
      ["base good@1", "build evil:1@1"],
      { triggers: () => ["COPY --from=evil:1 /a /b"] },
    ],
    [
      "in a trigger of a trigger's image",
      "FROM good",
      ["base good@1", "build evil:1@1"],
      { triggers: (name) => (name === "good" ? ["RUN --mount=from=evil:1 ls"] : undefined) },
    ],
    [
      "in a stage's own trigger",
      "FROM good AS a\nONBUILD COPY --from=evil:1 /a /b\nFROM a",
      ["base good@1", "build evil:1@2"],
    ],
    ["that no stage above has the name of", "FROM evil AS a\nFROM b\nFROM good AS b", ["base good@3"]],
    ["scratch is none", "FROM good AS a\nFROM scratch\nCOPY --from=a / /", ["build good@1"]],
    [
      "what the target does not need is not fetched",
      "FROM evil AS a\nFROM good AS b\nFROM evil",
      ["base good@2"],
      { target: "B" },
    ],
  ])("%s", (_how, text, expected, given) => {
    expect(images(text, given).sort()).toEqual([...expected].sort());
  });

  it("and what stands on nothing is known to", () => {
    expect(used("FROM scratch AS a\nFROM a\nCOPY x /x").isOnScratch).toBe(true);
    expect(used("FROM scratch AS a\nFROM good").isOnScratch).toBe(false);
  });
});

describe("what a build would fetch is found", () => {
  it.each([
    ["ADD https://a.example/x /x", { url: "https://a.example/x", checksum: undefined }],
    ["ADD --checksum=sha256:1 HTTPS://a.example/x /x", { url: "HTTPS://a.example/x", checksum: "sha256:1" }],
    ['ADD ["https://a.example/x", "/x"]', { url: "https://a.example/x", checksum: undefined }],
    ["ADD 'https://a.example/x' /x", { url: "https://a.example/x", checksum: undefined }],
    ["ADD git@github.com:acme/shop /x", { url: "git@github.com:acme/shop", checksum: undefined }],
    ["ADD local \\\n https://a.example/x /x/", { url: "https://a.example/x", checksum: undefined }],
    ["ONBUILD ADD https://a.example/x /x\nFROM a", { url: "https://a.example/x", checksum: undefined }],
  ])("%s", (text, expected) => {
    expect(used(`FROM good AS a\n${text}`).downloads).toEqual([{ ...expected, line: 2 }]);
  });
});

describe("what can be read in two ways, or not resolved, is refused at its line", () => {
  it.each<[string, string, RegExp, Given?]>([
    ["an empty file", "\n# nothing\n", /^0: there are no instructions/],
    ["no FROM", "ARG A=1", /^0: it has no FROM/],
    ["something above FROM", "RUN ls\nFROM good", /^1: RUN stands above/],
    ["an argument that nobody gives", "ARG A\nFROM $A", /^2: .*empty without a build argument/],
    ["pieces cut out of a value", `ARG A=evilx\nFROM \${A%x}`, /^2: .*in braces/],
    ["pieces replaced in a value", `ARG A=good\nFROM \${A/good/evil}`, /^2: /],
    ["a variable without an end", `FROM \${A`, /^1: /],
    ["a quote without an end", "FROM 'good", /^1: /],
    ["a required argument", `FROM \${A:?}`, /^1: .*A is not set/],
    ["a variable in COPY --from", "ARG A=evil\nFROM good\nCOPY --from=$A / /", /^3: --from=\$A can't be resolved/],
    ["a variable in a mount", `FROM good\nRUN --mount=from=\${A} ls`, /^2: --mount=from/],
    ["a stage that there is not", "FROM good\nCOPY --from=3 / /", /^2: there is no stage 3/],
    ["a target that there is not", "FROM good AS a", /^0: there is no stage 'b' \(there is: a\)/, { target: "b" }],
    ["another platform", "FROM --platform=linux/arm64 good", /^1: FROM asks for platform 'linux\/arm64'/],
    ["a platform by an argument", "ARG P=linux/arm64\nFROM --platform=$P good", /^2: FROM asks/],
    ["an unknown flag", "FROM --plat=x good", /^1: FROM has no flag/],
    ["a stage with no name for one", "FROM good AS ../x", /^1: '\.\.\/x' is no name/],
    ["two words after FROM", "FROM good evil", /^1: FROM is followed/],
    ["an instruction that there is not", "FROM good\nFRQM evil", /^2: 'FRQM' is no instruction/],
    ["a hidden space before an instruction", "FROM good\n\u{85}FROM evil", /^2: /],
    ["an image behind a line that is empty to some", "FROM good\nRUN ls \\\n\u{feff}\nFROM evil", /^3: .*U\+FEFF/],
    ["an argument that is a comment to some", "ARG A=evil\nARG B=1 \\\n\u{85}# A=good\nFROM $A", /^3: .*U\+0085/],
    ["an argument that is two to some", "ARG A=evil\nARG B=1\u{feff}A=good\nFROM $A", /^2: .*U\+FEFF/],
    ["a space that is none in an instruction", "FROM\u{a0}evil", /^1: /],
    [
      "a letter in a flag that is a space in bytes",
      "FROM good\nCOPY --chown=à --from=evil / /",
      /^2: a flag has other than ASCII/,
    ],
    ["a heredoc with a strange word", "FROM good\nRUN cat <<E$F\nE$F", /^2: where its heredoc ends/],
    ["a heredoc beside a variable's operators", `FROM good\nRUN cat <<EOF \${}\nEOF`, /^2: where its heredoc ends/],
    ["a heredoc beside an open quote", "FROM good\nRUN it's <<EOF\nEOF", /^2: where its heredoc ends/],
    ["a heredoc without an end", "FROM good\nRUN <<EOF\nls", /^2: its heredoc has no end/],
    ["two directives of a kind", "# escape=`\n# escape=\\\nFROM good", /^2: a second/],
    ["an escape character that is none", "# escape=x\nFROM good", /^1: /],
    [
      "a stage with an image's name",
      "FROM node AS node\nFROM node",
      /^1: stage 'node' has the name of the image 'node'/,
    ],
    ["a stage with an image's long name", "FROM docker.io/library/node:latest AS node", /^1: stage 'node'/],
    ["a strange trigger", "FROM good", /^1: a trigger \(ONBUILD\) of good/, { triggers: () => ["COPY --from=$A / /"] }],
  ])("%s", (_what, text, expected, given) => {
    expect(problem(text, given)).toMatch(expected);
  });
});

describe("which program the file wants to be read by", () => {
  it.each([
    ["# syntax=docker/dockerfile:1\nFROM a", { name: "docker/dockerfile:1", line: 1 }],
    ["#!/usr/bin/env x\n# syntax=evil/frontend\nFROM a", { name: "evil/frontend", line: 2 }],
    ["# escape=`\n#Syntax = evil/frontend --with=more\nFROM a", { name: "evil/frontend", line: 2 }],
    ["# a comment\n# syntax=evil/frontend\nFROM a", undefined],
  ])("%s", (text, expected) => {
    expect(readDockerfile(text, { buildArgs: {}, platform, target: undefined }).syntax).toEqual(expected);
  });
});
