import { explainShape, rulesWith, type Shape } from "@goldenpath/testing/survey";
import { describe, expect, test } from "vitest";
import { type Language, languages } from "./survey/ecosystems.ts";

describe("a package.json beside another language is for its pages, and nobody misses its start", () => {
  const pages = { "package.json": '{"scripts":{"build":"vite build"}}' };
  test.each<[string, Shape]>([
    ["PHP", { ...pages, "composer.json": "{}", "public/index.php": "" }],
    ["Ruby", { ...pages, Gemfile: "", "config.ru": "" }],
    ["Python", { ...pages, "requirements.txt": "", "app.py": "" }],
    ["Java", { ...pages, "pom.xml": "<project><artifactId>a</artifactId></project>" }],
  ])("%s", async (_name, shape) => {
    expect((await explainShape(shape)).explanation.missing).toEqual([]);
    expect((await explainShape(pages)).explanation.missing).toEqual([expect.stringContaining("no script 'start'")]);
  });
});

describe("a language that no builder builds", () => {
  const rules = rulesWith({
    builders: [
      { name: "packs", runImage: "golden", languages: ["nodejs"] },
      { kind: "dockerfile", name: "files" },
    ],
  });
  const rust = { "Cargo.toml": "", Dockerfile: "FROM rust" };

  test("gives way to a Dockerfile, and it is said", async () => {
    const { explanation, error } = await explainShape(rust, { rules });
    expect(error).toBeUndefined();
    expect(explanation.chosen).toMatchObject({ strategy: "dockerfile", builder: "files" });
    expect(explanation.notTaken).toEqual(["Cargo.toml (Rust): not used, no builder of the policy builds Rust"]);
  });

  test("goes before it where one does", async () => {
    const { explanation } = await explainShape({ ...rust, "Cargo.toml": "" }, { rules: rulesWith() });
    expect(explanation.chosen).toMatchObject({ strategy: "buildpacks", builder: "packs" });
  });

  test.each<[string, Shape, Parameters<typeof rulesWith>[0]]>([
    ["there is none", { "Cargo.toml": "" }, {}],
    ["the policy allows none", rust, { strategies: ["buildpacks"] }],
  ])("is what is missing where %s", async (_name, shape, more) => {
    const { error } = await explainShape(shape, { rules: rulesWith({ ...rules.build, ...more }) });
    expect(error).toMatchObject({ code: "builder-language", message: expect.stringContaining("Cargo.toml: Rust") });
  });

  test("is what is missing where buildpacks are asked for", async () => {
    const { error } = await explainShape(rust, { rules, strategy: "buildpacks" });
    expect(error).toMatchObject({ code: "builder-language" });
  });
});

describe("what a folder is written in is named, whoever may build it", () => {
  test.each<[string, Language, string]>([
    ["mix.exs", "elixir", "Elixir"],
    ["pubspec.yaml", "dart", "Dart"],
    ["Package.swift", "swift", "Swift"],
    ["deno.json", "deno", "Deno"],
    ["deno.jsonc", "deno", "Deno"],
    ["CMakeLists.txt", "cpp", "C++ with CMake"],
    ["build.xml", "java", "Java with Ant"],
    ["build.mill", "java", "Scala with Mill"],
    ["hugo.toml", "static", "a site by Hugo"],
    ["mkdocs.yml", "static", "a site by MkDocs"],
  ])("%s", async (file, language, title) => {
    const others = languages.filter((each) => each !== language);
    const without = rulesWith({ builders: [{ name: "others", runImage: "golden", languages: others }] });
    const { error } = await explainShape({ [file]: "" }, { rules: without });
    expect(error).toMatchObject({ code: "builder-language", places: [{ file }] });
    expect(String(error)).toContain(`(${file}: ${title})`);
    const { explanation } = await explainShape({ [file]: "" });
    expect(explanation.chosen).toMatchObject({ strategy: "buildpacks", builder: "packs" });
  });

  test.each<[string, Shape]>([
    ["deno.json", { "package.json": '{"main":"a.js"}', "deno.json": "{}" }],
    ["CMakeLists.txt", { "pyproject.toml": '[project]\nname = "a"', "CMakeLists.txt": "" }],
    ["build.xml", { "composer.json": "{}", "build.xml": "" }],
  ])("%s beside another language's file says nothing", async (file, shape) => {
    expect((await explainShape(shape)).explanation.chosen?.reason).not.toContain(file);
  });
});

describe("a program of Go in a folder", () => {
  const module = { "go.mod": "module x\n", "lib.go": "package x\n" };
  test.each<[string, Shape, string | undefined]>([
    ["of another name than cmd", { "server/main.go": "package main\n" }, undefined],
    ["further down", { "app/server/main.go": "package main\n" }, undefined],
    ["one of two", { "api/main.go": "package main\n", "web/main.go": "package main\n" }, "BP_GO_TARGETS=./api"],
    ["that is an example", { "examples/a/main.go": "package main\n" }, "there is no `package main`"],
    ["that is none", { "server/main.go": "package server\n" }, "there is no `package main`"],
    ["beside cmd, which has one", { "cmd/a/main.go": "package main\n", "b/main.go": "package main\n" }, undefined],
  ])("%s", async (_name, shape, missing) => {
    const { explanation } = await explainShape({ ...module, ...shape });
    const expected = missing === undefined ? [] : [expect.stringContaining(missing)];
    expect(explanation.missing).toEqual(expected);
  });

  test("is its own module's, where that is another", async () => {
    const inner = { "web/go.mod": "module w\n", "web/main.go": "package main\n" };
    const { explanation } = await explainShape({ ...module, ...inner });
    expect(explanation.applications.map(({ context }) => context)).toEqual(["web"]);
  });
});
