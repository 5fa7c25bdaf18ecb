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
}

export interface AdoptReport {
  owner: string;
  policy: { name: string; serial: number };
  rows: readonly AdoptRow[];
}
