import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { startRegistry } from "@goldenpath/registry-server/server";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { type CommandLine, stageCommandLine } from "./command-line.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type CountingProxy, startCountingProxy } from "./proxy.ts";
import { type BenchLine, type BenchRow, buildRow, judgeAim, judgeMemory, judgeTime, withRatios } from "./shape.ts";

export const enforceLines = ["standing"] as const;

/** How many programs of the peer run at once. */
const processes = 8;
/** Of the least: for each image its manifest and its config. */
const perImage = 2;
/** So many times the images are asked about as well, by which it shows whether memory grows with them. */
const more = 3;

interface EnforceBench extends CommandLine {
  rounds: number;
  images: number;
  bases: number;
  crane: string;
  only: readonly string[];
  say(message: string): void;
}

/** Which base each of many images in one registry stands on; by hand, the same facts without the answer. */
export async function benchEnforce(bench: EnforceBench): Promise<BenchLine[]> {
  if (bench.only.length > 0 && !bench.only.includes("standing")) return [];
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  const server = await startRegistry();
  const proxy = await startCountingProxy(server.host);
  try {
    bench.say(`pushing ${bench.images * more} images on ${bench.bases} bases`);
    const all = await pushAll(server.host, { ...bench, images: bench.images * more });
    const pushed = { ...all, images: all.images.slice(0, bench.images) };
    // What counts takes as long for a request as who asks: only the run that is counted goes through it.
    const counted = await writeAsked(join(directory, "counted"), proxy.host, pushed);
    const timed = await writeAsked(join(directory, "timed"), server.host, pushed);
    const countedAll = await writeAsked(join(directory, "counted-all"), proxy.host, all);
    const timedAll = await writeAsked(join(directory, "timed-all"), server.host, all);
    await mkdir(join(directory, "home"));
    const env = { PATH: process.env["PATH"], HOME: join(directory, "home") };
    const cli = stageCommandLine(bench, directory);
    // The peer's programs are told one name at a time, as a script would tell them.
    const byHand = `tr '\\n' '\\0' < "$2" | xargs -0 -P ${processes} -I{} sh -c '"$0" manifest "$1" >/dev/null && "$0" config "$1" >/dev/null' "$1" {}`;
    const ofBases = ({ images, policy }: Asked) => [
      ...[...cli, "base", "of", ...images],
      ...["--policy", policy, "--json"],
    ];
    const ofCrane = ({ list }: Asked) => ["/bin/sh", "-c", byHand, "sh", bench.crane, list];
    const rows = await measure(bench, proxy, directory, [
      {
        ...{ name: "base of", ours: true, compared: true, note: "by the npm package, with the answer", env },
        ...{ counted: ofBases(counted), argv: ofBases(timed) },
      },
      {
        ...{ name: "crane", ours: false, compared: true, note: `crane manifest and config, ${processes} at once`, env },
        ...{ counted: ofCrane(counted), argv: ofCrane(timed) },
      },
      {
        ...{ name: "base of, all", ours: true, compared: false, note: `the same of ${all.images.length} images`, env },
        ...{ counted: ofBases(countedAll), argv: ofBases(timedAll) },
      },
    ]);
    const [some, , many] = rows;
    const asked = some?.counts?.requests ?? Number.NaN;
    // Of each base its manifest and its config, once.
    const beyond = asked - bench.bases * perImage;
    return [
      {
        id: "standing",
        what: `which of ${bench.bases} bases each of ${bench.images} images stands on`,
        least: { requests: bench.images * perImage, counted: "manifest and config of each image" },
        rows: withRatios(rows),
        aims: [
          judgeAim("base of: requests an image beyond the bases' own", beyond, bench.images, "images", perImage),
          ...judgeTime(rows, "base of", 0.1, "at most 0.1 of the time of the same facts by crane"),
          ...judgeMemory(rows),
          judgeAim(
            `base of: peak memory of ${more} times the images`,
            many?.peakMegabytes ?? Number.NaN,
            some?.peakMegabytes ?? Number.NaN,
            "of the images, MB",
            1.1,
          ),
        ],
      },
    ];
  } finally {
    await proxy.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

interface Contender extends Pick<BenchRow, "name" | "ours" | "note" | "compared"> {
  argv: readonly string[];
  /** The same by the names of the registry that counts. */
  counted: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
}

/** They take turns: what else the machine does meets all of them. The first run of each is counted, and the warm-up. */
async function measure(
  { rounds, say }: EnforceBench,
  proxy: CountingProxy,
  directory: string,
  contenders: readonly Contender[],
): Promise<BenchRow[]> {
  const entries = [];
  for (const contender of contenders) {
    say(contender.name);
    proxy.take();
    await measureProcess({ argv: contender.counted, env: contender.env }, directory);
    entries.push({ contender, counts: proxy.take(), measures: [] as ProcessMeasure[] });
  }
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    for (const { contender, measures } of entries) measures.push(await measureProcess(contender, directory));
  }
  return entries.map(({ contender, counts, measures }) => buildRow(contender, measures, counts));
}

/** What is asked about, by the names of one host. */
interface Asked {
  images: readonly string[];
  /** A file with one of them a line. */
  list: string;
  policy: string;
}

/** Images and bases without their host: `NAME@sha256:…`. */
interface Pushed {
  images: string[];
  bases: { name: string; digest: string }[];
}

async function writeAsked(folder: string, host: string, { images, bases }: Pushed): Promise<Asked> {
  const asked = {
    images: images.map((image) => `${host}/${image}`),
    list: join(folder, "images"),
    policy: join(folder, "policy.yaml"),
  };
  const listed = bases.map(
    ({ name, digest }) => `  - { name: ${name}, image: "${host}/bases/${name}", digests: ["${digest}"] }`,
  );
  await mkdir(folder);
  await writeFile(asked.list, `${asked.images.join("\n")}\n`);
  await writeFile(asked.policy, `version: 1\nname: acme\nserial: 1\nbases:\n${listed.join("\n")}\n`);
  return asked;
}

async function pushAll(host: string, { images, bases }: EnforceBench): Promise<Pushed> {
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  try {
    const below = [];
    const pushed: Pushed = { images: [], bases: [] };
    for (let index = 0; index < bases; index++) {
      const layers = [await tinyLayer({ [`os-${index}`]: "os" }), await tinyLayer({ [`libc-${index}`]: "libc" })];
      const base = `base-${index}`;
      const { digest } = await pushTinyImage(client, { registry: host, name: `bases/${base}` }, layers);
      below.push(layers);
      pushed.bases.push({ name: base, digest });
    }
    for (let index = 0; index < images; index++) {
      const layers = [...(below[index % bases] ?? []), await tinyLayer({ app: `${index}` })];
      const name = `vetted/app-${index % 50}`;
      const { digest } = await pushTinyImage(client, { registry: host, name }, layers);
      pushed.images.push(`${name}@${digest}`);
    }
    return pushed;
  } finally {
    await client.close();
  }
}
