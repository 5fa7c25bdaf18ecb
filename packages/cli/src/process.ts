import { surviveClosedPipes } from "@goldenpath/foundation/exec/closed-pipes";
import { main } from "./main.ts";
import { exitCodes } from "./output.ts";

/**
 * The command line as a process: sets its exit code. Output that was lost to anything but a reader who has gone (a full
 * disk) makes a pass an error.
 */
export async function runProcess(args: readonly string[]): Promise<void> {
  const watch = surviveClosedPipes();
  process.exitCode = await main(args);
  // A stream's error comes after the write that it is about.
  process.once("beforeExit", () => {
    if (watch.failure() !== undefined && process.exitCode === exitCodes.pass) process.exitCode = exitCodes.error;
    // All is written, and nothing is under way: to take the heap apart first would only keep whoever waits.
    process.exit();
  });
}
