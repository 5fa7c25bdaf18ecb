import type { Context } from "@goldenpath/foundation/ports";
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
