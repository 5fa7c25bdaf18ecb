import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/**
 * JSON.parse takes any depth, and whoever walks the value may then run out of stack: what comes from outside is read by
 * `text/json.ts`.
 */
const own = [
  // Its own package.json.
  "cli/src/main.ts",
  "foundation/src/text/json.ts",
  // Each says beside it why it may.
  "registry-client/src/oci/strict-json.ts",
  "registry-server/src/manifest.ts",
  "registry-server/src/store-directory.ts",
];

test("JSON from outside has one reader", () => {
  const readers = readdirSync(join(root, "packages"), { recursive: true, encoding: "utf8" })
    .filter((path) => /^[a-z-]+\/src\/.*\.ts$/.test(path) && !path.endsWith(".test.ts"))
    .filter((path) => !path.startsWith("testing/") && !/\/testing[^/]*\.ts$/.test(path))
    .filter((path) => /\bJSON\.parse\(|\.json\(\)/.test(readFileSync(join(root, "packages", path), "utf8")));
  expect(readers.toSorted()).toEqual(own);
});
