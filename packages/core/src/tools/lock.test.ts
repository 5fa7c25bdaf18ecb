import { describe, expect, it } from "vitest";
import { acceptedSha256s, productionTools, toolPlatform } from "./lock.ts";

describe("the lock", () => {
  it.each(productionTools.map((tool) => [tool.name, tool] as const))(
    "%s has everything that verification needs",
    (_name, tool) => {
      expect(tool.module.sum).toMatch(/^h1:[A-Za-z0-9+/]{43}=$/);
      expect(tool.module.version).toBe(`v${tool.version}`);
      expect(tool.toolchain).toMatch(/^go1\.\d+\.\d+$/);
      expect(tool.package).toMatch(/^\.(\/|$)/);
      expect(Object.keys(tool.builds)).toContain("linux-amd64");
      for (const sha256 of Object.values(tool.builds)) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      for (const release of Object.values(tool.releases ?? {})) {
        expect(release?.url).toMatch(/^https:\/\//);
        expect(release?.sha256).toMatch(/^[0-9a-f]{64}$/);
      }
      for (const [platform, release] of Object.entries(tool.releases ?? {})) {
        expect(release?.url).toContain(`/v${tool.version}/`);
        expect(release?.member).toBe(tool.publisher?.member);
        expect(
          release?.url.endsWith(
            `/${tool.publisher?.assets[platform as "linux-amd64"]?.replace("{version}", tool.version)}`,
          ),
        ).toBe(true);
        if (release?.memberSha256 !== undefined) expect(release.memberSha256).toMatch(/^[0-9a-f]{64}$/);
      }
      // One group, and it compiles.
      if (tool.versionCommand) expect(new RegExp(`${tool.versionCommand.pattern}|`).exec("")).toHaveLength(2);
    },
  );

  it("has each name and each binary once", () => {
    expect(new Set(productionTools.map((tool) => tool.name)).size).toBe(productionTools.length);
    const hashes = productionTools.flatMap((tool) => Object.values(tool.builds));
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it.each([
    ["0.20.11", "0.20.11"],
    ["0.20.11+4e5936a9", "0.20.11"],
    ["v0.20.11", "0.20.11"],
    ["0.20.11-rc.1", undefined],
  ])("reads the lifecycle's version from '%s'", (said, version) => {
    const pattern = productionTools.find((tool) => tool.name === "lifecycle")?.versionCommand?.pattern ?? "";
    expect(new RegExp(pattern, "m").exec(said)?.[1]).toBe(version);
  });
});

describe("acceptedSha256s", () => {
  it("is our build's and the publisher's, for that platform only", () => {
    const [tool] = productionTools;
    if (tool === undefined) throw new Error("the lock is empty");
    const release = { url: "https://example.com/x", sha256: "f".repeat(64) };
    const both = {
      ...tool,
      builds: { "linux-amd64": "e".repeat(64) },
      releases: { "linux-amd64": release, "darwin-arm64": release },
    };
    expect(acceptedSha256s(both, "linux-amd64")).toEqual(["e".repeat(64), "f".repeat(64)]);
    expect(acceptedSha256s(both, "darwin-arm64")).toEqual(["f".repeat(64)]);
    expect(acceptedSha256s(both, "linux-arm64")).toEqual([]);
  });
});

describe("toolPlatform", () => {
  it("uses Go's words", () => {
    expect(toolPlatform("linux", "x64")).toBe("linux-amd64");
    expect(toolPlatform("darwin", "arm64")).toBe("darwin-arm64");
    expect(toolPlatform("win32", "ia32")).toBe("windows-386");
  });
});
