import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { usableGoFolders } from "./build-tool.ts";
import { storeTool, toolCacheDirectory } from "./cache.ts";

const folder = mkdtempSync(join(tmpdir(), "goldenpath-cache-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("toolCacheDirectory", () => {
  it.each([
    [
      "what is set for it",
      { GOLDENPATH_TOOL_CACHE: "/own", RUNNER_TOOL_CACHE: "/opt/hosted", XDG_CACHE_HOME: "/x", HOME: "/home/me" },
      "/own",
    ],
    [
      "the runner's",
      { RUNNER_TOOL_CACHE: "/opt/hosted", XDG_CACHE_HOME: "/x", HOME: "/home/me" },
      "/opt/hosted/goldenpath",
    ],
    ["the user's caches", { XDG_CACHE_HOME: "/x", HOME: "/home/me" }, "/x/goldenpath/tools"],
    ["the home", { HOME: "/home/me" }, "/home/me/.cache/goldenpath/tools"],
    [
      "the home where the caches are relative",
      { XDG_CACHE_HOME: "x", HOME: "/home/me" },
      "/home/me/.cache/goldenpath/tools",
    ],
    ["the home that the system knows", { HOME: "" }, join(userInfo().homedir, ".cache/goldenpath/tools")],
  ])("is %s", (_what, env, expected) => {
    expect(toolCacheDirectory(env)).toBe(expected);
  });
});

describe("storeTool", () => {
  it("leaves what is there, and nothing half, when the making fails", async () => {
    const target = join(folder, "a", "tool");
    await storeTool(target, async (partial) => writeFileSync(partial, "old"));
    const failing = storeTool(target, async (partial) => {
      writeFileSync(partial, "half");
      expect(readFileSync(target, "utf8")).toBe("old");
      throw new Error("the power went out");
    });
    await expect(failing).rejects.toThrow("the power went out");
    expect(readFileSync(target, "utf8")).toBe("old");
    expect(readdirSync(join(folder, "a"))).toEqual(["tool"]);
  });

  it("lets two writers of one tool each finish", async () => {
    const target = join(folder, "b", "tool");
    const bodies = ["one", "two"].map((text) => storeTool(target, async (partial) => writeFileSync(partial, text)));
    await Promise.all(bodies);
    expect(["one", "two"]).toContain(readFileSync(target, "utf8"));
    expect(readdirSync(join(folder, "b"))).toEqual(["tool"]);
  });
});

describe("usableGoFolders", () => {
  it("keeps the user's where they can be written, and makes them", async () => {
    const mine = {
      GOPATH: join(folder, "home/go"),
      GOMODCACHE: join(folder, "home/go/pkg/mod"),
      GOCACHE: join(folder, "home/.cache/go-build"),
    };
    expect(await usableGoFolders(mine, join(folder, "tools"))).toEqual(mine);
    expect(await usableGoFolders({ ...mine, GOPATH: `${mine.GOPATH}:/elsewhere` }, join(folder, "tools"))).toEqual(
      mine,
    );
    expect(existsSync(mine.GOMODCACHE)).toBe(true);
  });

  it("falls back below the tool cache where they can't, or are not known", async () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    const own = join(folder, "tools", "go");
    const expected = { GOPATH: join(own, "path"), GOMODCACHE: join(own, "mod"), GOCACHE: join(own, "build") };
    expect(
      await usableGoFolders(
        { GOPATH: "relative", GOMODCACHE: join(file, "mod"), GOCACHE: "off" },
        join(folder, "tools"),
      ),
    ).toEqual(expected);
    expect(await usableGoFolders({}, join(folder, "tools"))).toEqual(expected);
  });
});
