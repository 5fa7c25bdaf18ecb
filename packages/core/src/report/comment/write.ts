import { describeError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { Part, PartSource } from "./part.ts";
import { type CommentMode, postParts } from "./post.ts";
import type { OpenPullRequest, PullRequest } from "./source.ts";

export interface CommentRequest {
  mode: CommentMode;
  /** Undefined where none was given. */
  token: string | undefined;
}

/**
 * Writes what a report shows into the pull request's comment, and says where that is; the empty string where it is not
 * written. Whatever goes wrong only warns: a comment is for people, and no verdict depends on whether GitHub takes it.
 */
export async function writeComment(
  request: CommentRequest,
  describe: (source: Omit<PartSource, "key">) => readonly Part[],
  context: Context,
  open: OpenPullRequest | undefined,
): Promise<string> {
  const { mode, token } = request;
  const { log } = context.ports;
  if (mode === "never") return "";
  // Who asks for a comment hears why there is none; elsewhere most runs are of no pull request.
  const explain = (why: string): string => {
    if (mode === "always") log.notice(`no comment is written: ${why}`);
    else log.debug(`no comment is written: ${why}`);
    return "";
  };
  if (open === undefined) return explain("it runs outside GitHub Actions");
  if (token === undefined) return explain("there is no token: give the input 'github-token'");
  let pull: PullRequest | undefined;
  try {
    const opened = await open(token, context);
    if ("none" in opened) return explain(opened.none);
    pull = opened;
    return await writeParts(pull, mode, describe({ commit: pull.commit, run: pull.run }));
  } catch (error) {
    context.signal.throwIfAborted();
    log.warning(`the comment could not be written: ${describeError(error)}${wayOut(error)}`);
    return "";
  } finally {
    await pull?.close();
  }

  async function writeParts({ door, commit }: PullRequest, as: Exclude<CommentMode, "never">, parts: readonly Part[]) {
    const posted = await postParts(door, commit, parts, as);
    switch (posted.outcome) {
      case "written":
        log.info(`the comment: ${posted.url}`);
        return posted.url;
      case "nothing-to-say":
        log.info("no comment is written: there is nothing to do, and none to update");
        return "";
      case "outdated":
        log.notice(
          `the comment is left to another run: the pull request's head is ${posted.head} by now, and this is ${commit}`,
        );
        return "";
      case "contended":
        log.warning(`the comment ${posted.url} may be without this report: others wrote it each time at once`);
        return posted.url;
    }
  }
}

function wayOut(error: unknown): string {
  const status = typeof error === "object" && error !== null && "status" in error ? error.status : undefined;
  if (status !== 401 && status !== 403) return "";
  return "\n→ The job needs `permissions: pull-requests: write`. A run of a fork's pull request never has it: its report is written by a workflow of its own (docs/pull-requests.md).";
}
