import { describeError, InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";

/** Linux says ENOSPC of watches on files as well, of which a user may have only so many on any disk (inotify(7)). */
const noSpace =
  /no space left on device|disk quota exceeded|\bENOSPC\b(?!: System limit for number of file watchers)|\bEDQUOT\b/i;

/**
 * A build that failed since its disk was full → an error that says so; any other one as it is. A compiler or builder
 * that could not write tells its own failure and the reason in between: who reads only the former looks for a mistake
 * in the application.
 */
export function tellFullDisk(error: unknown, temporary: string): unknown {
  if (!isFullDisk(error)) return error;
  return new InfrastructureError(`the disk is full: ${isKnownError(error) ? error.message : describeError(error)}`, {
    code: "disk-full",
    cause: error,
    wayOut: `Free room below /var/tmp, where builds are made, and below ${temporary}, or build on a machine with a larger disk; then run again: no tag was set.`,
  });
}

/** By the system's own word, or by that of the program that ran into it. */
function isFullDisk(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT")) return true;
  return isKnownError(error) && (noSpace.test(error.message) || isFullDisk(error.cause));
}

/** What a shell, Go and Node.js say of a process that was killed outright. */
const killed = /\bexit (?:status|code):? 137\b|signal: killed|\bSIGKILL\b|^Killed$/im;

/** For the way out; empty where nothing was killed. */
export function explainKill(output: string): string {
  return killed.test(output)
    ? " A process of the build was killed, as a machine does whose memory is used up: give the runner more of it, or let the build run fewer things at once."
    : "";
}
