import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, TestRunner, vi } from "vitest";
import { requireCommand, requireTool } from "../support/tools.ts";

const missing = "goldenpath-no-such-program";
let skipped: string[];

// The test that is skipped must not be this one, so another stands in for it.
function standIn(): NonNullable<ReturnType<typeof TestRunner.getCurrentTest>> {
  const skip = (note: string): never => {
    skipped.push(note);
    throw new Error("skipped");
  };
  return { type: "test", context: { skip } } as unknown as ReturnType<typeof standIn>;
}

beforeEach(() => {
  skipped = [];
  vi.stubEnv("CI", "");
  vi.stubEnv("GOLDENPATH_REQUIRE_TOOLS", "");
  vi.spyOn(TestRunner, "getCurrentTest").mockImplementation(standIn);
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function withoutAnything(): void {
  vi.stubEnv("PATH", join(tmpdir(), "goldenpath-nothing-here"));
  vi.stubEnv("GOLDENPATH_TOOL_CACHE", join(tmpdir(), "goldenpath-nothing-here"));
  vi.stubEnv("GOLDENPATH_TOOL_MIRROR", "");
}

describe("a test whose tool is missing", () => {
  it.each([
    ["CI", "true"],
    ["GOLDENPATH_REQUIRE_TOOLS", "1"],
  ])("fails where %s=%s says so", async (name, value) => {
    vi.stubEnv(name, value);
    await expect(requireCommand(missing)).rejects.toThrow(missing);
    withoutAnything();
    await expect(requireTool("crane")).rejects.toThrow("crane 0.22.1 can't be had");
    expect(skipped).toEqual([]);
  });

  it("fails in a hook that hands over no suite", async () => {
    vi.spyOn(TestRunner, "getCurrentTest").mockReturnValue(undefined as never);
    await expect(requireCommand(missing)).rejects.toThrow(missing);
  });

  it("fails for a tool that is in no lock", async () => {
    await expect(requireTool("chisel")).rejects.toMatchObject({ code: "tool-unknown" });
    expect(skipped).toEqual([]);
  });

  it("is skipped elsewhere, with how to get it", async () => {
    await expect(requireCommand(missing)).rejects.toThrow("skipped");
    expect(skipped).toEqual([expect.stringContaining(`apt-get install ${missing}`)]);
    withoutAnything();
    await expect(requireTool("crane")).rejects.toThrow("skipped");
    expect(skipped[1]).toContain("Install Go");
  });

  it("is skipped with its suite when a hook hands that over", async () => {
    vi.spyOn(TestRunner, "getCurrentTest").mockReturnValue(undefined as never);
    const suite = { type: "suite", tasks: [{ type: "suite", tasks: [] }, standIn()] } as unknown as Parameters<
      typeof requireCommand
    >[1];
    await expect(requireCommand(missing, suite)).rejects.toThrow("skipped");
    expect(skipped).toHaveLength(1);
  });
});

describe("a test whose tool is there", () => {
  it("gets its path", async () => {
    expect(await requireCommand("sh")).toMatch(/\/sh$/);
    expect(skipped).toEqual([]);
  });
});
