import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestFolder } from "./digest-folder.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-digest-"));
  await mkdir(join(root, "src"));
  await writeFile(join(root, "src/app.txt"), "hello");
  await writeFile(join(root, "large"), Buffer.alloc(3 * 1024 * 1024, 1));
  await symlink("src/app.txt", join(root, "link"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test.each<[string, () => Promise<void>]>([
  ["a file's content", () => writeFile(join(root, "src/app.txt"), "hallo")],
  ["a byte of a large file", () => writeFile(join(root, "large"), Buffer.alloc(3 * 1024 * 1024, 2))],
  ["whether it may be run", () => chmod(join(root, "src/app.txt"), 0o755)],
  ["where a link leads", () => rm(join(root, "link")).then(() => symlink("large", join(root, "link")))],
  [
    "a link for a file of its text",
    () => rm(join(root, "link")).then(() => writeFile(join(root, "link"), "src/app.txt")),
  ],
  ["a file more", () => writeFile(join(root, "src/more"), "")],
  ["an empty folder", () => mkdir(join(root, "empty"))],
  ["a file's place", () => rm(join(root, "src/app.txt")).then(() => writeFile(join(root, "app.txt"), "hello"))],
])("a folder has another digest with %s", async (_what, change) => {
  const before = await digestFolder(root);
  await change();
  expect(await digestFolder(root)).not.toBe(before);
});

test("times say nothing, nor does who may read", async () => {
  const before = await digestFolder(root);
  await utimes(join(root, "src/app.txt"), 1, 1);
  await chmod(join(root, "src/app.txt"), 0o600);
  expect(await digestFolder(root)).toBe(before);
});

test("a file that reads like the next one's beginning is not that one", async () => {
  const folder = async (name: string, files: Record<string, string>): Promise<string> => {
    await mkdir(join(root, name));
    for (const [file, content] of Object.entries(files)) await writeFile(join(root, name, file), content);
    return digestFolder(join(root, name));
  };
  expect(await folder("one", { a: "", b: "" })).not.toBe(await folder("other", { ab: "" }));
});
