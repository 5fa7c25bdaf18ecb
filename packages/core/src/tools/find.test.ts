import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cachedToolPath } from "./cache.ts";
import { type FindToolOptions, findTool, prefetchTools } from "./find.ts";
import { type LockedTool, toolPlatform } from "./lock.ts";

const platform = toolPlatform();
let folder: string;
let marker: string;
let warnings: string[];
let masked: string[];
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-tools-"));
  marker = join(folder, "it-was-run");
  warnings = [];
  masked = [];
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A program that says a version, and leaves a mark that it ran. */
function program(version: string, note = ""): string {
  return `#!/bin/sh\n# ${note}\n: > '${marker}'\necho "hammer version ${version}"\n`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const genuine = () => program("1.2.3", "the one in the lock");

function hammer(more: Partial<LockedTool> = {}): LockedTool {
  return {
    name: "hammer",
    version: "1.2.3",
    module: { path: "example.com/hammer", version: "v1.2.3", sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    toolchain: "go1.26.8",
    package: "./cmd/hammer",
    ldflags: "-s -w",
    builds: { [platform]: sha256(genuine()) },
    versionCommand: { args: ["version"], pattern: "^hammer version v?(\\d+\\.\\d+\\.\\d+)$" },
    ...more,
  };
}

function ports(): Ports {
  const silent = silentPorts();
  return {
    ...silent,
    log: { ...silent.log, warning: (text) => void warnings.push(text) },
    mask: (secret) => void masked.push(secret),
  };
}

/** Nothing but what a test puts there: no Go, no tool of the machine. */
function options(
  more: { tool?: LockedTool; env?: Record<string, string>; given?: string } = {},
): FindToolOptions & { env: Record<string, string> } {
  return {
    ports: ports(),
    lock: [more.tool ?? hammer()],
    env: { PATH: join(folder, "bin"), HOME: folder, GOLDENPATH_TOOL_CACHE: join(folder, "cache"), ...more.env },
    ...(more.given === undefined ? {} : { given: more.given }),
  };
}

function install(path: string, content: string, mode = 0o755): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const cached = () => cachedToolPath(join(folder, "cache"), hammer(), platform);
const inPath = () => join(folder, "bin", "hammer");

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Everything below the cache that is not a folder. */
function filesInCache(): string[] {
  const directory = join(folder, "cache");
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name);
}

async function failureOf(running: Promise<unknown>): Promise<InfrastructureError> {
  const error = await running.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InfrastructureError);
  return error as InfrastructureError;
}

