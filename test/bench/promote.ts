import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "@goldenpath/foundation/errors";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import {
  type Contender,
  copyContender,
  type Job,
  type Programs,
  peerContenders,
  promoteContender,
  resultsOf,
} from "./contenders.ts";
import { type Least, leastForCopy, leastForPromotion, type Move } from "./least.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import type { Counts } from "./proxy.ts";
import {
  type Aim,
  type BenchLine,
  type BenchRow,
  buildRow,
  judgeMemory,
  judgeRequests,
  judgeTime,
  withRatios,
} from "./shape.ts";
import { type BenchImages, type BenchRegistry, type BenchWorld, makeImages, openWorld } from "./world.ts";

export interface PromoteSizes {
  rounds: number;
  many: number;
  streamLayers: number;
  streamLayerBytes: number;
  bigLayerBytes: number;
}

export const fullSizes: PromoteSizes = {
  rounds: 5,
  many: 100,
  streamLayers: 10,
  streamLayerBytes: 50 * 2 ** 20,
  bigLayerBytes: 2 ** 30,
};

export interface PromoteBench {
  sizes: PromoteSizes;
  programs: Programs & { distribution: string; olareg: string };
  say(message: string): void;
  /** Each line as it is done: all of them take minutes. */
  onLine?(line: BenchLine): void;
  /** Identifiers of lines; all when empty. */
  only?: readonly string[];
}

interface Race {
  id: string;
  what: string;
  source: BenchImages;
  to: BenchRegistry;
  move: Move;
  referrers: boolean;
  /** Fewer where memory is what is looked at. */
  rounds?: number;
  aims(rows: readonly BenchRow[], least: Least, leastPromotion: Least | undefined): Aim[];
}

/** Every line of `npm run bench -- promote`, one after another. */
export async function benchPromote(bench: PromoteBench): Promise<BenchLine[]> {
  const { sizes, programs } = bench;
  const world = await openWorld(programs);
  // The registries are processes, and have gigabytes on the disk.
  const stop = (): void => void world.close().finally(() => process.exit(130));
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, stop);
  try {
    const lines: BenchLine[] = [];
    for (const { id, plan } of races(world, sizes)) {
      if (bench.only !== undefined && bench.only.length > 0 && !bench.only.includes(id)) continue;
      bench.say(`${id}: images`);
      const line = await runRace(bench, world, { id, ...(await plan()) });
      bench.onLine?.(line);
      lines.push(line);
    }
    return lines;
  } finally {
    for (const signal of signals) process.off(signal, stop);
    await world.close();
  }
}

export const promoteLines = [
  "one",
  "one-olareg",
  "one-fallback",
  "many",
  "many-evidence",
  "again",
  "many-again",
  "stream",
  "big",
] as const;

type Planned = { id: (typeof promoteLines)[number]; plan(): Promise<Omit<Race, "id">> };

