import type { CheckAnnotation } from "@goldenpath/core/report/check/plan";
import type { OpenCheckRun } from "@goldenpath/core/report/check/write";
import type { Context } from "@goldenpath/foundation/ports";
import { memberOf, readEvent } from "./event.ts";
import { openGithub } from "./github-api.ts";
import { describeRun } from "./run-facts.ts";

/**
 * Opens the commit that a run is of: a pull request's head, that of a merge queue's group, else what was pushed. Of a
 * fork's pull request there is none, whatever the token may: its run is the fork's.
 * @param second milliseconds, by which all waits go; tests have a shorter one
 */
export function createCheckRunOpener(second = 1_000): OpenCheckRun {
  return async (token, context) => {
    const { env, signal } = context;
    const [owner = "", repo = ""] = (env["GITHUB_REPOSITORY"] ?? "").split("/");
    if (owner === "" || repo === "") return { none: "it runs outside GitHub Actions" };
    const commit = await findCommit(env, `${owner}/${repo}`);
    if (typeof commit !== "string") return commit;
    const { client, close } = openGithub(token, context, second);
    const place = { owner, repo, request: { signal } };
    const run = describeRun(env);
    return {
      ...{ commit, run, close },
      door: {
        async create({ name, conclusion, title, summary, annotations }) {
          const { data } = await client.request("POST /repos/{owner}/{repo}/check-runs", {
            ...{ ...place, name, head_sha: commit, status: "completed", conclusion },
            ...(run.url === undefined ? {} : { details_url: run.url }),
            output: { title, summary, annotations: annotations.map(writeAnnotation) },
          });
          return { id: Number(data.id), url: data.html_url ?? "" };
        },
        async annotate(id, { title, summary }, more) {
          await client.request("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", {
            ...{ ...place, check_run_id: id },
            output: { title, summary, annotations: more.map(writeAnnotation) },
          });
        },
      },
    };
  };
}

async function findCommit(env: Context["env"], repository: string): Promise<string | { none: string }> {
  const event = await readEvent(env);
  if (memberOf(event, "workflow_run") !== undefined)
    return { none: "the run was started by another run's end, and is not of that one's commit" };
  const head = memberOf(memberOf(event, "pull_request"), "head");
  if (head !== undefined) {
    const from = memberOf(memberOf(head, "repo"), "full_name");
    if (from !== repository)
      return { none: `the pull request comes from ${typeof from === "string" ? from : "a fork"}, not from here` };
  }
  const sha = memberOf(head, "sha") ?? memberOf(memberOf(event, "merge_group"), "head_sha") ?? env["GITHUB_SHA"];
  if (typeof sha !== "string" || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha)) return { none: "it is of no commit" };
  return sha;
}

const writeAnnotation = ({ path, line, title, message }: CheckAnnotation) => ({
  ...{ path, start_line: line, end_line: line, title, message },
  annotation_level: "failure" as const,
});
