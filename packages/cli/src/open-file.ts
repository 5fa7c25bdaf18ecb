import { describeError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";

/** Who shows a file to a person, by system. */
const openers: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: "open", win32: "explorer.exe" };

/** Milliseconds: an opener hands the file to a browser, and ends. */
const timeoutMs = 15_000;

/**
 * Shows a file by what the person's system has for that: undefined where it did, else why not. It fails no command: what
 * there is to see is in the file.
 */
export async function openFile(file: string, env: Readonly<NodeJS.ProcessEnv>): Promise<string | undefined> {
  const opener = openers[process.platform] ?? "xdg-open";
  try {
    const { exitCode } = await runProcess(opener, [file], { env, timeoutMs });
    // explorer.exe ends with 1 when it has shown what it was asked for.
    return exitCode === 0 || opener === "explorer.exe" ? undefined : `${opener} ended with ${exitCode}`;
  } catch (error) {
    return describeError(error);
  }
}
