import { describeError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { Part, PartSource } from "../comment/part.ts";
import type { CommentMode } from "../comment/post.ts";
import { annotationsPerRequest, type CheckAnnotation, type CheckRunPlan } from "./plan.ts";

/** A commit, to whoever leaves check runs beside it. All of it may fail, as the network does. */
export interface CheckRunDoor {
  /** @returns what it is changed by, and where it is */
  create(run: CheckRunPlan): Promise<{ id: number; url: string }>;
  /** Adds annotations; those of before stay. */
  annotate(id: number, run: Pick<CheckRunPlan, "title" | "summary">, more: readonly CheckAnnotation[]): Promise<void>;
}

/** Where a run leaves a check run. */
export interface CheckRunPlace {
  door: CheckRunDoor;
  /** That is shown with it. */
  commit: string;
  run: Part["run"];
  close(): Promise<void>;
}

/**
 * Opens the commit that the run judges, for check runs; with the reason where it must not leave any there.
 * @param token the job's, or an app's
 */
export type OpenCheckRun = (
  token: string,
  context: Pick<Context, "ports" | "env" | "signal">,
) => Promise<CheckRunPlace | { none: string }>;

export interface CheckRunRequest {
  mode: CommentMode;
  /** Undefined where none was given. */
  token: string | undefined;
  /** What is told is a stranger's: a check run of it would be a verdict by somebody who may not give one. */
  isClaimed: boolean;
}

/**
 * Leaves what a report shows as a check run beside the commit, and says where that is; the empty string where there is
 * none. Many tokens may not write any, so that `auto` tries and is silent; nothing that goes wrong here fails a step.
 */
export async function writeCheckRun(
  request: CheckRunRequest,
  plan: (source: Omit<PartSource, "key">) => CheckRunPlan,
  context: Context,
  open: OpenCheckRun | undefined,
): Promise<string> {
  const { mode, token, isClaimed } = request;
  const { log } = context.ports;
  if (mode === "never") return "";
  const explain = (why: string): string => {
    if (mode === "always") log.notice(`no check run is written: ${why}`);
    else log.debug(`no check run is written: ${why}`);
    return "";
  };
  if (isClaimed) return explain("what another run claims is no verdict");
  if (open === undefined) return explain("it runs outside GitHub Actions");
  if (token === undefined) return explain("there is no token: give the input 'github-token'");
  let place: CheckRunPlace | undefined;
  try {
    const opened = await open(token, context);
    if ("none" in opened) return explain(opened.none);
    place = opened;
    const { door, commit, run } = place;
    return await leave(door, plan({ commit, run }));
  } catch (error) {
    context.signal.throwIfAborted();
    if (mode !== "always" && isForbidden(error)) return explain(describeError(error));
    const way = isForbidden(error) ? "\n→ The job needs `permissions: checks: write`." : "";
    log.warning(`the check run could not be written: ${describeError(error)}${way}`);
    return "";
  } finally {
    await place?.close();
  }

  /** With its verdict at once, so that one whose annotations come too late is none the less there. */
  async function leave(door: CheckRunDoor, planned: CheckRunPlan): Promise<string> {
    const first = planned.annotations.slice(0, annotationsPerRequest);
    const { id, url } = await door.create({ ...planned, annotations: first });
    try {
      for (let at = first.length; at < planned.annotations.length; at += annotationsPerRequest)
        await door.annotate(id, planned, planned.annotations.slice(at, at + annotationsPerRequest));
    } catch (error) {
      context.signal.throwIfAborted();
      log.warning(`the check run has not all of its annotations: ${describeError(error)}`);
    }
    log.info(`the check run: ${url}`);
    return url;
  }
}

/** As GitHub answers a token that may not: it also says that there is no such thing. */
function isForbidden(error: unknown): boolean {
  const status = typeof error === "object" && error !== null && "status" in error ? error.status : undefined;
  return status === 401 || status === 403 || status === 404;
}
