import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cachedToolPath } from "./cache.ts";
import type { FindToolOptions } from "./find.ts";
import { type LockedTool, toolPlatform } from "./lock.ts";
import { listTools, planTools } from "./plan-tools.ts";

const platform = toolPlatform();
const content = "#!/bin/sh\necho 'hammer version 1.2.3'\n";
let folder: string;
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-tools-"));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (text: string): string => digestHex(digestOf(text));

function hammer(more: Partial<LockedTool> = {}): LockedTool {
  return {
    name: "hammer",
    version: "1.2.3",
    module: { path: "example.com/hammer", version: "v1.2.3", sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    toolchain: "go1.26.8",
    package: "./cmd/hammer",
    ldflags: "-s -w",
    builds: { [platform]: sha256(content) },
    ...more,
  };
}

function options(more: { tool?: LockedTool; env?: Record<string, string> } = {}): FindToolOptions {
  const silent = silentPorts();
  return {
    ports: { ...silent, log: { ...silent.log, warning: (text) => void warnings.push(text) } },
    lock: [more.tool ?? hammer()],
    env: { PATH: join(folder, "bin"), HOME: folder, GOLDENPATH_TOOL_CACHE: join(folder, "cache"), ...more.env },
  };
}

function install(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

const cached = () => cachedToolPath(join(folder, "cache"), hammer(), platform);
const inPath = () => join(folder, "bin", "hammer");

describe("planTools", () => {
  const go = () => install(join(folder, "bin", "go"), "#!/bin/sh\nexit 1\n");

  it("names the build when nothing else has the tool, and changes nothing", async () => {
    go();
    install(cached(), "changed");
    const [plan] = await planTools(["hammer"], options());
    expect(plan).toMatchObject({
      name: "hammer",
      version: "1.2.3",
      source: "build",
      origin: "example.com/hammer@v1.2.3",
    });
    expect(plan?.rejected.map(({ source }) => source)).toEqual(["path", "cache", "mirror", "release"]);
    expect(readFileSync(cached(), "utf8")).toBe("changed");
    expect(warnings).toEqual([]);
  });

  it("names the mirror without asking it, and without its credentials", async () => {
    const [plan] = await planTools(
      ["hammer"],
      options({ env: { GOLDENPATH_TOOL_MIRROR: "https://me:hunter2@tools.example/x/" } }),
    );
    expect(plan).toMatchObject({ source: "mirror", origin: `https://tools.example/x/hammer/1.2.3/${platform}/hammer` });
  });

  it("names the release, the cache, and PATH", async () => {
    const tool = hammer({ releases: { [platform]: { url: "https://example.com/hammer", sha256: sha256("x") } } });
    expect((await planTools(["hammer"], options({ tool })))[0]).toMatchObject({
      source: "release",
      origin: "https://example.com/hammer",
    });
    install(cached(), content);
    expect((await planTools(["hammer"], options({ tool })))[0]).toMatchObject({ source: "cache", path: cached() });
    install(inPath(), content);
    expect((await planTools(["hammer"], options({ tool })))[0]).toMatchObject({
      source: "path",
      path: inPath(),
      rejected: [],
    });
  });

  it("names no source where there is none, and why", async () => {
    const [withoutGo] = await planTools(["hammer"], options());
    expect(withoutGo?.source).toBeUndefined();
    expect(withoutGo?.rejected.at(-1)).toEqual({ source: "build", reason: "no go in PATH" });
    go();
    install(cached(), content);
    const [unknownPlatform] = await planTools(["hammer"], { ...options(), platform: "plan9-mips" });
    expect(unknownPlatform?.source).toBeUndefined();
    expect(unknownPlatform?.rejected.at(-1)?.reason).toContain("plan9-mips");
  });

  it("lists the whole lock", async () => {
    const plans = await listTools({ ...options(), lock: [hammer(), hammer({ name: "mallet" })] });
    expect(plans.map((plan) => plan.name)).toEqual(["hammer", "mallet"]);
  });
});
