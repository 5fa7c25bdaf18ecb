import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStorage } from "./storage.ts";

let folder: string;
let counter = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-storage-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(bytes: Uint8Array): Promise<string> {
  const path = join(folder, `archive-${++counter}.tar`);
  await writeFile(path, bytes);
  return path;
}

/** Files of sizes around those of what is read at a time, some with names that need a header of their own. */
const entries: TarOptions[] = [0, 1, 511, 512, 513, 15_872, 16_383, 16_384, 16_385, 40_000, 3, 70_000, 0].flatMap(
  (size, index) => {
    const content = Buffer.alloc(size, index + 1);
    const long = `${"long/".repeat(50)}${index}`;
    return [
      { name: `short-${index}`, content },
      { name: "pax", content: content.subarray(0, 10), pax: { path: long, comment: "x".repeat(index * 1_500) } },
    ];
  },
);

describe("an archive", () => {
  it.each([1, 600, 70_000])("that ends in the middle is refused, %d bytes before its end", async (missing) => {
    const whole = tarOf({ name: "first", content: "1" }, { name: "last", content: Buffer.alloc(70_000, 1) });
    // Two blocks of zeros are its end; a file of 70,000 bytes has 160 bytes of padding.
    const cut = whole.subarray(0, whole.lastIndexOf(1) + 1 + 160 - missing);
    await expect(openStorage(await write(cut))).rejects.toMatchObject({
      ...{ code: "built-image-invalid", message: expect.stringContaining("it ends in the middle") },
    });
  });

  it("that is no archive is refused", async () => {
    for (const text of ["hello", "x".repeat(20_000)])
      await expect(openStorage(await write(Buffer.from(text)))).rejects.toMatchObject({ code: "built-image-invalid" });
  });

  it("has each file where it is, whatever is read of it at a time", async () => {
    const storage = await openStorage(await write(tarOf(...entries)));
    for (const { name, content = "", pax } of entries) {
      const path = pax?.["path"] ?? name;
      expect(await storage.sizeOf(path), path).toBe(content.length);
      expect((await storage.read(path, 100_000)).equals(Buffer.from(content)), path).toBe(true);
    }
    expect(await storage.sizeOf("pax")).toBeUndefined();
    await storage.close();
  });
});
