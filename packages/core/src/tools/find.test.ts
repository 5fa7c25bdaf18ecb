import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { failureOf } from "@goldenpath/testing/failure";
import {
  cached,
  filesInCache,
  folder,
  genuine,
  hammer,
  inPath,
  install,
  marker,
  options,
  platform,
  program,
  serve,
  sha256,
  useHammer,
  warnings,
} from "@goldenpath/testing/hammer-tool";
import { describe, expect, it } from "vitest";
import { findTool } from "./find.ts";

useHammer();

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
