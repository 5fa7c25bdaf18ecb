import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { startRegistry } from "@goldenpath/registry-server/server";
import { attachEvidence, pushImage, tellFound } from "@goldenpath/testing/chain";
import { makeKeys } from "@goldenpath/testing/chain-keys";
import { writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { type CommandLine, stageCommandLine } from "./command-line.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type BenchLine, judgeAim, spreadOf } from "./shape.ts";

export const policyLines = ["impact"] as const;

/** At most so long for 1,000 images, whatever of that is ours or the registry's. Seconds. */
const limit = 10;

/** One that holds of every image, of each stage; and one that no evidence tells of. */
const rules = `rules:
  - { name: run-as, stage: base, expression: 'config.user != "0" || size(layers) > 0', message: m, remedy: r }
  - { name: known, stage: scan, expression: 'findings.all(f, f.severity != "critical")', message: m, remedy: r }
  - { name: whose, stage: gate, expression: 'has(source.repository)', message: m, remedy: r }
  - { name: tools, stage: base, expression: 'packages.all(p, p.name != "gcc")', message: m, remedy: r }
`;

/** A changed policy judged against images with all of their evidence, each in vetted under a tag. */
export async function benchPolicy(
  bench: CommandLine & { rounds: number; many: number; say(message: string): void },
): Promise<BenchLine[]> {
  const server = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  try {
    bench.say(`impact: ${bench.many} images`);
    const keys = await makeKeys(directory);
    const to = `${server.host}/vetted`;
    const policy = await writeChainPolicy({ directory, keys, from: `${server.host}/quarantine`, to });
    const names = Array.from({ length: bench.many }, (_, index) => `image-${index}`);
    await mapConcurrently(8, names, async (name) => {
      const image = await pushImage(client, `${to}/shop`, name, name);
      await attachEvidence({ client, image, policy, keys, falsehoods: tellFound(image.digest) });
    });
    const next = join(directory, "next.yaml");
    const text = await readFile(policy.file, "utf8");
    const changed = text.replace("serial: 5", "serial: 6\naccepts: 1d").replace("maxAge: 30d", "maxAge: 20d");
    await writeFile(next, `${changed}${rules}`);
    const measures: ProcessMeasure[] = [];
    const argv = [
      ...stageCommandLine(bench, directory),
      ...["policy", "impact", next, "--policy", policy.file, "--environment", "production"],
      ...["--images", `${to}/shop`],
    ];
    for (let round = 0; round < bench.rounds; round++) {
      bench.say(`impact: round ${round + 1}`);
      server.requests.length = 0;
      measures.push(await measureProcess({ argv, env: { PATH: process.env["PATH"], HOME: directory } }, directory));
    }
    // A program that asked for nothing has judged nothing, however fast it was.
    if (server.requests.length < bench.many) throw new Error(`${server.requests.length} requests`);
    return [describeLine(measures, bench.many, server.requests.length)];
  } finally {
    await client.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function describeLine(measures: readonly ProcessMeasure[], many: number, requests: number): BenchLine {
  const seconds = spreadOf(measures.map((each) => each.seconds));
  const row = {
    ...{ name: "policy impact", ours: true, compared: false },
    note: `one program, the npm package's, with its start: ${(requests / many).toFixed(1)} requests an image`,
    seconds,
    cpuSeconds: spreadOf(measures.map((each) => each.cpuSeconds)),
    peakMegabytes: Math.max(...measures.map((each) => each.peakMegabytes)),
  };
  return {
    id: "impact",
    what: `two policies on ${many} images in one registry, each with all of its evidence, the newer with rules of its own`,
    rows: [row],
    aims: [judgeAim(`impact: ${many} images in ${limit} s`, seconds.median, limit, "the aim, s", 1)],
  };
}
