import { createHash } from "node:crypto";
import { sample } from "./github-description.ts";

// Branches, files on them and pull requests of the stand-in for GitHub's API, as far as one file is proposed by them.

/** A repository that takes proposals. */
export interface MockProposed {
  /** OWNER/NAME */
  name: string;
  /** Its branches besides `main`, each with the files that it changes. */
  branches?: Map<string, Map<string, string>>;
  proposals?: MockProposal[];
}

/** A pull request into `main`. */
export interface MockProposal {
  number: number;
  branch: string;
  title: string;
  body: string;
  state: "open" | "closed";
  isMerged?: boolean;
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

export const shaOf = (text: string): string =>
  createHash("sha1")
    .update(`blob ${Buffer.byteLength(text)}\0${text}`)
    .digest("hex");

const commitOf = (name: string): string => shaOf(`the commit of ${name}`);
const unprocessable = (message: string): Answer => ({
  status: 422,
  body: { message, errors: [], documentation_url: "https://docs.github.com/rest" },
});

/** Undefined for what is nothing of theirs. */
export function performProposals(
  owned: readonly MockProposed[],
  what: string,
  { parameters, query, body }: Request,
): Answer | undefined {
  const repository = owned.find((each) => each.name === `${parameters["owner"]}/${parameters["repo"]}`);
  if (repository === undefined) return undefined;
  repository.branches ??= new Map();
  repository.proposals ??= [];
  const { branches, proposals, name } = repository;
  const path = decodeURIComponent(parameters["path"] ?? "");
  switch (what) {
    case "GET /repos/{owner}/{repo}/git/ref/{ref}": {
      const ref = decodeURIComponent(parameters["ref"] ?? "");
      const branch = ref.replace(/^heads\//, "");
      if (branch !== "main" && !branches.has(branch)) return undefined;
      return { status: 200, body: describeRef(`refs/${ref}`, commitOf(`${name} ${branch}`)) };
    }
    case "POST /repos/{owner}/{repo}/git/refs": {
      const branch = String(body["ref"]).replace(/^refs\/heads\//, "");
      if (branches.has(branch)) return unprocessable("Reference already exists");
      if (body["sha"] !== commitOf(`${name} main`)) return unprocessable("Object does not exist");
      branches.set(branch, new Map());
      return { status: 201, body: describeRef(String(body["ref"]), String(body["sha"])) };
    }
    case "GET /repos/{owner}/{repo}/compare/{basehead}": {
      const [, branch = ""] = decodeURIComponent(parameters["basehead"] ?? "").split("...");
      const changed = branches.get(branch);
      if (changed === undefined) return undefined;
      const files = [...changed].map(([filename, text]) => ({ ...sample("diff-entry"), filename, sha: shaOf(text) }));
      return { status: 200, body: { ...sample("commit-comparison"), files } };
    }
    case "GET /repos/{owner}/{repo}/contents/{path}": {
      const text = branches.get(query.get("ref") ?? "")?.get(path);
      if (text === undefined) return undefined;
      return { status: 200, body: { ...sample("content-file"), type: "file", path, sha: shaOf(text) } };
    }
    case "PUT /repos/{owner}/{repo}/contents/{path}": {
      const changed = branches.get(String(body["branch"]));
      if (changed === undefined) return undefined;
      const before = changed.get(path);
      if (body["sha"] !== (before === undefined ? undefined : shaOf(before)))
        return { status: 409, body: { ...sample("basic-error"), message: `${path} does not match` } };
      changed.set(path, Buffer.from(String(body["content"]), "base64").toString("utf8"));
      return { status: before === undefined ? 201 : 200, body: sample("file-commit") };
    }
    case "GET /repos/{owner}/{repo}/pulls": {
      const branch = (query.get("head") ?? "").split(":")[1] ?? "";
      const own = proposals.filter((each) => each.branch === branch).toReversed();
      return { status: 200, body: own.map((each) => describeProposal(name, each, "pull-request-simple")) };
    }
    case "POST /repos/{owner}/{repo}/pulls": {
      const branch = String(body["head"]);
      if (!branches.has(branch) || branches.get(branch)?.size === 0) return unprocessable("Validation Failed");
      if (proposals.some((each) => each.branch === branch && each.state === "open"))
        return unprocessable("A pull request already exists");
      const [title, text] = [String(body["title"]), String(body["body"])];
      const proposal: MockProposal = { number: proposals.length + 1, branch, title, body: text, state: "open" };
      proposals.push(proposal);
      return { status: 201, body: describeProposal(name, proposal, "pull-request") };
    }
    default:
      return undefined;
  }
}

function describeRef(ref: string, sha: string): object {
  const url = "https://api.github.com/x";
  return { ...sample("git-ref"), ref, url, object: { type: "commit", sha, url } };
}

function describeProposal(name: string, { number, branch, state, isMerged }: MockProposal, schema: string): object {
  const pull = sample(schema) as { head: { repo: object }; base: { repo: object } };
  const repo = (side: { repo: object }): object => ({ ...side.repo, full_name: name });
  return {
    ...{ ...pull, number, state, html_url: `https://github.com/${name}/pull/${number}` },
    head: { ...pull.head, ref: branch, repo: repo(pull.head) },
    base: { ...pull.base, ref: "main", repo: repo(pull.base) },
    merged_at: isMerged === true ? "2026-01-01T00:00:00Z" : null,
  };
}
