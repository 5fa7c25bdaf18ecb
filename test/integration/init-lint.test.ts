import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { requireFromPypi } from "../support/pypi.ts";
import { requireTool } from "../support/tools.ts";

/** The shortest and the longest wrapper, one of each way to sign. */
const kinds = [
  ["keyless", "production"],
  ["keys", "dev,test,production"],
] as const;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-init-lint-"));
  const keys = join(folder, "keys");
  await runMain("keys", "new", keys, "build", "base", "scan", "promote", "golden-base", "policy");
  for (const [signing, environments] of kinds) {
    const { code, err } = await runMain(
      ...["init", join(folder, signing), "--offline", "--organisation=widgets", "--owners=@widgets/platform"],
      ...["--quarantine=ghcr.io/widgets/quarantine", "--vetted=ghcr.io/widgets/vetted", "--languages=nodejs"],
      ...[`--signing=${signing}`, `--environments=${environments}`, `--keys=${keys}`, "--owner-id=4321"],
      ...[`--goldenpath=goldenpath-ci/goldenpath@${"a".repeat(40)}`],
    );
    expect({ code, err }).toMatchObject({ code: 0 });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(kinds)("what is written to sign with %s, into %s", (signing) => {
  const listFiles = (): string[] =>
    [
      ".github/workflows/golden-base.yml",
      ".github/workflows/golden-path.yml",
      ".github/workflows/policy.yml",
      "application/.github/workflows/golden-path.yml",
    ].map((path) => join(folder, signing, path));
  const run = async (program: string, args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await runProcess(program, args, { env: process.env, cwd: folder });
    return { exitCode, output: stdout + stderr };
  };
  /** A copy that a linter has to refuse: it does look at these files. */
  const spoil = async (): Promise<string> => {
    const file = join(folder, `${signing}-spoilt.yml`);
    const step = `echo "$${"{{ github.event.issue.title }}"}"`;
    const job = `jobs: { one: { runs-on: ubuntu-24.04, steps: [{ run: '${step}' }] } }`;
    await writeFile(file, `on: issues\n${job}\n`);
    return file;
  };

  test("actionlint finds nothing", async () => {
    const actionlint = await requireTool("actionlint");
    const options = ["-no-color", "-oneline", "-shellcheck=", "-pyflakes="];
    expect(await run(actionlint, [...options, ...listFiles()])).toEqual({ exitCode: 0, output: "" });
    expect((await run(actionlint, [...options, await spoil()])).exitCode).toBe(1);
  });

  test("zizmor finds nothing", async () => {
    const zizmor = await requireFromPypi("zizmor");
    const options = ["--offline", "--no-progress", "--color", "never", "--quiet", "--no-config"];
    expect(await run(zizmor, [...options, ...listFiles()])).toEqual({
      exitCode: 0,
      output: expect.stringContaining("No findings to report"),
    });
    expect((await run(zizmor, [...options, await spoil()])).exitCode).toBeGreaterThan(10);
  });
});
