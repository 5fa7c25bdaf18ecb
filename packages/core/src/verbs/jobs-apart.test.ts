import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtVariable, identifyJob, keepJobsApart } from "./jobs-apart.ts";

let temporary: string;
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), "goldenpath-jobs-"));
});
afterEach(() => rm(temporary, { recursive: true, force: true }));

const job = (more: Record<string, string> = {}): Record<string, string> => ({
  GITHUB_REPOSITORY: "acme/shop",
  GITHUB_RUN_ID: "7",
  GITHUB_RUN_ATTEMPT: "1",
  GITHUB_JOB: "build",
  RUNNER_TEMP: temporary,
  ...more,
});
const refusal = { name: "PolicyViolation", rule: "stage.job", code: "stage-in-building-job" };

describe("in the job that built", () => {
  it.each(["enforce-golden-base", "scan", "sign", "verify", "promote"])("%s is refused", async (verb) => {
    await keepJobsApart("detect-and-build", job());
    await expect(keepJobsApart(verb, job())).rejects.toMatchObject(refusal);
  });

  it("a verb is refused by the runner's own variable, where the mark was removed", async () => {
    await expect(keepJobsApart("scan", job({ [builtVariable]: "acme/shop 7 1 build" }))).rejects.toMatchObject(refusal);
  });

  it("a verb is refused by whatever is in the mark's place", async () => {
    await symlink("/nowhere", identifyJob(job())?.mark ?? "");
    await expect(keepJobsApart("scan", job())).rejects.toMatchObject(refusal);
  });

  it("a second build, and a report of what others found, go on", async () => {
    for (const verb of ["detect-and-build", "detect-and-build", "report"]) await keepJobsApart(verb, job());
  });

  it("a build that can't be marked does not start", async () => {
    await writeFile(join(temporary, "file"), "");
    await chmod(join(temporary, "file"), 0o600);
    const env = job({ RUNNER_TEMP: join(temporary, "file") });
    await expect(keepJobsApart("detect-and-build", env)).rejects.toMatchObject({ code: "job-mark-failed" });
    await expect(keepJobsApart("scan", env)).rejects.toMatchObject({ code: "job-mark-failed" });
  });
});

describe("elsewhere a verb goes on", () => {
  it.each([
    ["another job of the run", { GITHUB_JOB: "judge" }],
    ["another attempt", { GITHUB_RUN_ATTEMPT: "2" }],
    ["another run", { GITHUB_RUN_ID: "8" }],
    ["another repository", { GITHUB_REPOSITORY: "acme/till" }],
  ])("in %s, whose folder of temporary files is the same", async (_what, more) => {
    await keepJobsApart("detect-and-build", job());
    await keepJobsApart("scan", job({ [builtVariable]: "acme/shop 7 1 build", ...more }));
  });

  it("in a job whose folder the runner has emptied", async () => {
    await keepJobsApart("detect-and-build", job());
    await rm(temporary, { recursive: true });
    await keepJobsApart("scan", job());
  });

  it("on a machine that is no runner, where one tries the path out", async () => {
    for (const verb of ["detect-and-build", "scan", "promote"]) await keepJobsApart(verb, { HOME: temporary });
  });
});
