import { parentPort } from "node:worker_threads";
import type { WorkerGlobalState } from "vitest";
import { init, runBaseTests, setupEnvironment } from "vitest/worker";
import { instrument } from "./instrument.ts";
import {
  type Covered,
  type Hits,
  mutantSwitch,
  type Outcome,
  readOutcomes,
  readTask,
  trial,
  writeOutcome,
} from "./trial.ts";

type Traces = Parameters<typeof runBaseTests>[2];

const port = parentPort;
if (port === null) throw new TypeError("a thread of Vitest's, and no process");
init({
  post: (response) => port.postMessage(response),
  on: (listen) => port.on("message", listen),
  off: (listen) => port.off("message", listen),
  setup: setupEnvironment,
  collectTests: () => undefined,
  runTests: tryAll,
});

/** With all of a room's mutants in one process most of the time goes to the tests alone. */
async function tryAll(state: WorkerGlobalState, traces: Traces): Promise<void> {
  const task = readTask();
  const { mutants } = await instrument(task.root, task.mutated);
  const files = state.ctx.files.map(({ filepath }) => filepath);
  const run: Run = async (file, isFresh) => {
    state.config.isolate = isFresh;
    state.ctx.files = [{ filepath: file, testLocations: undefined }];
    await runBaseTests("run", state, traces);
  };
  const earlier = readOutcomes(task);
  const known = earlier.find((each) => "covered" in each);
  const plan = known ?? (await findCovered(files, run));
  if (known === undefined) writeOutcome(task, plan);
  const tried = new Set(earlier.flatMap((each) => ("mutant" in each ? [each.mutant] : [])));
  const kills = new Map<string, number>();
  for (const { id, file } of mutants) {
    if (tried.has(id)) continue;
    const killedBy = (test: string) => kills.get(`${file} ${test}`) ?? 0;
    const outcome = await tryMutant(id, orderTrials(id, plan, killedBy), plan.hits[id] ?? 0, async (file, isFresh) => {
      writeOutcome(task, { trying: id });
      await run(file, isFresh);
    });
    if (outcome.by !== undefined) kills.set(`${file} ${outcome.by}`, killedBy(outcome.by) + 1);
    writeOutcome(task, outcome);
  }
  writeOutcome(task, { whole: true });
}

type Plan = Extract<Outcome, { covered: unknown }>;
type Tried = Extract<Outcome, { mutant: string }>;
/** With each module evaluated again, or with those that a file before has left. */
type Run = (file: string, isFresh: boolean) => Promise<void>;

/** Runs each test with no mutant, and notes what it reaches. */
async function findCovered(files: readonly string[], run: Run): Promise<Plan> {
  const covered: Covered[] = [];
  const hits: Hits = {};
  for (const file of files) {
    const start = performance.now();
    const found: { static: Hits; perTest: Record<string, Hits> } = { static: {}, perTest: {} };
    mutantSwitch.mutantCoverage = found;
    Object.assign(trial, { wanted: undefined, failed: undefined });
    await run(file, true);
    if (trial.failed !== undefined) throw new Error(`without any mutant a test of ${file} fails: ${trial.failed.test}`);
    for (const each of [found.static, ...Object.values(found.perTest)])
      for (const [id, count] of Object.entries(each)) hits[id] = (hits[id] ?? 0) + count;
    covered.push({
      file,
      ms: performance.now() - start,
      loading: Object.keys(found.static),
      tests: Object.entries(found.perTest).map(([id, reached]) => ({ id, mutants: Object.keys(reached) })),
    });
  }
  return { covered, hits };
}

interface Trying {
  file: string;
  /** The tests' ids, or undefined for all. */
  wanted: ReadonlySet<string> | undefined;
  ms: number;
}

/** Whoever is quick and has failed at others of the same source goes first, as most mutants are tried no further. */
function orderTrials(id: string, { covered }: Plan, killedBy: (file: string) => number): Trying[] {
  const weigh = ({ file, ms }: Trying) => (killedBy(file) + 1) / (ms + 50);
  return covered
    .flatMap(({ file, ms, loading, tests }): Trying[] => {
      if (loading.includes(id)) return [{ file, wanted: undefined, ms }];
      const reached = tests.filter(({ mutants }) => mutants.includes(id)).map((test) => test.id);
      if (reached.length === 0) return [];
      return [{ file, wanted: new Set(reached), ms: (ms * reached.length) / tests.length }];
    })
    .toSorted((a, b) => weigh(b) - weigh(a));
}

async function tryMutant(id: string, trials: readonly Trying[], hits: number, run: Run): Promise<Tried> {
  if (trials.length === 0) return { mutant: id, status: "NoCoverage" };
  // Whatever a module keeps of one mutant would have the next one judged by it.
  let isFresh = true;
  for (const { file, wanted } of trials) {
    // A machine that stood still makes a test late as well: who is late twice hangs.
    for (let time = 1; time <= 2; time += 1) {
      const hitLimit = hits * 100 + 1000;
      Object.assign(mutantSwitch, { activeMutant: id, hitCount: 0, hitLimit, mutantCoverage: undefined });
      Object.assign(trial, { wanted, failed: undefined });
      await run(file, isFresh);
      isFresh = trial.failed?.isLate === true;
      if ((mutantSwitch.hitCount ?? 0) > hitLimit) return { mutant: id, status: "Timeout", by: file };
      if (!isFresh) break;
    }
    if (trial.failed !== undefined) return { mutant: id, status: isFresh ? "Timeout" : "Killed", by: file };
  }
  return { mutant: id, status: "Survived" };
}
