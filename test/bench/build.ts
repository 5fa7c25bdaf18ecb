import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeError } from "@goldenpath/foundation/errors";
import type { RegistryServer } from "@goldenpath/registry-server/server";
import {
  prepareDockerfileAgain,
  prepareDockerfileChanged,
  prepareDockerfileNew,
  preparePackAgain,
  preparePackChanged,
} from "./build-caches.ts";
import { prepareDockerfileLine } from "./build-dockerfile.ts";
import { prepareJibLine, prepareSpringBootLine } from "./build-java.ts";
import type { BuildContender, BuildStand } from "./build-line.ts";
import { preparePackLine } from "./build-pack.ts";
import type { FindProgram } from "./build-programs.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type Counts, kindOf } from "./proxy.ts";
import { type BenchLine, type BenchRow, judgeTime, spreadOf, withRatios } from "./shape.ts";

const stands = {
  pack: preparePackLine,
  "spring-boot": prepareSpringBootLine,
  jib: prepareJibLine,
  dockerfile: prepareDockerfileLine,
  "pack-again": preparePackAgain,
  "pack-changed": preparePackChanged,
  "dockerfile-again": prepareDockerfileAgain,
  "dockerfile-changed": prepareDockerfileChanged,
  "dockerfile-new": prepareDockerfileNew,
} as const satisfies Readonly<Record<string, (directory: string, find: FindProgram) => Promise<BuildStand>>>;
type LineId = keyof typeof stands;
export const buildLines = Object.keys(stands) as LineId[];

/** Milliseconds from a hosted runner to its registry and back, about. */
const farAway = 20;

/** What goldenpath may add to a build by hand, whichever is more. Seconds, and parts of it. */
const allowance = { seconds: 1, part: 0.05 };

export interface BuildBench {
  rounds: number;
  /** Lines by their names; all where there is none. */
  only: readonly string[];
  find: FindProgram;
  say(message: string): void;
  onLine?(line: BenchLine): void;
}

/**
 * What goldenpath adds to a build: the same application, to the same registry, by the field's own programs as one would
 * call them, and through goldenpath. Needs root, for a daemon.
 */
export async function benchBuild(bench: BuildBench): Promise<BenchLine[]> {
  const lines: BenchLine[] = [];
  for (const id of buildLines.filter((each) => bench.only.length === 0 || bench.only.includes(each)))
    lines.push(...(await benchLine(id, bench)));
  return lines;
}

/** Beside the registry, and with the same registry as far away as a job's: who asks it less is faster then. */
async function benchLine(id: LineId, bench: BuildBench): Promise<BenchLine[]> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  let stand: BuildStand | undefined;
  try {
    await chmod(directory, 0o755);
    bench.say(`${id}: what it takes`);
    stand = await stands[id](directory, bench.find);
    const lines: BenchLine[] = [];
    for (const latency of [0, farAway]) {
      stand.registry.settings.latency = latency;
      const name = latency === 0 ? id : `${id}-far`;
      const rows = withRatios(await measureAll(name, stand, directory, bench));
      const what = latency === 0 ? stand.what : `${stand.what}, ${latency} ms a request to the registry`;
      const line: BenchLine = { id: name, what, rows, aims: judgeAdded(rows) };
      bench.onLine?.(line);
      lines.push(line);
    }
    return lines;
  } finally {
    await stand?.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** In turn, so that what the machine does besides is everybody's. The first round is the warm-up. */
async function measureAll(
  id: string,
  { contenders, registry }: Pick<BuildStand, "contenders" | "registry">,
  directory: string,
  { rounds, say }: Pick<BuildBench, "rounds" | "say">,
): Promise<BenchRow[]> {
  const measures = new Map<string, ProcessMeasure[]>(contenders.map(({ name }) => [name, []]));
  const failures = new Map<string, string>();
  const counts = new Map<string, Counts>();
  for (let round = 0; round <= rounds; round++) {
    for (const { name, argv, env, before } of contenders) {
      if (failures.has(name)) continue;
      say(`${id}: ${name}, ${round === 0 ? "warm-up" : `round ${round}`}`);
      try {
        await before?.();
        registry.requests.length = 0;
        const measure = await measureProcess({ argv, env }, directory);
        if (round === 0) continue;
        measures.get(name)?.push(measure);
        counts.set(name, countRequests(registry.requests));
      } catch (error) {
        failures.set(name, describeError(error));
      }
    }
  }
  return contenders.map((each) => {
    const row = describeRow(each, measures.get(each.name) ?? [], failures.get(each.name));
    const counted = counts.get(each.name);
    return row.failed === undefined && counted !== undefined ? { ...row, counts: counted } : row;
  });
}

/** Of the last round. */
function countRequests(requests: RegistryServer["requests"]): Counts {
  const byKind: Record<string, number> = {};
  for (const { method, path, query } of requests) {
    const kind = `${method} ${kindOf(`${path}?${query}`)}`;
    byKind[kind] = (byKind[kind] ?? 0) + 1;
  }
  const sum = (bytes: readonly number[]): number => bytes.reduce((all, each) => all + each, 0);
  return {
    requests: requests.length,
    byKind,
    bytesSent: sum(requests.map(({ bytesIn }) => bytesIn)),
    bytesReceived: sum(requests.map(({ bytesOut }) => bytesOut)),
  };
}

function describeRow(
  { name, ours, note, compared }: BuildContender,
  measures: readonly ProcessMeasure[],
  failed: string | undefined,
): BenchRow {
  const row = { name, ours, note, compared };
  if (failed !== undefined || measures.length === 0) return { ...row, failed: failed ?? "it was not measured" };
  return {
    ...row,
    seconds: spreadOf(measures.map(({ seconds }) => seconds)),
    cpuSeconds: spreadOf(measures.map(({ cpuSeconds }) => cpuSeconds)),
    peakMegabytes: Math.max(...measures.map(({ peakMegabytes }) => peakMegabytes)),
  };
}

/** Against the way by hand that the line is about, its first; others beside it only show what there is. */
export function judgeAdded(rows: readonly BenchRow[]): BenchLine["aims"] {
  const peer = rows.find(({ ours, compared }) => !ours && compared);
  const seconds = peer?.seconds?.median;
  if (peer === undefined || seconds === undefined) return [];
  const limit = Math.max((seconds + allowance.seconds) / seconds, 1 + allowance.part);
  return rows
    .filter((row) => row.ours)
    .flatMap(({ name }) => judgeTime([...rows.filter(({ ours }) => ours), peer], name, limit, words));
}

const words = "at most 1 s or 5 % over it by hand";
