import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { basename } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { InfrastructureError } from "../errors.ts";

export interface ProcessOptions {
  /** All that the program gets to see, its PATH included: nothing is inherited. Undefined values are left out. */
  env: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** What the program reads on its standard input; without it that is empty. */
  input?: string | Uint8Array;
  /**
   * Keeps standard input open until the program has ended, and closes it to stop it: for a program that belongs to another user (through sudo), whom signals of this one
   * don't reach, and that ends with its input.
   */
  holdInput?: boolean;
  /** Milliseconds after which the program is ended. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** The most of standard output that is kept, in bytes (64 MiB unless told). Of standard error, the last of as much, and never more than 1 MiB, is kept. */
  maxOutputBytes?: number;
  /** Called for each line as it comes, without its line end. */
  onLine?: (line: string, stream: "stdout" | "stderr") => void;
  uid?: number;
  gid?: number;
  /** Milliseconds between the polite signal and the one that can't be refused. */
  killGraceMs?: number;
}

export interface ProcessResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

const defaultMaxOutput = 64 * 1024 * 1024;
const maxDiagnostics = 1024 * 1024;
const defaultKillGrace = 5_000;
/** How long what a finished program left running may go on writing to its output. */
const drainTime = 1_000;
const maxLine = 64 * 1024;
const ownsGroups = process.platform !== "win32";

/**
 * Runs a program to its end: no shell, no inherited environment, its own process group. What it leaves running in that group is ended with it.
 * A non-zero exit code is an answer, not an error.
 * @throws InfrastructureError `tool-missing`, `process-not-started`, `process-killed` (by a signal that is not ours), `process-timeout`, `process-aborted`,
 *   `output-too-large`
 */
export function runProcess(file: string, args: readonly string[], options: ProcessOptions): Promise<ProcessResult> {
  const name = basename(file);
  if (options.signal?.aborted) return Promise.reject(abortedError(name, options.signal));
  return new Promise((resolve, reject) => {
    let child: ChildProcess;
    try {
      child = spawn(file, [...args], {
        cwd: options.cwd,
        env: definedOnly(options.env),
        stdio: [options.input === undefined && options.holdInput !== true ? "ignore" : "pipe", "pipe", "pipe"],
        shell: false,
        windowsHide: true,
        detached: ownsGroups,
        ...(options.uid === undefined ? {} : { uid: options.uid }),
        ...(options.gid === undefined ? {} : { gid: options.gid }),
      });
    } catch (error) {
      reject(startError(file, options.cwd, error));
      return;
    }
    const stdout = createCapture(options.maxOutputBytes ?? defaultMaxOutput, "refuse");
    const stderr = createCapture(Math.min(options.maxOutputBytes ?? maxDiagnostics, maxDiagnostics), "keep-last");
    const lines = { stdout: createLineReader("stdout", options.onLine), stderr: createLineReader("stderr", options.onLine) };
    const timers = new Set<NodeJS.Timeout>();
    const after = (milliseconds: number, action: () => void): void => void timers.add(setTimeout(action, milliseconds));
    let failure: Error | undefined;
    let ending: { code: number | null; signal: NodeJS.Signals | null } | undefined;
    let settled = false;
    watchGroup(child);

    const settle = (): void => {
      if (settled) return;
      settled = true;
      for (const timer of timers) clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      forgetGroup(child);
      child.stdin?.destroy();
      if (failure === undefined && ending?.signal != null) failure = killedError(name, ending.signal, stderr.text());
      if (failure === undefined) {
        guarded(() => {
          lines.stdout.end();
          lines.stderr.end();
        });
      }
      if (failure !== undefined) reject(failure);
      else resolve({ exitCode: ending?.code ?? -1, stdout: stdout.text(), stderr: stderr.text() });
    };
    // An error of the caller's own `onLine` belongs to the caller, not to this process' uncaught ones.
    const guarded = (body: () => void): void => {
      try {
        body();
      } catch (error) {
        const reason = error instanceof Error ? error : new Error(String(error));
        if (settled) failure ??= reason;
        else stop(reason);
      }
    };
    const stop = (reason: Error): void => {
      if (failure !== undefined || settled) return;
      failure = reason;
      child.stdin?.end();
      killGroup(child, "SIGTERM");
      after(options.killGraceMs ?? defaultKillGrace, () => killGroup(child, "SIGKILL"));
    };
    const onAbort = (): void => {
      if (options.signal !== undefined) stop(abortedError(name, options.signal));
    };

    child.on("error", (error) => {
      // Without a pid nothing was started, so neither "exit" nor "close" can be relied on.
      if (child.pid !== undefined) return;
      failure = startError(file, options.cwd, error);
      settle();
    });
    child.on("exit", (code, signal) => {
      ending = { code, signal };
      // A descendant may hold the pipes open, and then "close" would never come. One that left the group can't be ended: its pipe is let go.
      after(drainTime, () => {
        killGroup(child, "SIGKILL");
        after(drainTime, () => {
          child.stdout?.destroy();
          child.stderr?.destroy();
          settle();
        });
      });
    });
    child.on("close", () => {
      if (ending === undefined) return;
      // What closed its output and stayed is ended as well.
      killGroup(child, "SIGKILL");
      settle();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      if (failure !== undefined) return;
      if (stdout.add(chunk)) guarded(() => lines.stdout.add(chunk));
      else stop(outputError(name, options.maxOutputBytes ?? defaultMaxOutput));
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr.add(chunk);
      if (failure === undefined) guarded(() => lines.stderr.add(chunk));
    });
    // A program that doesn't read its input to the end (EPIPE) is no error: its exit code says what it thought of it.
    child.stdin?.on("error", () => undefined);
    if (options.holdInput === true) child.stdin?.write(options.input ?? "");
    else child.stdin?.end(options.input);

    if (options.timeoutMs !== undefined) {
      const limit = options.timeoutMs;
      after(limit, () =>
        stop(
          new InfrastructureError(`${name} did not end within ${limit / 1000} s and was ended${tailOf(stderr.text())}`, {
            code: "process-timeout",
          }),
        ),
      );
    }
    options.signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * {@link runProcess} for programs whose only good exit code is 0.
 * @throws InfrastructureError also `process-failed`, with the last 20 lines of standard error (of standard output where there is none)
 */
export async function runChecked(file: string, args: readonly string[], options: ProcessOptions): Promise<ProcessResult> {
  const result = await runProcess(file, args, options);
  if (result.exitCode === 0) return result;
  // The arguments may hold secrets that nobody has masked yet, so they stay out of the message.
  throw new InfrastructureError(
    `${basename(file)} ended with exit code ${result.exitCode}${tailOf(result.stderr.trim() === "" ? result.stdout : result.stderr)}`,
    { code: "process-failed" },
  );
}

function definedOnly(env: ProcessOptions["env"]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(env)) if (value !== undefined) result[key] = value;
  return result;
}

function createCapture(limit: number, over: "refuse" | "keep-last"): { add(chunk: Buffer): boolean; text(): string } {
  let chunks: Buffer[] = [];
  let size = 0;
  return {
    add(chunk) {
      if (over === "refuse" && size + chunk.length > limit) return false;
      chunks.push(chunk);
      size += chunk.length;
      // Joined at twice the limit and not at each chunk, so that a talkative program costs no quadratic copying.
      if (over === "keep-last" && size > 2 * limit) {
        chunks = [Buffer.concat(chunks).subarray(-limit)];
        size = limit;
      }
      return true;
    },
    text() {
      const all = Buffer.concat(chunks);
      return (all.length > limit ? all.subarray(-limit) : all).toString("utf8");
    },
  };
}

function createLineReader(stream: "stdout" | "stderr", onLine: ProcessOptions["onLine"]): { add(chunk: Buffer): void; end(): void } {
  if (onLine === undefined) return { add: () => undefined, end: () => undefined };
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return {
    add(chunk) {
      const lines = (rest + decoder.write(chunk)).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line, stream);
      // Something without line ends must not grow without bound here as well.
      if (rest.length > maxLine) {
        onLine(rest, stream);
        rest = "";
      }
    },
    end() {
      rest += decoder.end();
      if (rest !== "") onLine(rest, stream);
      rest = "";
    },
  };
}

const liveGroups = new Set<ChildProcess>();

function endAllGroups(): void {
  for (const child of liveGroups) killGroup(child, "SIGKILL");
}

/** A process group of its own does not get the terminal's or the runner's signals, so this process takes its children with it when it exits. */
function watchGroup(child: ChildProcess): void {
  if (liveGroups.size === 0) process.on("exit", endAllGroups);
  liveGroups.add(child);
}

function forgetGroup(child: ChildProcess): void {
  liveGroups.delete(child);
  if (liveGroups.size === 0) process.off("exit", endAllGroups);
}

function killGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  try {
    if (ownsGroups) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // ESRCH: nobody is left in the group, which is what was wanted.
  }
}

