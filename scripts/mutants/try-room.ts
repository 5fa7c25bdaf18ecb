// One process in which a room's mutants are tried, one after another: `scripts/mutants.ts` starts it, and starts it again
// where it hangs.
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { createVitest, ThreadsPoolWorker } from "vitest/node";
import { instrument } from "./instrument.ts";
import { hung, readOutcomes, readTask, writeOutcome } from "./trial.ts";

const task = readTask();
const { sources } = await instrument(task.root, task.mutated);
const conditions = ["goldenpath-source", "node", "import", "default"];

class Worker extends ThreadsPoolWorker {
  override readonly name = "mutants";
  override readonly entrypoint = join(import.meta.dirname, "worker.ts");
}

const vitest = await createVitest(
  "test",
  {
    config: false,
    root: task.root,
    include: [...task.tests],
    watch: false,
    isolate: false,
    maxWorkers: 1,
    maxConcurrency: 1,
    pool: { name: "mutants", createPoolWorker: (options) => new Worker(options) },
    runner: join(import.meta.dirname, "runner.ts"),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: [{}],
    silent: true,
    disableConsoleIntercept: true,
    update: "none",
    // What is changed here is nobody else's.
    fsModuleCachePath: join(dirname(task.outcomes), "modules"),
  },
  {
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    plugins: [{ name: "mutants", enforce: "pre", load: (id) => sources.get(id) }],
  },
);

let seen = { size: 0, cpu: 0 };
const watching = setInterval(() => {
  const { user, system } = process.cpuUsage();
  const cpu = (user + system) / 1e6;
  const { size } = statSync(task.outcomes);
  if (size !== seen.size) seen = { size, cpu };
  const last = readOutcomes(task).at(-1);
  if (cpu - seen.cpu < task.patience || last === undefined || !("trying" in last)) return;
  writeOutcome(task, { mutant: last.trying, status: "Timeout" });
  process.exit(hung);
}, 2000);
watching.unref();

await vitest.start();
await vitest.close();
clearInterval(watching);
// A mutant may leave a promise behind that nobody waits for: what counts is whether all were tried.
const isWhole = readOutcomes(task).some((each) => "whole" in each);
if (!isWhole) for (const error of vitest.state.getUnhandledErrors()) console.error(error);
process.exit(isWhole ? 0 : 1);
