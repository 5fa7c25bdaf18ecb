import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { describeError } from "@goldenpath/foundation/errors";
import { startRegistry } from "@goldenpath/registry-server/server";
import { type PackStand, preparePack } from "../support/pack-stand.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type BenchLine, type BenchRow, judgeAim, spreadOf, withRatios } from "./shape.ts";

export const buildLines = ["pack"] as const;

const cli = join(import.meta.dirname, "..", "..", "packages", "cli", "bin", "goldenpath.mjs");

export interface BuildPrograms {
  dockerd: string;
  docker: string;
  pack: string;
  lifecycle: string;
  launcher: string;
}

/** What a build by hand may take besides, whichever is more. Seconds, and parts of it. */
const allowance = { seconds: 1, part: 0.05 };

/**
 * What goldenpath adds to a build: the same application with the same builder image, by pack as one would type it, by
 * pack through goldenpath, and by the lifecycle without a daemon. Needs root, for the daemon.
 */
export async function benchBuild(bench: {
  rounds: number;
  programs: BuildPrograms;
  say(message: string): void;
}): Promise<BenchLine[]> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  await chmod(directory, 0o755);
  const registry = await startRegistry();
  let stand: PackStand | undefined;
  try {
    bench.say("pack: a builder image");
    stand = await preparePack(registry.host, directory, bench.programs);
    await mkdir(join(directory, "app"));
    await writeFile(join(directory, "app/app.txt"), "hello\n");
    await writeFile(join(directory, "policy.yaml"), stand.renderPolicy());
    const contenders = listContenders(stand, directory, registry.host, bench.programs);
    const measures = new Map<string, ProcessMeasure[]>(contenders.map(({ name }) => [name, []]));
    const failures = new Map<string, string>();
    // In turn, so that what the machine does besides is everybody's. The first round is the warm-up.
    for (let round = 0; round <= bench.rounds; round++) {
      for (const { name, argv, env } of contenders) {
        if (failures.has(name)) continue;
        bench.say(`pack: ${name}, ${round === 0 ? "warm-up" : `round ${round}`}`);
        try {
          const measure = await measureProcess({ argv, env }, directory);
          if (round > 0) measures.get(name)?.push(measure);
        } catch (error) {
          failures.set(name, describeError(error));
        }
      }
    }
    const rows = contenders.map((each) => describeRow(each, measures.get(each.name) ?? [], failures.get(each.name)));
    return [
      {
        id: "pack",
        what: "a small application, by the same builder image",
        rows: withRatios(rows),
        aims: aimsOf(rows),
      },
    ];
  } finally {
    await stand?.close();
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  }
}

interface Contender extends Pick<BenchRow, "name" | "ours" | "note" | "compared"> {
  argv: string[];
  env: Record<string, string | undefined>;
}

function listContenders(stand: PackStand, directory: string, host: string, programs: BuildPrograms): Contender[] {
  const path = [...new Set([programs.pack, programs.lifecycle, programs.launcher].map((program) => dirname(program)))];
  const env = { ...stand.docker.env, HOME: directory, PATH: [...path, process.env["PATH"]].join(delimiter) };
  const ours = (engine: string): string[] => [
    ...[process.execPath, "--conditions=goldenpath-source", cli, "build", join(directory, "app")],
    ...["--policy", join(directory, "policy.yaml"), "--tags", `${host}/quarantine/${engine}:1`, "--engine", engine],
  ];
  const byHand = [
    ...[programs.pack, "build", `${host}/quarantine/by-hand:1`, "--path", join(directory, "app"), "--publish"],
    ...["--builder", stand.builder, "--run-image", stand.runImage, "--lifecycle-image", stand.lifecycleImage],
    ...["--pull-policy", "always", "--network", "host"],
  ];
  return [
    {
      ...{ name: "pack build", ours: false, compared: true, argv: byHand },
      ...{ note: "with the arguments that goldenpath gives it", env: { ...env, PACK_HOME: join(directory, "home") } },
    },
    { name: "build --engine pack", ours: true, compared: true, note: "from its sources", argv: ours("pack"), env },
    {
      ...{ name: "build --engine lifecycle", ours: true, compared: true, argv: ours("lifecycle"), env },
      note: "from its sources, without the daemon",
    },
  ];
}

function describeRow(
  { name, ours, note, compared }: Contender,
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

function aimsOf(rows: readonly BenchRow[]): BenchLine["aims"] {
  const peer = rows.find(({ ours }) => !ours)?.seconds?.median;
  if (peer === undefined) return [];
  const limit = Math.max((peer + allowance.seconds) / peer, 1 + allowance.part);
  return rows
    .filter(({ ours, seconds }) => ours && seconds !== undefined)
    .map(({ name, seconds }) =>
      judgeAim(
        `${name}: at most 1 s or 5 % over it by hand`,
        seconds?.median ?? Number.NaN,
        peer,
        "pack build, s",
        limit,
      ),
    );
}