function abortedError(name: string, signal: AbortSignal): InfrastructureError {
  return new InfrastructureError(`${name} was stopped because the run was cancelled`, { code: "process-aborted", cause: signal.reason });
}

function outputError(name: string, limit: number): InfrastructureError {
  return new InfrastructureError(`${name} wrote more than ${limit} bytes and was ended`, { code: "output-too-large", safeToRetry: false });
}

function killedError(name: string, signal: string, stderr: string): InfrastructureError {
  return new InfrastructureError(`${name} was killed by ${signal}${tailOf(stderr)}`, {
    code: "process-killed",
    ...(signal === "SIGKILL" ? { wayOut: "Look for the out-of-memory killer on this machine, or give the job more memory." } : {}),
  });
}

function startError(file: string, cwd: string | undefined, error: unknown): InfrastructureError {
  const errno = error instanceof Error && "code" in error ? String(error.code) : "";
  // spawn reports a missing working directory as a missing program.
  if (errno === "ENOENT" && cwd !== undefined && statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return new InfrastructureError(`${basename(file)} can't be started in '${cwd}': there is no such directory`, {
      code: "process-not-started",
      cause: error,
    });
  }
  if (errno === "ENOENT" || errno === "EACCES") {
    return new InfrastructureError(`${file} ${errno === "ENOENT" ? "is not on this machine" : "is not a program that this user may run"}`, {
      code: "tool-missing",
      wayOut: `Install ${basename(file)}, or put the directory that has it in PATH.`,
      safeToRetry: false,
      cause: error,
    });
  }
  return new InfrastructureError(`${basename(file)} can't be started: ${error instanceof Error ? error.message : String(error)}`, {
    code: "process-not-started",
    cause: error,
  });
}

function tailOf(output: string): string {
  const lines = output.trimEnd().split(/\r?\n/);
  return lines.join("").trim() === "" ? "" : `:\n${lines.slice(-20).join("\n")}`;
}
