import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { productionTools } from "../packages/core/src/tools/lock.ts";
import { root } from "./steps.ts";

interface Renovate {
  customManagers: { managerFilePatterns: string[]; matchStrings: string[] }[];
}

const { customManagers } = JSON.parse(readFileSync(join(root, ".github/renovate.json"), "utf8")) as Renovate;
const [manager] = customManagers;
const lock = "packages/core/src/tools/lock.json";

test("the bot's pattern finds the lock, and in it each tool with its module and version", () => {
  const [file = ""] = manager?.managerFilePatterns ?? [];
  expect(new RegExp(file.slice(1, -1)).test(lock)).toBe(true);
  expect(new RegExp(file.slice(1, -1)).test("package-lock.json")).toBe(false);
  const found = [
    ...readFileSync(join(root, lock), "utf8").matchAll(new RegExp(manager?.matchStrings[0] ?? "", "g")),
  ].map(({ groups }) => ({ ...groups }));
  expect(found).toEqual(
    productionTools.map(({ name, module }) => ({
      depName: name,
      packageName: module.path,
      currentValue: module.version,
    })),
  );
});
