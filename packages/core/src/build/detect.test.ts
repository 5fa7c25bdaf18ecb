import { withFiles } from "@goldenpath/testing/survey";
import { describe, expect, it } from "vitest";
import { chooseStrategy, detectStrategies } from "./detect.ts";

describe("chooseStrategy", () => {
  it("takes nothing that the policy does not allow", () => {
    expect(chooseStrategy("auto", [], detectStrategies(withFiles(["package.json"])))).toBeUndefined();
    expect(chooseStrategy("buildpacks", [], detectStrategies(withFiles(["package.json"])))).toBeUndefined();
  });

  it("takes buildpacks beside a Dockerfile, and says why not the Dockerfile", () => {
    const choice = chooseStrategy(
      "auto",
      ["buildpacks"],
      detectStrategies(withFiles(["Dockerfile", "package.json", "package-lock.json"])),
    );
    expect(choice?.strategy).toBe("buildpacks");
    expect(choice?.reason).toContain("package.json (Node.js) with package-lock.json");
    expect(choice?.notTaken).toEqual(["Dockerfile: not used, the policy does not allow the strategy dockerfile"]);
  });

  it("leaves it to the buildpacks where no file speaks, or the Dockerfile alone", () => {
    for (const files of [["main.zig"], ["Dockerfile"]]) {
      const choice = chooseStrategy("auto", ["buildpacks"], detectStrategies(withFiles(files)));
      expect(choice).toMatchObject({ strategy: "buildpacks" });
      expect(choice?.reason).toContain("no file of the application speaks for a strategy");
    }
  });

  it("says that it was asked for", () => {
    expect(chooseStrategy("buildpacks", ["buildpacks"], detectStrategies(withFiles(["pom.xml"])))?.reason).toContain(
      "asked for by the input 'strategy'",
    );
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
  ])("reads %j", (files, reasons) => {
    expect(detectStrategies(withFiles(files))).toEqual([{ strategy: "buildpacks", reasons }]);
  });

  it.each(["Dockerfile", "Containerfile", "Dockerfile.prod", "web.Dockerfile"])("reads %s", (name) => {
    expect(detectStrategies(withFiles([name]))).toEqual([{ strategy: "dockerfile", reasons: [name] }]);
  });

  it.each([[["MyDockerfile"]], [["package.json5"]], [[]]])("reads nothing into %j", (files) => {
    expect(detectStrategies(withFiles(files))).toEqual([]);
  });
});