describe("what is not run", () => {
  it("a cached program that was changed by one byte: it is removed, and said", async () => {
    const bytes = Buffer.from(genuine());
    bytes[bytes.length - 2] = (bytes[bytes.length - 2] ?? 0) ^ 1;
    install(cached(), bytes.toString());
    const error = await failureOf(findTool("hammer", options()));
    expect(error.code).toBe("go-missing");
    expect(error.message).toContain("was changed");
    expect(warnings.join()).toContain("was changed");
    expect(existsSync(cached())).toBe(false);
    expect(existsSync(marker)).toBe(false);
  });

  it("what a mirror serves under the tool's name", async () => {
    const mirror = await serve((_request, response) => response.end(program("1.2.3", "another one")));
    const error = await failureOf(findTool("hammer", options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } })));
    expect(error.message).toContain(sha256(program("1.2.3", "another one")));
    expect(error.message).toContain(sha256(genuine()));
    expect(warnings.join()).toContain("from the mirror");
    expect(filesInCache()).toEqual([]);
    expect(existsSync(marker)).toBe(false);
  });

  it("what a mirror serves in half", async () => {
    const half = await serve((_request, response) => {
      response.writeHead(200, { "content-length": String(genuine().length) });
      response.write(genuine().slice(0, 10), () => response.destroy());
    });
    const error = await failureOf(findTool("hammer", options({ env: { GOLDENPATH_TOOL_MIRROR: half } })));
    expect(error.message).toContain("mirror: ");
    expect(filesInCache()).toEqual([]);
  });

  it("a release file with other bytes, even with those of our own build", async () => {
    const url = `${await serve((_request, response) => response.end(genuine()))}/hammer`;
    const tool = hammer({ releases: { [platform]: { url, sha256: sha256(program("1.2.3", "the publisher's")) } } });
    const error = await failureOf(findTool("hammer", options({ tool })));
    expect(error.message).toContain("release: ");
    expect(filesInCache()).toEqual([]);
    expect(existsSync(marker)).toBe(false);
  });

  it.each([
    ["of another version", () => program("1.2.4")],
    ["that says the lock's version and has other bytes", () => program("1.2.3", "another one")],
    ["that says nothing about its version", () => `#!/bin/sh\n: > '${marker}'\necho hello\n`],
  ])("a program in PATH %s: it is not even asked", async (_what, content) => {
    install(inPath(), content());
    for (const privateDirectory of [undefined, folder]) {
      const error = await failureOf(
        findTool("hammer", { ...options(), ...(privateDirectory === undefined ? {} : { privateDirectory }) }),
      );
      expect(error.code).toBe("go-missing");
      expect(error.message).toContain(
        `path: ${inPath()} is not hammer 1.2.3 byte for byte: its SHA-256 is ${sha256(content())}`,
      );
      expect(existsSync(marker)).toBe(false);
    }
  });

  it("a program in a relative or empty entry of PATH", async () => {
    install(join(folder, "hammer"), program("1.2.3"));
    const before = process.cwd();
    process.chdir(folder);
    try {
      expect((await failureOf(findTool("hammer", options({ env: { PATH: ".::" } })))).message).toContain(
        "no hammer in PATH",
      );
    } finally {
      process.chdir(before);
    }
  });

  it("anything on a platform whose hashes are not in the lock, PATH and the cache included", async () => {
    install(cached(), genuine());
    install(inPath(), genuine());
    const mirror = await serve((_request, response) => response.end(genuine()));
    const error = await failureOf(
      findTool("hammer", options({ tool: hammer({ builds: {} }), env: { GOLDENPATH_TOOL_MIRROR: mirror } })),
    );
    expect(error.code).toBe("tool-platform-unsupported");
    expect(error.wayOut).toContain("a platform that the lock has a SHA-256 for");
    expect(existsSync(marker)).toBe(false);
  });

  it("a given path that is no program", async () => {
    for (const given of [join(folder, "none"), install(join(folder, "plain"), genuine(), 0o644), folder]) {
      await expect(findTool("hammer", options({ given }))).rejects.toMatchObject({ code: "tool-path-invalid" });
    }
  });

  it("anything after the run was cancelled", async () => {
    const mirror = await serve((_request, response) => response.end(genuine()));
    const running = findTool("hammer", {
      ...options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } }),
      signal: AbortSignal.abort(),
    });
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect(filesInCache()).toEqual([]);
  });
});

describe("what is told", () => {
  it("a name that is not in the lock, with those that are", async () => {
    await expect(findTool("chisel", options())).rejects.toMatchObject({
      code: "tool-unknown",
      message: expect.stringContaining("hammer"),
    });
    await expect(findTool("chisel", options())).rejects.toBeInstanceOf(UserError);
  });

  it("missing Go, with the ways out and what each source said", async () => {
    const error = await failureOf(findTool("hammer", options()));
    expect(error.code).toBe("go-missing");
    expect(error.wayOut).toContain("Install Go");
    expect(error.wayOut).toContain("GOLDENPATH_TOOL_MIRROR");
    for (const source of ["path: ", "cache: ", "mirror: ", "release: ", "build: "])
      expect(error.message).toContain(source);
  });

  it.each(["not a url", "ftp://host/tools", "https://host/tools?token=hunter2", "//host"])(
    "a mirror that is none, without printing it: %s",
    async (mirror) => {
      const running = findTool("hammer", options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } }));
      await expect(running).rejects.toMatchObject({
        code: "tool-mirror-invalid",
        message: expect.not.stringContaining(mirror),
      });
    },
  );

  it("a cache that can't be written", async () => {
    install(join(folder, "a-file"), "");
    const mirror = await serve((_request, response) => response.end(genuine()));
    const env = { GOLDENPATH_TOOL_CACHE: join(folder, "a-file", "cache"), GOLDENPATH_TOOL_MIRROR: mirror };
    const error = await failureOf(findTool("hammer", options({ env })));
    expect(error.code).toBe("tool-cache-unwritable");
    expect(error.wayOut).toContain("GOLDENPATH_TOOL_CACHE");
  });
});

