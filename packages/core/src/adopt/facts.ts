import type { SourceName } from "../fleet/source-name.ts";

/** A repository as GitHub lists it. */
export interface ListedRepository extends SourceName {
  /** What its files are looked at by. */
  branch: string;
  isArchived: boolean;
  isFork: boolean;
  isDisabled: boolean;
}

/** A file, a link or a folder of a repository, as `GET /repos/{owner}/{repo}/git/trees/{tree_sha}` has it. */
export interface TreeEntry {
  path: string;
  /** Of git: `100644` and `100755` are files, `120000` links, `040000` folders, `160000` other repositories. */
  mode: string;
  /** What the file's bytes are asked for by. */
  sha: string;
  /** Bytes; of files alone. */
  size?: number | undefined;
}

/** What is asked of GitHub. Each throws what GitHub's client does. */
export interface AdoptDoor {
  /** All that the token shows of an organisation or a person. */
  list(owner: string): Promise<ListedRepository[]>;
  /** All files at a branch; undefined where there is no commit yet; throws where GitHub shows only a part of them. */
  readTree(repository: ListedRepository): Promise<TreeEntry[] | undefined>;
  readFile(repository: SourceName, sha: string): Promise<Uint8Array>;
}

/** GitHub takes no more requests for longer than is waited; nothing more is asked of it then. */
export class RateLimited extends Error {
  /** When it takes them again, as it says. */
  readonly until: Date | undefined;
  constructor(until: Date | undefined, cause: unknown) {
    super(`GitHub takes no more requests${until === undefined ? "" : ` until ${until.toISOString()}`}`, { cause });
    this.until = until;
  }
}

/** A change of one file, as it is proposed to a repository. */
export interface OpenDoor {
  /** The newest pull requests of a branch of the repository's own into its default branch. */
  findPulls(repository: ListedRepository, branch: string): Promise<FoundPull[]>;
  /** The commit that a branch is at; undefined where there is no such branch. */
  findBranch(repository: SourceName, branch: string): Promise<string | undefined>;
  createBranch(repository: SourceName, branch: string, commit: string): Promise<void>;
  /** The files that a branch changes of another, by their paths. */
  listChanged(repository: SourceName, base: string, branch: string): Promise<string[]>;
  /** What a file's bytes on a branch are called; undefined where it is not there. */
  findFile(repository: SourceName, path: string, branch: string): Promise<string | undefined>;
  writeFile(
    repository: SourceName,
    file: { path: string; content: string; branch: string; message: string; replaces: string | undefined },
  ): Promise<void>;
  /** @returns its address */
  openPull(repository: ListedRepository, pull: { branch: string; title: string; body: string }): Promise<string>;
}

export interface FoundPull {
  url: string;
  state: "open" | "closed" | "merged";
}

/**
 * opened: a pull request was opened. updated: the one that is open has the caller as it is now. unchanged: it had.
 * there: the default branch has it. closed: somebody closed or merged it, and what it brought is not there. held:
 * something of somebody else's is in its place. failed: GitHub did not let it be done.
 */
export const openedStates = ["opened", "updated", "unchanged", "there", "closed", "held", "failed"] as const;

export interface OpenedCaller {
  state: (typeof openedStates)[number];
  /** Of the pull request. */
  url?: string;
  /** Why it is closed, held or failed. */
  why?: string;
}

/** What the policy has against a repository as it is today. */
export interface AdoptProblem {
  /** Where, in the repository. */
  file?: string;
  /** From 1. */
  line?: number;
  level: "refused" | "warning";
  problem: string;
  wayOut: string;
}

/** Something that would be an image. */
export interface AdoptApplication {
  /** From the repository's root; `.` for that. */
  folder: string;
  /** The module within it that is built, where it needs the whole of the folder; else empty. */
  module: string;
  /** Undefined where the policy lets none be taken. */
  strategy: string | undefined;
  /** Why that one, or what its files ask for. */
  reason: string;
}

/** What an image is built on today, by a file of the repository. */
export interface AdoptBase {
  file: string;
  line: number;
  name: string;
}

export const adoptVerdicts = ["ready", "refused", "nothing", "unknown", "apart"] as const;
/**
 * ready: the policy has nothing against it. refused: it has. nothing: nothing in it looks like an application. unknown:
 * it could not be looked at. apart: it is not looked at, being archived, a fork, disabled or empty.
 */
export type AdoptVerdict = (typeof adoptVerdicts)[number];

export interface AdoptRow {
  /** OWNER/NAME */
  repository: string;
  branch: string;
  verdict: AdoptVerdict;
  /** Why it is unknown or apart. */
  why?: string;
  applications: readonly AdoptApplication[];
  bases: readonly AdoptBase[];
  problems: readonly AdoptProblem[];
  /** Sentences: what it lacks, and what of it was passed over. */
  missing: readonly string[];
  /** What the file is called by git that stands where the caller is put; absent: there is none. */
  callerSha?: string;
  /** What became of its caller, where one was to be opened. */
  opened?: OpenedCaller;
}

/** Where every caller is put. */
export const callerPath = ".github/workflows/golden-path.yml";

export interface AdoptReport {
  owner: string;
  policy: { name: string; serial: number; digest: string };
  /** When the first of its rows was looked at. ISO 8601. */
  lookedAt: string;
  /** GitHub took no more requests: what is left can be asked from then on. ISO 8601, or empty where it does not say. */
  resumeAfter?: string;
  rows: readonly AdoptRow[];
}
