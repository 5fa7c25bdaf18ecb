import { explainShape, rulesWith, type Shape } from "@goldenpath/testing/survey";
import { describe, expect, test } from "vitest";

/** Builds of Maven and Gradle whose plugins are not where they are used. */

const springBoot = "<groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId>";
const jib = "<groupId>com.google.cloud.tools</groupId><artifactId>jib-maven-plugin</artifactId>";
const plugins = (...all: string[]): string =>
  `<build><plugins>${all.map((each) => `<plugin>${each}</plugin>`).join("")}</plugins></build>`;
const profile = (id: string, activation: string, plugin = ""): string =>
  `<profile><id>${id}</id><activation>${activation}</activation>${plugin === "" ? "" : plugins(plugin)}</profile>`;
const pom = (inner: string): string =>
  `<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version>${inner}</project>`;
const profiles = (...all: string[]): string => pom(`<profiles>${all.join("")}</profiles>`);
const byFile = (condition: string): string => `<file>${condition}</file>`;
const isThere = byFile("<exists>src/app.yml</exists>");
const byDefault = "<activeByDefault>true</activeByDefault>";

async function chosenOf(shape: Shape): Promise<string | undefined> {
  const { explanation, error } = await explainShape(shape);
  expect(error).toBeUndefined();
  return explanation.chosen?.strategy;
}

describe("a profile of Maven", () => {
  test.each<[string, string, "spring-boot" | "buildpacks"]>([
    ["for a file that is there", profile("x", isThere, springBoot), "spring-boot"],
    [
      "for a file that is there, from the project's folder",
      profile("x", byFile(`<exists>${"$"}{project.basedir}/src/app.yml</exists>`), springBoot),
      "spring-boot",
    ],
    ["for one that is not", profile("x", byFile("<exists>other</exists>"), springBoot), "buildpacks"],
    ["where a file is missing", profile("x", byFile("<missing>other</missing>"), springBoot), "spring-boot"],
    ["where one is missing that is there", profile("x", byFile("<missing>src</missing>"), springBoot), "buildpacks"],
    ["for a file outside", profile("x", byFile("<exists>../outside</exists>"), springBoot), "buildpacks"],
    ["for a file and a Java", profile("x", `${isThere}<jdk>17</jdk>`, springBoot), "buildpacks"],
    ["for no condition", profile("x", byFile(""), springBoot), "buildpacks"],
    ["by default", profile("x", byDefault, springBoot), "spring-boot"],
    [
      "by default, beside one that a file does not turn on",
      profile("x", byDefault, springBoot) + profile("y", byFile("<exists>other</exists>")),
      "spring-boot",
    ],
    [
      "by default, beside one that a file turns on",
      profile("x", byDefault, springBoot) + profile("y", isThere),
      "buildpacks",
    ],
    [
      "by default, beside one that a property may turn on",
      profile("x", byDefault, springBoot) + profile("y", "<property><name>ci</name></property>"),
      "buildpacks",
    ],
  ])("%s is on or is not known to be", async (_name, text, strategy) => {
    const shape = { "pom.xml": profiles(text), "src/app.yml": "" };
    expect(await chosenOf(shape)).toBe(strategy);
  });

  test("of a parent is on by the files of the module that is built", async () => {
    const child = (name: string): string =>
      `<project><parent><groupId>g</groupId><artifactId>a</artifactId><version>1</version></parent><artifactId>${name}</artifactId></project>`;
    const { explanation } = await explainShape({
      "pom.xml": pom(
        `<packaging>pom</packaging><modules><module>web</module><module>lib</module></modules><profiles>${profile("x", isThere, springBoot)}</profiles>`,
      ),
      "web/pom.xml": child("web"),
      "web/src/app.yml": "",
      "lib/pom.xml": child("lib"),
    });
    expect(explanation.applications).toMatchObject([{ context: ".", module: "web", strategy: "spring-boot" }]);
  });
});

