/** A change to a source, as Stryker makes it, at which no test fails. */
export interface Mutant {
  /** From the repository's root. */
  file: string;
  /** The source's line on which it begins, as what stands there can stand in the file twice. */
  line: string;
  mutator: string;
  /** What stands there, and what is put in its place. */
  original: string;
  replacement: string;
}

/** One that may survive, and why no test can or need fail at it. */
export type Accepted = Mutant & { reason: string };

/** What decides together, and is tried together. */
export interface Room {
  /** Files from the repository's root. */
  mutated: readonly string[];
  /** Fast ones alone, as each runs once for every mutant that it covers. */
  tests: readonly string[];
  accepted: readonly Accepted[];
}

/** A report of Stryker's, as far as it is read (mutation-testing-report-schema 2). */
export interface MutationReport {
  files: Record<string, { source: string; mutants: readonly ReportedMutant[] }>;
}
interface ReportedMutant {
  mutatorName: string;
  replacement?: string;
  status: string;
  location: Record<"start" | "end", { line: number; column: number }>;
}

/**
 * Of these, a test has failed or never came to an end. Whatever else survives: an error of the run is no test's doing,
 * and where every mutant ends in one, nothing was tried.
 */
const dead = new Set(["Killed", "Timeout"]);

export function listSurvivors({ files }: MutationReport): Mutant[] {
  return Object.entries(files).flatMap(([file, { source, mutants }]) =>
    mutants
      .filter(({ status }) => !dead.has(status))
      .map(({ mutatorName, replacement = "", location }) => ({
        file,
        line: (source.split("\n")[location.start.line - 1] ?? "").trim(),
        mutator: mutatorName,
        original: cut(source, location),
        replacement,
      })),
  );
}

/**
 * Of the files that were to be mutated those of which nothing was, or at whose mutants hardly a test failed: a tree in
 * which nothing runs, or a machine on which all is too slow, says nothing of the tests.
 */
export function listUntried(files: readonly string[], report: MutationReport): string[] {
  return files.flatMap((file) => {
    const mutants = report.files[file]?.mutants ?? [];
    if (mutants.length === 0) return [`nothing of ${file} was mutated`];
    const killed = mutants.filter(({ status }) => status === "Killed").length;
    if (killed * 2 >= mutants.length) return [];
    return [`a test fails at ${killed} of ${mutants.length} mutants of ${file}: expected half of them or more`];
  });
}

/** What keeps a run from passing: who survives and is not listed, and who is listed and survives no more. */
export function judgeSurvivors(survivors: readonly Mutant[], accepted: readonly Accepted[]): string[] {
  const isSame = (a: Mutant, b: Mutant): boolean =>
    a.file === b.file &&
    a.line === b.line &&
    a.mutator === b.mutator &&
    a.original === b.original &&
    a.replacement === b.replacement;
  return [
    ...survivors
      .filter((each) => !accepted.some((known) => isSame(each, known)))
      .map((each) => `no test fails at ${describe(each)}`),
    ...accepted
      .filter((known) => !survivors.some((each) => isSame(each, known)))
      .map((known) => `listed as a survivor, and is none: ${describe(known)}`),
    ...accepted
      .filter(({ reason }) => reason.trim() === "")
      .map((known) => `listed without a reason: ${describe(known)}`),
  ];
}

function describe({ file, line, mutator, original, replacement }: Mutant): string {
  return `${file}, ${mutator}: ${original} → ${replacement} (in: ${line})`;
}

/** Lines and columns from 1, the end exclusive. */
function cut(source: string, { start, end }: ReportedMutant["location"]): string {
  const lines = source.split("\n").slice(start.line - 1, end.line);
  const last = lines.length - 1;
  lines[last] = (lines[last] ?? "").slice(0, end.column - 1);
  lines[0] = (lines[0] ?? "").slice(start.column - 1);
  return lines.join("\n");
}
