import { sample } from "./github-description.ts";
import { type MockProposed, shaOf } from "./github-proposals.ts";

/** Repositories of an owner, and their files by git's objects. */
export interface MockOwned {
  owned: MockRepository[];
  ownerType: "Organization" | "User";
  /** Files of source repositories at any commit, by `OWNER/NAME/PATH`. */
  files: Map<string, string>;
  /** Git's mode of one of them, where it is no plain file. */
  modes: Map<string, string>;
}

export interface MockRepository extends MockProposed {
  archived?: boolean;
  fork?: boolean;
  disabled?: boolean;
  /** It has no commit. */
  isEmpty?: boolean;
  /** GitHub shows only a part of its tree. */
  isTruncated?: boolean;
}

interface Answer {
  status: number;
  body?: unknown;
}

/** Undefined for what is nothing of theirs. */
export function performOwned(
  { owned, ownerType, files, modes }: MockOwned,
  what: string,
  { parameters, query }: { parameters: Readonly<Record<string, string>>; query: URLSearchParams },
): Answer | undefined {
  const repository = `${parameters["owner"]}/${parameters["repo"]}`;
  const below = [...files].filter(([path]) => path.startsWith(`${repository}/`));
  switch (what) {
    case "GET /users/{username}":
      return { status: 200, body: { ...sample("public-user"), login: parameters["username"], type: ownerType } };
    case "GET /orgs/{org}/repos":
    case "GET /users/{username}/repos": {
      const owner = parameters["org"] ?? parameters["username"] ?? "";
      const own = owned.filter(({ name }) => name.startsWith(`${owner}/`));
      const [page, size] = [Number(query.get("page") ?? 1), Number(query.get("per_page") ?? 30)];
      return { status: 200, body: own.slice((page - 1) * size, page * size).map(describeOwned) };
    }
    case "GET /repos/{owner}/{repo}/git/trees/{tree_sha}": {
      const known = owned.find(({ name }) => name === repository);
      if (known?.isEmpty === true)
        return { status: 409, body: { ...sample("basic-error"), message: "Git Repository is empty." } };
      const tree = below.map(([path, text]) => {
        const mode = modes.get(path) ?? "100644";
        const type = mode === "160000" ? "commit" : "blob";
        return {
          ...{ path: path.slice(repository.length + 1), mode, type, sha: shaOf(text) },
          size: Buffer.byteLength(text),
        };
      });
      const truncated = known?.isTruncated === true;
      return tree.length === 0 ? undefined : { status: 200, body: { sha: parameters["tree_sha"], truncated, tree } };
    }
    case "GET /repos/{owner}/{repo}/git/blobs/{file_sha}": {
      const text = below.find(([, each]) => shaOf(each) === parameters["file_sha"])?.[1];
      if (text === undefined) return undefined;
      const content = Buffer.from(text).toString("base64");
      return { status: 200, body: { ...sample("blob"), sha: parameters["file_sha"], content, encoding: "base64" } };
    }
    default:
      return undefined;
  }
}

function describeOwned({ name, archived = false, fork = false, disabled = false }: MockRepository): object {
  const [login = "", repo = ""] = name.split("/");
  return {
    ...sample("minimal-repository"),
    ...{ name: repo, full_name: name, owner: { ...sample("simple-user"), login } },
    ...{ fork, archived, disabled, default_branch: "main" },
  };
}
