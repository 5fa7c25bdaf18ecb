import { describe, expect, it } from "vitest";
import { explainJavaFailure, type FailedBuild } from "./explain.ts";

const explain = (lines: string[], change: Partial<FailedBuild> = {}) =>
  explainJavaFailure({
    ...{ tool: { name: "maven", wrapper: undefined }, exitCode: 1, directory: "/b/app" },
    inCheckout: (place) => ({ ...place, file: `shop/${place.file}` }),
    lines,
    ...change,
  });

describe("a place in the application", () => {
  it.each([
    ["javac under Maven", "[ERROR] /b/app/src/Main.java:[3,12] ';' expected", "src/Main.java", 3, "';' expected"],
    [
      "Kotlin under Maven",
      "[ERROR] file:///b/app/Main.kt:[3,1] Expecting an element",
      "Main.kt",
      3,
      "Expecting an element",
    ],
    ["javac", "/b/app/src/Main.java:7: error: cannot find symbol", "src/Main.java", 7, "cannot find symbol"],
    [
      "Kotlin under Gradle",
      "e: file:///b/app/Main.kt:9:5 Unresolved reference: x",
      "Main.kt",
      9,
      "Unresolved reference: x",
    ],
    ["an older one", "e: /b/app/Main.kt:9:5: Unresolved", "Main.kt", 9, "Unresolved"],
    [
      "a POM",
      "[FATAL] Non-parseable POM /b/app/pom.xml: unexpected markup (position: END_TAG) @ line 4, column 3",
      "pom.xml",
      4,
      "Non-parseable POM /b/app/pom.xml: unexpected markup (position: END_TAG)",
    ],
    ["a build script", "Build file '/b/app/build.gradle' line: 5", "build.gradle", 5, "this is where the build failed"],
  ])("is read of %s", (_what, line, file, at, message) => {
    const error = explain(["noise", line, line, "more"]);
    expect(error).toMatchObject({ name: "UserError", code: "java-build-failed" });
    expect(error.places).toEqual([{ file: `shop/${file}`, line: at, message }]);
    expect(error.message).toContain(`  shop/${file}:${at} ${message}`);
  });

  it.each([
    "[ERROR] /etc/passwd:[1,1] x",
    "[ERROR] /b/application/Main.java:[1,1] x",
    "/b/app: error: x",
    "[ERROR] src/Main.java:[1,1] x",
    "[WARNING] /b/app/Main.java:[1,1] deprecated",
  ])("is none in %s", (line) => {
    expect(explain([line]).places).toEqual([]);
  });

  it("is one of at most 20, however many a build names", () => {
    const lines = Array.from({ length: 50 }, (_, index) => `/b/app/A.java:${index + 1}: error: x`);
    expect(explain(lines).places).toHaveLength(20);
  });
});

describe("what else there is to say", () => {
  it.each([
    [["sh: 1: exec: mvn: not found"], 127],
    [["The JAVA_HOME environment variable is not defined correctly,"], 1],
    [["ERROR: JAVA_HOME is not set and no 'java' command could be found in your PATH."], 1],
  ])("is that there is no Java or no tool: %j", (lines, exitCode) => {
    expect(explain(lines, { exitCode })).toMatchObject({ name: "UserError", code: "java-tool-missing" });
  });

  it.each([
    "[ERROR] Could not transfer artifact a:b:pom:1 from/to central (https://repo.example): Connection refused",
    "> Could not GET 'https://repo.example/a.pom'.",
    "[ERROR] PKIX path building failed: unable to find valid certification path",
  ])("is that something could not be downloaded: %s", (line) => {
    expect(explain([line])).toMatchObject({
      name: "InfrastructureError",
      code: "java-dependencies-unreachable",
      safeToRetry: true,
    });
  });

  it.each([
    [
      "[ERROR]   StockTest.reads:12 » Connect Connection refused",
      "[ERROR] Tests run: 3, Failures: 0, Errors: 1, Skipped: 0",
      "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:3.2.5:test (default-test) on project shop: There are test failures.",
    ],
    [
      "StockTest > reads() FAILED",
      "    java.net.UnknownHostException: db",
      "> There were failing tests. See the report at: file:///b/app/build/reports/tests/test/index.html",
    ],
  ])("is not that where a test finds no service: %s", (...lines) => {
    expect(explain(lines)).toMatchObject({ name: "UserError", code: "java-build-failed" });
    // What tests need may be missing as well.
    expect(explain([...lines, "> Could not GET 'https://repo.example/a.pom'."])).toMatchObject({
      code: "java-dependencies-unreachable",
    });
  });

  it("is that where a wrapper finds no service", () => {
    const ofWrapper = 'Exception in thread "main" java.net.UnknownHostException: services.gradle.org';
    expect(explain([ofWrapper])).toMatchObject({ code: "java-dependencies-unreachable" });
  });

  it("is not that where a compiler says what is wrong", () => {
    const lines = ["Could not transfer artifact x", "/b/app/A.java:1: error: x"];
    expect(explain(lines)).toMatchObject({ name: "UserError", code: "java-build-failed" });
  });

  it("is another Java, where the build wants one", () => {
    expect(explain(["[ERROR] error: release version 25 not supported"]).wayOut).toContain("another version of Java");
    expect(explain(["[ERROR] no"]).wayOut).not.toContain("another version of Java");
  });

  it("is the end of the output, without what Maven says each time", () => {
    const { message } = explain([
      "[ERROR] Failed to execute goal x: no:such:jar:1 was not found -> [Help 1]",
      "[ERROR] ",
      "[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.",
      "    at java.base/java.lang.Thread.run(Thread.java:840)",
      "[ERROR] Goal y failed: no:such:jar:1 was not found",
    ]);
    expect(message).toBe("Maven could not build the application:\n[ERROR] Goal y failed: no:such:jar:1 was not found");
  });
});
