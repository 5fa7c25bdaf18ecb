import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Language } from "../../examples/golden-platform/languages.ts";
import { examples, runBuildpack } from "../support/golden-platform.ts";

/** Kinds of applications that the example's buildpacks know by what is in them, each beside one that looks alike. */

type Files = Readonly<Record<string, string>>;
let work: string;
let counter = 0;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "language-kinds-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const buildpacks = join(examples, "golden-platform/buildpacks");
const load = (file: string): Promise<unknown> => import(join(buildpacks, file));

function write(files: Files): string {
  const directory = join(work, `${++counter}/workspace`);
  mkdirSync(directory, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

function run(program: "detect" | "build", language: Language, files: Files) {
  const directory = write(files);
  const layers = join(directory, "../layers");
  mkdirSync(layers);
  const plan = join(directory, "../plan.toml");
  const told = runBuildpack(program, { directory, layers }, join(buildpacks, language), { CNB_BUILD_PLAN_PATH: plan });
  return { ...told, plan: existsSync(plan) ? readFileSync(plan, "utf8") : "" };
}

const manifest = (scripts: Record<string, string>, more: object = {}): string => JSON.stringify({ scripts, ...more });

describe("a front end", () => {
  const angular = (builder: string): Files => ({
    "package.json": manifest({ start: "ng serve", build: "ng build" }),
    "angular.json": JSON.stringify({ projects: { shop: { architect: { build: { builder } } } } }),
  });

  test.each<[string, Files, string | undefined]>([
    ["React's", { "package.json": manifest({ start: "react-scripts start", build: "react-scripts build" }) }, "build"],
    ["Vue's", { "package.json": manifest({ serve: "vue-cli-service serve", build: "vue-cli-service build" }) }, "dist"],
    ["Vite's", { "package.json": manifest({ dev: "vite", build: "vite build" }) }, "dist"],
    ["Angular's of old", angular("@angular-devkit/build-angular:browser"), "dist/shop"],
    ["Angular's of today", angular("@angular/build:application"), "dist/shop/browser"],
    [
      "one with a server",
      { "package.json": manifest({ start: "node a.js", dev: "vite", build: "vite build" }) },
      undefined,
    ],
    [
      "one with a main program",
      { "package.json": manifest({ dev: "vite", build: "vite build" }), "server.js": "" },
      undefined,
    ],
    ["one that nothing builds", { "package.json": manifest({ start: "vite" }) }, undefined],
    [
      "one that says what starts",
      { "package.json": manifest({ start: "vite", build: "vite build" }), Procfile: "web: node a.js" },
      undefined,
    ],
    [
      "one whose build is shown",
      { "package.json": manifest({ start: "vite preview", build: "vite build" }) },
      undefined,
    ],
  ])("%s is served from where its build leaves it, or is none", async (_what, files, root) => {
    const { findFrontEnd } = (await load("lib/front-end.mjs")) as { findFrontEnd(directory: string): unknown };
    expect(findFrontEnd(write(files))).toEqual(
      root === undefined ? undefined : { root, command: expect.any(String) as string },
    );
    // What serves it wants it of what builds it, and is not taken without.
    const { status, plan } = run("detect", "static", files);
    expect(status).toBe(root === undefined ? 100 : 0);
    expect(plan).toBe(root === undefined ? "" : '[[requires]]\nname = "site"\n');
  });

  test("is offered by what builds it, and left alone where nobody wants one", () => {
    const { status, plan } = run("detect", "node", { "package.json": "{}" });
    expect(status).toBe(0);
    expect(plan).toBe('[[provides]]\nname = "site"\n\n[[or]]\n');
  });

  test("gets no image that would start its development server", () => {
    const files = { "package.json": manifest({ start: "react-scripts start", build: "react-scripts build" }) };
    const { status, stderr } = run("build", "node", files);
    expect(status).toBe(1);
    expect(stderr).toContain("is a server for development");
    expect(run("build", "node", { ...files, Procfile: "web: node a.js | cat" }).stderr).toContain("needs a shell");
  });
});

test.each([
  [".env", false],
  [".git", false],
  [".well-known", true],
  ["index.html", true],
])("%s is for visitors: %s", async (name, expected) => {
  const { isServed } = (await load("lib/served.mjs")) as { isServed(name: string): boolean };
  expect(isServed(name)).toBe(expected);
});

describe("a Python application", () => {
  const started = 'if __name__ == "__main__":\n    main()\n';

  test.each<[string, Files, string[] | undefined]>([
    ["the only program made to be started", { "cli.py": started, "logger.py": "" }, ["python", "cli.py"]],
    ["the only server among them", { "a_client.py": started, "a_server.py": started }, ["python", "a_server.py"]],
    ["none of two alike", { "a.py": started, "b.py": started }, undefined],
    ["none of two servers", { "a_server.py": started, "b_server.py": started }, undefined],
    [
      "its script",
      { "pyproject.toml": '[tool.poetry.scripts]\nrun = "a:b"\n\n[build-system]\nrequires = []\n' },
      ["run"],
    ],
    ["none of two scripts", { "pyproject.toml": '[project.scripts]\nrun = "a:b"\ngo = "a:c"\n' }, undefined],
  ])("starts by %s", async (_what, files, command) => {
    const { findStart } = (await load("python/src/start.mjs")) as {
      findStart(directory: string, installed: string[], programs: string, target?: string): unknown;
    };
    const directory = write({ ...files, "bin/run": "", "bin/go": "" });
    expect(findStart(directory, [], join(directory, "bin"), "hello")).toEqual(command);
    const functions = findStart(directory, ["functions-framework"], join(directory, "bin"), "hello");
    expect(functions).toEqual(["functions-framework", "--target", "hello"]);
    const swarm = write({ "locustfile.py": "", ...files });
    expect(findStart(swarm, ["locust"], join(swarm, "bin"))).toMatch(/^exec locust --web-port /);
  });

  test.each<[string, Files, string, boolean]>([
    [".python-version's minor", { ".python-version": "# for pyenv\n3.14\n" }, "3.14", false],
    [".python-version's own", { ".python-version": "3.11.9" }, "3.11.9", true],
    ["Heroku's file", { "runtime.txt": "python-3.12.1" }, "3.12.1", false],
    ["a range above", { "pyproject.toml": '[project]\nrequires-python = ">=3.12,<4"' }, ">=3.12,<4", false],
    ["a range around", { "pyproject.toml": '[project]\nrequires-python = ">=3.9,<4"' }, ">=3.9,<4", true],
    ["a range below", { "pyproject.toml": "[project]\nrequires-python = '>=3.8, <3.11'" }, ">=3.8, <3.11", false],
    ["a major version", { ".python-version": "3" }, "3", true],
  ])("names the Python it wants by %s", async (_what, files, text, isTaken) => {
    const { findWantedVersion } = (await load("python/src/version.mjs")) as {
      findWantedVersion(directory: string): { text: string; takes(version: string): boolean } | undefined;
    };
    const wanted = findWantedVersion(write(files));
    expect(wanted?.text).toBe(text);
    expect(wanted?.takes("3.11")).toBe(isTaken);
  });

  test("may name none", async () => {
    const { findWantedVersion } = (await load("python/src/version.mjs")) as { findWantedVersion(at: string): unknown };
    expect(findWantedVersion(write({ "pyproject.toml": "[project]\n" }))).toBeUndefined();
  });
});

describe("a Java application", () => {
  const pom = (properties: string): Files => ({
    "pom.xml": `<project><properties>${properties}</properties></project>`,
  });

  test.each<[string, Files, string | undefined]>([
    ["Spring Boot's property", pom("<java.version>25</java.version>"), "pom.xml asks for Java 25 (java.version)"],
    ["its twin", pom("<java.version>17</java.version>"), undefined],
    ["Maven's", pom("<maven.compiler.release> 21 </maven.compiler.release>"), "21 (maven.compiler.release)"],
    ["an old one's", pom("<java.version>1.8</java.version>"), undefined],
    ["another property", pom("<java.version>@jdk@</java.version>"), undefined],
    [
      "Gradle's toolchain",
      { "build.gradle": "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }" },
      "build.gradle asks for Java 21",
    ],
    [
      "Kotlin's way of it",
      { "build.gradle.kts": "java { toolchain { languageVersion.set(JavaLanguageVersion.of(17)) } }" },
      undefined,
    ],
  ])("names the Java that it is for by %s", async (_what, files, words) => {
    const { requireJava } = (await load("java/src/version.mjs")) as { requireJava(at: string, home: string): void };
    const ask = (): void => requireJava(write(files), "/runtime/usr/lib/jvm/java-17-openjdk-amd64");
    if (words === undefined) expect(ask).not.toThrow();
    else expect(ask).toThrow(words);
  });

  test.each<[string, Files, string | undefined]>([
    ["a class", { "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nMain-Class: a.B\r\n" }, "a.B"],
    [
      "one over two lines",
      { "META-INF/MANIFEST.MF": "Main-Class: acme.shop.checkout\n .Main\n" },
      "acme.shop.checkout.Main",
    ],
    ["none", { "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n" }, undefined],
    ["a command", { "META-INF/MANIFEST.MF": "Main-Class: a.B; rm -rf\n" }, undefined],
    ["what is built", { "META-INF/MANIFEST.MF": "Main-Class: a.B\n", "pom.xml": "" }, undefined],
  ])("that was compiled already starts by its manifest: %s", async (_what, files, name) => {
    const { isUnpacked, readMainClass } = (await load("java/src/unpacked.mjs")) as {
      isUnpacked(at: string): boolean;
      readMainClass(at: string): string | undefined;
    };
    const directory = write(files);
    expect(isUnpacked(directory)).toBe(name !== undefined);
    if (name !== undefined) expect(readMainClass(directory)).toBe(name);
  });
});

describe("one of a workspace", () => {
  const own = (name: string, needs: readonly string[], build = true): string =>
    JSON.stringify({
      name,
      ...(build ? { scripts: { build: "x" } } : {}),
      dependencies: Object.fromEntries(needs.map((each) => [each, "1"])),
    });
  const workspace: Files = {
    "package.json": '{"workspaces":["libs/*"]}',
    "pnpm-workspace.yaml": "packages:\n  # all\n  - 'apps/*'\n\ncatalog:\n  left: 1\n",
    "apps/web/package.json": own("web", ["a", "elsewhere"]),
    "libs/a/package.json": own("a", ["b", "plain"]),
    "libs/b/package.json": own("b", ["a"]),
    "libs/plain/package.json": own("plain", [], false),
    "libs/other/package.json": own("other", []),
  };

  test("has what it needs built before it, and nothing else", async () => {
    const { listNeeded } = (await load("node/src/workspace.mjs")) as {
      listNeeded(place: object, outer: object, own: object): { directory: string }[];
    };
    const directory = write(workspace);
    const read = (file: string): object => JSON.parse(readFileSync(join(directory, file), "utf8")) as object;
    const needed = (file: string): string[] =>
      listNeeded({ directory }, read("package.json"), read(file)).map((each) => each.directory);
    expect(needed("apps/web/package.json")).toEqual([join(directory, "libs/b"), join(directory, "libs/a")]);
    expect(needed("libs/other/package.json")).toEqual([]);
  });

  test.each([
    ["..", "no such folder"],
    ["apps/none", "no such folder"],
    ["/etc", "no such folder"],
    ["apps", "there is no package.json in that folder"],
  ])("is refused where its folder is %s", async (folder, words) => {
    const { openModule } = (await load("lib/module.mjs")) as {
      openModule(place: object, variable: string, file: string): { directory: string };
    };
    const directory = write(workspace);
    symlinkSync("/etc", join(directory, "link"));
    const open = (path: string) => openModule({ directory, env: { P: path } }, "P", "package.json").directory;
    expect(() => open(folder)).toThrow(words);
    expect(() => open("link")).toThrow("no such folder");
    expect(open("./apps/web/")).toBe(join(directory, "apps/web"));
    expect(open("")).toBe(directory);
  });

  test("has a folder of its own to start in", async () => {
    const { writeProcesses } = (await load("lib/processes.mjs")) as {
      writeProcesses(place: object, found: object, programs: object): void;
    };
    const directory = write({ "launch.toml": "" });
    const place = { directory, layers: directory, env: {}, say: () => undefined };
    const read = (): string => readFileSync(join(directory, "launch.toml"), "utf8");
    writeProcesses(place, { web: ["node", "a.js"] }, { folders: [], names: ["node"], within: "/workspace/apps/web" });
    expect(read()).toContain('working-dir = "/workspace/apps/web"\n');
    writeProcesses(place, { web: ["node", "a.js"] }, { folders: [], names: ["node"] });
    expect(read()).not.toContain("working-dir");
  });
});

test.each<[string, string]>([
  ["go run main.go", "shop"],
  ["exec go run .", "shop"],
  ["go run main.go util.go --port 1", "shop --port 1"],
  ["go run ./cmd/web -v", "web -v"],
  ["go run cmd/web/main.go", "web"],
  ["go run ./cmd/other", "go run ./cmd/other"],
  ["go test ./...", "go test ./..."],
  ["web --go run", "web --go run"],
])("a program of Go that a Procfile compiles starts as what was compiled: %s", async (command, started) => {
  const { nameProgram } = (await load("go/src/build.mjs")) as {
    nameProgram(command: string, programs: string[], first: string): string;
  };
  expect(nameProgram(command, ["shop", "web"], "shop")).toBe(started);
});

test.each<[string, Language, Files, number, string]>([
  ["Go's program alone", "go", { "main.go": "package main" }, 0, ""],
  ["modules of go.work", "go", { "go.work": "use ./a" }, 0, ""],
  ["Go's file of another name", "go", { "server.go": "package main" }, 100, "Run `go mod init NAME`"],
  ["Go's packages by dep", "go", { "main.go": "", "Gopkg.lock": "" }, 100, "this platform has no dep"],
  ["the same beside a go.mod", "go", { "go.mod": "", "Gopkg.lock": "" }, 0, ""],
  ["Scala", "java", { "build.sbt": "" }, 100, "this platform has no sbt"],
  ["Clojure", "java", { "project.clj": "" }, 100, "this platform has no Leiningen"],
  ["the same beside a POM", "java", { "pom.xml": "", "deps.edn": "" }, 0, ""],
  ["a war that was unpacked", "java", { "WEB-INF/web.xml": "" }, 0, ""],
  ["nothing of Go", "go", { "a.txt": "" }, 100, "There is no go.mod"],
  ["Python with conda", "python", { "environment.yml": "", "app.py": "" }, 100, "this platform has no conda"],
  ["the same with pip besides", "python", { "environment.yml": "", "requirements.txt": "" }, 0, ""],
  ["a site in htdocs", "static", { "htdocs/index.html": "" }, 0, ""],
  ["a site elsewhere", "static", { "pages/index.html": "" }, 100, "BP_WEB_SERVER_ROOT"],
  ["PHP in htdocs", "php", { "htdocs/index.php": "" }, 0, ""],
  ["PHP elsewhere", "php", { "pages/index.php": "" }, 100, "There is neither"],
])("what is taken without more files: %s", (_what, language, files, status, words) => {
  expect(run("detect", language, files)).toMatchObject({ status, stderr: expect.stringContaining(words) as string });
});

test("a lock file that nothing here reads is named where there is no other", async () => {
  const { readApplication } = (await load("node/src/application.mjs")) as {
    readApplication(place: { directory: string; buildpack: string }): object;
  };
  const files = {
    "package.json": '{"dependencies":{"a":"1"}}',
    "buildpack.toml": '[metadata.lock-file]\nmissing = "refuse"\n',
  };
  const read = (more: Files) => {
    const directory = write({ ...files, ...more });
    return () => readApplication({ directory, buildpack: directory });
  };
  expect(read({ "bun.lock": "" })).toThrow("There is bun.lock, which only Bun reads, and this platform has none");
  expect(read({})).toThrow("There is no package-lock.json.");
  expect(read({ "bun.lock": "", "yarn.lock": "" })).not.toThrow();
});

test("packages whose install scripts were not run are named, and others are not", async () => {
  const { warnOfInstallScripts } = (await load("node/src/installed.mjs")) as {
    warnOfInstallScripts(place: { say(text: string): void }, env: Files, folder: string): void;
  };
  const folder = write({
    "native/package.json": '{"name":"native","version":"1.0.0","scripts":{"install":"node-gyp rebuild"}}',
    "@a/gyp/package.json": '{"name":"@a/gyp","version":"1.0.0"}',
    "@a/gyp/binding.gyp": "{}",
    "plain/package.json": '{"name":"plain","version":"1.0.0","scripts":{"test":"node a.js"}}',
  });
  const said: string[] = [];
  const place = { say: (text: string) => void said.push(text) };
  warnOfInstallScripts(place, { BP_NODE_INSTALL_SCRIPTS: "true" }, folder);
  expect(said).toEqual([]);
  warnOfInstallScripts(place, {}, folder);
  expect(said).toEqual([expect.stringContaining("the install scripts of @a/gyp, native. Where")]);
});
