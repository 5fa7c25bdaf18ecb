import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { listGenerated } from "./workflows.ts";

const root = join(import.meta.dirname, "..");
/** A file that is longer is two. Functions are held to 60 lines by lint. */
const mostLines = 400;

/** Written by a script, whose own files are held to the limit. */
const generated = new Set(Object.keys(listGenerated()));

/** What people write and read as code; what is generated, and what a test holds as data, apart. */
function isWritten(file: string): boolean {
  if (generated.has(file)) return false;
  if (!/\.(?:ts|mts|mjs|js|go|sh|py|ya?ml)$/.test(file)) return false;
  return !/(?:^|\/)(?:dist|out|schemas|fixtures)\//.test(file);
}

function findLong(files: readonly string[], linesOf: (file: string) => number): string[] {
  return files.filter((file) => isWritten(file) && linesOf(file) > mostLines);
}

test("a file over the limit is found, and one at it is not", () => {
  const lines: Record<string, number> = { "a.ts": 401, "b.ts": 400, "actions/scan/dist/index.js": 9000, "c.json": 500 };
  expect(findLong(Object.keys(lines), (file) => lines[file] ?? 0)).toEqual(["a.ts"]);
});

test("no file of the project is over 400 lines", () => {
  const listed = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" });
  const files = listed.split("\0").filter((file) => file !== "");
  expect(files.length).toBeGreaterThan(100);
  expect(findLong(files, (file) => readFileSync(join(root, file), "utf8").split("\n").length - 1)).toEqual([]);
});
