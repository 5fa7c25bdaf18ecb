import type { AdoptDoor, ListedRepository } from "@goldenpath/core/adopt/facts";
import type { Context } from "@goldenpath/foundation/ports";
import { openGithub } from "./github-api.ts";

/** Of an owner's repositories, 100 each. */
const maxPages = 100;

/**
 * Repositories of an owner, by GitHub's REST API, as far as the token shows them. Nothing is written.
 * @param second milliseconds that a wait begins with; tests have a shorter one
 * @throws as openGithub
 */
export function openAdoption(
  token: string,
  context: Pick<Context, "ports" | "env" | "signal">,
  second = 1_000,
): { door: AdoptDoor; shut(): Promise<void> } {
  const { client, close: shut } = openGithub(token, context, second);
  const request = { signal: context.signal };
  const ask = async (owner: string, page: number, isOrganisation: boolean) =>
    isOrganisation
      ? client.request("GET /orgs/{org}/repos", { org: owner, per_page: 100, page, request })
      : client.request("GET /users/{username}/repos", { username: owner, per_page: 100, page, request });
  const door: AdoptDoor = {
    async list(owner) {
      const { data: account } = await client.request("GET /users/{username}", { username: owner, request });
      const isOrganisation = account.type === "Organization";
      const found: ListedRepository[] = [];
      for (let page = 1; page <= maxPages; page++) {
        const { data } = await ask(owner, page, isOrganisation);
        for (const each of data) {
          found.push({
            ...{ owner: each.owner.login, repo: each.name, branch: each.default_branch ?? "HEAD" },
            ...{ isArchived: each.archived === true, isFork: each.fork, isDisabled: each.disabled === true },
          });
        }
        if (data.length < 100) return found;
      }
      throw new Error(`${owner} has over ${maxPages * 100} repositories`);
    },
    async readTree({ owner, repo, branch }) {
      try {
        const { data } = await client.request("GET /repos/{owner}/{repo}/git/trees/{tree_sha}", {
          ...{ owner, repo, tree_sha: branch, recursive: "1", request },
        });
        // GitHub cuts it at 100,000 entries or 7 MB: what is missing may be what decides.
        if (data.truncated)
          throw new Error("GitHub shows only a part of its list of files: look at it in a checkout, by base check");
        return data.tree.map(({ path, mode, sha, size }) => ({ path, mode, sha, size }));
      } catch (error) {
        // "Git Repository is empty." Whatever else is in the way says nothing of what is in it.
        const isConflict = error instanceof Error && "status" in error && error.status === 409;
        if (isConflict && /\bis empty\b/i.test(error.message)) return undefined;
        throw error;
      }
    },
    async readFile({ owner, repo }, sha) {
      const { data } = await client.request("GET /repos/{owner}/{repo}/git/blobs/{file_sha}", {
        ...{ owner, repo, file_sha: sha, request },
      });
      if (data.encoding !== "base64") throw new Error(`GitHub answers a file in ${data.encoding}`);
      return Buffer.from(data.content, "base64");
    },
  };
  return { door, shut };
}
