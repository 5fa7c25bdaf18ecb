import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
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
    const { status, stderr } = spawnSync(process.execPath, ["scripts/workflows.ts", ...args], {
      cwd: copy,
      encoding: "utf8",
    });
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

  test.each([
    "acme/goldenpath",
    "acme/goldenpath@main",
    `acme/goldenpath@${"a".repeat(39)}`,
    `goldenpath@${"a".repeat(40)}`,
    `a/b@${"a".repeat(40)}\nx`,
  ])("are not written for a server that is named %j", (server) => {
    const refused = run("--server", server, "--to", join(copy, "refused"));
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("--server is OWNER/REPO@COMMIT");
    expect(existsSync(join(copy, "refused"))).toBe(false);
  });

  test("are written for a server with the commit that it is to check out, and ask the runner for nothing that it does not know", () => {
    const commit = "0123456789".repeat(4);
    expect(run("--server", `acme/goldenpath@${commit}`, "--to", join(copy, "server"))).toEqual({
      status: 0,
      stderr: "",
    });
    const folder = join(copy, "server/.github/workflows");
    expect(readdirSync(folder)).toEqual([
      "fleet-rebase.yml",
      "golden-base.yml",
      "golden-path-compact.yml",
      "golden-path-each-compact.yml",
      "golden-path-each.yml",
      "golden-path.yml",
      "mirror-data.yml",
      "rebase-image.yml",
      "stage-base.yml",
      "stage-build.yml",
      "stage-judge.yml",
      "stage-promote.yml",
      "stage-rebase.yml",
      "stage-scan.yml",
    ]);
    for (const name of readdirSync(folder)) {
      const text = readFileSync(join(folder, name), "utf8");
      expect(text).not.toMatch(/job\.workflow_|\$\/|cache-mode/);
      if (["golden-path.yml", "golden-path-compact.yml", "rebase-image.yml"].includes(name)) continue;
      expect(text).toContain(
        `          repository: acme/goldenpath\n          ref: '${commit}'\n          path: .goldenpath\n`,
      );
      expect(text).toContain(`GOLDENPATH_WORKFLOW_REF: acme/goldenpath/.github/workflows/${name}@${commit}\n`);
    }
  });

  test("are what the table gives", () => {
    expect(Object.keys(listGenerated()).length).toBeGreaterThanOrEqual(5);
    expect(listStale()).toEqual([]);
  });
});
