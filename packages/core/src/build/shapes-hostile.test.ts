import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { explainShape, rulesWith, type Shape } from "@goldenpath/testing/survey";
import { describe, expect, test } from "vitest";
import { explainBuild } from "./explain-build.ts";
import { noRules } from "./plan-strategy.ts";

const node = '{"scripts":{"start":"node ."}}';
const pomWith = (text: string): Shape => ({ "pom.xml": text });
const deepXml = `<project>${"<a>".repeat(5000)}${"</a>".repeat(5000)}</project>`;
const bomb = `<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><project><artifactId>&b;</artifactId></project>`;

/** Each has a file that says how the application is built and can't be read; several strategies are allowed. */
const unreadable: [string, Shape, string][] = [
  ["a POM that is cut off", pomWith("<project><build>"), "pom.xml"],
  ["a POM with entities of its own", pomWith(bomb), "document type"],
  ["a POM with an entity that it does not declare", pomWith("<project>&evil;</project>"), "pom.xml:1"],
  ["a POM that is no project", pomWith("<settings/>"), "its root is <settings>"],
  ["a POM that is nested deep", pomWith(deepXml), "nested deeper than 100"],
  ["an empty POM", pomWith(""), "pom.xml"],
  ["a POM that is not UTF-8", { "pom.xml": { bytes: Uint8Array.of(0x3c, 0x70, 0xff, 0x3e) } }, "it is not UTF-8"],
  ["a package.json that is no JSON", { "package.json": "{" }, "it is not JSON"],
  ["a package.json of another shape", { "package.json": '{"scripts":[]}' }, "at scripts"],
  ["a package.json that is nested deep", { "package.json": '{"a":'.repeat(100_000) }, "nested deeper"],
  ["a pyproject.toml that is no TOML", { "pyproject.toml": "[[" }, "it is not TOML"],
  ["a build script whose block has no end", { "build.gradle": "plugins {" }, "has no end"],
  ["a build script that closes too much", { "build.gradle": "plugins { } }" }, "did not open"],
  ["a build script that is nested deep", { "build.gradle": "{".repeat(100_000) }, "nested deeper"],
  [
    "a catalogue of another shape",
    {
      "build.gradle": "plugins { alias(libs.plugins.x) }",
      "settings.gradle": "",
      "gradle/libs.versions.toml": "[plugins]\nx = 1",
    },
    "libs.versions.toml",
  ],
];

describe("a file that can't be read is said, and nothing is guessed about it", () => {
  test.each(unreadable)("%s", async (_name, shape, words) => {
    const { error, explanation } = await explainShape({ ...shape, Dockerfile: "FROM scratch" });
    expect(error).toMatchObject({ code: "application-unread", message: expect.stringContaining(words) });
    expect(explanation.chosen).toBeUndefined();
    expect(explanation.problem?.wayOut).toContain("'strategy'");
    // Where there is nothing to choose, a buildpack may still know what to do with it.
    const only = await explainShape(shape, { rules: rulesWith({ strategies: ["buildpacks"] }) });
    expect(only.explanation.chosen?.strategy).toBe("buildpacks");
    expect(only.explanation.remarks.join("\n")).toContain(words);
  });

  test("a POM of 100 MB, which is not read into memory", async () => {
    const { error } = await explainShape(
      { "pom.xml": "<project>" },
      { prepare: (folder) => truncateSync(join(folder, "app/pom.xml"), 100 * 1024 * 1024) },
    );
    expect(error).toMatchObject({
      code: "application-unread",
      message: expect.stringContaining("pom.xml: it can't be read: it has more than 4194304 bytes"),
    });
  });
});

describe("links", () => {
  const secret = '{"scripts":{"start":"x"},"workspaces":["*"]}';
  const plantOutside = (folder: string): void => {
    mkdirSync(join(folder, "outside"));
    writeFileSync(join(folder, "outside/package.json"), secret);
  };

  test.each<[string, Shape]>([
    ["of a file", { "package.json": { link: "../outside/package.json" } }],
    ["by another link", { "package.json": { link: "a" }, a: { link: "../outside/package.json" } }],
    ["through a folder", { "package.json": { link: "b/package.json" }, b: { link: "../outside" } }],
    ["by an absolute path", { "package.json": { link: "/proc/self/status" } }],
    ["to nowhere", { "package.json": { link: "nothing" } }],
    ["to itself", { "package.json": { link: "package.json" } }],
  ])("%s that lead out of the application or nowhere are passed over and said", async (_name, shape) => {
    const { explanation } = await explainShape({ ...shape, "main.zig": "" }, { prepare: plantOutside });
    expect(explanation.strategies).toEqual([]);
    expect(explanation.remarks.join("\n")).toMatch(
      /package\.json: is a link that leads (?:out of the application|nowhere)/,
    );
  });

  test("within the application are what they lead to", async () => {
    const { explanation, error } = await explainShape({
      "package.json": { link: "web/package.json" },
      "web/package.json": node,
    });
    expect(error).toBeUndefined();
    expect(explanation.chosen?.reason).toContain("package.json (Node.js)");
  });

  test("are not gone into below, where they could go round for ever", async () => {
    const { explanation } = await explainShape({
      "a/b/c.txt": "",
      "a/b/round": { link: "../.." },
      "a/b/package.json": node,
    });
    expect(explanation.applications.map(({ context }) => context)).toEqual(["a/b"]);
  });

  test("a parent that a POM names outside of the folder is not read", async () => {
    const { explanation } = await explainShape(
      pomWith(
        "<project><parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version><relativePath>../../p/pom.xml</relativePath></parent><artifactId>a</artifactId></project>",
      ),
    );
    expect(explanation.remarks.join("\n")).toContain("its parent ../../p/pom.xml is outside of the folder");
  });
});

