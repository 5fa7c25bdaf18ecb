import type { ChildProcess } from "node:child_process";
import { basename } from "node:path";
import { InfrastructureError } from "../errors.ts";
import { type Capture, createCapture, createLineReader, type LineReader } from "./capture.ts";
import { forgetGroup, killGroup, ownsGroups, watchGroup } from "./group.ts";
import { abortedError, killedError, outputError, startError, tailOf, timeoutError } from "./process-errors.ts";

export interface ProcessOptions {
  /** All that the program gets to see, its PATH included: nothing is inherited. Undefined values are left out. */
  env: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** What the program reads on its standard input; without it that is empty. */
  input?: string | Uint8Array;
  /**
   * Keeps standard input open until the program has ended, and closes it to stop it: for a program that belongs to
   * another user (through sudo), whom signals of this one don't reach, and that ends with its input.
   */
  holdInput?: boolean;
  /** Milliseconds after which the program is ended. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /**
   * The most of standard output that is kept, in bytes (64 MiB unless told). Of standard error, the last of as much,
   * and never more than 1 MiB, is kept.
   */
  maxOutputBytes?: number;
  /** Called for each line as it comes, without its line end, and of one that is far beyond 64 KiB without the rest. */
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

/** A program that was started, and what has come of it so far. */
interface Run {
  readonly name: string;
  readonly file: string;
  readonly options: ProcessOptions;
  readonly child: ChildProcess;
  readonly stdout: Capture;
  readonly stderr: Capture;
  readonly lines: Readonly<Record<"stdout" | "stderr", LineReader>>;
  readonly timers: Set<NodeJS.Timeout>;
  readonly resolve: (result: ProcessResult) => void;
  readonly reject: (error: Error) => void;
  readonly onAbort: () => void;
  failure: Error | undefined;
  ending: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  settled: boolean;
}

/**
 * Runs a program to its end: no shell, no inherited environment, its own process group. What it leaves running in that
 * group is ended with it. A non-zero exit code is an answer, not an error.
 * @throws InfrastructureError `tool-missing`, `process-not-started`, `process-killed` (by a signal that is not ours),
 *   `process-timeout`, `process-aborted`, `output-too-large`
 */
export function runProcess(file: string, args: readonly string[], options: ProcessOptions): Promise<ProcessResult> {
  const name = basename(file);
  const { signal, onLine } = options;
  if (signal?.aborted) return Promise.reject(abortedError(name, signal));
  return new Promise((resolve, reject) => {
    let child: ChildProcess;
    try {
      child = spawnChild(file, args, options);
    } catch (error) {
      reject(startError(file, options.cwd, error));
      return;
    }
    const run: Run = {
      name,
      file,
      options,
      child,
      stdout: createCapture(options.maxOutputBytes ?? defaultMaxOutput, "refuse"),
      stderr: createCapture(Math.min(options.maxOutputBytes ?? maxDiagnostics, maxDiagnostics), "keep-last"),
      lines: { stdout: createLineReader("stdout", onLine), stderr: createLineReader("stderr", onLine) },
      timers: new Set(),
      resolve,
      reject,
      onAbort: () => {
        if (signal !== undefined) stop(run, abortedError(name, signal));
      },
      failure: undefined,
      ending: undefined,
      settled: false,
    };
    watchGroup(child);
    watchEnd(run);
    readOutput(run);
    giveInput(run);
    const { timeoutMs } = options;
    if (timeoutMs !== undefined)
      after(run, timeoutMs, () => stop(run, timeoutError(name, timeoutMs, run.stderr.text())));
    signal?.addEventListener("abort", run.onAbort, { once: true });
  });
}

function spawnChild(file: string, args: readonly string[], options: ProcessOptions): ChildProcess {
  // Only now: whoever might run a program loads this, and few runs do.
  const { spawn } = process.getBuiltinModule("node:child_process");
  return spawn(file, [...args], {
    cwd: options.cwd,
    env: definedOnly(options.env),
    stdio: [options.input === undefined && options.holdInput !== true ? "ignore" : "pipe", "pipe", "pipe"],
    shell: false,
    windowsHide: true,
    detached: ownsGroups,
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
}

function watchEnd(run: Run): void {
  const { child } = run;
  child.on("error", (error) => {
    // Without a pid nothing was started, so neither "exit" nor "close" can be relied on.
    if (child.pid !== undefined) return;
    run.failure = startError(run.file, run.options.cwd, error);
    settle(run);
  });
  child.on("exit", (code, signal) => {
    run.ending = { code, signal };
    // A descendant may hold the pipes open, and then "close" would never come. One that left the group can't be ended:
    // its pipe is let go.
    after(run, drainTime, () => {
      killGroup(child, "SIGKILL");
      after(run, drainTime, () => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        settle(run);
      });
    });
  });
  child.on("close", () => {
    if (run.ending === undefined) return;
    // What closed its output and stayed is ended as well.
    killGroup(child, "SIGKILL");
    settle(run);
  });
}

function readOutput(run: Run): void {
  const { child, stdout, stderr, lines } = run;
  child.stdout?.on("data", (chunk: Buffer) => {
    if (run.failure !== undefined) return;
    if (stdout.add(chunk)) guarded(run, () => lines.stdout.add(chunk));
    else stop(run, outputError(run.name, run.options.maxOutputBytes ?? defaultMaxOutput));
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr.add(chunk);
    if (run.failure === undefined) guarded(run, () => lines.stderr.add(chunk));
  });
}

function giveInput({ child, options }: Run): void {
  // A program that doesn't read its input to the end (EPIPE) is no error: its exit code says what it thought of it.
  child.stdin?.on("error", () => undefined);
  if (options.holdInput === true) child.stdin?.write(options.input ?? "");
  else child.stdin?.end(options.input);
}

function after(run: Run, milliseconds: number, action: () => void): void {
  run.timers.add(setTimeout(action, milliseconds));
}

function stop(run: Run, reason: Error): void {
  if (run.failure !== undefined || run.settled) return;
  const { child, options } = run;
  run.failure = reason;
  child.stdin?.end();
  killGroup(child, "SIGTERM");
  after(run, options.killGraceMs ?? defaultKillGrace, () => killGroup(child, "SIGKILL"));
}

/** An error of the caller's own `onLine` belongs to the caller, not to this process' uncaught ones. */
function guarded(run: Run, body: () => void): void {
  try {
    body();
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    if (run.settled) run.failure ??= reason;
    else stop(run, reason);
  }
}

function settle(run: Run): void {
  if (run.settled) return;
  const { child, ending, lines, options, stderr } = run;
  run.settled = true;
  for (const timer of run.timers) clearTimeout(timer);
  options.signal?.removeEventListener("abort", run.onAbort);
  forgetGroup(child);
  child.stdin?.destroy();
  if (run.failure === undefined && ending?.signal != null)
    run.failure = killedError(run.name, ending.signal, stderr.text());
  if (run.failure === undefined) {
    guarded(run, () => {
      lines.stdout.end();
      lines.stderr.end();
    });
  }
  if (run.failure !== undefined) run.reject(run.failure);
  else run.resolve({ exitCode: ending?.code ?? -1, stdout: run.stdout.text(), stderr: stderr.text() });
}

/**
 * {@link runProcess} for programs whose only good exit code is 0.
 * @throws InfrastructureError also `process-failed`, with the last 20 lines of standard error (of standard output where
 *   there is none)
 */
export async function runChecked(
  file: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<ProcessResult> {
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
