import type { RunFacts } from "./ports.ts";

/**
 * The facts of a run on GitHub, from the variables that the runner sets (and that a workflow cannot override:
 * `GITHUB_*` is reserved). `GITHUB_WORKFLOW_REF` is the workflow that the event started. A reusable workflow passes its
 * own, `job.workflow_ref`, as `GOLDENPATH_WORKFLOW_REF`: that, and not its caller, is who builds.
 */
export function runFactsFromGitHub(env: Readonly<Record<string, string | undefined>>): RunFacts {
  const server = env["GITHUB_SERVER_URL"] || "https://github.com";
  const workflow = env["GOLDENPATH_WORKFLOW_REF"] || env["GITHUB_WORKFLOW_REF"];
  const repository = env["GITHUB_REPOSITORY"];
  const attempt = Number(env["GITHUB_RUN_ATTEMPT"] || "1");
  const runId = env["GITHUB_RUN_ID"];
  return {
    ...(repository ? { sourceRepository: `${server}/${repository}` } : {}),
    ...(env["GITHUB_SHA"] ? { sourceCommit: env["GITHUB_SHA"] } : {}),
    ...(env["GITHUB_REF"] ? { sourceRef: env["GITHUB_REF"] } : {}),
    ...(env["GITHUB_EVENT_NAME"] ? { event: env["GITHUB_EVENT_NAME"] } : {}),
    ...(env["GITHUB_WORKFLOW_REF"] ? { callerId: `${server}/${env["GITHUB_WORKFLOW_REF"]}` } : {}),
    builderId: workflow ? `${server}/${workflow}` : "local",
    ...(runId ? { runId, ...(repository ? { runUrl: `${server}/${repository}/actions/runs/${runId}` } : {}) } : {}),
    ...(Number.isInteger(attempt) && attempt > 0 ? { runAttempt: attempt } : {}),
  };
}
