import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
  masked,
  options,
  platform,
  program,
  serve,
  sha256,
  useHammer,
  warnings,
} from "@goldenpath/testing/hammer-tool";
import { describe, expect, it } from "vitest";
import { findTool, prefetchTools } from "./find.ts";

useHammer();

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
