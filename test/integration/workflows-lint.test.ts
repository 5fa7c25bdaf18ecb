import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { describe, expect, test } from "vitest";
import { requireFromPypi } from "../support/pypi.ts";
import { requireTool } from "../support/tools.ts";
import { actionFiles, projectRoot, readWorkflows } from "../support/workflows.ts";

const files = readWorkflows();

/** What a badly written workflow looks like to the linters: without it, a linter that looks at nothing would pass. */
const unsafe = [
  "on: issues",
  "jobs:",
  "  one:",
  "    runs-on: ubuntu-latest",
  "    steps:",
  `      - run: echo "$${"{{ github.event.issue.title }}"}"`,
  "      - uses: actions/checkout@main",
  "",
].join("\n");

async function lintUnsafe(program: string, args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-lint-"));
  try {
    const file = join(directory, "unsafe.yml");
    writeFileSync(file, unsafe);
    const { exitCode, stdout, stderr } = await runProcess(program, [...args, file], {
      env: process.env,
      cwd: projectRoot,
    });
    return { exitCode, output: stdout + stderr };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("actionlint", () => {
  // shellcheck and pyflakes are machine-dependent extras: off, so that every machine gives the same answer.
  const options = ["-no-color", "-oneline", "-shellcheck=", "-pyflakes=", "-config-file", ".github/actionlint.yaml"];

  test("refuses an expression of a stranger's text in a script", async () => {
    const { exitCode, output } = await lintUnsafe(await requireTool("actionlint"), options);
    expect(output).toContain("github.event.issue.title");
    expect(exitCode).toBe(1);
  });

  test("finds nothing in the workflows", async () => {
    const actionlint = await requireTool("actionlint");
    const args = [...options, ...files.map((file) => file.path)];
    expect(await runProcess(actionlint, args, { env: process.env, cwd: projectRoot })).toMatchObject({
      stdout: "",
      exitCode: 0,
    });
  });
});

describe("zizmor", () => {
  const options = ["--offline", "--no-progress", "--color", "never", "--quiet"];
  const elsewhere = files.flatMap(({ path }) => (path.startsWith(".github/workflows-ghes/") ? [path] : []));
  const others = files.flatMap(({ path }) => (elsewhere.includes(path) ? [] : [path]));

  test("refuses an expression of a stranger's text in a script and an action that can move", async () => {
    const { exitCode, output } = await lintUnsafe(await requireFromPypi("zizmor"), [...options, "--no-config"]);
    expect(output).toContain("template-injection");
    expect(output).toContain("unpinned-uses");
    expect(exitCode).toBeGreaterThan(10);
  });

  test.each([
    { what: "the workflows and actions", config: ["--no-config"], paths: [...others, ...actionFiles()] },
    {
      what: "the workflows for other servers than github.com",
      config: ["--config", ".github/zizmor-ghes.yml"],
      paths: elsewhere,
    },
  ])("finds nothing in $what", async ({ config, paths }) => {
    const zizmor = await requireFromPypi("zizmor");
    const args = [...options, ...config, ...paths];
    expect(paths.length).toBeGreaterThanOrEqual(5);
    const { exitCode, stdout, stderr } = await runProcess(zizmor, args, { env: process.env, cwd: projectRoot });
    expect({ exitCode, output: stdout + stderr }).toEqual({
      exitCode: 0,
      output: expect.stringContaining("No findings to report"),
    });
  });
});