describe("a plugin that is told to do nothing", () => {
  const skip = (value: string): string => `<configuration><skip>${value}</skip></configuration>`;

  test.each<[string, string, string]>([
    ["by itself", plugins(jib + skip("true")), "buildpacks"],
    ["by a property", `<properties><no>true</no></properties>${plugins(jib + skip(`${"$"}{no}`))}`, "buildpacks"],
    ["not at all", plugins(jib + skip("false")), "jib"],
    [
      "by what manages it",
      `<build><pluginManagement><plugins><plugin>${jib}${skip("true")}</plugin></plugins></pluginManagement><plugins><plugin>${jib}</plugin></plugins></build>`,
      "buildpacks",
    ],
    ["beside another", plugins(jib + skip("true"), springBoot), "spring-boot"],
  ])("%s speaks for no strategy", async (_name, inner, strategy) => {
    expect(await chosenOf({ "pom.xml": pom(inner) })).toBe(strategy);
  });

  test.each<[string, string, string]>([
    ["at its line", plugins(jib + skip("true")), ":1: jib-maven-plugin is told to skip its work"],
    [
      "by its property",
      `<properties><jib.skip>true</jib.skip></properties>${plugins(jib)}`,
      ":1: jib-maven-plugin is told to skip its work by the property jib.skip",
    ],
  ])("is named %s where its strategy is the only one that the policy allows", async (_name, inner, words) => {
    const rules = rulesWith({ strategies: ["jib"] });
    const { error } = await explainShape({ "pom.xml": pom(inner) }, { rules });
    const message = expect.stringContaining(`allows: jib; pom.xml${words}`) as string;
    expect(error).toMatchObject({ code: "build-strategy-not-allowed", message });
    const running = inner.replaceAll(">true<", ">false<");
    expect((await explainShape({ "pom.xml": pom(running) }, { rules })).explanation.chosen?.strategy).toBe("jib");
  });

  test("is no program of a module, whatever the module above says", async () => {
    const module = (name: string, value: string): string =>
      `<project><parent><groupId>g</groupId><artifactId>a</artifactId><version>1</version></parent><artifactId>${name}</artifactId>${plugins(jib + skip(value))}</project>`;
    const { explanation } = await explainShape({
      "pom.xml": pom(
        `<packaging>pom</packaging><modules><module>web</module><module>lib</module></modules>${plugins(jib + skip("true"))}`,
      ),
      "web/pom.xml": module("web", "false"),
      "lib/pom.xml": module("lib", "true"),
    });
    expect(explanation.applications.map(({ module: name }) => name)).toEqual(["web"]);
  });
});

describe("a plugin of Gradle", () => {
  const id = "com.google.cloud.tools.jib";
  const logic = "build-logic/src/main/kotlin";
  test.each<[string, Shape]>([
    [
      "of a catalogue that the settings name",
      {
        "build.gradle.kts": "plugins { alias(deps.plugins.the.jib) }",
        "settings.gradle.kts":
          'dependencyResolutionManagement {\n  versionCatalogs {\n    create("deps") {\n      from(files("deps.toml"))\n    }\n  }\n}',
        "deps.toml": `[plugins]\nthe-jib = "${id}:3.4.5"`,
      },
    ],
    [
      "of one that Groovy names",
      {
        "build.gradle": "plugins { alias deps.plugins.jib }",
        "settings.gradle":
          "dependencyResolutionManagement { versionCatalogs { deps { from(files('gradle/deps.toml')) } } }",
        "gradle/deps.toml": `[plugins]\njib = "${id}:3.4.5"`,
      },
    ],
    [
      "of a convention of an included build",
      {
        "build.gradle.kts": 'plugins { id("acme.app") }',
        "settings.gradle.kts": 'pluginManagement { includeBuild("build-logic") }',
        [`${logic}/acme.app.gradle.kts`]: `plugins { id("${id}") version "3.4.5" }`,
      },
    ],
    [
      "of a convention by way of another, in a project of an included build",
      {
        "build.gradle": "plugins { id 'acme.app' }",
        "settings.gradle": "includeBuild './build-logic/'",
        "build-logic/settings.gradle.kts": 'include("conventions")',
        "build-logic/conventions/src/main/groovy/acme.app.gradle": "plugins { id 'acme.image' }",
        "build-logic/conventions/src/main/kotlin/acme.image.gradle.kts": `plugins { id("${id}") version "3.4.5" }`,
      },
    ],
  ])("%s is found", async (_name, shape) => {
    const { explanation } = await explainShape(shape);
    expect(explanation.chosen).toMatchObject({ strategy: "jib", reason: expect.stringContaining("jib 3.4.5") });
    expect(explanation.remarks).toEqual([]);
  });

  test.each<[string, Shape]>([
    [
      "a convention that applies itself",
      {
        [`${logic}/acme.app.gradle.kts`]: 'plugins { id("acme.app") }',
        "settings.gradle": "includeBuild 'build-logic'",
      },
    ],
    [
      "a build and a catalogue that are elsewhere",
      {
        "settings.gradle":
          "includeBuild '../other'\ndependencyResolutionManagement { versionCatalogs { deps { from(files('../deps.toml')) } } }",
      },
    ],
  ])("is not looked for without end or outside: %s", async (_name, shape) => {
    const { explanation } = await explainShape({ "build.gradle": "plugins { id 'acme.app' }", ...shape });
    expect(explanation.chosen?.strategy).toBe("buildpacks");
    expect(explanation.remarks).toEqual([]);
  });

  test("of Gradle's own is a word alone in Kotlin, beside values", async () => {
    const { explanation } = await explainShape({
      "build.gradle.kts": 'plugins {\n  val v = "2.0"\n  jacoco\n  `java-library`\n  kotlin("jvm") version v\n}',
    });
    expect(explanation.remarks).toEqual([]);
    expect(explanation.found.join("\n")).toContain("plugin jacoco");
  });
});
