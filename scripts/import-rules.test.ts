import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
// Biome lints files, not standard input: a small tree of its own, under the project's rules, stands for the real one.
const tree = mkdtempSync(join(tmpdir(), "goldenpath-import-rules-"));
const rules = JSON.parse(readFileSync(join(root, "biome.json"), "utf8"));
writeFileSync(join(tree, "biome.json"), JSON.stringify({ ...rules, $schema: undefined, vcs: { enabled: false } }));
afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** True where the project's lint refuses `module` in the file at `path`. */
function isRefused(path: string, module: string): boolean {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), `import { x } from "${module}";\n\nexport const y = x;\n`);
  const run = spawnSync(join(root, "node_modules/.bin/biome"), ["lint", "--reporter=json", path], { cwd: tree, encoding: "utf8" });
  const { diagnostics } = JSON.parse(run.stdout) as { diagnostics: { category: string }[] };
  const refused = diagnostics.some(({ category }) => category === "lint/style/noRestrictedImports");
  expect(run.status === 0, run.stdout + run.stderr).toBe(!refused);
  return refused;
}

describe("imports point one way", () => {
  test.each([
    ["packages/core/src/scan/grype.ts", "@actions/core"],
    ["packages/core/src/scan/grype.ts", "@goldenpath/runner/ports"],
    ["packages/core/src/scan/grype.ts", "node:child_process"],
    ["packages/core/src/registry/auth.ts", "node:child_process"],
    ["packages/core/src/registry/copy.ts", "../gate/decide.ts"],
    ["packages/core/src/oci/digest.ts", "../registry/client.ts"],
    ["packages/core/src/gate/decide.ts", "../registry/client.ts"],
    ["packages/core/src/gate/decide.ts", "node:fs/promises"],
    ["packages/core/src/gate/build.ts", "../registry/client.ts"],
    ["packages/core/src/gate/source.ts", "../exec/run.ts"],
    // The rule is by folder: a file that is split off, whatever its name, is covered before anybody thinks of it.
    ["packages/core/src/gate/not-yet-written.ts", "../registry/client.ts"],
    ["packages/core/src/base/not-yet-written.ts", "node:fs"],
    ["packages/core/src/scan/not-yet-written.ts", "../exec/run.ts"],
    ["packages/core/src/policy/not-yet-written.ts", "undici"],
    ["packages/core/src/promote/not-yet-written.ts", "../registry/copy.ts"],
    ["packages/core/src/report/not-yet-written.ts", "../registry/client.ts"],
    ["packages/core/src/promote/server-side/plan.ts", "../../registry/client.ts"],
    ["packages/core/src/build/strategies/not-yet-written/judge.ts", "../../../exec/run.ts"],
    ["packages/core/src/base/identify.ts", "../exec/run.ts"],
    ["packages/core/src/base/decide.ts", "undici"],
    ["packages/core/src/scan/gate.ts", "../tools/finder.ts"],
    ["packages/core/src/promote/plan.ts", "../registry/copy.ts"],
    ["packages/runner/src/ports.ts", "node:child_process"],
    ["actions/scan/src/index.ts", "../../../actions/sign/src/index.ts"],
    ["actions/scan/src/index.ts", "@goldenpath/action-sign"],
  ])("%s may not import %s", (path, module) => expect(isRefused(path, module)).toBe(true));

  test.each([
    ["packages/core/src/exec/run.ts", "node:child_process"],
    ["packages/core/src/scan/grype.ts", "../exec/run.ts"],
    ["packages/core/src/registry/copy.ts", "../oci/digest.ts"],
    ["packages/core/src/gate/decide.ts", "../signing/types.ts"],
    ["packages/core/src/gate/verify.ts", "../registry/client.ts"],
    ["packages/core/src/scan/scanners/not-yet-written.ts", "../../exec/run.ts"],
    ["packages/runner/src/ports.ts", "@actions/core"],
    ["actions/scan/src/index.ts", "@goldenpath/core/verbs/scan"],
  ])("%s may import %s", (path, module) => expect(isRefused(path, module)).toBe(false));
});
