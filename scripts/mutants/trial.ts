import { appendFileSync, readFileSync } from "node:fs";

/** What one process is asked to try, as JSON in the file that `GOLDENPATH_MUTANTS` names. */
export interface Task {
  /** The repository's root. */
  root: string;
  /** From the repository's root. */
  mutated: readonly string[];
  /** Patterns from the repository's root. */
  tests: readonly string[];
  /** A file of lines of JSON to which each outcome is added, and which says what an earlier process has tried already. */
  outcomes: string;
  /**
   * After how many seconds of CPU without a test's file coming to its end one hangs: not of time, as a machine that does
   * other things besides makes no test hang.
   */
  patience: number;
}

export type Outcome =
  /** Written before it is tried, so that whoever watches knows at what a process hangs. */
  | { trying: string }
  /** By which file's tests. */
  | { mutant: string; status: "Killed" | "Survived" | "NoCoverage" | "Timeout"; by?: string }
  | { covered: Covered[]; hits: Hits }
  | { whole: true };

/** A test's file, and which mutants are reached in it. */
export interface Covered {
  file: string;
  /** Milliseconds for the whole of it, its imports included. */
  ms: number;
  /** Mutants that are reached while it is loaded or set up, so that all of its tests may tell. */
  loading: string[];
  tests: { id: string; mutants: string[] }[];
}

/** The process's exit code where a mutant never came to an end: whoever started it starts another one for the others. */
export const hung = 3;

/** What the process and its tests share, as no module outlives a mutant. */
export interface Trial {
  /** The ids of the tests that may tell, or all. */
  wanted: ReadonlySet<string> | undefined;
  failed: { test: string; isLate: boolean } | undefined;
}

/** As instrumented sources know it. */
export interface Switch {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  /** How often the active mutant was reached, and how often it may be: whoever loops for ever reaches it more often. */
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
  mutantCoverage?: { static: Hits; perTest: Record<string, Hits> } | undefined;
}
export type Hits = Record<string, number>;

const shared = globalThis as { __stryker__?: Switch; __goldenpathTrial__?: Trial };
shared.__stryker__ ??= {};
shared.__goldenpathTrial__ ??= { wanted: undefined, failed: undefined };

export const mutantSwitch: Switch = shared.__stryker__;
export const trial: Trial = shared.__goldenpathTrial__;

export function readTask(): Task {
  return JSON.parse(readFileSync(process.env["GOLDENPATH_MUTANTS"] ?? "", "utf8")) as Task;
}
export function readOutcomes({ outcomes }: Pick<Task, "outcomes">): Outcome[] {
  const lines = readFileSync(outcomes, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Outcome);
}
export function writeOutcome({ outcomes }: Pick<Task, "outcomes">, outcome: Outcome): void {
  appendFileSync(outcomes, `${JSON.stringify(outcome)}\n`);
}
