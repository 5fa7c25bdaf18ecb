import type { FoundPull, OpenDoor } from "@goldenpath/core/adopt/facts";
import type { GithubClient } from "./github-api.ts";

/** How many pull requests of one branch are looked at: the newest say how it stands. */
const maxPulls = 20;

/** Changes of one file, proposed by GitHub's REST API. */
export function openOpener(request: GithubClient["request"], signal: AbortSignal): OpenDoor {
  const signalled = { request: { signal } };
  return {
    async findPulls({ owner, repo, branch: base }, branch) {
      const { data } = await request("GET /repos/{owner}/{repo}/pulls", {
        ...{ owner, repo, base, head: `${owner}:${branch}`, state: "all", sort: "created", direction: "desc" },
        ...{ per_page: maxPulls, ...signalled },
      });
      return data
        .filter(({ head, base: into }) => head.ref === branch && head.repo?.full_name === into.repo.full_name)
        .map(({ html_url: url, state, merged_at: merged }): FoundPull => {
          const closed = typeof merged === "string" ? "merged" : "closed";
          return { url, state: state === "open" ? "open" : closed };
        });
    },
    async findBranch({ owner, repo }, branch) {
      const answer = await unlessAbsent(
        request("GET /repos/{owner}/{repo}/git/ref/{ref}", { owner, repo, ref: `heads/${branch}`, ...signalled }),
      );
      return answer?.data.object.sha;
    },
    async createBranch({ owner, repo }, branch, sha) {
      await request("POST /repos/{owner}/{repo}/git/refs", {
        ...{ owner, repo, ref: `refs/heads/${branch}`, sha, ...signalled },
      });
    },
    async listChanged({ owner, repo }, base, branch) {
      const { data } = await request("GET /repos/{owner}/{repo}/compare/{basehead}", {
        ...{ owner, repo, basehead: `${base}...${branch}`, ...signalled },
      });
      return (data.files ?? []).map(({ filename }) => filename);
    },
    async findFile({ owner, repo }, path, ref) {
      const answer = await unlessAbsent(
        request("GET /repos/{owner}/{repo}/contents/{path}", { owner, repo, path, ref, ...signalled }),
      );
      if (answer === undefined) return undefined;
      const { data } = answer;
      if (Array.isArray(data) || data.type !== "file") throw new Error(`${path} is no file there`);
      return data.sha;
    },
    async writeFile({ owner, repo }, { path, content, branch, message, replaces }) {
      await request("PUT /repos/{owner}/{repo}/contents/{path}", {
        ...{ owner, repo, path, branch, message, content: Buffer.from(content, "utf8").toString("base64") },
        ...(replaces === undefined ? {} : { sha: replaces }),
        ...signalled,
      });
    },
    async openPull({ owner, repo, branch: base }, { branch: head, title, body }) {
      const { data } = await request("POST /repos/{owner}/{repo}/pulls", {
        ...{ owner, repo, base, head, title, body, ...signalled },
      });
      return data.html_url;
    },
  };
}

async function unlessAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && "status" in error && error.status === 404) return undefined;
    throw error;
  }
}
