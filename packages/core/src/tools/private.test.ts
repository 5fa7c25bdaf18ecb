import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LockedTool, toolPlatform } from "./lock.ts";
import { findPrivateTool, withPrivateTools } from "./private.ts";

const program = "#!/bin/sh\necho 'hammer version 1.2.3'\n";
let folder: string;
let server: Server;
let asked: number;
/** Lets the server answer. */
let answer: () => void;
let context: Context;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-private-"));
  mkdirSync(join(folder, "temporary"));
  asked = 0;
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  server = createServer((_request, response) => {
    asked += 1;
    gate.then(() => response.end(program));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const env = { PATH: join(folder, "bin"), HOME: folder, GOLDENPATH_TOOL_CACHE: join(folder, "cache") };
  const temporaryDirectory = join(folder, "temporary");
  context = {
    ports: silentPorts(),
    env,
    temporaryDirectory,
    signal: new AbortController().signal,
  } as unknown as Context;
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function hammer(sha256 = digestHex(digestOf(program)), name = "hammer"): LockedTool {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`;
  return {
    name,
    version: "1.2.3",
    module: { path: "example.com/hammer", version: "v1.2.3", sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    toolchain: "go1.26.8",
    package: "./cmd/hammer",
    ldflags: "-s -w",
    builds: {},
    releases: { [toolPlatform()]: { url, sha256 } },
  };
}

const untilAsked = async (): Promise<void> => {
  while (asked === 0) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("tools that are got beside other work", () => {
  it("end with work that fails before it needs them: nothing is left, and nobody waits for a server", async () => {
    let end = Promise.resolve<unknown>(undefined);
    const working = withPrivateTools([hammer()], context, async (ready) => {
      end = ready.catch((error: unknown) => error);
      await untilAsked();
      throw new Error("there is no such image");
    });
    await expect(working).rejects.toThrow("there is no such image");
    expect(await end).toMatchObject({ name: "AbortError" });
    expect(readdirSync(join(folder, "temporary"))).toEqual([]);
  });

  it("fail where they are waited for, by either way, and not before", async () => {
    answer();
    const worked = await withPrivateTools([hammer("0".repeat(64))], context, async (ready) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await expect(ready).rejects.toMatchObject({ code: "tool-mismatch" });
      await expect(findPrivateTool("hammer", context)).rejects.toMatchObject({ code: "tool-mismatch" });
      return "to its end";
    });
    expect(worked).toBe("to its end");
  });

  it("are on their way while something else is done, and the same ones for who asks for them in the meantime", async () => {
    await withPrivateTools([hammer(), hammer(undefined, "mallet")], context, async (ready) => {
      await untilAsked();
      const asking = findPrivateTool("mallet", context);
      answer();
      const [first, second] = await ready;
      expect([first?.name, second?.name]).toEqual(["hammer", "mallet"]);
      expect(await asking).toBe(second);
      expect(dirname(dirname(first?.path ?? ""))).toBe(join(folder, "temporary"));
    });
    expect(asked).toBe(2);
  });
});
