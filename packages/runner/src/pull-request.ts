import type { OwnComment, PullRequestDoor } from "@goldenpath/core/report/comment/post";
import type { OpenPullRequest, PullRequest } from "@goldenpath/core/report/comment/source";
import { sleepFor } from "@goldenpath/registry-client/stop";
import { type EndedRun, readEndedRun } from "./ended-run.ts";
import { memberOf, readEvent } from "./event.ts";
import { type GithubClient, openGithub } from "./github-api.ts";
import { describeRun, httpsOnly } from "./run-facts.ts";

/** Of comments, 100 each: GitHub has no more on one pull request. */
const maxPages = 100;
/** Whom the job's own token writes as, on github.com and on Enterprise Server. */
const actionsBot = "github-actions[bot]";

interface Place {
  owner: string;
  repo: string;
  number: number;
}

/**
 * Opens the pull request that the run's event names, or that the run was of whose end started this one.
 * @param second milliseconds, by which all waits go; tests have a shorter one
 */
export function createPullRequestOpener(second = 1_000): OpenPullRequest {
  return (token, context) => openNamed(token, context, second);
}

async function openNamed(
  token: string,
  context: Parameters<OpenPullRequest>[1],
  second: number,
): ReturnType<OpenPullRequest> {
  const { env, signal } = context;
  const [owner = "", repo = ""] = (env["GITHUB_REPOSITORY"] ?? "").split("/");
  if (owner === "" || repo === "") return { none: "it runs outside GitHub Actions" };
  const ended = await readEndedRun(env);
  const named = memberOf(await readEvent(env), "pull_request");
  const number = memberOf(named, "number");
  const commit = memberOf(memberOf(named, "head"), "sha");
  const isNamed = typeof number === "number" && typeof commit === "string";
  if (ended === undefined && !isNamed)
    return { none: `the run was started by '${env["GITHUB_EVENT_NAME"] ?? ""}', of no pull request` };
  if (ended !== undefined && ended.event !== "pull_request")
    return { none: `the run that ended was started by '${ended.event}', of no pull request` };
  const { client, close } = openGithub(token, context, second);
  const opened = (of: number, sha: string, run: PullRequest["run"]): PullRequest => ({
    door: createDoor(client, { owner, repo, number: of }, signal, second),
    ...{ commit: sha, run, close },
  });
  if (ended === undefined) return opened(number as number, commit as string, describeRun(env));
  try {
    const found = await findPullRequest(client, ended, signal);
    if (typeof found === "number")
      return opened(found, ended.headSha, { id: ended.id, attempt: ended.attempt, ...httpsOnly(ended.url) });
    await close();
    return found;
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The number of the pull request that a run was of. GitHub's event names none where it comes from a fork, and whatever
 * the run left behind is a stranger's: it is found by the repository, the branch and the commit of its head.
 */
async function findPullRequest(
  client: GithubClient,
  run: EndedRun,
  signal: AbortSignal,
): Promise<number | { none: string }> {
  const { owner, repo, headRepository, headBranch, headSha } = run;
  const { data } = await client.request("GET /repos/{owner}/{repo}/pulls", {
    ...{ owner, repo, state: "open", head: `${headRepository.split("/")[0]}:${headBranch}`, per_page: 100 },
    request: { signal },
  });
  const [first, ...more] = data.filter(
    ({ head }) => head.sha === headSha && head.repo?.full_name === headRepository && head.ref === headBranch,
  );
  const what = `${headRepository}, branch ${headBranch}, commit ${headSha}`;
  if (first === undefined) return { none: `no open pull request has this head any more: ${what}` };
  if (more.length > 0)
    return { none: `${more.length + 1} pull requests have this head, and the run is of one: ${what}` };
  return first.number;
}

/** A pull request's comments, by GitHub's REST API. */
function createDoor(
  client: GithubClient,
  { owner, repo, number }: Place,
  signal: AbortSignal,
  second: number,
): PullRequestDoor {
  const place = { owner, repo, request: { signal } };
  let author: string | undefined;
  return {
    async readHead() {
      const { data } = await client.request("GET /repos/{owner}/{repo}/pulls/{pull_number}", {
        ...place,
        pull_number: number,
      });
      return data.head.sha;
    },
    async listComments(accepts) {
      const found: (OwnComment & { login: string })[] = [];
      for (let page = 1; page <= maxPages; page++) {
        const { data } = await client.request("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", {
          ...place,
          issue_number: number,
          per_page: 100,
          page,
        });
        for (const { id, body = "", html_url: url, user } of data)
          if (accepts(body)) found.push({ id: Number(id), body, url, login: user?.login ?? "" });
        if (data.length < 100) break;
      }
      if (found.length === 0) return [];
      author ??= await findAuthor(client, signal);
      return found
        .filter(({ login }) => login === author)
        .map(({ id, body, url }) => ({ id, body, url }))
        .sort((a, b) => a.id - b.id);
    },
    async create(body) {
      const answer = await unlessTooLong(
        client.request("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", {
          ...place,
          issue_number: number,
          body,
        }),
      );
      if (answer === "too-long") return answer;
      author = answer.data.user?.login ?? author;
      return { id: Number(answer.data.id), body, url: answer.data.html_url };
    },
    async update(id, body) {
      try {
        const answer = await unlessTooLong(
          client.request("PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", {
            ...place,
            comment_id: id,
            body,
          }),
        );
        return answer === "too-long" ? answer : { id, body, url: answer.data.html_url };
      } catch (error) {
        if (isGone(error)) return "gone";
        throw error;
      }
    },
    async remove(id) {
      await client
        .request("DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}", { ...place, comment_id: id })
        .catch((error: unknown) => {
          if (!isGone(error)) throw error;
        });
    },
    wait: (time) => sleepFor((time * second) / 1_000, signal),
  };
}

/**
 * Whom the token writes as. REST does not tell an app's token, GraphQL does. Where that may not be asked it is the job's
 * own token: somebody else's comment is never taken for ours.
 */
export async function findAuthor(client: GithubClient, signal: AbortSignal): Promise<string> {
  try {
    const answer = await client.graphql<unknown>("query { viewer { login } }", { request: { signal } });
    const login = memberOf(memberOf(answer, "viewer"), "login");
    return typeof login === "string" ? login : actionsBot;
  } catch {
    return actionsBot;
  }
}

async function unlessTooLong<T>(answer: Promise<T>): Promise<T | "too-long"> {
  try {
    return await answer;
  } catch (error) {
    const said = JSON.stringify(memberOf(memberOf(error, "response"), "data") ?? "");
    if (statusOf(error) === 422 && /too long/i.test(said)) return "too-long";
    throw error;
  }
}

const statusOf = (error: unknown): unknown => memberOf(error, "status");

function isGone(error: unknown): boolean {
  return [404, 410].includes(Number(statusOf(error)));
}
