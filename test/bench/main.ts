// npm run bench -- NAME [--json] [--rounds N] [--line ID]…
import { cpus, loadavg, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { suggestWord } from "@goldenpath/core/policy/suggest";
import { productionTools } from "@goldenpath/core/tools/lock";
import { describeError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { jibVersion, springBootVersion } from "../support/java.ts";
import { allTools } from "../support/tools.ts";
import { benchBuild, buildLines } from "./build.ts";
import { command, lockedTool, programFinder } from "./build-programs.ts";
import type { CommandLine } from "./command-line.ts";
import type { Programs } from "./contenders.ts";
import { benchEnforce, enforceLines } from "./enforce.ts";
import { benchPolicy, policyLines } from "./impact.ts";
import { benchPromote, fullSizes, type PromoteSizes, promoteLines } from "./promote.ts";
import { renderLine, renderReport } from "./render.ts";
import { benchScan, scanLines } from "./scan.ts";
import type { BenchLine, BenchReport, Peer } from "./shape.ts";
import { benchSign, signLines } from "./sign.ts";
import { benchStart, startLines } from "./start.ts";

export const benches = {
  promote: promoteLines,
  start: startLines,
  build: buildLines,
  sign: signLines,
  policy: policyLines,
  enforce: enforceLines,
  scan: scanLines,
} as const;
type BenchName = keyof typeof benches;

/** @throws Error where a registry's program can't be had: without it nothing can be measured */
export async function runBench(
  name: BenchName,
  options: CommandLine & {
    rounds?: number;
    sizes?: PromoteSizes;
    /** Images of bench sign's line `gates`, and of bench policy. */
    gates?: number;
    /** Images of bench enforce, and of bench scan's line `rescan`. */
    images?: number;
    only?: readonly string[];
    say(message: string): void;
    onLine?(line: BenchLine): void;
  },
): Promise<BenchReport> {
  const before = loadavg()[0] ?? 0;
  const startedAt = new Date().toISOString();
  const sizes = {
    ...(options.sizes ?? fullSizes),
    ...(options.rounds === undefined ? {} : { rounds: options.rounds }),
  };
  const only = options.only ?? [];
  const ours: CommandLine = options.cli === undefined ? {} : { cli: options.cli };
  let peers: Peer[] = [];
  let lines: BenchLine[];
  if (name === "promote") {
    const found = await findPrograms(options.say);
    peers = found.peers;
    lines = await benchPromote({
      sizes,
      programs: found.programs,
      say: options.say,
      only,
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    });
  } else if (name === "build") {
    peers = await listBuildPeers();
    lines = await benchBuild({
      ...{ rounds: sizes.rounds, only, find: programFinder(options.say), say: options.say },
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    });
  } else if (name === "sign") {
    peers = [{ name: "cosign", version: allTools.find((each) => each.name === "cosign")?.version ?? "unknown" }];
    lines = await benchSign({
      ...{ rounds: sizes.rounds, many: options.gates ?? 1000, only, say: options.say },
      cosign: await lockedTool("cosign", options.say),
    });
  } else if (name === "policy") {
    lines = await benchPolicy({ ...ours, rounds: sizes.rounds, many: options.gates ?? 1000, say: options.say });
  } else if (name === "enforce") {
    peers = [{ name: "crane", version: allTools.find((each) => each.name === "crane")?.version ?? "unknown" }];
    const images = options.images ?? 1000;
    lines = await benchEnforce({
      ...ours,
      ...{ rounds: sizes.rounds, images, bases: Math.min(20, images), only, say: options.say },
      crane: await lockedTool("crane", options.say),
    });
  } else if (name === "scan") {
    peers = [{ name: "grype", version: productionTools.find((each) => each.name === "grype")?.version ?? "unknown" }];
    lines = await benchScan({
      ...ours,
      ...{ rounds: sizes.rounds, images: options.images ?? 100, only, say: options.say },
      ...{ grype: await lockedTool("grype", options.say), syft: await lockedTool("syft", options.say) },
    });
  } else lines = await benchStart({ rounds: sizes.rounds, say: options.say, only });
  const { length: cores, 0: first } = cpus();
  return {
    version: 1,
    bench: name,
    startedAt,
    machine: {
      cpu: first?.model ?? "unknown",
      cores,
      memoryGigabytes: Math.round(totalmem() / 1e9),
      node: process.versions.node,
      load: [before, loadavg()[0] ?? 0],
    },
    rounds: sizes.rounds,
    peers,
    lines,
  };
}

async function listBuildPeers(): Promise<Peer[]> {
  const locked = ["pack", "buildkitd", "buildx"].map((name) => ({
    ...{ name, version: allTools.find((each) => each.name === name)?.version ?? "unknown" },
  }));
  const asked = await runProcess(await command("dockerd"), ["--version"], { env: process.env });
  const docker = /version ([^,\s]+)/.exec(asked.stdout)?.[1] ?? "unknown";
  return [
    ...locked,
    { name: "dockerd", version: docker },
    { name: "jib-maven-plugin", version: jibVersion },
    { name: "spring-boot-maven-plugin", version: springBootVersion },
  ];
}

async function findPrograms(
  say: (message: string) => void,
): Promise<{ programs: Programs & { distribution: string; olareg: string }; peers: Peer[] }> {
  const tool = (name: string): Promise<string> => lockedTool(name, say);
  const programs: Programs = {};
  const peers: Peer[] = [];
  for (const name of ["crane", "regctl", "regsync", "oras", "skopeo"] as const) {
    try {
      if (name === "skopeo") {
        programs.skopeo = await command(name);
        const { stdout } = await runProcess(programs.skopeo, ["--version"], { env: process.env });
        peers.push({ name, version: stdout.replace(/^skopeo version /, "").trim() });
      } else {
        programs[name] = await tool(name);
        peers.push({ name, version: allTools.find((each) => each.name === name)?.version ?? "unknown" });
      }
    } catch (error) {
      peers.push({ name, missing: describeError(error) });
    }
  }
  await command("python3");
  return {
    programs: { ...programs, distribution: await command("docker-registry"), olareg: await tool("olareg") },
    peers,
  };
}

/** @throws Error that says what there is */
export function parseBenchArguments(args: readonly string[]): {
  name: BenchName;
  json: boolean;
  rounds?: number;
  only: readonly string[];
} {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean" }, rounds: { type: "string" }, line: { type: "string", multiple: true } },
    allowPositionals: true,
  });
  const [name, ...more] = positionals;
  const names = Object.keys(benches);
  const isBench = (word: string | undefined): word is BenchName => word !== undefined && Object.hasOwn(benches, word);
  if (!isBench(name) || more.length > 0) {
    const near = name === undefined ? undefined : suggestWord(name, names);
    throw new Error(
      `bench: ${name === undefined ? "no name was given" : more.length > 0 ? "one name at a time" : `'${name}' is not known`}; there are: ${names.join(", ")}${near === undefined ? "" : `. Did you mean '${near}'?`}`,
    );
  }
  const lines: readonly string[] = benches[name];
  for (const line of values.line ?? []) {
    if (!lines.includes(line)) throw new Error(`option --line is '${line}'; bench ${name} has: ${lines.join(", ")}`);
  }
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new Error(`option --rounds is '${values.rounds}': expected a whole number above 0`);
  }
  return { name, json: values.json === true, only: values.line ?? [], ...(rounds === undefined ? {} : { rounds }) };
}

if (import.meta.main) {
  try {
    const { name, json, ...options } = parseBenchArguments(process.argv.slice(2));
    const report = await runBench(name, {
      ...options,
      say: (message) => console.error(`  ${message}`),
      onLine: (line) => console.error(renderLine(line).join("\n")),
    });
    console.log(json ? JSON.stringify(report, null, 2) : renderReport(report));
    // A line that could not be measured is a fault of this run; an aim that does not hold is a finding.
    if (report.lines.some((line) => line.rows.some((row) => row.failed !== undefined))) process.exitCode = 1;
  } catch (error) {
    console.error(describeError(error));
    process.exitCode = 2;
  }
}
