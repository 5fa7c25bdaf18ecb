import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { z } from "zod";
import { askGithub, githubUrl, readGithubAnswer } from "./ask-github.ts";

/** Who let a run's deployment go on, as GitHub's review history of the run has it. */
export interface Approval {
  /** GitHub login. */
  by: string;
  /** Environments on GitHub, which are not the policy's. */
  environments: readonly string[];
}

const maxAnswer = 1024 * 1024;
const answerSchema = z.array(
  z.object({
    state: z.string(),
    user: z.object({ login: z.string().min(1).max(100) }).nullish(),
    environments: z.array(z.object({ name: z.string().max(255).optional() })),
  }),
);

/**
 * Who approved the run that this is a job of, by GitHub's REST API. GitHub says so and nobody signs it: it is for the
 * record, and decides nothing.
 * https://docs.github.com/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run
 * @throws UserError `approvals-unavailable` outside a run, `github-unauthorized`, `github-url-invalid`;
 *   InfrastructureError `github-unreachable`, `github-error`
 */
export async function readApprovals(context: Pick<Context, "ports" | "env" | "signal">): Promise<Approval[]> {
  const { env } = context;
  const [owner, name, ...others] = (env["GITHUB_REPOSITORY"] ?? "").split("/");
  const run = env["GITHUB_RUN_ID"] ?? "";
  if (!owner || !name || others.length > 0 || !/^\d+$/.test(run)) {
    throw new UserError("input 'record-approvals' is true, and this is no run on GitHub that anybody could approve", {
      code: "approvals-unavailable",
      wayOut: "Leave it out, or promote in a workflow of GitHub's.",
    });
  }
  const question = {
    what: `approvals of run ${run} of ${owner}/${name}`,
    permission: "actions: read",
    readUpTo: maxAnswer,
  };
  const url = githubUrl(env, ["repos", owner, name, "actions", "runs", run, "approvals"]);
  const answer = await askGithub(url, question, context);
  return readGithubAnswer(answer, answerSchema, question).flatMap(({ state, user, environments }) => {
    const names = environments.flatMap((each) => each.name ?? []);
    return state === "approved" && user ? [{ by: user.login, environments: names }] : [];
  });
}
