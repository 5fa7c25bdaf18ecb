import { describe, expect, it } from "vitest";
import { nameTask, renderCommand, requireBuildTool } from "./command.ts";

const find = (files: string[], engine = "auto") => requireBuildTool(files, engine, "jib");

describe("what an application is built with", () => {
  it.each([
    ["without either's files", ["package.json", "mvnw"], "auto", "no pom.xml or build.gradle"],
    ["by names that only look alike", ["pom.xml.bak", "my-build.gradle", "POM.XML"], "auto", "no pom.xml"],
    ["by the one that it has not", ["pom.xml"], "gradle", "no build.gradle"],
    ["by the other that it has not", ["build.gradle"], "maven", "no pom.xml"],
  ])("is nothing %s", (_what, files, engine, message) => {
    expect(() => find(files, engine)).toThrow(message);
  });

  it.each([
    ["Maven", ["pom.xml"], { name: "maven", wrapper: undefined }],
    ["Maven by its wrapper", ["mvnw", "pom.xml"], { name: "maven", wrapper: "mvnw" }],
    ["Maven, where it has both", ["build.gradle", "gradlew", "pom.xml"], { name: "maven", wrapper: undefined }],
    ["Gradle by its wrapper", ["build.gradle.kts", "gradlew"], { name: "gradle", wrapper: "gradlew" }],
    ["Gradle, of modules alone", ["settings.gradle"], { name: "gradle", wrapper: undefined }],
  ])("is %s", (_what, files, tool) => {
    expect(find(files)).toEqual(tool);
  });

  it("is what the input says, where it has both", () => {
    expect(find(["build.gradle", "gradlew", "pom.xml"], "gradle")).toEqual({ name: "gradle", wrapper: "gradlew" });
  });
});

describe("the command", () => {
  const properties = { "jib.from.image": "tar:///a b/base.tar", x: "$(id)" };

  it("is Maven's, by its program or by a wrapper that need not be executable", () => {
    const command = renderCommand({ name: "maven", wrapper: undefined }, { goals: ["package"], properties });
    expect(command[0]).toBe("mvn");
    expect(command).toEqual(expect.arrayContaining(["--batch-mode", "-DskipTests=true", "-Dx=$(id)"]));
    expect(command.slice(-2)).toEqual(["-Dx=$(id)", "package"]);
    expect(renderCommand({ name: "maven", wrapper: "mvnw" }, { goals: [], properties: {} }).slice(0, 3)).toEqual([
      "sh",
      "./mvnw",
      "--batch-mode",
    ]);
  });

  it("is Gradle's, without what only Maven knows", () => {
    const command = renderCommand({ name: "gradle", wrapper: "gradlew" }, { goals: ["jibBuildTar"], properties });
    expect(command).toEqual([
      ...["sh", "./gradlew", "--no-daemon", "--console=plain"],
      ...["-Djib.from.image=tar:///a b/base.tar", "-Dx=$(id)", "jibBuildTar"],
    ]);
  });

  it("is about one module, and with it those that it needs", () => {
    const maven = { name: "maven", wrapper: undefined } as const;
    const flags = (module: { path: string; alone?: boolean }) =>
      renderCommand(maven, { goals: ["package"], properties: {}, module }).filter((each) => !each.startsWith("-D"));
    const always = ["mvn", "--batch-mode", "--no-transfer-progress", "--file", "pom.xml", "--projects", "services/web"];
    expect(flags({ path: "services/web" })).toEqual([...always, "--also-make", "package"]);
    expect(flags({ path: "services/web", alone: true })).toEqual([...always, "package"]);
    expect(nameTask("jibBuildTar", "services/web")).toBe(":services:web:jibBuildTar");
    expect(nameTask("jibBuildTar", undefined)).toBe("jibBuildTar");
  });

  it("has what the caller sets, and not what it is by default", () => {
    const command = renderCommand(
      { name: "maven", wrapper: undefined },
      { goals: [], properties: { skipTests: "no" } },
    );
    expect(command.filter((each) => each.startsWith("-DskipTests"))).toEqual(["-DskipTests=no"]);
  });
});
