import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examples } from "../support/golden-platform.ts";
import { zip } from "../support/zip.ts";

/** What the example's Java buildpack makes of what a build left, and what it gives a build that compiles pages. */

type Files = Readonly<Record<string, string | Uint8Array>>;
let work: string;
let counter = 0;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "language-java-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const load = (file: string): Promise<unknown> => import(join(examples, "golden-platform/buildpacks/java/src", file));

function write(files: Files): string {
  const directory = join(work, `${++counter}/workspace`);
  mkdirSync(directory, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  return directory;
}

const archive = (manifest: string): Uint8Array => zip([{ name: "META-INF/MANIFEST.MF", content: manifest }]);
const program = archive("Main-Class: a.B\n");
const parts = archive("Manifest-Version: 1.0\n");
/** As Maven's jar plugin writes it, in lines of 72 bytes. */
const linked = archive("Class-Path: lib/one.jar lib/two%20w\r\n ords.jar file:/etc/x.jar\r\nMain-Class: a.B\r\n");

describe("what a build left", () => {
  test.each<[string, Files, Record<string, string>, string]>([
    ["nothing", {}, {}, "no jar at all"],
    ["a library", { "target/a.jar": parts }, {}, "A war needs neither: Tomcat serves it"],
    ["two wars", { "target/a.war": parts, "b/target/b.war": parts }, {}, "BP_MAVEN_BUILT_ARTIFACT=target/a.war"],
    ["two programs", { "target/a.jar": program, "target/b.war": program }, {}, "left several programs"],
    [
      "a program without what it needs",
      { "target/a.jar": linked, "target/lib/one.jar": parts },
      {},
      "target/a.jar needs lib/two words.jar beside it",
    ],
    [
      "another than is named",
      { "target/a.war": parts },
      { BP_MAVEN_BUILT_ARTIFACT: "target/b.war" },
      "left no target/b",
    ],
  ])("is refused: %s", async (_what, files, env, words) => {
    const { chooseArtifact } = (await load("artifact.mjs")) as Artifact;
    expect(() => chooseArtifact(write(files), "target", env)).toThrow(words);
  });

  test.each<[string, Files, Record<string, string>, string, boolean]>([
    ["a war that starts by itself", { "target/a.war": program, "target/lib.jar": parts }, {}, "target/a.war", false],
    ["a war for a container", { "target/a.war": parts, "target/a-classes.jar": parts }, {}, "target/a.war", true],
    ["one beside a program", { "target/a.war": parts, "target/b.jar": program }, {}, "target/b.jar", false],
    [
      "the one that has all in it",
      { "target/a.jar": program, "target/a-jar-with-dependencies.jar": program },
      {},
      "target/a-jar-with-dependencies.jar",
      false,
    ],
    [
      "the one that lacks nothing",
      { "target/a.jar": linked, "target/all-in-one.jar": program },
      {},
      "target/all-in-one.jar",
      false,
    ],
    ["the whole one of two", { "target/a.war": parts, "target/a-plain.war": parts }, {}, "target/a.war", true],
    [
      "the one that is named",
      { "target/a.war": parts, "b/target/b.war": parts },
      { BP_MAVEN_BUILT_ARTIFACT: "b/target/b.war" },
      "b/target/b.war",
      true,
    ],
  ])("is started or served: %s", async (_what, files, env, path, isWar) => {
    const { chooseArtifact } = (await load("artifact.mjs")) as Artifact;
    const directory = write(files);
    const chosen = chooseArtifact(directory, "target", env);
    expect([chosen.path, chosen.isWar ?? false]).toEqual([join(directory, path), isWar]);
  });
});

test("what lies beside a program and is named in it stays with it", async () => {
  const { chooseArtifact } = (await load("artifact.mjs")) as Artifact;
  const files = { "target/a.jar": linked, "target/lib/one.jar": parts, "target/lib/two words.jar": parts };
  const directory = write({ ...files, "target/lib/three.jar": parts });
  expect(chooseArtifact(directory, "target", {}).kept).toEqual(Object.keys(files).map((path) => join(directory, path)));
});

interface Artifact {
  chooseArtifact(
    at: string,
    output: string,
    env: Record<string, string>,
  ): { path: string; kept: string[]; isWar?: boolean };
}

describe("what a start command names of what a build left", () => {
  const files: Files = {
    "target/a.jar": program,
    "target/b.jar": linked,
    "target/shop.war": parts,
    "target/lib/one.jar": parts,
    "target/classes/a/B.class": "",
    "target/dependency/runner.jar": parts,
    "target/quarkus-app/quarkus-run.jar": program,
    "web/target/web.jar": program,
    "more/target/a.jar": program,
    "more/target/a-parts.jar": parts,
    "more/target/original-a.jar": program,
    "build/install/shop/bin/shop": "",
    "build/libs/a.jar": program,
    "data/x.txt": "",
  };

  test.each<[string, string, string[]]>([
    ["nothing", "java -jar a.jar --data data/x.txt --log target", []],
    ["what is elsewhere", "java -jar ../target/a.jar /target/a.jar", []],
    ["a jar", "java $JAVA_OPTS -jar ./target/a.jar --port=$PORT", ["target/a.jar"]],
    ["one with what it needs", "java -jar target/b.jar", ["target/b.jar", "target/lib/one.jar"]],
    ["a module's", "java -jar web/target/web.jar", ["web/target/web.jar"]],
    ["Quarkus'", "java -jar target/quarkus-app/quarkus-run.jar", ["target/quarkus-app"]],
    ["folders of classes", "java -cp target/classes:target/lib/* a.B", ["target/classes", "target/lib/one.jar"]],
    [
      "a server and what it serves",
      "java -jar target/dependency/runner.jar target/*.war",
      ["target/dependency/runner.jar", "target/shop.war"],
    ],
    [
      "files that a variable names",
      `java -cp target/${"$"}{NAME}.jar a.B`,
      ["target/a.jar", "target/b.jar", "target/lib/one.jar"],
    ],
    ["the program that it means by a pattern", "java -jar more/target/*.jar", ["more/target/a.jar"]],
    ["what may be where it goes first", "cd web && java -jar target/web.jar", []],
    ["what comes to be later", "java -jar a.jar --log target/log/x.txt", []],
  ])("is %s", async (_what, command, paths) => {
    const { listNamed } = (await load("named.mjs")) as Named;
    const directory = write(files);
    expect(listNamed(directory, "target", [command])).toEqual(paths.map((path) => join(directory, path)));
  });

  test("is all that a script belongs to", async () => {
    const { listNamed } = (await load("named.mjs")) as Named;
    const directory = write(files);
    const install = join(directory, "build/install/shop");
    expect(listNamed(directory, "build", [`${directory}/build/install/shop/bin/shop serve`])).toEqual([install]);
  });

  test.each(["target/c.jar", "target/no/such/c.war"])("is refused where the build left no %s", async (path) => {
    const { listNamed } = (await load("named.mjs")) as Named;
    expect(() => listNamed(write(files), "target", [`java -jar ${path}`])).toThrow(`names ${path}, and the build left`);
  });
});

interface Named {
  listNamed(at: string, output: string, commands: readonly string[]): string[];
}

/** A buildpack of which the platform made no more than Tomcat's names. */
function packTomcat(files: Files = { "usr/share/tomcat10/etc/web.xml": "<web-app/>" }): string {
  return write({
    ...Object.fromEntries(Object.entries(files).map(([path, content]) => [`runtime/${path}`, content])),
    "runtime.json": JSON.stringify({
      launch: [],
      packages: [],
      parts: { tomcat: { launch: Object.keys(files), packages: [] } },
    }),
  });
}

async function serve(files: Files, env: Record<string, string> = {}, buildpack = packTomcat()) {
  const { serveWar } = (await load("tomcat.mjs")) as { serveWar(place: object, processes: object): void };
  const directory = write({ "WEB-INF/web.xml": "<web-app/>", "runtime/bin/java": "", ...files });
  const layers = join(directory, "../layers");
  mkdirSync(layers);
  const place = { directory, layers, buildpack, env, architecture: "amd64", say: () => undefined };
  serveWar(place, { folders: [join(directory, "runtime/bin")], names: [] });
  return { directory, layers, launch: readFileSync(join(layers, "launch.toml"), "utf8") };
}

describe("a war", () => {
  test.each<[string, Files, Record<string, string>, string]>([
    [
      "whose servlets are of Java EE",
      { "WEB-INF/classes/a/B.class": "\u0001 javax/servlet/http/HttpServlet" },
      {},
      "WEB-INF/classes/a/B.class is compiled against javax.servlet",
    ],
    [
      "that wants another Tomcat",
      {},
      { BP_TOMCAT_VERSION: "9.*" },
      "BP_TOMCAT_VERSION is 9.*, and this platform has 10",
    ],
  ])("%s is refused", async (_what, files, env, words) => {
    await expect(serve(files, env)).rejects.toThrow(words);
  });

  test("is refused by a buildpack that has no Tomcat, by name", async () => {
    const bare = write({ "runtime/x": "", "runtime.json": '{"launch":[],"packages":[]}' });
    await expect(serve({}, {}, bare)).rejects.toThrow("packaged without Tomcat");
  });

  test("is served at / on PORT, without what only builds it", async () => {
    const files = {
      "WEB-INF/classes/a/B.class": "jakarta/servlet/http/HttpServlet",
      "project.toml": "",
      "index.html": "hello",
    };
    const { directory, layers, launch } = await serve(files, { BP_TOMCAT_VERSION: "10.1" });
    expect(readdirSync(directory).sort()).toEqual(["WEB-INF", "index.html", "runtime"]);
    expect(launch).toContain(`"-Dcatalina.base=${layers}/tomcat-base"`);
    expect(launch).toContain(`"-Dcatalina.home=${layers}/tomcat/usr/share/tomcat10"`);
    const settings = readFileSync(join(layers, "tomcat-base/conf/server.xml"), "utf8");
    expect(settings).toContain('PORT:-8080}" protocol="HTTP/1.1"');
    expect(settings).toContain(`<Context path="" docBase="${directory}"/>`);
  });

  test("that says how it starts is started so", async () => {
    const { directory, launch } = await serve({ Procfile: "web: java -jar runner.jar\n" });
    expect(launch).toContain('"-jar", "runner.jar"');
    expect(existsSync(join(directory, "Procfile"))).toBe(false);
  });

  test("that was unpacked needs nothing to be built", async () => {
    const { isUnpackedWar } = (await load("unpacked.mjs")) as { isUnpackedWar(at: string): boolean };
    expect(isUnpackedWar(write({ "WEB-INF/web.xml": "" }))).toBe(true);
    expect(isUnpackedWar(write({ "WEB-INF/web.xml": "", "pom.xml": "" }))).toBe(false);
    expect(isUnpackedWar(write({ "index.html": "" }))).toBe(false);
  });

  test("that was unpacked is served without what begins with a dot, but for .well-known", async () => {
    const { leaveOutHidden } = (await load("unpacked.mjs")) as { leaveOutHidden(at: string): void };
    const hidden = { ".env": "", ".idea/workspace.xml": "", "docs/.env": "" };
    const served = { ".well-known/security.txt": "", "WEB-INF/.kept": "", "docs/a.html": "" };
    const directory = write({ ...hidden, ...served });
    leaveOutHidden(directory);
    for (const path of Object.keys(hidden)) expect(existsSync(join(directory, path)), path).toBe(false);
    for (const path of Object.keys(served)) expect(existsSync(join(directory, path)), path).toBe(true);
  });
});

describe("a build that compiles pages", () => {
  const packages = { "ui/package.json": "{}", "ui/package-lock.json": "{}" };
  const off = { npm_config_ignore_scripts: "true", YARN_ENABLE_SCRIPTS: "false" };

  test.each<[string, Files, Record<string, string>, object | undefined]>([
    ["none", { "pom.xml": "" }, {}, undefined],
    ["packages of what was compiled", { "target/classes/package.json": "{}" }, {}, undefined],
    ["one that is told not to", packages, { BP_JAVA_INSTALL_NODE: "false" }, undefined],
    ["one below the folder", packages, {}, off],
    ["one that says so", { "pom.xml": "" }, { BP_JAVA_INSTALL_NODE: "true" }, off],
    ["packages' scripts where they are wanted", packages, { BP_NODE_INSTALL_SCRIPTS: "true" }, {}],
  ])("has its package manager, and strangers' scripts off: %s", async (_what, files, variables, added) => {
    const { addPackageManagers } = (await load("front-ends.mjs")) as {
      addPackageManagers(place: object, env: object): Record<string, string>;
    };
    const directory = write(files);
    const env = { PATH: "/bin", TMPDIR: dirname(directory), ...variables };
    const given = addPackageManagers({ directory, env, say: () => undefined }, env);
    if (added === undefined) return expect(given).toBe(env);
    expect(given).toEqual({
      ...env,
      ...added,
      PATH: `${dirname(directory)}/package-managers:/bin`,
      npm_config_cache: join(dirname(directory), "npm-cache"),
      YARN_CACHE_FOLDER: join(dirname(directory), "yarn-cache"),
    });
  });
});
