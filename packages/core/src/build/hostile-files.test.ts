import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { listApplications } from "./applications.ts";
import { noOptions } from "./options.ts";
import { readInstructions } from "./strategies/dockerfile/instructions.ts";
import { readDockerfile } from "./strategies/dockerfile/stages.ts";
import { DockerfileProblem } from "./strategies/dockerfile/words.ts";
import { jibRunner } from "./strategies/jib/run.ts";
import type { StrategyRunner } from "./strategies/runner.ts";
import { springBootRunner } from "./strategies/spring-boot/run.ts";
import { surveyTree } from "./survey/gather.ts";

const root = mkdtempSync(join(tmpdir(), "goldenpath-hostile-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function put(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(root, "application-"));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

const facts = { buildArgs: {}, platform: { os: "linux", architecture: "amd64" }, target: undefined };

// Who looks at each character again for each would take hours, and the tests their time limits.
describe("a file is read in time that grows with its length", () => {
  const many = 400_000;
  test.each([
    ["a directive of blanks", `# syntax=a${" ".repeat(many)}b\nFROM a\n`],
    ["a line of blanks", `FROM a\nRUN a${" ".repeat(many)}b\n`],
    ["a line of carriage returns", `FROM a\nRUN a${"\r".repeat(many)}b\n`],
  ])("with %s", (_what, text) => {
    expect(readInstructions(text).instructions.length).toBeGreaterThan(0);
  });

  test("with thousands of plugins, each with the version that is managed", async () => {
    const managed = "<plugin><groupId>g</groupId><artifactId>a</artifactId><version>2</version></plugin>";
    const plugins = `<plugins>${"<plugin><groupId>g</groupId><artifactId>a</artifactId></plugin>".repeat(20_000)}</plugins>`;
    const pom = `<project><build><pluginManagement><plugins>${managed}</plugins></pluginManagement>${plugins}</build></project>`;
    const { top } = await surveyTree(put({ "pom.xml": pom }));
    expect(new Set(top.maven?.plugins.map(({ version }) => version))).toEqual(new Set(["2"]));
  });

  test("with a list of blanks", async () => {
    const workspace = `packages:\n  - a${" ".repeat(many)}{\n`;
    const { top } = await surveyTree(put({ "package.json": "{}", "pnpm-workspace.yaml": workspace }));
    expect(top.files).toContain("package.json");
  });
});

describe("what is within itself ends in words about the file", () => {
  const chain = (count: number): string =>
    `FROM base AS s0\n${Array.from({ length: count }, (_, at) => `FROM s${at} AS s${at + 1}\n`).join("")}`;
  const nested = (count: number): string => `FROM ${"${A:-".repeat(count)}x${"}".repeat(count)}`;

  test("stages on stages", () => {
    expect(() => readDockerfile(chain(500), facts)).toThrow(DockerfileProblem);
    expect(readDockerfile(chain(499), facts).stages).toHaveLength(500);
  });

  test("values in values", () => {
    expect(() => readDockerfile(nested(51), facts)).toThrow(DockerfileProblem);
    expect(readDockerfile(nested(50), facts).stages[0]?.base).toBe("x");
  });

  test("and of what can't be read a hundred is told", async () => {
    const { top } = await surveyTree(put({ "build.gradle": "apply a\n".repeat(200_000) }));
    expect(top.remarks).toHaveLength(100);
    const twin = await surveyTree(put({ "build.gradle": "apply a\n".repeat(99) }));
    expect(twin.top.remarks).toHaveLength(99);
  });
});

// BuildKit's expressions are Go's, of which white space is of ASCII, and has no U+000B.
describe("a directive", () => {
  const hidden = "FROM a\nRUN echo `\nCOPY --from=evil /x /y\n";
  test.each(["# escape\u00a0=`", "# escape\u000b=`", "#\u00a0escape=`", "# check=skip=a\u2028b\n# escape=\u00a0`"])(
    "that is none to BuildKit is refused: %j",
    (line) => expect(() => readInstructions(`${line}\n${hidden}`)).toThrow(DockerfileProblem),
  );

  test.each([
    ["# escape = `", ["from", "run"]],
    ["#\tescape=`", ["from", "run"]],
    ["# a comment\u00a0= `", ["from", "run", "copy"]],
    ["# check=skip=a\u2028b", ["from", "run", "copy"]],
  ])("is read as BuildKit reads it: %j", (line, names) => {
    expect(readInstructions(`${line}\n${hidden}`).instructions.map(({ name }) => name)).toEqual(names);
  });

  test("goes on after one that has a line separator in it", () => {
    const text = "# check=skip=a\u2028b\n# escape=`\nFROM a\nRUN echo \\\nCOPY --from=evil /x /y\n";
    expect(readInstructions(text).instructions.map(({ name }) => name)).toEqual(["from", "run", "copy"]);
  });
});

describe("no two applications are pushed to one repository", () => {
  const nameAll = async (folders: readonly string[]) => {
    const files = Object.fromEntries(folders.map((each) => [`${each}/package.json`, '{"scripts":{"start":"x"}}']));
    return listApplications(await surveyTree(put(files)), ".").map(({ name }) => name);
  };
  test.each([
    [["services/api", "legacy/api", "services-api"]],
    // The last is called as the first is named, by the hash of its path.
    [["services/api", "legacy/api", "services-api", "services-api-fe3b7a5f"]],
    [["x y", "x_y"]],
    [["日本", "中国"]],
  ])("%j have names of their own, the same each time", async (folders) => {
    const names = await nameAll(folders);
    expect(new Set(names).size).toBe(folders.length);
    expect(await nameAll(folders)).toEqual(names);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/);
  });

  test("and what nobody else is called keeps its plain one", async () => {
    expect(await nameAll(["web", "api"])).toEqual(["api", "web"]);
  });
});

/** Starts a build where there is no daemon: its error's code, or that it went on to what this job has not. */
async function start(runner: StrategyRunner<never>, files: Record<string, string>, module?: string): Promise<string> {
  const directory = put(files);
  const { top: survey, below } = await surveyTree(directory);
  const image = { registry: "r.test", name: "x", digest: `sha256:${"b".repeat(64)}` };
  const job = {
    plan: { springBootBuilder: image, runImage: { base: "g", reference: image }, repository: image, strategy: {} },
    ...{ runImage: image, source: { directory, survey, below }, options: { ...noOptions, module } },
    context: {
      ...{ env: { DOCKER_HOST: "unix:///nowhere" }, signal: AbortSignal.timeout(5000), workingDirectory: directory },
      ports: { log: { notice: () => undefined, info: () => undefined } },
    },
  };
  const error: unknown = await Promise.resolve(job as never)
    .then((each) => runner.run(each))
    .catch((thrown: unknown) => thrown);
  return String((error as { code?: string }).code ?? "went on");
}

const pom = (more: string): string =>
  `<project><groupId>g</groupId><artifactId>p</artifactId><version>1</version>${more}</project>`;
const pluginOf = (group: string, artifact: string, configuration: string, more = ""): string =>
  `<build><plugins><plugin><groupId>${group}</groupId><artifactId>${artifact}</artifactId><configuration>${configuration}</configuration>${more}</plugin></plugins></build>`;

describe("jib", () => {
  const jib = (configuration: string, more?: string): string =>
    pluginOf("com.google.cloud.tools", "jib-maven-plugin", configuration, more);
  const onCommandLine = (configuration: string): string =>
    `<executions><execution><id>default-cli</id><configuration>${configuration}</configuration></execution></executions>`;
  const child = (configuration: string): string =>
    `<project><parent><groupId>g</groupId><artifactId>p</artifactId></parent><artifactId>app</artifactId>${jib(configuration)}</project>`;
  const parent = pom(`<packaging>pom</packaging><modules><module>app</module></modules>${jib("<skip>true</skip>")}`);
  const isFalse = "<properties><no>false</no></properties>";
  const other = "plugins { id 'com.google.cloud.tools.jib' version '3.4.6' }\ndef r = name =~ /\\{/\n";

  test.each<[string, Record<string, string>, module?: string]>([
    ["its own skip", { "pom.xml": pom(jib("<skip>true</skip>")) }],
    ["its parent's", { "pom.xml": parent, "app/pom.xml": child("") }, "app"],
    ["one that can't be known", { "pom.xml": pom(jib(`<skip>\${env.NO}</skip>`)) }],
    [
      "that of what the command line runs",
      { "pom.xml": pom(jib("<skip>false</skip>", onCommandLine("<skip>true</skip>"))) },
    ],
  ])("is refused with %s", async (_what, files, module) => {
    expect(await start(jibRunner as never, files, module)).toBe("java-settings-refused");
  });

  test.each<[string, Record<string, string>, module?: string]>([
    ["its parent skips and it does not", { "pom.xml": parent, "app/pom.xml": child("<skip>false</skip>") }, "app"],
    ["a property is false", { "pom.xml": pom(`${isFalse}${jib(`<skip>\${no}</skip>`)}`) }],
    ["another script may bring it", { "build.gradle": "plugins { id 'java' }\napply from: 'jib.gradle'\n" }],
    ["the script can't be read", { "build.gradle": other }],
    ["a plugin of the build's own may bring it", { "build.gradle": "plugins { id 'acme.service' }\n" }],
  ])("goes on where %s", async (_what, files, module) => {
    expect(await start(jibRunner as never, files, module)).toBe("went on");
  });

  test("is missing where nothing can bring it", async () => {
    const files = { "build.gradle": "plugins { id 'java' }\n" };
    expect(await start(jibRunner as never, files)).toBe("java-plugin-missing");
  });
});

describe("Spring Boot's plugin", () => {
  const name = "spring-boot-maven-plugin";
  const of = (artifact: string, image: string): string =>
    pluginOf("org.springframework.boot", artifact, `<image>${image}</image>`);
  const profile = `<profiles><profile><activation><activeByDefault>true</activeByDefault></activation><properties><plug>${name}</plug></properties></profile></profiles>`;

  // Maven takes a name with hyphens for the field that it is without them.
  test.each([
    ["builder with a hyphen", of(name, "<builder->evil</builder->")],
    ["run-image", of(name, "<run-image>evil</run-image>")],
    ["a builder where a profile names the plugin", `${of(`\${plug}`, "<builder>evil</builder>")}${profile}`],
  ])("is refused with %s", async (_what, more) => {
    expect(await start(springBootRunner as never, { "pom.xml": pom(more) })).toBe("java-settings-refused");
  });

  test.each([
    ["what is its own", of(name, "<env><a>b</a></env>")],
    ["another plugin's builder", of("other-plugin", "<builder>own</builder>")],
  ])("goes on to look for a daemon with %s", async (_what, more) => {
    expect(await start(springBootRunner as never, { "pom.xml": pom(more) })).toBe("docker-unavailable");
  });
});