function races(world: BenchWorld, sizes: PromoteSizes): Planned[] {
  const { distribution, other, olareg, embedded } = world;
  const one = { count: 1, layers: 3, layerBytes: 1_000_000, evidence: true };
  const many = { count: sizes.many, layers: 1, layerBytes: 20_000, evidence: false };
  const stream = { count: 1, layers: sizes.streamLayers, layerBytes: sizes.streamLayerBytes, evidence: true };
  // Images are made once for the lines that share them.
  const made = new Map<string, Promise<BenchImages>>();
  const images = (registry: BenchRegistry, wanted: typeof one): Promise<BenchImages> => {
    const key = JSON.stringify([registry.host, wanted]);
    const known = made.get(key) ?? makeImages(world, registry, wanted);
    made.set(key, known);
    return known;
  };
  const requests = (rows: readonly BenchRow[], least: Least, promotion: Least | undefined): Aim[] => [
    ...judgeRequests(rows, "copy", least.requests),
    ...(promotion === undefined ? [] : judgeRequests(rows, "promote", promotion.requests)),
  ];
  const half = (rows: readonly BenchRow[]): Aim[] =>
    ["copy", "promote"].flatMap((ours) => judgeTime(rows, ours, 0.5, "half of the best peer's time"));
  return [
    {
      id: "one",
      plan: async () => ({
        what: `same registry, ${embedded.what}: one image of 4 layers with 5 referrers`,
        source: await images(embedded, one),
        to: embedded,
        move: "mount",
        referrers: true,
        aims: requests,
      }),
    },
    {
      id: "one-olareg",
      plan: async () => ({
        what: `same registry, ${olareg.what}, which forgets referrers that come at the same time: one image of 4 layers with 5 referrers`,
        source: await images(olareg, one),
        to: olareg,
        move: "mount",
        referrers: true,
        aims: requests,
      }),
    },
    {
      id: "one-fallback",
      plan: async () => ({
        what: `same registry, ${distribution.what} (no referrers API): one image of 4 layers with 5 referrers`,
        source: await images(distribution, one),
        to: distribution,
        move: "mount",
        referrers: true,
        aims: (rows, least) => requests(rows, least, undefined),
      }),
    },
    {
      id: "many",
      plan: async () => ({
        what: `same registry, ${distribution.what}: ${sizes.many} images of 2 layers (tags of one repository), without referrers`,
        source: await images(distribution, many),
        to: distribution,
        move: "mount",
        referrers: false,
        aims: (rows, least) => [...requests(rows, least, undefined), ...half(rows)],
      }),
    },
    {
      id: "many-evidence",
      plan: async () => ({
        what: `same registry, ${embedded.what}: ${sizes.many} images of 2 layers with 5 referrers each`,
        source: await images(embedded, { ...many, evidence: true }),
        to: embedded,
        move: "mount",
        referrers: true,
        aims: (rows, least, promotion) => [...requests(rows, least, promotion), ...half(rows)],
      }),
    },
    {
      id: "again",
      plan: async () => ({
        what: `second run with nothing to do, ${embedded.what}: one image with 5 referrers`,
        source: await images(embedded, one),
        to: embedded,
        move: "nothing",
        referrers: true,
        aims: requests,
      }),
    },
    {
      id: "many-again",
      plan: async () => ({
        what: `second run with nothing to do, ${embedded.what}: ${sizes.many} images with 5 referrers each`,
        source: await images(embedded, { ...many, evidence: true }),
        to: embedded,
        move: "nothing",
        referrers: true,
        aims: (rows, least, promotion) => [...requests(rows, least, promotion), ...half(rows)],
      }),
    },
    {
      id: "stream",
      plan: async () => ({
        what: `registry to registry, ${distribution.what}: one image of ${sizes.streamLayers} layers of ${(sizes.streamLayerBytes / 2 ** 20).toFixed(0)} MiB, with 5 referrers`,
        source: await images(distribution, stream),
        to: other,
        move: "stream",
        referrers: true,
        aims: (rows, least) => [
          ...requests(rows, least, undefined),
          ...["copy", "promote"].flatMap((ours) => judgeTime(rows, ours, 1, "no slower than the best peer")),
          ...judgeMemory(rows),
        ],
      }),
    },
    {
      id: "big",
      plan: async () => ({
        what: `registry to registry, ${distribution.what}: one layer of ${(sizes.bigLayerBytes / 2 ** 20).toFixed(0)} MiB, for the memory that it takes`,
        source: await images(distribution, { ...stream, layers: 1, layerBytes: sizes.bigLayerBytes }),
        to: other,
        move: "stream",
        referrers: true,
        rounds: 1,
        aims: judgeMemory,
      }),
    },
  ];
}

async function runRace(bench: PromoteBench, world: BenchWorld, race: Race): Promise<BenchLine> {
  const isMany = race.source.images.length > 1;
  const contenders = [
    copyContender(race.referrers),
    ...(race.source.referrers === 0 ? [] : [promoteContender(isMany)]),
    ...peerContenders(bench.programs, { many: isMany, referrers: race.referrers }),
  ];
  const entries: Entry[] = [];
  for (const contender of contenders) {
    bench.say(`${race.id}: ${contender.name}, counted`);
    entries.push(await count(world, race, contender));
  }
  const rounds = race.rounds ?? bench.sizes.rounds;
  for (let round = 0; round < rounds; round++) {
    bench.say(`${race.id}: round ${round + 1} of ${rounds}`);
    // They take turns, and begin with another one each time: what else the machine does meets all of them.
    for (let turn = 0; turn < entries.length; turn++) {
      const entry = entries[(turn + round) % entries.length];
      if (entry === undefined || entry.failed !== undefined) continue;
      await attempt(entry, async () => {
        entry.measures.push(await runOnce(world, race, entry.contender, entry.again));
      });
    }
  }
  const least = leastForCopy(race.source, race.move, race.referrers);
  const rows = withRatios(entries.map((entry) => buildEntryRow(entry, race)));
  const leastPromotion = entries.find(({ contender }) => contender.name === "promote")?.leastPromotion;
  return { id: race.id, what: race.what, least, rows, aims: race.aims(rows, least, leastPromotion) };
}

