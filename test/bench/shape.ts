import type { ProcessMeasure } from "./process.ts";
import type { Counts } from "./proxy.ts";

/** What `npm run bench -- NAME --json` prints; `version` goes up where a reader of an older one would be wrong. */
export interface BenchReport {
  version: 1;
  bench: string;
  startedAt: string;
  machine: Machine;
  /** Timed runs of each contender; the counted run before them is the warm-up. */
  rounds: number;
  /** Programs that were measured against. */
  peers: Peer[];
  lines: BenchLine[];
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryGigabytes: number;
  node: string;
  /** The load averages of one minute, before and after: whether something else ran. */
  load: [before: number, after: number];
}

export type Peer = { name: string; version: string } | { name: string; missing: string };

export interface BenchLine {
  id: string;
  /** What everybody had to do. */
  what: string;
  /** The least number of requests for it, and how that is counted. Absent where nothing is counted. */
  least?: { requests: number; counted: string };
  rows: BenchRow[];
  aims: Aim[];
}

export interface BenchRow {
  name: string;
  ours: boolean;
  /** How it was called, and what it does less or more than the line says. */
  note: string;
  /** It does all that the line says, and is compared with. */
  compared: boolean;
  /** Why there is no measurement. */
  failed?: string;
  seconds?: Spread;
  cpuSeconds?: Spread;
  peakMegabytes?: number;
  /** Of one run, the counted one. */
  counts?: Counts;
  /** Our median divided by this one's, for each of ours: below 1 we are faster. */
  ratios?: Record<string, number>;
}

/** Of all timed runs. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

export interface Aim {
  /** In words: `copy: requests at most 1.1 times the least possible`. */
  aim: string;
  ours: number;
  /** What it is held against, and whose that is. */
  against: number;
  whose: string;
  /** `ours` divided by `against`. */
  ratio: number;
  /** The largest ratio that holds. */
  limit: number;
  holds: boolean;
}

/** @throws RangeError for no values */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other);
  const [min, max] = [sorted[0], sorted.at(-1)];
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1];
  const high = sorted[Math.floor(middle)];
  if (min === undefined || max === undefined || low === undefined || high === undefined)
    throw new RangeError("the spread of nothing");
  return { median: (low + high) / 2, min, max };
}

export function buildRow(
  { name, ours, note, compared }: Pick<BenchRow, "name" | "ours" | "note" | "compared">,
  measures: readonly ProcessMeasure[],
  counts: Counts,
): BenchRow {
  return {
    name,
    ours,
    note,
    compared,
    counts,
    seconds: spreadOf(measures.map((each) => each.seconds)),
    cpuSeconds: spreadOf(measures.map((each) => each.cpuSeconds)),
    peakMegabytes: Math.max(...measures.map((each) => each.peakMegabytes)),
  };
}

/** Gives every row of a peer what ours take in relation to it. */
export function withRatios(rows: readonly BenchRow[]): BenchRow[] {
  const ours = rows.filter((row) => row.ours && row.compared && row.seconds !== undefined);
  return rows.map((row) => {
    const { seconds } = row;
    if (row.ours || !row.compared || seconds === undefined) return row;
    return {
      ...row,
      ratios: Object.fromEntries(
        ours.map((each) => [each.name, (each.seconds?.median ?? Number.NaN) / seconds.median]),
      ),
    };
  });
}

export function judgeAim(aim: string, ours: number, against: number, whose: string, limit: number): Aim {
  const ratio = ours / against;
  return { aim, ours, against, whose, ratio, limit, holds: ratio <= limit };
}

/** Our row's time against that of the fastest peer that does the whole of it; none where no such peer was measured. */
export function judgeTime(rows: readonly BenchRow[], ours: string, limit: number, words: string): Aim[] {
  const own = rows.find((row) => row.ours && row.name === ours)?.seconds;
  const peers = rows.filter((row) => !row.ours && row.compared && row.seconds !== undefined);
  const best = peers.toSorted((one, other) => (one.seconds?.median ?? 0) - (other.seconds?.median ?? 0))[0];
  if (own === undefined || best?.seconds === undefined) return [];
  return [judgeAim(`${ours}: ${words}`, own.median, best.seconds.median, `${best.name}, s`, limit)];
}

export function judgeRequests(rows: readonly BenchRow[], ours: string, least: number): Aim[] {
  const counted = rows.find((row) => row.ours && row.name === ours)?.counts;
  if (counted === undefined) return [];
  return [
    judgeAim(
      `${ours}: requests within 10 % of the least possible`,
      counted.requests,
      least,
      "the least, requests",
      1.1,
    ),
  ];
}

/** Bytes of memory that a promotion of any size may take. MB of 10⁶ bytes. */
export const memoryLimit = 150;

export function judgeMemory(rows: readonly BenchRow[]): Aim[] {
  return rows
    .filter((row) => row.ours && row.peakMegabytes !== undefined)
    .map((row) =>
      judgeAim(
        `${row.name}: peak memory under ${memoryLimit} MB`,
        row.peakMegabytes ?? Number.NaN,
        memoryLimit,
        "the limit, MB",
        1,
      ),
    );
}
