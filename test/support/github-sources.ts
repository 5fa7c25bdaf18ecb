import { sample } from "./github-description.ts";
import type { MockOwned } from "./github-owned.ts";
import { performOwned } from "./github-owned.ts";
import { shaOf } from "./github-proposals.ts";

/** Source repositories of the stand-in for GitHub's API: their issues and their files. */
export interface MockSources extends MockOwned {
  /** Of any repository. */
  issues: MockIssue[];
  /** `OWNER/NAME` of those that are forks. */
  forks: string[];
  /** `OWNER/NAME` of those that the token shows nothing of. */
  unseen: string[];
  /** `OWNER/NAME` of those that an app's token is for; undefined: it is no app's. */
  reachable: string[] | undefined;
  /** The login that the token writes as. */
  viewer: string;
}

export interface MockIssue {
  number: number;
  repository: string;
  title: string;
  body: string;
  login: string;
  state: "open" | "closed";
  /** Why it is closed. */
  state_reason?: string;
}

interface Request {
  parameters: Readonly<Record<string, string>>;
  query: URLSearchParams;
  body: Record<string, unknown>;
}

interface Answer {
  status: number;
  body?: unknown;
}

const longest = 65_536;

/** Undefined for what is nothing of theirs. */
export function performSources(
  stand: MockSources,
  what: string,
  { parameters, query, body }: Request,
): Answer | undefined {
  const repository = `${parameters["owner"]}/${parameters["repo"]}`;
  if (stand.unseen.includes(repository)) return undefined;
  switch (what) {
    case "GET /installation/repositories": {
      if (stand.reachable === undefined) return { status: 403, body: { message: "no installation" } };
      const [page, size] = [Number(query.get("page") ?? 1), Number(query.get("per_page") ?? 30)];
      const own = stand.reachable.slice((page - 1) * size, page * size);
      const repositories = own.map((name) => describeReachable(stand, name));
      return { status: 200, body: { total_count: stand.reachable.length, repositories } };
    }
    case "GET /repos/{owner}/{repo}/issues": {
      const own = stand.issues.filter(
        (each) =>
          each.repository === repository && each.login === query.get("creator") && each.state === query.get("state"),
      );
      const [page, size] = [Number(query.get("page") ?? 1), Number(query.get("per_page") ?? 30)];
      return { status: 200, body: own.slice((page - 1) * size, page * size).map(describeIssue) };
    }
    case "POST /repos/{owner}/{repo}/issues": {
      const text = String(body["body"]);
      if (text.length > longest) return { status: 422, body: { ...sample("validation-error"), message: "too long" } };
      const issue: MockIssue = {
        ...{ number: stand.issues.length + 1, repository, title: String(body["title"]), body: text },
        ...{ login: stand.viewer, state: "open" as const },
      };
      stand.issues.push(issue);
      return { status: 201, body: describeIssue(issue) };
    }
    case "PATCH /repos/{owner}/{repo}/issues/{issue_number}": {
      const issue = stand.issues.find(({ number }) => String(number) === parameters["issue_number"]);
      if (issue === undefined) return undefined;
      for (const name of ["title", "body", "state", "state_reason"] as const)
        if (typeof body[name] === "string") Object.assign(issue, { [name]: body[name] });
      return { status: 200, body: describeIssue(issue) };
    }
    case "GET /repos/{owner}/{repo}/contents/{path}": {
      const path = decodeURIComponent(parameters["path"] ?? "");
      const text = stand.files.get(`${repository}/${path}`);
      if (text === undefined) return undefined;
      // Of one over 1 MB GitHub says all but what is in it.
      const bytes = Buffer.from(text);
      const given =
        bytes.length > 1024 ** 2
          ? { content: "", encoding: "none" }
          : { content: bytes.toString("base64"), encoding: "base64" };
      const told = { ...sample("content-file"), type: "file", name: path, path, sha: shaOf(text) };
      return { status: 200, body: { ...told, ...given } };
    }
    default:
      return performOwned(stand, what, { parameters, query });
  }
}

function describeIssue({ number, repository, title, body, login, state }: MockIssue): Record<string, unknown> {
  const user = { ...sample("simple-user"), login };
  const url = `https://github.com/${repository}/issues/${number}`;
  return { ...sample("issue"), number, title, body, state, user, html_url: url };
}

function describeReachable({ issues, forks }: MockSources, name: string): Record<string, unknown> {
  const [owner, repo] = name.split("/");
  const open = issues.filter(({ repository, state }) => repository === name && state === "open").length;
  return {
    ...sample("repository"),
    ...{ name: repo, full_name: name, owner: { ...sample("simple-user"), login: owner } },
    ...{ fork: forks.includes(name), archived: false, has_issues: true, open_issues_count: open },
  };
}
