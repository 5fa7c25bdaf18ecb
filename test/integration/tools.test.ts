import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cachedToolPath } from "@goldenpath/core/tools/cache";
import { type FindToolOptions, findTool, prefetchTools } from "@goldenpath/core/tools/find";
import { type LockedTool, toolPlatform } from "@goldenpath/core/tools/lock";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { failureOf } from "@goldenpath/testing/failure";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { allTools, requireCommand, requireTool, testTools } from "../support/tools.ts";

let folder: string;

beforeEach(async () => {
  await requireCommand("go");
  // Where the lock has no hashes for this platform, nothing can be built.
  await requireTool("olareg");
  folder = mkdtempSync(join(tmpdir(), "goldenpath-tools-"));
});
afterEach(async () => {
  // Go makes its module cache read-only, for its owner too.
  await runProcess("/bin/chmod", ["-R", "u+w", folder], { env: {} });
  rmSync(folder, { recursive: true, force: true });
});

function locked(name: string, more: Partial<LockedTool> = {}): LockedTool {
  const tool = allTools.find((entry) => entry.name === name);
  if (tool === undefined) throw new Error(`${name} is not locked`);
  return { ...tool, ...more };
}

/**
 * The machine's environment with an empty tool cache; Go's own caches stay, so that a second build of the same takes
 * seconds.
 */
function options(
  lock: readonly LockedTool[],
  env: Record<string, string> = {},
  ports: Ports = silentPorts(),
): FindToolOptions {
  return {
    ports,
    lock,
    env: { ...process.env, GOLDENPATH_TOOL_MIRROR: "", GOLDENPATH_TOOL_CACHE: join(folder, "cache"), ...env },
  };
}

function filesInCache(): string[] {
  const directory = join(folder, "cache");
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(directory, "go")))
    .map((entry) => entry.name);
}

/** A `go` in PATH that writes down what it is asked before the real one does it. */
async function recordingGo(): Promise<{ PATH: string; asked: () => string[] }> {
  const real = await findInPath("go", process.env);
  const record = join(folder, "asked");
  const path = join(folder, "bin", "go");
  mkdirSync(dirname(path));
  writeFileSync(path, `#!/bin/sh\necho "$@" >> '${record}'\nexec '${real}' "$@"\n`);
  chmodSync(path, 0o755);
  return {
    PATH: `${dirname(path)}:/usr/bin:/bin`,
    asked: () => (existsSync(record) ? readFileSync(record, "utf8").trim().split("\n") : []),
  };
}

