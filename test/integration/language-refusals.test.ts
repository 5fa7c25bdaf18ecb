import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Language, languages } from "../../examples/golden-platform/languages.ts";
import { examples, runBuildpack } from "../support/golden-platform.ts";
import { requireCommand } from "../support/tools.ts";

/** What the example's buildpacks do not take, and what they say then; each beside the twin that they take. */

let work: string;
let counter = 0;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "language-refusals-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

function writeApplication(files: Files): { directory: string; layers: string } {
  const directory = join(work, `${++counter}/workspace`);
  const layers = join(work, `${counter}/layers`);
  for (const each of [directory, layers]) mkdirSync(each, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return { directory, layers };
}

const buildpackOf = (language: Language): string => join(examples, "golden-platform/buildpacks", language);
const run = (program: "detect" | "build", language: Language, files: Files, variables?: Files) =>
  runBuildpack(program, writeApplication(files), buildpackOf(language), variables);

const locked = (entry: object): Files => ({
  "package.json": '{"dependencies":{"left-pad":"1.3.0"}}',
  "package-lock.json": JSON.stringify({ lockfileVersion: 1, dependencies: { "left-pad": entry } }),
});

describe("detection", () => {
  test.each(languages)("%s does not take a folder with nothing in it", (language) => {
    const { status, stderr } = run("detect", language, {});
    expect(status).toBe(100);
    expect(stderr).toMatch(/: There is (?:no|neither) /);
  });

  test.each<[string, Language, Files, Files, string, Files, Files]>([
    [
      "a Gradle build without its wrapper",
      "java",
      { "build.gradle": "" },
      {},
      "commit gradlew and gradle/wrapper",
      { "build.gradle": "", gradlew: "" },
      {},
    ],
    [
      "a Gemfile without a lock file",
      "ruby",
      { Gemfile: "" },
      {},
      "Run `bundle lock`",
      { Gemfile: "", "Gemfile.lock": "" },
      {},
    ],
    [
      "a server beside another language's files",
      "node",
      { "server.js": "", Gemfile: "" },
      {},
      "There is no package.json",
      { "server.js": "" },
      {},
    ],
    [
      "an old lock file without a hash",
      "node",
      locked({ version: "1.3.0" }),
      {},
      "no integrity for node_modules/left-pad",
      locked({ version: "1.3.0", integrity: "sha512-AAAA" }),
      {},
    ],
    [
      "another language's application with a page",
      "static",
      { "index.html": "", "package.json": "{}" },
      {},
      "There is package.json",
      { "index.html": "", "package.json": "{}" },
      { BP_WEB_SERVER: "nginx" },
    ],
    [
      "a site above the application",
      "static",
      { "index.html": "" },
      { BP_WEB_SERVER_ROOT: "../other" },
      "not below the application's folder",
      { "site/index.html": "" },
      { BP_WEB_SERVER_ROOT: "site" },
    ],
    [
      "a server that the platform has not",
      "static",
      { "index.html": "" },
      { BP_WEB_SERVER: "httpd" },
      "this platform has nginx",
      { "index.html": "" },
      { BP_WEB_SERVER: "nginx" },
    ],
  ])("%s is refused by %s", (_what, language, files, variables, message, twin, twinVariables) => {
    const refused = run("detect", language, files, variables);
    expect(refused.status).toBe(100);
    expect(refused.stderr).toContain(message);
    const taken = run("detect", language, twin, twinVariables);
    expect(taken.status, taken.stderr).toBe(0);
  });
});

describe("a build", () => {
  const node = { "package.json": '{"scripts":{"start":"node a.js"}}', "a.js": "" };

  test.each<[string, Files, string]>([
    ["a Procfile that is none", { ...node, Procfile: "node a.js\n" }, "not of the form `web: COMMAND`"],
    [
      "a start command that calls itself",
      { "package.json": '{"scripts":{"start":"npm run go","go":"npm start"}}' },
      "calls itself",
    ],
    ["a script that package.json does not have", node, "BP_NODE_RUN_SCRIPTS names compile"],
  ])("is refused for %s, before anything is fetched", (_what, files, message) => {
    const variables: Files = message.includes("RUN_SCRIPTS") ? { BP_NODE_RUN_SCRIPTS: "compile" } : {};
    const { status, stderr, stdout } = run("build", "node", files, variables);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stdout).not.toContain("Installing");
  });

  test.each(["go", "python", "java", "ruby", "php", "static"] as const)(
    "of %s says what it was packaged without",
    (language) => {
      const files = { "index.html": "", "index.php": "", "composer.json": "{}", "go.mod": "module a\n" };
      const { status, stderr } = run("build", language, files, { BP_WEB_SERVER: "nginx" });
      expect(status).toBe(1);
      expect(stderr).toContain("was packaged without its");
    },
  );
});