describe("names and words of strangers", () => {
  test("a name with a line break is no other file's", async () => {
    const { explanation } = await explainShape({ "pom.xml\n::error::x": "", "Dockerfile\nx": "", "main.zig": "" });
    expect(explanation.strategies).toEqual([]);
  });

  test("what is shown has no line of its own and no escape", async () => {
    const { explanation } = await explainShape({
      "package.json": JSON.stringify({ scripts: { start: "x" }, workspaces: ["a\n::error::b", "\u001b[31mred"] }),
      "Dockerfile.a\n::set-output name=x::y": "",
    });
    expect(explanation.found.join("")).not.toMatch(/\p{Cc}/u);
    expect(explanation.found.join(" ")).toContain("::error::b");
  });

  test("parents that are their own grandparents end", async () => {
    const parent = (name: string, of: string): string =>
      `<project><groupId>g</groupId><artifactId>${name}</artifactId><version>1</version><parent><groupId>g</groupId><artifactId>${of}</artifactId><version>1</version><relativePath>../${of}/pom.xml</relativePath></parent></project>`;
    const { explanation } = await explainShape({
      "pom.xml":
        "<project><groupId>g</groupId><artifactId>t</artifactId><packaging>pom</packaging><modules><module>a</module></modules></project>",
      "a/pom.xml": parent("a", "b"),
      "b/pom.xml": parent("b", "a"),
    });
    expect(explanation.problem).toBeUndefined();
  });

  test("properties that are made of each other end", async () => {
    const doubled = Array.from({ length: 60 }, (_, at) => `<p${at}>$\{p${at + 1}}$\{p${at + 1}}</p${at}>`).join("");
    const { explanation } = await explainShape(
      pomWith(
        `<project><artifactId>a</artifactId><properties>${doubled}</properties><build><plugins><plugin><artifactId>x</artifactId><version>$\{p0}</version></plugin></plugins></build></project>`,
      ),
    );
    expect(explanation.found.join("").length).toBeLessThan(5000);
  });

  test("a project.toml that swaps the builder chooses buildpacks, and no builder", async () => {
    const { explanation } = await explainShape({
      "project.toml": '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "evil.example/builder"\n',
      "package.json": node,
    });
    expect(explanation.chosen).toMatchObject({ strategy: "buildpacks", builder: "packs" });
  });
});

describe("trees that have no end", () => {
  test("what is too deep is not looked at, and said", async () => {
    const { explanation } = await explainShape({ [`${"a/".repeat(40)}package.json`]: node });
    expect(explanation.applications).toEqual([]);
    expect(explanation.remarks.join("\n")).toContain("too deep");
  });

  test("nor is what others wrote", async () => {
    const { explanation } = await explainShape({
      "node_modules/x/package.json": node,
      "vendor/y/go.mod": "module y",
      ".git/package.json": node,
      "target/pom.xml": "<project/>",
    });
    expect(explanation.applications).toEqual([]);
    expect(explanation.remarks).toEqual([]);
  });

  test("of more folders than are looked at, the rest is said to be left", async () => {
    const many = Object.fromEntries(Array.from({ length: 310 }, (_, at) => [`app${at}/package.json`, node]));
    const { explanation, error } = await explainShape(many);
    expect(error).toMatchObject({ code: "applications-several" });
    expect(explanation.applications.length).toBe(300);
    expect(explanation.remarks.join("\n")).toContain("too many folders");
  });
});

test("without a policy everything is allowed, and no builder is named", () => {
  const top = { path: "", files: ["package.json"], folders: [], unread: [], remarks: [] };
  const request = {
    strategy: "auto",
    builder: undefined,
    module: undefined,
    tree: { top, below: [] },
    context: ".",
  } as const;
  expect(explainBuild(noRules, request)).toMatchObject({
    error: undefined,
    explanation: { chosen: { strategy: "buildpacks" } },
  });
});
