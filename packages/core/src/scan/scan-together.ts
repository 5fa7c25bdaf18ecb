import { isKnownError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { DatabasePlace } from "./database.ts";
import type { PreparedScanner } from "./prepare.ts";
import type { Scanner, ScannerRun } from "./scanners/scanner.ts";

/** SBOMs in one run of a scanner: what they need of memory, theirs and the scanner's, grows with them. */
const maxTogether = 40;

interface Waiting {
  sbomFile: string;
  resolve(run: ScannerRun): void;
  reject(error: unknown): void;
}

/**
 * The same scanners for many images that are looked at side by side: one run at a time of each, of all SBOMs that wait
 * for it. Where such a run fails, each of them is scanned alone, so that what is wrong with one image is that one's
 * failure.
 */
export function scanTogether(prepared: readonly PreparedScanner[]): PreparedScanner[] {
  return prepared.map(({ scanner, database }) => ({ scanner: gather(scanner), database }));
}

function gather(scanner: Scanner): Scanner {
  const waiting: Waiting[] = [];
  const answers = new Map<string, Promise<boolean>>();
  let isRunning = false;
  const work = async (database: DatabasePlace, context: Context): Promise<void> => {
    isRunning = true;
    while (waiting.length > 0) {
      // Whoever is about to ask as well does so before this goes on.
      await new Promise((resolve) => setImmediate(resolve));
      await runOnce(scanner, waiting.splice(0, maxTogether), database, context);
    }
    isRunning = false;
  };
  return {
    ...scanner,
    scan: (sbomFile, database, context) =>
      new Promise((resolve, reject) => {
        waiting.push({ sbomFile, resolve, reject });
        if (!isRunning) void work(database, context);
      }),
    knowsSystem: (system, database, context) => {
      const key = JSON.stringify([system.name, system.version]);
      const answer = answers.get(key) ?? scanner.knowsSystem(system, database, context);
      answers.set(key, answer);
      // Not to be able to say is no answer: the next one asks anew.
      answer.catch(() => answers.delete(key));
      return answer;
    },
  };
}

/** Settles each of them; never throws. */
async function runOnce(
  scanner: Scanner,
  batch: readonly Waiting[],
  database: DatabasePlace,
  context: Context,
): Promise<void> {
  if (scanner.scanTogether !== undefined && batch.length > 1) {
    const files = batch.map(({ sbomFile }) => sbomFile);
    try {
      const runs = await scanner.scanTogether(files, database, context);
      if (runs.length !== files.length) throw new TypeError(`${scanner.name} says nothing of some of its SBOMs`);
      runs.forEach((run, index) => {
        batch[index]?.resolve(run);
      });
      return;
    } catch (error) {
      // Each one's own scan below says what is wrong, or that nothing is; a mistake of this program is told as it is. A
      // RangeError is what JavaScript has for a text that is too long, which they may be together.
      if (!isKnownError(error) && !(error instanceof RangeError)) {
        for (const { reject } of batch) reject(error);
        return;
      }
    }
  }
  for (const { sbomFile, resolve, reject } of batch)
    await scanner.scan(sbomFile, database, context).then(resolve, reject);
}
