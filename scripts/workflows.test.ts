import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { listGenerated, listStale } from "./workflows.ts";

const root = join(import.meta.dirname, "..");

describe("the path's workflows", () => {
  // A copy, so that the script that lint and CI run can be seen to refuse.
  const copy = mkdtempSync(join(tmpdir(), "goldenpath-workflows-"));
  afterAll(() => rmSync(copy, { recursive: true, force: true }));
  for (const path of ["package.json", "scripts/workflows.ts", "scripts/workflows", ".github"]) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const run = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/workflows.ts", ...args], { cwd: copy, encoding: "utf8" });
    return { status, stderr };
  };

  test("that differ from the table are refused by their names, and written again on demand", () => {
    appendFileSync(join(copy, ".github/workflows/stage-scan.yml"), "# by hand\n");
    rmSync(join(copy, ".github/workflows/stage-base.yml"));
    const said = ["stage-base.yml", "stage-scan.yml"].map(
      (name) => `.github/workflows/${name} differs from the table in scripts/workflows: npm run docs\n`,
    );
    expect(run()).toEqual({ status: 1, stderr: said.join("") });
    expect(run("--write")).toEqual({ status: 0, stderr: "" });
    expect(run()).toEqual({ status: 0, stderr: "" });
  });

  test("are what the table gives", () => {
    expect(Object.keys(listGenerated()).length).toBeGreaterThanOrEqual(5);
    expect(listStale()).toEqual([]);
  });
});
