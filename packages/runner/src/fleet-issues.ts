import type { IssueDoor, OwnIssue, SourceName } from "@goldenpath/core/fleet/issues";
import type { Context } from "@goldenpath/foundation/ports";
import { openGithub } from "./github-api.ts";
import { findAuthor } from "./pull-request.ts";

/** Of one author's open issues in one repository, 100 each. */
const maxPages = 20;

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
        const { data } = await client.request("GET /repos/{owner}/{repo}/issues", {
          ...at(repository),
          ...{ state: "open", creator, sort: "created", direction: "asc", per_page: 100, page },
        });
        for (const { number, title, body, html_url: url, user, pull_request: pull } of data) {
          // GitHub has pull requests among the issues.
          if (pull === undefined && user?.login === creator && accepts(body ?? ""))
            found.push({ number, title, body: body ?? "", url });
        }
        if (data.length < 100) break;
      }
      return found;
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
    async close(repository, number, body) {
      await client.request("PATCH /repos/{owner}/{repo}/issues/{issue_number}", {
        ...at(repository),
        ...{ issue_number: number, body, state: "closed", state_reason: "completed" },
      });
    },
  };
  return { door, shut };
}
