import { statSync } from "node:fs";
import { basename } from "node:path";
import { InfrastructureError } from "../errors.ts";

export function abortedError(name: string, signal: AbortSignal): InfrastructureError {
  return new InfrastructureError(`${name} was stopped because the run was cancelled`, {
    code: "process-aborted",
    cause: signal.reason,
  });
}

export function outputError(name: string, limit: number): InfrastructureError {
  return new InfrastructureError(`${name} wrote more than ${limit} bytes and was ended`, {
    code: "output-too-large",
    safeToRetry: false,
  });
}

export function timeoutError(name: string, limitMs: number, stderr: string): InfrastructureError {
  return new InfrastructureError(`${name} did not end within ${limitMs / 1000} s and was ended${tailOf(stderr)}`, {
    code: "process-timeout",
  });
}

export function killedError(name: string, signal: string, stderr: string): InfrastructureError {
  return new InfrastructureError(`${name} was killed by ${signal}${tailOf(stderr)}`, {
    code: "process-killed",
    ...(signal === "SIGKILL"
      ? { wayOut: "Look for the out-of-memory killer on this machine, or give the job more memory." }
      : {}),
  });
}

export function startError(file: string, cwd: string | undefined, error: unknown): InfrastructureError {
  const errno = error instanceof Error && "code" in error ? String(error.code) : "";
  // spawn reports a missing working directory as a missing program.
  if (errno === "ENOENT" && cwd !== undefined && statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return new InfrastructureError(`${basename(file)} can't be started in '${cwd}': there is no such directory`, {
      code: "process-not-started",
      cause: error,
    });
  }
  if (errno === "ENOENT" || errno === "EACCES") {
    return new InfrastructureError(
      `${file} ${errno === "ENOENT" ? "is not on this machine" : "is not a program that this user may run"}`,
      {
        code: "tool-missing",
        wayOut: `Install ${basename(file)}, or put the directory that has it in PATH.`,
        safeToRetry: false,
        cause: error,
      },
    );
  }
  return new InfrastructureError(
    `${basename(file)} can't be started: ${error instanceof Error ? error.message : String(error)}`,
    {
      code: "process-not-started",
      cause: error,
    },
  );
}

/** The last lines of what a program wrote, for the end of a message. */
export function tailOf(output: string): string {
  const lines = output.trimEnd().split(/\r?\n/);
  return lines.join("").trim() === "" ? "" : `:\n${lines.slice(-20).join("\n")}`;
}
