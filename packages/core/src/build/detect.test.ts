import { withFiles } from "@goldenpath/testing/survey";
import { describe, expect, it } from "vitest";
import { chooseStrategy, detectStrategies, type StrategyCandidate, type Wishes } from "./detect.ts";

const wishes: Wishes = { asked: "auto", ofBuilder: undefined, allowed: ["buildpacks"], preferred: [] };

describe("chooseStrategy", () => {
  it("takes nothing that the policy does not allow", () => {
    const candidates = detectStrategies(withFiles(["package.json"]));
    expect(chooseStrategy({ ...wishes, allowed: [] }, candidates)).toMatchObject({ kind: "only-others" });
    expect(chooseStrategy({ ...wishes, allowed: [] }, [])).toMatchObject({ kind: "not-allowed" });
    for (const named of [{ asked: "buildpacks" }, { ofBuilder: "buildpacks" }] as const)
      expect(chooseStrategy({ ...wishes, ...named, allowed: [] }, candidates)).toMatchObject({ kind: "not-allowed" });
  });

  it("takes the language before the Dockerfile, and says why not the Dockerfile", () => {
    const candidates = detectStrategies(withFiles(["Dockerfile", "package.json", "package-lock.json"]));
    expect(chooseStrategy(wishes, candidates)).toMatchObject({
      strategy: "buildpacks",
      reason: expect.stringContaining("package.json (Node.js) with package-lock.json"),
      notTaken: ["Dockerfile: not used, the policy does not allow the strategy dockerfile"],
    });
  });

  it("leaves it to the buildpacks where no file speaks, and takes none where only a Dockerfile does", () => {
    const choose = (...files: string[]): unknown => chooseStrategy(wishes, detectStrategies(withFiles(files)));
    expect(choose("main.zig")).toMatchObject({
      strategy: "buildpacks",
      reason: expect.stringContaining("no file of the application speaks for a strategy"),
    });
    expect(choose("Dockerfile")).toMatchObject({
      kind: "only-others",
      places: [{ file: "Dockerfile", line: 1, message: expect.stringContaining("does not allow") }],
    });
    expect(
      chooseStrategy({ ...wishes, asked: "buildpacks" }, detectStrategies(withFiles(["Dockerfile"]))),
    ).toMatchObject({
      strategy: "buildpacks",
    });
  });

  it("says that it was asked for", () => {
    const candidates = detectStrategies(withFiles(["pom.xml"]));
    for (const [named, words] of [
      [{ asked: "buildpacks" }, "asked for by the input 'strategy'"],
      [{ ofBuilder: "buildpacks" }, "the input 'builder' names"],
      [{ ofFile: "buildpacks" }, "the input 'file' names"],
    ] as const)
      expect(chooseStrategy({ ...wishes, ...named }, candidates)).toMatchObject({
        reason: expect.stringContaining(words),
      });
  });

  it("says of what was not asked for that something else was", () => {
    const candidates = detectStrategies(withFiles(["Dockerfile", "pom.xml"]));
    const allowed = ["buildpacks", "dockerfile"] as const;
    expect(chooseStrategy({ ...wishes, allowed, asked: "dockerfile" }, candidates)).toMatchObject({
      notTaken: ["pom.xml (Java with Maven): not used, dockerfile was asked for"],
    });
    expect(chooseStrategy({ ...wishes, allowed }, candidates)).toMatchObject({
      notTaken: ["Dockerfile: not used, the language goes before a Dockerfile"],
    });
  });
});

describe("the order of what speaks", () => {
  const candidate = (strategy: string, evidence: StrategyCandidate["evidence"]): StrategyCandidate => ({
    strategy,
    evidence,
    reasons: [`a file of ${strategy}`],
    places: [],
  });
  // Whatever strategies there are: names in the place of theirs.
  const allowed = ["dockerfile", "buildpacks", "jib", "spring-boot"] as unknown as Wishes["allowed"];
  const language = candidate("buildpacks", "language");
  const descriptor = candidate("buildpacks", "descriptor");
  const jib = candidate("jib", "plugin");
  const spring = candidate("spring-boot", "plugin");
  const docker = candidate("dockerfile", "dockerfile");

  it.each<[string, StrategyCandidate[], Partial<Wishes>, string]>([
    ["a Dockerfile alone", [docker], {}, "dockerfile"],
    ["the language before a Dockerfile", [docker, language], {}, "buildpacks"],
    ["a plugin before the language", [docker, language, jib], {}, "jib"],
    ["project.toml before a plugin", [docker, descriptor, jib], {}, "buildpacks"],
    ["of two plugins the policy's first", [spring, language, jib], {}, "jib"],
    [
      "what the policy prefers before all files",
      [descriptor, jib, docker],
      { preferred: ["dockerfile"] as never },
      "dockerfile",
    ],
    [
      "nothing that the policy prefers and nothing speaks for",
      [language],
      { preferred: ["dockerfile"] as never },
      "buildpacks",
    ],
    [
      "a builder's kind before what the policy prefers",
      [docker, jib],
      { ofBuilder: "jib" as never, preferred: ["dockerfile"] as never },
      "jib",
    ],
    [
      "what is asked for before a builder's kind",
      [docker, jib],
      { asked: "dockerfile" as never, ofBuilder: "jib" as never },
      "dockerfile",
    ],
    [
      "what reads the file that is named before what the folder's files ask for",
      [descriptor, jib],
      { ofFile: "dockerfile" as never },
      "dockerfile",
    ],
    [
      "a builder's kind before what reads the file that is named",
      [docker],
      { ofBuilder: "jib" as never, ofFile: "dockerfile" as never },
      "jib",
    ],
    ["only what is allowed", [descriptor, jib], { allowed: ["jib"] as never }, "jib"],
  ])("%s", (_name, candidates, change, strategy) => {
    expect(chooseStrategy({ ...wishes, allowed, ...change }, candidates)).toMatchObject({ strategy });
  });
});

describe("detectStrategies", () => {
  it.each([
    [["project.toml"], ["project.toml"]],
    [["package.json"], ["package.json (Node.js)"]],
    [["package.json", "pnpm-lock.yaml"], ["package.json (Node.js) with pnpm-lock.yaml"]],
    [["pom.xml"], ["pom.xml (Java with Maven)"]],
    [["build.gradle.kts"], ["build.gradle.kts (Java with Gradle)"]],
    [["go.mod", "go.sum"], ["go.mod (Go) with go.sum"]],
    [["requirements.txt"], ["requirements.txt (Python)"]],
    [["shop.csproj"], ["shop.csproj (.NET)"]],
    [["index.html"], ["index.html (a static site)"]],
    [["index.html", "package.json"], ["package.json (Node.js)"]],
  ])("reads %j", (files, reasons) => {
    expect(detectStrategies(withFiles(files))).toMatchObject([{ strategy: "buildpacks", reasons }]);
  });

  it.each(["Dockerfile", "Containerfile", "Dockerfile.prod", "web.Dockerfile"])("reads %s", (name) => {
    expect(detectStrategies(withFiles([name]))).toMatchObject([{ strategy: "dockerfile", reasons: [name] }]);
  });

  it.each([[["MyDockerfile"]], [["package.json5"]], [["pom.xml\nx"]], [[]]])("reads nothing into %j", (files) => {
    expect(detectStrategies(withFiles(files))).toEqual([]);
  });
});
