import type { IssueDoor, OwnIssue } from "@goldenpath/core/fleet/issues";
import type { SourceName } from "@goldenpath/core/fleet/source-name";
import type { Context } from "@goldenpath/foundation/ports";
import { openGithub } from "./github-api.ts";
import { findAuthor } from "./pull-request.ts";

/** Of one author's open issues in one repository, and of the repositories of an app, 100 each. */
const maxPages = 100;

/**
 * Issues of source repositories, by GitHub's REST API, as whoever the token is: an app, or a person.
 * @param second milliseconds between two writes; tests have a shorter one
 * @throws as openGithub
 */
export function openIssues(
  token: string,
  context: Pick<Context, "ports" | "env" | "signal">,
  second = 1_000,
): { door: IssueDoor; shut(): Promise<void> } {
  const { client, close: shut } = openGithub(token, context, second);
  const at = ({ owner, repo }: SourceName) => ({ owner, repo, request: { signal: context.signal } });
  let author: Promise<string> | undefined;
  const door: IssueDoor = {
    async isClosedTo(repository) {
      const { data } = await client.request("GET /repos/{owner}/{repo}", at(repository));
      if (data.fork) return "it is a fork";
      if (data.archived) return "it is archived";
      return data.has_issues ? undefined : "it has no issues";
    },
    async list(repository, accepts) {
      author ??= findAuthor(client, context.signal);
      const creator = await author;
      const found: OwnIssue[] = [];
      for (let page = 1; page <= maxPages; page++) {
        const data = await unlessAbsent(
          client.request("GET /repos/{owner}/{repo}/issues", {
            ...at(repository),
            ...{ state: "open", creator, sort: "created", direction: "asc", per_page: 100, page },
          }),
        );
        if (data === undefined) return undefined;
        for (const { number, title, body, html_url: url, user, pull_request: pull } of data) {
          // GitHub has pull requests among the issues.
          if (pull === undefined && user?.login === creator && accepts(body ?? ""))
            found.push({ number, title, body: body ?? "", url });
        }
        if (data.length < 100) return found;
      }
      // One that is not found would be opened again.
      throw new Error(`${creator} has over ${maxPages * 100} open issues there`);
    },
    async listReachable() {
      const found: SourceName[] = [];
      for (let page = 1; page <= maxPages; page++) {
        const data = await unlessOther(
          client.request("GET /installation/repositories", {
            ...{ per_page: 100, page, request: { signal: context.signal } },
          }),
        );
        if (data === undefined) return undefined;
        for (const { name: repo, owner, has_issues: has, archived, fork, open_issues_count: open } of data.repositories)
          if (has && !archived && !fork && open > 0) found.push({ owner: owner.login, repo });
        if (data.repositories.length < 100) return found;
      }
      throw new Error(`the token is for over ${maxPages * 100} repositories: give it those of the fleet`);
    },
    async open(repository, { title, body }) {
      const { data } = await client.request("POST /repos/{owner}/{repo}/issues", { ...at(repository), title, body });
      return data.html_url;
    },
    async update(repository, number, { title, body }) {
      await client.request("PATCH /repos/{owner}/{repo}/issues/{issue_number}", {
        ...at(repository),
        ...{ issue_number: number, title, body },
      });
    },
    async close(repository, number, body, reason) {
      await client.request("PATCH /repos/{owner}/{repo}/issues/{issue_number}", {
        ...at(repository),
        ...{ issue_number: number, body, state: "closed", state_reason: reason },
      });
    },
  };
  return { door, shut };
}

/** Undefined for what is not shown (404), or gone for good (410, as issues are where they are turned off). */
const unlessAbsent = <T>(answer: Promise<{ data: T }>): Promise<T | undefined> => unless([404, 410], answer);

/** Undefined for a token that is no app's installation's. */
const unlessOther = <T>(answer: Promise<{ data: T }>): Promise<T | undefined> => unless([401, 403, 404], answer);

async function unless<T>(statuses: readonly number[], answer: Promise<{ data: T }>): Promise<T | undefined> {
  try {
    return (await answer).data;
  } catch (error) {
    const status = error instanceof Error && "status" in error ? error.status : undefined;
    if (statuses.some((each) => each === status)) return undefined;
    throw error;
  }
}
