import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type BenchLine, spreadOf } from "./shape.ts";

export const startLines = ["cli", "bundles"] as const;

const root = join(import.meta.dirname, "..", "..");

/**
 * What whoever runs goldenpath waits for before it does anything: the command line's start, and the size and the start
 * of each action's bundle.
 */
export async function benchStart(bench: {
  rounds: number;
  say(message: string): void;
  only: readonly string[];
}): Promise<BenchLine[]> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  const wants = (id: string): boolean => bench.only.length === 0 || bench.only.includes(id);
  const env = { PATH: process.env["PATH"], HOME: directory };
  const measure = async (name: string, note: string, argv: readonly string[]): Promise<BenchLine["rows"][number]> => {
    bench.say(name);
    const measures: ProcessMeasure[] = [];
    // The first is the warm-up.
    for (let round = 0; round <= bench.rounds; round++)
      measures.push(await measureProcess({ argv: [process.execPath, ...argv], env }, directory));
    measures.shift();
    return {
      name,
      ours: true,
      note,
      compared: false,
      seconds: spreadOf(measures.map((each) => each.seconds)),
      cpuSeconds: spreadOf(measures.map((each) => each.cpuSeconds)),
      peakMegabytes: Math.max(...measures.map((each) => each.peakMegabytes)),
    };
  };
  try {
    const lines: BenchLine[] = [];
    if (wants("cli")) {
      const cli = ["--conditions=goldenpath-source", join(root, "packages", "cli", "bin", "goldenpath.mjs")];
      lines.push({
        id: "cli",
        what: "the command line's start, from its sources",
        rows: [
          await measure("node", "`node -e 0`: what no program can be faster than", ["-e", "0"]),
          await measure("help", "`goldenpath help`", [...cli, "help"]),
          await measure("promote --help", "loads everything that a promotion needs", [...cli, "promote", "--help"]),
        ],
        aims: [],
      });
    }
    if (wants("bundles")) {
      const bundles = readdirSync(join(root, "actions"))
        .map((name) => ({ name, file: join(root, "actions", name, "dist", "index.js") }))
        .filter(({ file }) => existsSync(file));
      const rows: BenchLine["rows"] = [];
      for (const { name, file } of bundles) {
        const sizes = `${(statSync(file).size / 1e6).toFixed(2)} MB, ${(gzipSync(readFileSync(file)).byteLength / 1e6).toFixed(2)} MB in gzip`;
        // Parsed and compiled, but not run: an action without its inputs would end with an error.
        rows.push(await measure(name, sizes, ["--check", file]));
      }
      lines.push({ id: "bundles", what: "each action's bundle: its size, and `node --check` of it", rows, aims: [] });
    }
    return lines;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
