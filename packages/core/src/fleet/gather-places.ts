import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "@goldenpath/foundation/ports";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { z } from "zod";
import { askGithub, githubUrl, readGithubAnswer } from "../evidence/ask-github.ts";
import { githubServer } from "../policy/github-server.ts";
import { cutLines, findPackageLine } from "../scan/find-line.ts";
import type { FindingPackage } from "../scan/finding.ts";
import { manifestsByType } from "../scan/locate.ts";
import { codeownersFiles, findCodeowner } from "./codeowners.ts";
import { type NamedSource, readSource } from "./source-name.ts";

/** A file and a line of a source repository, where a package's version is chosen. */
export interface SourcePlace {
  file: string;
  /** From 1. */
  line: number;
  /** Of the file at the line, where its repository is on GitHub. */
  url?: string;
}

export interface SourcePlaces {
  /** Where a package is named in the source at a commit; undefined where no file of it does, or it can't be read. */
  find(source: SourceCommit, of: FindingPackage): Promise<SourcePlace | undefined>;
  /** Who owns a file by the repository's CODEOWNERS; without one of the file, of what is at the root. */
  findOwner(source: SourceCommit, file: string | undefined): Promise<string | undefined>;
  /** What could not be read, one sentence each. */
  readonly problems: readonly string[];
}

export interface SourceCommit {
  /** https://github.com/acme/shop */
  repository: string;
  commit?: string | undefined;
}

/** A source repository's files, at a commit or as they lie there. */
interface SourceFiles {
  list(): Promise<readonly string[]>;
  read(file: string): Promise<string | undefined>;
  url?(file: string, line: number): string;
}

/** Lock files are smaller. Bytes. */
const maxFile = 4 * 1024 * 1024;
/** Of a repository's list of files. */
const maxTree = 32 * 1024 * 1024;
const maxFiles = 200_000;
/** Files of the right name that are looked into, the nearest to the root first. */
const maxCandidates = 20;

/**
 * Places in source repositories: of those that lie below `checkouts` as they are there (as OWNER/NAME, and those of
 * another server than the GitHub that is spoken to as HOST/OWNER/NAME), of all others of that GitHub at the commit that
 * was built, where `isOnline`.
 * @throws UserError `github-url-invalid`
 */
export function openPlaces(
  { checkouts, isOnline }: { checkouts?: string | undefined; isOnline: boolean },
  context: Pick<Context, "ports" | "env" | "signal">,
): SourcePlaces {
  const problems: string[] = [];
  const server = githubServer(context.env);
  const opened = new Map<string, Promise<OpenedSource | undefined>>();
  const open = (source: SourceCommit): Promise<OpenedSource | undefined> => {
    const key = `${source.repository}@${source.commit ?? ""}`;
    const known = opened.get(key) ?? openSource(source);
    opened.set(key, known);
    return known;
  };
  async function openSource(source: SourceCommit): Promise<OpenedSource | undefined> {
    const named = readSource(source.repository);
    if (named === undefined) return undefined;
    const isHere = named.server === server;
    const folder = [...(isHere ? [] : [new URL(named.server).host]), named.owner, named.repo];
    try {
      const checkout = checkouts === undefined ? undefined : await openCheckout(join(checkouts, ...folder));
      const asks = checkout === undefined && isOnline && source.commit !== undefined;
      if (asks && !isHere) throw new Error(`it is not on ${server}, and not below --checkouts as ${folder.join("/")}`);
      const files = asks && source.commit !== undefined ? openOnGithub(named, source.commit, context) : checkout;
      return files === undefined ? undefined : { files, names: await files.list(), cut: new Map() };
    } catch (error) {
      if (context.signal.aborted || !(error instanceof Error)) throw error;
      problems.push(`the files of ${source.repository} can't be read: ${error.message}`);
      return undefined;
    }
  }
  const reading = async <T>(source: SourceCommit, work: (from: OpenedSource) => Promise<T>): Promise<T | undefined> => {
    const from = await open(source);
    try {
      return from === undefined ? undefined : await work(from);
    } catch (error) {
      if (context.signal.aborted || !(error instanceof Error)) throw error;
      problems.push(`a file of ${source.repository} can't be read: ${error.message}`);
      return undefined;
    }
  };
  return {
    problems,
    find: (source, of) => reading(source, (from) => findPlace(from, of)),
    findOwner: (source, file) =>
      reading(source, async ({ files, names }) => {
        const own = codeownersFiles.find((each) => names.includes(each));
        const text = own === undefined ? undefined : await files.read(own);
        return text === undefined ? undefined : findCodeowner(text, file ?? "README.md");
      }),
  };
}

