import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readBoundedFile, UnfitFile } from "./read-file.ts";

const folder = mkdtempSync(join(tmpdir(), "goldenpath-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe("refused", () => {
  test("is one byte too many, in a file or in what says no size", async () => {
    await expect(readBoundedFile(file("large", "x".repeat(101)), 100)).rejects.toThrow(
      new UnfitFile("it has more than 100 bytes"),
    );
    await expect(readBoundedFile("/proc/self/status", 100)).rejects.toThrow("it has more than 100 bytes");
    await expect(readBoundedFile("/dev/zero", 1_000_000)).rejects.toThrow("it has more than 1000000 bytes");
  });

  test("is a pipe that nobody writes into, without waiting for them, and a folder", async () => {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    for (const path of [join(folder, "pipe"), folder])
      await expect(readBoundedFile(path, 100)).rejects.toThrow("it is not a file");
  });

  test("is what is not there, by the system's own error", async () => {
    await expect(readBoundedFile(join(folder, "none"), 100)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

test.each([0, 1, 100, 300_000])("a file of %i bytes is read whole", async (size) => {
  const content = Buffer.alloc(size, "abc");
  expect(Buffer.compare(await readBoundedFile(file("good", content), Math.max(size, 100)), content)).toBe(0);
});

test("nothing is what /dev/null has, as a file of logins may be named to be", async () => {
  expect(await readBoundedFile("/dev/null", 100)).toHaveLength(0);
  expect((await readBoundedFile("/proc/self/status", 1_000_000)).length).toBeGreaterThan(100);
});
