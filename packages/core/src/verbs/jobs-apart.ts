import { createHash } from "node:crypto";
import { lstat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeError, InfrastructureError, PolicyViolation } from "@goldenpath/foundation/errors";
import { rowOfVerb } from "../stages.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Says in later steps of a job that it has built: the runner keeps such a variable itself, out of reach of what a build
 * left on the machine.
 */
export const builtVariable = "GOLDENPATH_BUILT_IN_JOB";

export interface RunnerJob {
  /** Which job of which attempt of which run. */
  id: string;
  /** A file that is there where this job has built. The runner empties the folder that it is in before each job. */
  mark: string;
}

/**
 * The job that this process is a step of, by variables that a workflow can't set (GitHub: "you can't overwrite the
 * value of the default environment variables named GITHUB_* and RUNNER_*"). Undefined outside of a runner, where there
 * are no jobs.
 */
export function identifyJob(env: Environment): RunnerJob | undefined {
  const { GITHUB_RUN_ID: run, GITHUB_RUN_ATTEMPT: attempt, GITHUB_JOB: job, RUNNER_TEMP: temporary } = env;
  if (!run || !temporary) return undefined;
  const id = [env["GITHUB_REPOSITORY"] ?? "", run, attempt ?? "", job ?? ""].join(" ");
  return {
    id,
    mark: join(temporary, `goldenpath-built-${createHash("sha256").update(id).digest("hex").slice(0, 16)}`),
  };
}

/**
 * A job that has run strangers' code is not one whose verdict, key or login can be relied on: that code could have
 * changed what runs there next. So a job that builds is marked, and nothing in it judges, signs or promotes.
 * @throws PolicyViolation of the rule `stage.job`
 */
export function decideJob(verb: string, builtHere: boolean): "mark" | "go-on" {
  const { job } = rowOfVerb(verb);
  if (job === "builds") return "mark";
  if (!builtHere || job === "tells") return "go-on";
  throw new PolicyViolation(
    `${verb} would run in the job that built: what the build ran could have changed this machine`,
    {
      code: "stage-in-building-job",
      rule: "stage.job",
      wayOut:
        "Move this step to a job of its own, which 'needs' the one that builds and takes its output 'image' or 'digest'.",
    },
  );
}

/**
 * Marks the job for a verb that builds, and refuses one that judges where there is a mark, before the verb does
 * anything.
 * @throws PolicyViolation of the rule `stage.job`
 * @throws InfrastructureError `job-mark-failed`
 */
export async function keepJobsApart(verb: string, env: Environment): Promise<void> {
  const job = identifyJob(env);
  if (job === undefined) return;
  const failed = (error: unknown): InfrastructureError =>
    new InfrastructureError(`whether this job has built can't be kept in ${job.mark}: ${describeError(error)}`, {
      code: "job-mark-failed",
      wayOut: "Check that this user may write to the runner's RUNNER_TEMP and that there is room.",
      cause: error,
    });
  if (
    decideJob(
      verb,
      env[builtVariable] === job.id ||
        (await exists(job.mark).catch((error: unknown) => Promise.reject(failed(error)))),
    ) === "mark"
  )
    await writeFile(job.mark, `${job.id}\n`, { mode: 0o600 }).catch((error: unknown) => Promise.reject(failed(error)));
}

async function exists(path: string): Promise<boolean> {
  try {
    // A link that leads nowhere is something, too.
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
