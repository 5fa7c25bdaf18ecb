import type { Context } from "@goldenpath/foundation/ports";
import type { OpenCheckRun } from "../check/write.ts";
import type { Part } from "./part.ts";
import type { PullRequestDoor } from "./post.ts";

/** The pull request that a run is of. */
export interface PullRequest {
  door: PullRequestDoor;
  /** Of the head that the run judged, by its event. */
  commit: string;
  run: Part["run"];
  close(): Promise<void>;
}

/**
 * Opens the pull request of the run; undefined where it is of none, with the reason.
 * @param token the job's, or another that may comment
 */
export type OpenPullRequest = (
  token: string,
  context: Pick<Context, "ports" | "env" | "signal">,
) => Promise<PullRequest | { none: string }>;

/** A file of an artifact, which nobody has looked at. */
export interface ArtifactFile {
  /** The artifact's name and the file's in it. */
  name: string;
  text: string;
}

/**
 * The files of another run's artifacts whose names are `name`, or begin with it and a dash, and which `accepts` takes by
 * their base name. They are a stranger's: what is too large, too many or oddly named is an error.
 * @throws UserError `artifact-invalid`, `input-invalid` (the run was not started by another one's end);
 *   InfrastructureError `github-error`
 */
export type ReadArtifacts = (
  name: string,
  accepts: (file: string) => boolean,
  token: string,
  context: Pick<Context, "ports" | "env" | "signal">,
) => Promise<ArtifactFile[]>;

/** What a report asks of GitHub. */
export interface GithubSource {
  openCheckRun: OpenCheckRun;
  openPullRequest: OpenPullRequest;
  readArtifacts: ReadArtifacts;
}
