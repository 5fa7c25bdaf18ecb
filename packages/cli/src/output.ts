import { describeError, isKnownError, PolicyViolation } from "@goldenpath/foundation/errors";
import { cleanTerminal } from "@goldenpath/foundation/text/log";

/** Exit codes of every command: the policy's no and the work that could not be done are two things. */
export const exitCodes = { pass: 0, fail: 1, error: 2 } as const;

/** Where a command writes; tests hand in their own. */
export interface Output {
  /** Results. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  color: boolean;
}

export function terminalOutput(): Output {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    color: process.stdout.isTTY === true && !process.env["NO_COLOR"],
  };
}

/** The last line of defence: whatever a command prints is cleaned, whether or not it has been before. */
export function cleanOutput(output: Output): Output {
  const { color } = output;
  return {
    out: (text) => output.out(cleanTerminal(text, color)),
    err: (text) => output.err(cleanTerminal(text, color)),
    color,
  };
}

/** Prints what a command threw, and gives its exit code. An error that nobody foresaw keeps its stack. */
export function reportError(error: unknown, output: Output): number {
  output.err(`error: ${describeError(error)}\n`);
  if (!isKnownError(error) && error instanceof Error && error.stack !== undefined) output.err(`${error.stack}\n`);
  return error instanceof PolicyViolation ? exitCodes.fail : exitCodes.error;
}
