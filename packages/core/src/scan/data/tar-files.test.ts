import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tarOf } from "@goldenpath/testing/tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { unpackTar, writeTar } from "./tar-files.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-tar-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function unpack(archive: Uint8Array): Promise<string> {
  const file = join(root, "in.tar");
  const target = join(root, "out");
  await writeFile(file, archive);
  await mkdir(target);
  await unpackTar(file, target, (path) => /^data\/[a-z]+\.zip$/.test(path), new AbortController().signal);
  return target;
}

const good = { name: "data/a.zip", content: "a" };

describe("an archive of data is refused", () => {
  test.each([
    ["with a file of another name", tarOf(good, { name: "data/b.sh", content: "b" })],
    ["with a link", tarOf({ name: "data/b.zip", type: "2", linkname: "/etc/passwd" })],
    ["with a folder", tarOf({ name: "data/", type: "5" }, good)],
    ["that climbs out", tarOf({ name: "../data/b.zip", content: "b" })],
    ["with a file twice", tarOf(good, good)],
    ["that ends in the middle", tarOf(good).subarray(0, 512)],
    ["that is none", Buffer.alloc(2048, 1)],
  ])("%s", async (_name, archive) => {
    await expect(unpack(archive)).rejects.toMatchObject({ code: "data-untrusted" });
  });
});

test("what was written is unpacked as it was, and the same files make the same bytes", async () => {
  await mkdir(join(root, "data"));
  const large = Buffer.alloc(200_000, "x");
  await writeFile(join(root, "data/a.zip"), large);
  await writeFile(join(root, "data/b.zip"), "");
  const files = ["data/a.zip", "data/b.zip"];
  await writeTar(root, files, join(root, "1.tar"));
  await writeTar(root, files, join(root, "2.tar"));
  const archive = await readFile(join(root, "1.tar"));
  expect(archive.equals(await readFile(join(root, "2.tar")))).toBe(true);
  const target = await unpack(archive);
  expect((await readFile(join(target, "data/a.zip"))).equals(large)).toBe(true);
  expect(await readFile(join(target, "data/b.zip"), "utf8")).toBe("");
});