describe("a build that is refused", () => {
  it("whose module has another sum than the lock: nothing is compiled", async () => {
    const { PATH, asked } = await recordingGo();
    const olareg = locked("olareg");
    const wrong = locked("olareg", {
      module: { ...olareg.module, sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    });
    const error = await failureOf(findTool("olareg", options([wrong], { PATH })));
    expect(error.code).toBe("tool-source-mismatch");
    expect(error.message).toContain(olareg.module.sum);
    expect(error.message).toContain("h1:AAAA");
    expect(asked().some((line) => line.startsWith("mod download"))).toBe(true);
    expect(asked().filter((line) => line.startsWith("build") || line.startsWith("list"))).toEqual([]);
    expect(filesInCache()).toEqual([]);
  });

  it("whose binary has another SHA-256 than the lock", async () => {
    const { PATH } = await recordingGo();
    const wrong = locked("olareg", { builds: { [toolPlatform()]: "0".repeat(64) } });
    const error = await failureOf(findTool("olareg", options([wrong], { PATH })));
    expect(error.code).toBe("tool-mismatch");
    expect(error.message).toContain("0".repeat(64));
    expect(error.message).toContain(locked("olareg").builds["linux-amd64"]);
    expect(filesInCache()).toEqual([]);
  });

  it("whose module does not exist", async () => {
    const { PATH } = await recordingGo();
    const wrong = locked("olareg", { module: { ...locked("olareg").module, version: "v0.0.999" } });
    const error = await failureOf(findTool("olareg", options([wrong], { PATH })));
    expect(error.code).toBe("tool-source-unavailable");
    expect(error.message).toContain("v0.0.999");
    expect(error.wayOut).toContain("GOPROXY");
  });

  it("whose source does not compile", async () => {
    const { PATH } = await recordingGo();
    const error = await failureOf(
      findTool("olareg", options([locked("olareg", { package: "./cmd/nothing-here" })], { PATH })),
    );
    expect(["tool-source-unavailable", "tool-build-failed"]).toContain(error.code);
    expect(error.message).toContain("nothing-here");
    expect(filesInCache()).toEqual([]);
  });

  it("whose toolchain can't be got", async () => {
    const { PATH } = await recordingGo();
    const error = await failureOf(
      findTool("olareg", options([locked("olareg", { toolchain: "go1.26.999" })], { PATH })),
    );
    expect(error.code).toBe("go-toolchain-unavailable");
    expect(error.wayOut).toContain("Install Go 1.26.999");
  });

  it("that is cancelled while it compiles", async () => {
    const { PATH } = await recordingGo();
    const stop = new AbortController();
    const ports: Ports = {
      ...silentPorts(),
      progress: {
        start(label) {
          if (label.startsWith("Building")) stop.abort();
          return { advance: () => undefined, done: () => undefined, failed: () => undefined };
        },
      },
    };
    await expect(
      findTool("olareg", { ...options([locked("olareg")], { PATH }, ports), signal: stop.signal }),
    ).rejects.toThrow();
    expect(filesInCache()).toEqual([]);
  });
});

describe("a build from the module proxy", () => {
  it("gives the bytes of the lock, whatever Go settings the user has, and then comes from the cache", async () => {
    const { PATH } = await recordingGo();
    const hostile = {
      GOFLAGS: "-mod=mod -race",
      GOAMD64: "v3",
      CGO_ENABLED: "1",
      GOOS: "plan9",
      GOEXPERIMENT: "nosuch",
      GOWORK: "/nowhere/go.work",
    };
    const settings = options([locked("olareg")], { PATH, ...hostile });
    const built = await findTool("olareg", settings);
    expect(built).toMatchObject({
      name: "olareg",
      version: "0.1.2",
      source: "build",
      sha256: locked("olareg").builds["linux-amd64"],
    });
    expect(built.path).toBe(cachedToolPath(join(folder, "cache"), locked("olareg"), toolPlatform()));
    expect(filesInCache()).toEqual(["olareg"]);
    // Go's own folders are the user's.
    expect(readdirSync(join(folder, "cache"))).toEqual(["olareg"]);
    expect(await findTool("olareg", settings)).toEqual({ ...built, source: "cache" });
  });

  it("is repeated for a cached program that was changed by one byte", async () => {
    const { PATH } = await recordingGo();
    const settings = options([locked("olareg")], { PATH });
    const { path } = await findTool("olareg", settings);
    const bytes = readFileSync(path);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect((await findTool("olareg", settings)).source).toBe("build");
    expect(readFileSync(path).equals(bytes)).toBe(false);
  });

  it("works without a home and without Go caches that can be written", async () => {
    const { PATH } = await recordingGo();
    // A file in the way, since root may write anywhere else.
    const file = join(folder, "file");
    writeFileSync(file, "");
    const env = {
      PATH,
      HOME: "",
      GOPATH: join(file, "go"),
      GOMODCACHE: "",
      XDG_CACHE_HOME: "",
      GOCACHE: await goSetting("GOCACHE"),
    };
    expect((await findTool("olareg", options([locked("olareg")], env))).source).toBe("build");
    expect(existsSync(join(folder, "cache", "go", "mod", "github.com", "olareg"))).toBe(true);
  });

  it("of several tools compiles one at a time and shows what it does", async () => {
    const { PATH, asked } = await recordingGo();
    const running = new Set<string>();
    let most = 0;
    const shown: string[] = [];
    const ports: Ports = {
      ...silentPorts(),
      progress: {
        start(label, total) {
          shown.push(label);
          if (label.startsWith("Building")) {
            expect(total?.amount).toBeGreaterThan(50);
            running.add(label);
            most = Math.max(most, running.size);
          }
          const end = (): void => void running.delete(label);
          return { advance: () => undefined, done: end, failed: end };
        },
      },
    };
    const tools = await prefetchTools(["crane", "olareg"], options(testTools, { PATH }, ports));
    expect(tools.map(({ name, source }) => `${name} ${source}`)).toEqual(["crane build", "olareg build"]);
    expect(most).toBe(1);
    expect(shown.sort()).toEqual([
      "Building crane 0.22.1",
      "Building olareg 0.1.2",
      "Fetching the source of crane 0.22.1",
      "Fetching the source of olareg 0.1.2",
    ]);
    shown.length = 0;
    const before = asked().length;
    await prefetchTools(["crane", "olareg"], options(testTools, { PATH }, ports));
    // Nothing to do is quiet, and needs no Go.
    expect(shown).toEqual([]);
    expect(asked()).toHaveLength(before);
  });
});

describe("the locked versions", () => {
  it.each(allTools.filter((tool) => tool.versionCommand !== undefined).map((tool) => [tool.name, tool] as const))(
    "%s says its version as the lock expects it, so a given copy is named rightly",
    async (name, tool) => {
      const path = await requireTool(name);
      // Other hashes, so that only the version speaks for it.
      const other = { ...tool, builds: { [toolPlatform()]: "0".repeat(64) } };
      const given = join(folder, name);
      writeFileSync(given, `#!/bin/sh\nexec '${path}' "$@"\n`, { mode: 0o755 });
      expect(await findTool(name, { ...options([other], { PATH: folder }), given })).toMatchObject({
        source: "given",
        version: tool.version,
      });
    },
  );
});

async function goSetting(name: string): Promise<string> {
  const go = (await findInPath("go", process.env)) ?? "go";
  return (await runProcess(go, ["env", name], { env: process.env })).stdout.trim();
}
