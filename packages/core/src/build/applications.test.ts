import { explainShape, type Shape } from "@goldenpath/testing/survey";
import { describe, expect, test } from "vitest";

const node = '{"scripts":{"start":"node ."}}';
const frame = (modules: readonly string[], more = ""): string =>
  `<project><groupId>g</groupId><artifactId>all</artifactId><version>1</version><packaging>pom</packaging><modules>${modules.map((module) => `<module>${module}</module>`).join("")}</modules>${more}</project>`;
const module = (name: string, plugin = ""): string =>
  `<project><parent><groupId>g</groupId><artifactId>all</artifactId><version>1</version></parent><artifactId>${name}</artifactId>${plugin === "" ? "" : `<build><plugins>${plugin}</plugins></build>`}</project>`;
const spring =
  "<plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin>";

/** By the inputs that a job is given: `context` and `module`, with a colon between them. */
const shapes: [string, Shape, string[]][] = [
  [
    "folders side by side",
    { "api/go.mod": "module a", "api/main.go": "package main", "web/package.json": node },
    ["api:", "web:"],
  ],
  ["folders with Dockerfiles", { "a/Dockerfile": "", "b/c/Containerfile": "" }, ["a:", "b/c:"]],
  [
    "folders that are begun by a Procfile, of which one has nothing else",
    { "a/Procfile": "web: go run main.go", "a/main.go": "package main", "b/Procfile": "web: run", "b/run": "" },
    ["a:"],
  ],
  ["folders of Ruby, of which one is a library", { "a/Gemfile": "", "a/app.rb": "", "b/Gemfile": "" }, ["a:"]],
  ["one, which is not the folder that was given", { "src/app/package.json": node }, ["src/app:"]],
  [
    "workspaces of npm",
    {
      "package.json": '{"workspaces":["packages/*"]}',
      "packages/web/package.json": node,
      "packages/api/package.json": node,
      "packages/lib/package.json": "{}",
    },
    [".:packages/api", ".:packages/web"],
  ],
  [
    "workspaces of pnpm, one of them left out",
    {
      "package.json": '{"workspaces":[]}',
      "pnpm-workspace.yaml": "packages:\n  - 'apps/**'\n  - \"!apps/old\"\n",
      "apps/web/package.json": node,
      "apps/old/package.json": node,
      "package-lock.json": "{}",
    },
    ["apps/old:", ".:apps/web"],
  ],
  [
    "modules of Maven, of which a library is none",
    {
      "pom.xml": frame(["web", "api", "lib"]),
      "web/pom.xml": module("web", spring),
      "api/pom.xml": module("api", spring),
      "lib/pom.xml": module("lib"),
    },
    [".:api", ".:web"],
  ],
  [
    "modules that inherit what makes them programs",
    {
      "pom.xml": frame(["a", "b"], `<build><plugins>${spring}</plugins></build>`),
      "a/pom.xml": module("a"),
      "b/pom.xml": module("b"),
    },
    [".:a", ".:b"],
  ],
  [
    "modules of modules",
    {
      "pom.xml": frame(["services"]),
      "services/pom.xml": frame(["x", "y"]),
      "services/x/pom.xml": module("x", spring),
      "services/y/pom.xml": module("y", spring),
    },
    [".:services/x", ".:services/y"],
  ],
  [
    "projects of Gradle",
    {
      "settings.gradle.kts": 'include(":api", "apps:web")\ninclude("lib")',
      "build.gradle.kts": 'subprojects { apply(plugin = "java") }',
      "api/build.gradle.kts": "plugins { application }",
      "apps/web/build.gradle.kts": 'plugins { id("org.springframework.boot") version "3.5.0" }',
      "lib/build.gradle.kts": "plugins { `java-library` }",
    },
    [".:api", ".:apps/web"],
  ],
  [
    "projects of Gradle in folders of other names, with a plugin from above",
    {
      "settings.gradle": "include 'a', 'b'\nproject(':a').projectDir = file('services/a')",
      "build.gradle": "allprojects { apply plugin: 'java' }\nsubprojects { apply plugin: 'application' }",
      "services/a/build.gradle": "",
      "b/build.gradle": "",
    },
    [".:b", ".:services/a"],
  ],
  [
    "modules of go.work",
    {
      "go.work": "go 1.24\n\nuse (\n\t./api // the API\n\t./lib\n)\nuse ./web\n",
      "api/go.mod": "module a",
      "api/main.go": "package main",
      "lib/go.mod": "module l",
      "lib/l.go": "package l",
      "web/go.mod": "module w",
      "web/cmd/w/main.go": "package main",
    },
    [".:api", ".:web"],
  ],
  [
    "front ends, and a library that is built as well",
    {
      "package.json": '{"workspaces":["*"]}',
      "site/package.json": '{"scripts":{"build":"vite build"}}',
      "site/index.html": "",
      "next/package.json": '{"scripts":{"build":"next build"}}',
      "next/next.config.mjs": "",
      "ui/package.json": '{"scripts":{"build":"vite build"}}',
      "ui/vite.config.ts": "",
    },
    [".:next", ".:site"],
  ],
  [
    "projects of uv's workspace, one of them left out",
    {
      "pyproject.toml": '[tool.uv.workspace]\nmembers = ["services/*"]\nexclude = ["services/old"]\n',
      "uv.lock": "",
      "services/api/pyproject.toml": '[project]\nname = "api"',
      "services/api/main.py": "",
      "services/lib/pyproject.toml": '[project]\nname = "lib"',
      "services/old/pyproject.toml": '[project]\nname = "old"',
      "services/old/app.py": "",
    },
    [".:services/api", "services/old:"],
  ],
  [
    "workspaces of pnpm on one line, beside its settings",
    {
      "package.json": "{}",
      "pnpm-workspace.yaml": "packages: ['apps/*', \"lib\", tools]\ncatalog:\n  react: ^18.2.0\n",
      "apps/web/package.json": node,
      "other/package.json": node,
    },
    [".:apps/web", "other:"],
  ],
  [
    "sites, and a proxy's settings that are none",
    { "site/nginx.conf": "", "site/public/a.html": "", "docs/Staticfile": "", "proxy/nginx.conf": "" },
    ["docs:", "site:"],
  ],
  [
    "what other tools of Java's build",
    { "a/build.sbt": "", "b/project.clj": "", "c/deps.edn": "", "d/README": "" },
    ["a:", "b:", "c:"],
  ],
  [
    "parts of an application",
    { "web/package.json": node, "web/e2e/package.json": node, "api/Gemfile": "", "api/config.ru": "" },
    ["api:", "web:"],
  ],
];

