import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { packPackage } from "../../scripts/release/package.ts";

test("the npm package is the same bytes when it is packed again", () => {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-npm-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [once, again] = ["once", "again"].map((name) => readFileSync(packPackage(join(directory, name))));
  expect(again).toEqual(once);
});