describe("a lock file of Python's", () => {
  const hash = `sha256:${"a".repeat(64)}`;
  const uv = (source: string, rest = ""): Files => ({
    "uv.lock": `version = 1
[[package]]
name = "app"
version = "1.0.0"
source = { virtual = "." }
dependencies = [{ name = "flask" }, { name = "colorama", marker = "sys_platform == 'win32'" }]
[[package]]
name = "flask"
version = "3.1.2"
source = ${source}
${rest}`,
  });
  const registry = '{ registry = "https://pypi.org/simple" }';
  const read = async (files: Files, member = ".") => {
    const python = await requireCommand("python3");
    const { directory } = writeApplication(files);
    const name = Object.keys(files).find((each) => each.endsWith(".lock")) ?? "";
    const script = join(buildpackOf("python"), "src/lock.py");
    const { status, stderr } = spawnSync(python, [script, name, "out.txt", member], {
      cwd: directory,
      encoding: "utf8",
    });
    const written = (file: string) => (status === 0 ? readFileSync(join(directory, file), "utf8") : undefined);
    return { stderr, text: written("out.txt"), folders: written("out.txt.folders") };
  };

  test.each<[string, Files, string]>([
    ["a package from git", uv('{ git = "https://git.example/flask" }'), "flask comes from git"],
    ["a package without a hash", uv(registry), "no hash for flask"],
    ["a need that it does not list", uv(registry, 'dependencies = [{ name = "click" }]'), "does not have click"],
    ["no project of its own", { "uv.lock": "version = 1\n" }, "does not have the project itself"],
  ])("is refused with %s", async (_what, files, message) => {
    const { stderr, text } = await read(files);
    expect(text).toBeUndefined();
    expect(stderr).toContain(message);
  });

  test("is taken with what this machine needs of it, by its hashes", async () => {
    const { text, stderr } = await read(
      uv(registry, `sdist = { url = "https://pypi.org/flask.tar.gz", hash = "${hash}" }\n`),
    );
    expect(text, stderr).toBe(`flask==3.1.2 --hash=${hash}\n`);
  });

  test("of a workspace gives what one of its projects needs, and the others of it that it needs", async () => {
    const own = (name: string, source: string, ...needs: string[]): string =>
      `[[package]]\nname = "${name}"\nversion = "1.0.0"\nsource = { ${source} }\ndependencies = [${needs.map((each) => `{ name = "${each}" }`).join(", ")}]\n`;
    const lock = (outside = ""): Files => ({
      "uv.lock": [
        "version = 1\n",
        own("api", 'editable = "services/api"', "words", "settings"),
        own("words", 'editable = "libs/words"', "flask"),
        own("settings", 'virtual = "libs/settings"'),
        own("other", 'editable = "services/other"', "click"),
        `[[package]]\nname = "flask"\nversion = "3.1.2"\nsource = ${registry}\nsdist = { url = "https://pypi.org/f", hash = "${hash}" }\n`,
        outside,
      ].join(""),
    });
    const { text, folders, stderr } = await read(lock(), "services/api");
    expect(text, stderr).toBe(`flask==3.1.2 --hash=${hash}\n`);
    expect(folders).toBe("libs/words\n");
    expect((await read(lock(), "services/none")).stderr).toContain("does not have the project itself (services/none)");
    for (const path of ["../else", "/else"]) {
      const refused = await read(lock(own("else", `editable = "${path}"`)), "services/api");
      expect(refused.stderr).toContain("else comes from editable");
    }
  });
});
