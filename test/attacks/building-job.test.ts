import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { projectRoot } from "../support/workflows.ts";

// Steps of jobs, started as a runner starts them: with its variables, its files, and its folder of temporary files,
// which it empties before each job.
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "goldenpath-job-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const judging = ["enforce-golden-base", "scan", "attest", "sign", "verify", "promote"];

interface Job {
  temporary: string;
  name: string;
  /** What steps have told the runner to set for those after them. */
  variables: Record<string, string>;
}

function startJob(name: string): Job {
  return { name, temporary: mkdtempSync(join(directory, "temp-")), variables: {} };
}

/** Inputs are left out: a step that gets past the refusal ends in an error that asks for them. */
async function runStep(
  job: Job,
  program: readonly string[],
  env: Record<string, string> = {},
): Promise<{ verdict: string; log: string }> {
  const files = mkdtempSync(join(directory, "files-"));
  const at = (name: string): string => join(files, name);
  for (const name of ["output", "env", "summary"]) writeFileSync(at(name), "");
  const { stdout, stderr } = await runProcess(process.execPath, ["--conditions=goldenpath-source", ...program], {
    cwd: directory,
    env: {
      PATH: process.env["PATH"],
      HOME: directory,
      GITHUB_ACTIONS: "true",
      GITHUB_REPOSITORY: "acme/shop",
      GITHUB_RUN_ID: "7",
      GITHUB_RUN_ATTEMPT: "1",
      GITHUB_JOB: job.name,
      GITHUB_WORKSPACE: directory,
      RUNNER_TEMP: job.temporary,
      GITHUB_OUTPUT: at("output"),
      GITHUB_ENV: at("env"),
      GITHUB_STEP_SUMMARY: at("summary"),
      ...job.variables,
      ...env,
    },
    timeoutMs: 60_000,
  });
  for (const [, name = "", , value = ""] of readFileSync(at("env"), "utf8").matchAll(/^(\w+)<<(\S+)\n(.*)\n\2$/gm))
    job.variables[name] = value;
  const verdict = /^verdict<<(\S+)\n(.*)\n\1$/m.exec(readFileSync(at("output"), "utf8"))?.[2] ?? "";
  return { verdict, log: stdout + stderr };
}

const action = (name: string): string[] => [join(projectRoot, "actions", name, "src/index.ts")];
const refused = /stage\.job.*would run in the job that built/;

describe("in the job that built", () => {
  test.each(judging)(
    "%s refuses, whether or not the build went well; in a job of its own it begins its work",
    async (name) => {
      const building = startJob("build");
      expect((await runStep(building, action("detect-and-build"))).verdict).toBe("error");
      const same = await runStep(building, action(name));
      expect(same).toMatchObject({ verdict: "fail", log: expect.stringMatching(refused) });
      const apart = await runStep(startJob("judge"), action(name));
      expect(apart).toMatchObject({
        verdict: "error",
        log: expect.stringMatching(/input '(?:policy|image)' is required/),
      });
    },
  );

  test("scan refuses where the build removed the mark on the disk: the runner still knows", async () => {
    const building = startJob("build");
    await runStep(building, action("detect-and-build"));
    expect(building.variables).toEqual({ GOLDENPATH_BUILT_IN_JOB: "acme/shop 7 1 build" });
    rmSync(building.temporary, { recursive: true });
    expect(await runStep(building, action("scan"))).toMatchObject({
      verdict: "fail",
      log: expect.stringMatching(refused),
    });
  });

  test("the command line refuses as the action does", async () => {
    const building = startJob("build");
    await runStep(building, action("detect-and-build"));
    const bin = join(projectRoot, "packages/cli/bin/goldenpath.mjs");
    expect((await runStep(building, [bin, "scan"])).log).toMatch(/would run in the job that built/);
    expect((await runStep(startJob("judge"), [bin, "scan"])).log).toContain("input 'image' is required");
  });
});