interface Entry {
  contender: Contender;
  measures: ProcessMeasure[];
  counts?: Counts;
  leastPromotion?: Least;
  /** Where it has everything already, for a run with nothing to do. */
  again?: string;
  /** It ended well, and left something out. */
  lost?: string;
  /** Runs that failed and were done again. */
  repeated?: number;
  failed?: string;
}

/** The warm-up: through the proxies, which count; and the only run whose result is looked at. */
async function count(world: BenchWorld, race: Race, contender: Contender): Promise<Entry> {
  const entry: Entry = { contender, measures: [] };
  await attempt(entry, async () => {
    const job = await openJob(world, race, { from: race.source.registry.proxy.host, to: race.to.proxy.host });
    try {
      if (race.move === "nothing") {
        await measureProcess(await contender.command(job), job.directory);
        // What a tool remembers of its first run, such as its results, is not to be found by its second.
        await rm(resultsOf(job), { recursive: true, force: true });
        entry.again = job.target;
      }
      world.takeCounts();
      await measureProcess(await contender.command(job), job.directory);
      entry.counts = world.takeCounts();
      const lost = await checkResult(world, race, contender, job.target);
      if (lost !== undefined) entry.lost = lost;
      if (contender.name === "promote") {
        const least = await leastForPromotion(resultsOf(job));
        if (least !== undefined) entry.leastPromotion = least;
      }
    } finally {
      await rm(job.directory, { recursive: true, force: true });
    }
  });
  return entry;
}

async function runOnce(world: BenchWorld, race: Race, contender: Contender, again?: string): Promise<ProcessMeasure> {
  const job = await openJob(world, race, { from: race.source.registry.host, to: race.to.host }, again);
  try {
    return await measureProcess(await contender.command(job), job.directory);
  } finally {
    await rm(job.directory, { recursive: true, force: true });
  }
}

async function openJob(world: BenchWorld, race: Race, hosts: Pick<Job, "from" | "to">, again?: string): Promise<Job> {
  const target = again ?? world.freshName();
  const directory = join(world.directory, `job-${target.replaceAll("/", "-")}`);
  await mkdir(directory, { recursive: true });
  return { world, source: race.source, ...hosts, target, directory };
}

/**
 * A peer that fails gets two more tries, which its note counts: its processes for images of one repository trip over
 * each other in CNCF distribution now and then, and who uses it would start it again. What fails of ours is a fault.
 */
async function attempt(entry: Entry, body: () => Promise<void>): Promise<void> {
  for (let left = entry.contender.ours ? 0 : 2; ; left--) {
    try {
      return await body();
    } catch (error) {
      if (left === 0) {
        entry.failed = describeError(error);
        return;
      }
      entry.repeated = (entry.repeated ?? 0) + 1;
    }
  }
}

/** Nobody is fast by leaving something out. @throws Error where an image is not there as it was */
async function checkResult(
  world: BenchWorld,
  race: Race,
  contender: Contender,
  target: string,
): Promise<string | undefined> {
  const there = parseRepository(`${race.to.host}/${target}`);
  let missing = 0;
  for (const { tag, digest } of race.source.images) {
    const found = await world.client.resolve({ ...there, tag });
    if (found !== digest) throw new Error(`tag ${tag} is ${found ?? "not there"}, expected ${digest}`);
    if (!race.referrers || !contender.referrers) continue;
    missing += Math.max(0, race.source.referrers - (await world.client.listReferrers(there, digest)).length);
  }
  return missing === 0
    ? undefined
    : `${missing} of ${race.source.referrers * race.source.images.length} referrers are not listed at the destination`;
}

function buildEntryRow({ contender, measures, counts, lost, repeated, failed }: Entry, race: Race): BenchRow {
  const { name, ours } = contender;
  const isWhole = contender.referrers || !race.referrers;
  const less = isWhole ? lost : "without the referrers";
  const row = {
    name,
    ours,
    note: [
      contender.note,
      ...(repeated === undefined ? [] : [`${repeated} of its runs failed and were done again`]),
      ...(less === undefined ? [] : [`not compared: ${less}`]),
    ].join("; "),
    compared: less === undefined,
  };
  // What we leave out is a fault and not a remark.
  const why = failed ?? (ours ? lost : undefined);
  if (why !== undefined || counts === undefined || measures.length === 0)
    return { ...row, failed: why ?? "was not measured" };
  return buildRow(row, measures, counts);
}