describe("where a tool is found", () => {
  it("the path given, before all others, with a warning when it is another version", async () => {
    install(inPath(), genuine());
    const given = install(join(folder, "own", "my-hammer"), program("2.0.0"));
    expect(await findTool("hammer", options({ given }))).toMatchObject({
      source: "given",
      path: given,
      version: "2.0.0",
    });
    expect(warnings.join()).toContain("version 2.0.0; tested is 1.2.3");
  });

  it("the path given, without a warning when it is the lock's version or the lock's bytes", async () => {
    const other = install(join(folder, "own", "other"), program("1.2.3", "another build"));
    expect(await findTool("hammer", options({ given: other }))).toMatchObject({ source: "given", version: "1.2.3" });
    const { versionCommand: _, ...silent } = hammer();
    const same = install(join(folder, "own", "same"), genuine());
    expect(await findTool("hammer", options({ given: same, tool: silent }))).toMatchObject({
      source: "given",
      version: "1.2.3",
    });
    expect(warnings).toEqual([]);
  });

  it("PATH when the bytes are the lock's, before the cache, without running it", async () => {
    install(cached(), genuine());
    install(inPath(), genuine());
    expect(await findTool("hammer", options())).toEqual({
      name: "hammer",
      version: "1.2.3",
      path: inPath(),
      source: "path",
      sha256: sha256(genuine()),
    });
    expect(existsSync(marker)).toBe(false);
  });

  it.each([
    ["PATH", inPath],
    ["the cache", cached],
  ])("%s, as a copy that a later change of the original does not reach", async (_what, place) => {
    const original = install(place(), genuine());
    const privateDirectory = join(folder, "private");
    mkdirSync(privateDirectory);
    const tool = await findTool("hammer", { ...options(), privateDirectory });
    writeFileSync(original, program("6.6.6"));
    expect(tool.path.startsWith(`${privateDirectory}/`)).toBe(true);
    expect(readFileSync(tool.path, "utf8")).toBe(genuine());
    expect(statSync(tool.path).mode & 0o777).toBe(0o500);
    expect(tool.sha256).toBe(sha256(genuine()));
  });

  it("the cache when PATH has something else, before the mirror", async () => {
    install(inPath(), program("9.9.9"));
    install(cached(), genuine());
    const env = { GOLDENPATH_TOOL_MIRROR: await serve((_request, response) => response.writeHead(500).end()) };
    expect(await findTool("hammer", options({ env }))).toMatchObject({
      source: "cache",
      path: cached(),
      sha256: sha256(genuine()),
    });
    expect(warnings).toEqual([]);
  });

  it("the mirror, once: then the cache", async () => {
    const asked: string[] = [];
    const mirror = await serve((request, response) => {
      asked.push(request.url ?? "");
      response.end(genuine());
    });
    const env = { GOLDENPATH_TOOL_MIRROR: `${mirror}/some/folder` };
    expect(await findTool("hammer", options({ env }))).toMatchObject({
      source: "mirror",
      path: cached(),
      sha256: sha256(genuine()),
    });
    expect(await findTool("hammer", options({ env }))).toMatchObject({ source: "cache" });
    expect(asked).toEqual([`/some/folder/hammer/1.2.3/${platform}/hammer`]);
    expect(statSync(cached()).mode & 0o777).toBe(0o755);
    expect(filesInCache()).toEqual(["hammer"]);
  });

  it("the mirror, in place of a cached program that was changed", async () => {
    install(cached(), `${genuine()}#`);
    const env = { GOLDENPATH_TOOL_MIRROR: await serve((_request, response) => response.end(genuine())) };
    expect(await findTool("hammer", options({ env }))).toMatchObject({ source: "mirror" });
    expect(readFileSync(cached(), "utf8")).toBe(genuine());
    expect(warnings.join()).toContain("got again");
  });

  it("the mirror after it failed for a moment", async () => {
    let asked = 0;
    const mirror = await serve((_request, response) => {
      asked++;
      if (asked === 1) response.destroy();
      else if (asked === 2) response.writeHead(503).end();
      else response.end(genuine());
    });
    expect((await findTool("hammer", options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } }))).source).toBe("mirror");
    expect(asked).toBe(3);
  });

  it("the mirror with the credentials of its URL, which are masked and not printed", async () => {
    const mirror = await serve((request, response) => {
      if (request.headers.authorization === `Basic ${Buffer.from("me:p@ss").toString("base64")}`)
        response.writeHead(404);
      else response.writeHead(401);
      response.end();
    });
    const env = { GOLDENPATH_TOOL_MIRROR: mirror.replace("//", "//me:p%40ss@") };
    const error = await failureOf(findTool("hammer", options({ env })));
    expect(error.message).toContain("answered 404");
    expect(error.message).not.toContain("p%40ss");
    expect(masked).toContain("p@ss");
  });

  it("the release after the mirror failed, which is told", async () => {
    const published = program("1.2.3", "the publisher's");
    const mirror = await serve((_request, response) => response.writeHead(404).end());
    const url = `${await serve((request, response) => {
      if (request.url === "/hammer") response.writeHead(302, { location: "/elsewhere" }).end();
      else response.end(published);
    })}/hammer`;
    const tool = hammer({ releases: { [platform]: { url, sha256: sha256(published) } } });
    const settings = options({ tool, env: { GOLDENPATH_TOOL_MIRROR: mirror } });
    expect(await findTool("hammer", settings)).toMatchObject({ source: "release", sha256: sha256(published) });
    expect(warnings.join()).toContain("answered 404");
    // What was the release's is still good when it comes from the cache.
    expect((await findTool("hammer", settings)).source).toBe("cache");
  });

  it("through one download where two callers want the same tool at once", async () => {
    let asked = 0;
    const mirror = await serve((_request, response) => {
      asked++;
      response.end(genuine());
    });
    const settings = options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } });
    const both = await Promise.all([findTool("hammer", settings), findTool("hammer", settings)]);
    expect(both.map((tool) => tool.source).sort()).toEqual(["cache", "mirror"]);
    expect(asked).toBe(1);
  });
});

describe("prefetchTools", () => {
  it("gets each tool once, in the order of the names", async () => {
    const mirror = await serve((_request, response) => response.end(genuine()));
    const settings = {
      ...options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } }),
      lock: [hammer(), hammer({ name: "mallet" })],
    };
    const tools = await prefetchTools(["mallet", "hammer", "mallet"], settings);
    expect(tools.map((tool) => tool.name)).toEqual(["mallet", "hammer"]);
  });

  it("fails with the first failure, and stops the others", async () => {
    const mirror = await serve((request, response) => {
      // The other one never ends by itself.
      if (request.url?.includes("mallet")) response.writeHead(404).end();
      else response.write("#!");
    });
    const settings = {
      ...options({ env: { GOLDENPATH_TOOL_MIRROR: mirror } }),
      lock: [hammer(), hammer({ name: "mallet" })],
    };
    const error = await failureOf(prefetchTools(["hammer", "mallet"], settings));
    expect(error.message).toContain("mallet 1.2.3");
    expect(filesInCache()).toEqual([]);
  });
});