describe("several applications are listed", () => {
  test.each(shapes)("%s", async (_name, shape, expected) => {
    const { explanation, error } = await explainShape(shape);
    expect(explanation.applications.map(({ context, module: inner }) => `${context}:${inner}`)).toEqual(expected);
    if (expected.length === 0) return;
    expect(error).toMatchObject({ code: "applications-several" });
    expect(explanation.chosen).toBeUndefined();
    for (const application of explanation.applications) {
      expect(application.strategy).not.toBe("");
      expect(explanation.problem?.message).toContain(`context: ${application.context}`);
    }
  });

  test("and one that is named by its module is explained by its own files", async () => {
    const { explanation, error } = await explainShape(
      {
        "package.json": '{"workspaces":["*"]}',
        "web/package.json": node,
        "web/yarn.lock": "",
        "api/package.json": node,
      },
      { module: "web/" },
    );
    expect(error).toBeUndefined();
    expect(explanation.chosen).toMatchObject({ strategy: "buildpacks", reason: expect.stringContaining("yarn.lock") });
  });

  test("and a module that is none is refused", async () => {
    await expect(explainShape({ "web/package.json": node }, { module: "../x" })).rejects.toMatchObject({
      code: "input-invalid",
      message: expect.stringContaining("there is: web"),
    });
  });
});

test("each has a name that is its own, for the repository of its image", async () => {
  const { explanation } = await explainShape({
    "src/Cart Service/src/package.json": node,
    "src/pay_ment/src/package.json": node,
    "src/Front.End/package.json": node,
  });
  expect(explanation.applications.map(({ name, folder }) => [name, folder])).toEqual([
    ["src-cart-service-src", "src/Cart Service/src"],
    ["front-end", "src/Front.End"],
    ["src-pay-ment-src", "src/pay_ment/src"],
  ]);
});

describe("a folder that is an application", () => {
  test.each<[string, Shape]>([
    ["with others below it", { "package.json": node, "tools/package.json": node, "api/Dockerfile": "" }],
    [
      "with workspaces of its own",
      { "package.json": '{"scripts":{"start":"x"},"workspaces":["a"]}', "a/package.json": node },
    ],
    ["with a Dockerfile for all", { Dockerfile: "", "a/package.json": node, "b/package.json": node }],
    [
      "with a workspace of uv",
      {
        "pyproject.toml": '[project]\nname = "a"\n[tool.uv.workspace]\nmembers = ["b"]',
        "b/pyproject.toml": '[project]\nname = "b"',
        "b/app.py": "",
      },
    ],
    ["of Go, with a module below it", { "go.mod": "module x", "main.go": "package main", "tools/go.mod": "module t" }],
  ])("%s is what is built", async (_name, shape) => {
    const { explanation, error } = await explainShape(shape);
    expect(error).toBeUndefined();
    expect(explanation.applications).toEqual([]);
  });
});