interface OpenedSource {
  files: SourceFiles;
  names: readonly string[];
  /** Of each file that was read. */
  cut: Map<string, readonly string[]>;
}

async function findPlace(
  { files, names, cut }: OpenedSource,
  { type, name, version }: FindingPackage,
): Promise<SourcePlace | undefined> {
  const wanted = manifestsByType[type] ?? [];
  const depth = (path: string): number => path.split("/").length;
  const rank = (path: string): number => wanted.indexOf(path.slice(path.lastIndexOf("/") + 1));
  const candidates = names
    .filter((path) => rank(path) !== -1)
    .toSorted((a, b) => rank(a) - rank(b) || depth(a) - depth(b) || (a < b ? -1 : 1))
    .slice(0, maxCandidates);
  let named: SourcePlace | undefined;
  for (const file of candidates) {
    const lines = cut.get(file) ?? cutLines((await files.read(file)) ?? "");
    cut.set(file, lines);
    const line = findPackageLine(lines, name, version);
    if (line === undefined) continue;
    const place = { file, line, ...(files.url === undefined ? {} : { url: files.url(file, line) }) };
    const hasVersion = [lines[line - 1], lines[line]].some((text) => text?.includes(version.toLowerCase()) === true);
    if (hasVersion) return place;
    named ??= place;
  }
  return named;
}

/** Undefined where there is none. Links are not followed. */
async function openCheckout(directory: string): Promise<SourceFiles | undefined> {
  const names: string[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory() && ![".git", "node_modules"].includes(entry.name)) await walk(path);
      else if (entry.isFile() && names.push(path) > maxFiles) throw new RangeError(`it has over ${maxFiles} files`);
    }
  };
  try {
    await walk("");
  } catch (error) {
    if (names.length === 0 && error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  return {
    list: async () => names,
    read: async (file) => (await readBoundedFile(join(directory, file), maxFile)).toString("utf8"),
  };
}

const treeSchema = z.object({
  truncated: z.boolean(),
  tree: z.array(z.object({ path: z.string().optional(), type: z.string().optional() })),
});

const fileSchema = z.object({ content: z.string(), encoding: z.string() });

/** By `GET /repos/{owner}/{repo}/git/trees/{tree_sha}` and `GET /repos/{owner}/{repo}/contents/{path}`. */
function openOnGithub(
  { server, owner, repo }: NamedSource,
  commit: string,
  context: Pick<Context, "ports" | "env" | "signal">,
): SourceFiles {
  const what = `files of ${owner}/${repo}`;
  const question = { what, permission: "contents: read", mayBeAbsent: true };
  const url = (segments: readonly string[], query: Record<string, string>): URL => {
    const target = githubUrl(context.env, ["repos", owner, repo, ...segments]);
    target.search = new URLSearchParams(query).toString();
    return target;
  };
  return {
    async list() {
      const asked = { ...question, readUpTo: maxTree };
      const answer = await askGithub(url(["git", "trees", commit], { recursive: "1" }), asked, context);
      if (answer.status === 404) throw new Error(`GitHub shows no commit ${commit}`);
      const { tree, truncated } = readGithubAnswer(answer, treeSchema, asked);
      // GitHub cuts it at 100,000 entries or 7 MB: a file that is not in the rest may still be there.
      if (truncated)
        throw new Error("GitHub shows only a part of its list of files: check it out, and name --checkouts");
      return tree.flatMap(({ path, type }) => (type === "blob" && path !== undefined ? [path] : []));
    },
    async read(file) {
      const asked = { ...question, readUpTo: 2 * maxFile };
      const answer = await askGithub(url(["contents", ...file.split("/")], { ref: commit }), asked, context);
      if (answer.status === 404) return undefined;
      const { content, encoding } = readGithubAnswer(answer, fileSchema, asked);
      // Of a file over 1 MB it gives no bytes, and "none" for how they are written.
      if (encoding !== "base64")
        throw new Error(`GitHub does not give the bytes of ${file} here: check it out, and name --checkouts`);
      return Buffer.from(content, "base64").toString("utf8");
    },
    url: (file, line) =>
      `${server}/${owner}/${repo}/blob/${commit}/${file.split("/").map(encodeURIComponent).join("/")}#L${line}`,
  };
}
