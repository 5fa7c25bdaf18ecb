import { describe, expect, test } from "vitest";
import type { TreeEntry } from "./facts.ts";
import { folderOfTree } from "./tree.ts";

const file = (path: string, more: Partial<TreeEntry> = {}): TreeEntry => ({
  ...{ path, mode: "100644", sha: path, size: 1, ...more },
});
const bytes = async (sha: string): Promise<Uint8Array> => Buffer.from(sha);

describe("what is not there, and must not be asked for", () => {
  test.each([
    ["a link", file("x", { mode: "120000" })],
    ["another repository", file("x", { mode: "160000" })],
    ["a file of no known mode", file("x", { mode: "1" })],
    ["a file that is too large by GitHub's word", file("x", { size: 11 })],
  ])("%s is not read", async (_what, entry) => {
    let asked = 0;
    const folder = folderOfTree([entry], async () => {
      asked++;
      return new Uint8Array();
    });
    await expect(folder.read("x", 10)).rejects.toThrow();
    expect([asked, folder.failure]).toEqual([0, undefined]);
  });

  test("a path out of the repository is a name like any other, and no folder of the disk", async () => {
    const folder = folderOfTree([file("../../etc/passwd"), file("/etc/shadow"), file("constructor/x")], bytes);
    expect(await folder.find("/etc/passwd")).toBeUndefined();
    expect(await folder.find("toString")).toBeUndefined();
    await expect(folder.list("__proto__")).rejects.toThrow("no folder");
    expect((await folder.list("constructor")).files).toEqual(["x"]);
  });
});

test("a file that has more bytes than GitHub said is refused", async () => {
  const folder = folderOfTree([file("long-name", { size: 1 })], bytes);
  await expect(folder.read("long-name", 5)).rejects.toThrow("more than 5 bytes");
});

test("the 301st file is a failure of the whole, and the 300th is not", async () => {
  const entries = Array.from({ length: 301 }, (_, index) => file(`f${index}`));
  const folder = folderOfTree(entries, bytes);
  for (const { path } of entries.slice(0, 300)) await folder.read(path, 10);
  await folder.read("f0", 10);
  expect(folder.failure).toBeUndefined();
  await expect(folder.read("f300", 10)).rejects.toThrow("more than 300");
  expect(folder.failure).toBeInstanceOf(RangeError);
});

test("what GitHub refuses stays known, whoever passes over it", async () => {
  const folder = folderOfTree([file("a")], async () => {
    throw new Error("403");
  });
  await folder.read("a", 10).catch(() => undefined);
  expect(folder.failure).toMatchObject({ message: "403" });
});

test("a folder lists what is in it, as a checkout would", async () => {
  const entries = [
    file("src/b.go"),
    file("src/a.go", { mode: "100755" }),
    file("src", { mode: "040000" }),
    file("sub", { mode: "160000" }),
    file("link", { mode: "120000" }),
  ];
  const folder = folderOfTree(entries, bytes);
  expect(await folder.list("")).toMatchObject({
    ...{ files: [], folders: ["src", "sub"], realFolders: ["src", "sub"], strays: ["link"] },
    remarks: [{ file: "link" }],
  });
  expect(await folder.list("src")).toMatchObject({ path: "src", files: ["a.go", "b.go"], remarks: [] });
  expect(await folder.find("src/")).toBe("inside");
});
