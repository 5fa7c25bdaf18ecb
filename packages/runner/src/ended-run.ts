import { memberOf, readEvent } from "./event.ts";

/** A run whose end started this one (`workflow_run`), by GitHub's own event. */
export interface EndedRun {
  /** The repository whose workflow it was, which is this one's. */
  owner: string;
  repo: string;
  id: string;
  attempt: number;
  url: string;
  /** What started it: `pull_request`. */
  event: string;
  /** `OWNER/NAME`, branch and commit that it ran on: a fork's for a fork's pull request. */
  headRepository: string;
  headBranch: string;
  headSha: string;
}

/** Undefined where the event is another one, or does not say all of it. */
export async function readEndedRun(env: Readonly<Record<string, string | undefined>>): Promise<EndedRun | undefined> {
  const run = memberOf(await readEvent(env), "workflow_run");
  const [owner = "", repo = ""] = (env["GITHUB_REPOSITORY"] ?? "").split("/");
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const id = memberOf(run, "id");
  const attempt = memberOf(run, "run_attempt");
  const found: EndedRun = {
    owner,
    repo,
    id: Number.isSafeInteger(id) ? String(id) : "",
    attempt: typeof attempt === "number" ? attempt : 1,
    url: text(memberOf(run, "html_url")),
    event: text(memberOf(run, "event")),
    headRepository: text(memberOf(memberOf(run, "head_repository"), "full_name")),
    headBranch: text(memberOf(run, "head_branch")),
    headSha: text(memberOf(run, "head_sha")),
  };
  return owner === "" || repo === "" || Object.values(found).includes("") ? undefined : found;
}
