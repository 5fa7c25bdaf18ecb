import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listTrivySources, readTrivyFacts } from "./trivy-data.ts";

// A database that trivy-db's own library wrote.
const fixture = join(import.meta.dirname, "../../../../../test/fixtures/trivy-db");
let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-trivy-data-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function changed(
  file: "trivy.db" | "metadata.json",
  change: (bytes: Buffer) => Buffer | string,
): Promise<string> {
  const directory = await mkdtemp(join(root, "db-"));
  await cp(join(fixture, "db"), join(directory, "db"), { recursive: true });
  const path = join(directory, "db", file);
  await writeFile(path, change(await readFile(path)));
  return directory;
}

const unreadable = { name: "InfrastructureError", code: "scanner-failed" };

describe("a file that is not whole is an error, and has no sources", () => {
  test.each<[string, (bytes: Buffer) => Buffer]>([
    ["empty", () => Buffer.alloc(0)],
    ["cut off behind its beginning", (bytes) => bytes.subarray(0, 8192)],
    ["of another format", (bytes) => Buffer.alloc(bytes.length, "x")],
    ["whose two beginnings are both changed", (bytes) => flip(flip(bytes, 16 + 16), 4096 + 16 + 16)],
    ["of another version of the format", (bytes) => flip(flip(bytes, 16 + 4), 4096 + 16 + 4)],
  ])("%s", async (_name, change) => {
    await expect(listTrivySources(await changed("trivy.db", change))).rejects.toMatchObject(unreadable);
  });

  test("not there", async () => {
    await expect(listTrivySources(join(root, "nowhere"))).rejects.toMatchObject(unreadable);
  });
});

test("one beginning of two is enough, as after a machine that went off while it was written", async () => {
  const all = await listTrivySources(fixture);
  const newer = await changed("trivy.db", (bytes) => flip(bytes, 16 + 20));
  const older = await changed("trivy.db", (bytes) => flip(bytes, 4096 + 16 + 20));
  const left = await Promise.all([newer, older].map((directory) => listTrivySources(directory).catch(() => new Set())));
  expect(left.some((sources) => sources.size === all.size)).toBe(true);
});

test("the sources of a database", async () => {
  const sources = await listTrivySources(fixture);
  expect(sources).toEqual(
    new Set(["data-source", "debian 12", "npm::GitHub Security Advisory npm", "rocky 9", "vulnerability"]),
  );
});

describe("when the data was made", () => {
  test.each([
    ["no JSON", "{"],
    ["without a time", '{"Version":2}'],
    ["with a time that is none", '{"Version":2,"UpdatedAt":"yesterday"}'],
  ])("%s is an error", async (_name, text) => {
    await expect(readTrivyFacts(await changed("metadata.json", () => text))).rejects.toMatchObject(unreadable);
  });

  test("is what it says itself, and its digest is the file's", async () => {
    expect(await readTrivyFacts(fixture)).toEqual({
      built: new Date("2026-11-01T00:00:00Z"),
      schema: "2",
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}
