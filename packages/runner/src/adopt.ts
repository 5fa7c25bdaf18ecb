import { type AdoptDoor, type ListedRepository, type OpenDoor, RateLimited } from "@goldenpath/core/adopt/facts";
import type { Context } from "@goldenpath/foundation/ports";
import { openOpener } from "./adopt-open.ts";
import { type GithubClient, openGithub } from "./github-api.ts";

/** Of an owner's repositories, 100 each. */
const maxPages = 100;

/**
 * Repositories of an owner, by GitHub's REST API, as far as the token shows them: `door` writes nothing, `opener` one
 * branch and one pull request. Where GitHub takes no more requests for long, both ask no more, and `limitedBy` says so.
 * @param second milliseconds that a wait begins with; tests have a shorter one
 * @throws as openGithub
 */
export function openAdoption(
  token: string,
  context: Pick<Context, "ports" | "env" | "signal">,
  second = 1_000,
): { door: AdoptDoor; opener: OpenDoor; limitedBy(): RateLimited | undefined; shut(): Promise<void> } {
  const { client: github, close: shut } = openGithub(token, context, second);
  let limit: RateLimited | undefined;
  const guarded = async (...asked: unknown[]): Promise<unknown> => {
    if (limit !== undefined) throw limit;
    try {
      return await (github.request as (...given: unknown[]) => Promise<unknown>)(...asked);
    } catch (error) {
      limit ??= readLimit(error);
      throw limit ?? error;
    }
  };
  const client = { request: guarded as unknown as GithubClient["request"] };
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
  return { door, opener: openOpener(client.request, context.signal), limitedBy: () => limit, shut };
}

/** What GitHub answers where a token has had its requests, or asked too fast: by its documents on rate limits. */
function readLimit(error: unknown): RateLimited | undefined {
  if (!(error instanceof Error) || !("status" in error) || (error.status !== 403 && error.status !== 429))
    return undefined;
  const { response } = error as { response?: { headers?: Record<string, string | number | undefined> } };
  const {
    "retry-after": after,
    "x-ratelimit-remaining": remaining,
    "x-ratelimit-reset": reset,
  } = response?.headers ?? {};
  if (after !== undefined) return new RateLimited(timeOf(Date.now() + Number(after) * 1000), error);
  if (String(remaining) === "0") return new RateLimited(timeOf(Number(reset) * 1000), error);
  return /rate limit/i.test(error.message) ? new RateLimited(undefined, error) : undefined;
}

function timeOf(milliseconds: number): Date | undefined {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
