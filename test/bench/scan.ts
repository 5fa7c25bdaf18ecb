import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { RecordedRequest, RegistryServer } from "@goldenpath/registry-server/server";
import { type DataPublisher, startPublisher } from "../support/data-publishers.ts";
import { addAll, type FleetApplication, openFleetWorld } from "../support/fleet-world.ts";
import { exampleDatabase } from "../support/scan-world.ts";
import { type CommandLine, stageCommandLine } from "./command-line.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type Counts, kindOf } from "./proxy.ts";
import { type MirroredStand, mirrorForBench } from "./scan-data.ts";
import { type BenchLine, type BenchRow, buildRow, judgeAim, judgeTime, withRatios } from "./shape.ts";

export const scanLines = ["rescan", "overhead", "data"] as const;

const root = join(import.meta.dirname, "..", "..");
const scanAction = join(root, "actions", "scan", "dist", "index.js");
/** Milliseconds to a registry or a publisher and back. */
const farAway = 20;

interface ScanBench extends CommandLine {
  rounds: number;
  images: number;
  grype: string;
  syft: string;
  only: readonly string[];
  say(message: string): void;
}

/** Seconds that a scan may take besides the scanner. */
const overhead = 0.3;

/**
 * A rescan of many images from their signed SBOMs and those of their bases, over grype on each image; one image's scan,
 * over grype alone; and both with the data that they have to fetch. The images are of a base of 12 MB with 100 packages of Debian, and 150 packages of npm each.
 */
export async function benchScan(bench: ScanBench): Promise<BenchLine[]> {
  const wants = (id: (typeof scanLines)[number]): boolean => bench.only.length === 0 || bench.only.includes(id);
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  const world = await openFleetWorld({ areApproved: true, ballast: { packages: 100, bytes: 16_000_000 } });
  try {
    bench.say(`pushing ${bench.images} images with their evidence`);
    const targets = await addAll(
      world,
      Array.from({ length: bench.images }, (_, at) => application(at)),
    );
    const images = targets.map(({ repository, digest }) => `${repository.registry}/${repository.name}@${digest}`);
    await writeFile(join(directory, "images"), `${images.join("\n")}\n`);
    await mkdir(join(directory, "home"));
    const layers = new Set<string>();
    for (const { repository, digest } of targets) {
      const found = await world.client.fetchManifest({ ...repository, digest });
      if (found.kind !== "image") throw new TypeError(`${digest} is no image`);
      for (const layer of found.manifest.layers)
        for (const name of [repository.name, "bases/golden"]) layers.add(`/v2/${name}/blobs/${layer.digest}`);
    }
    const take = countRequests(world.registry.requests, layers);
    const stand = { bench, directory, take, policy: world.policyFile, images };
    const lines: BenchLine[] = [];
    if (wants("rescan")) lines.push(await benchRescan(stand));
    if (wants("overhead")) lines.push(await benchOverhead(stand));
    if (wants("data")) lines.push(await benchData(stand, world.registry));
    return lines;
  } finally {
    await world.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function application(at: number): FleetApplication {
  const packages = Object.fromEntries(
    Array.from({ length: 150 }, (_, index) => [
      // Two thirds are those of many applications.
      index < 100 ? `shared-${index}` : `own-${at}-${index}`,
      "1.2.3",
    ]),
  );
  return { name: `app-${at}`, packages, isInstalled: true };
}

interface Stand {
  bench: ScanBench;
  directory: string;
  take(): Counts & { layers: number };
  policy: string;
  images: readonly string[];
}

async function benchRescan({ bench, directory, take, policy, images }: Stand): Promise<BenchLine> {
  const { row: ours, layers } = await measure(bench, directory, take, {
    ...{ name: "fleet scan", ours: true, compared: true, note: "by the npm package; nothing signed" },
    argv: [
      ...stageCommandLine(bench, directory),
      "fleet",
      "scan",
      "--policy",
      policy,
      "--dry-run",
      "--database",
      exampleDatabase,
      "--json",
    ],
    env: environment(bench, directory),
  });
  const byHand = 'while read -r image; do "$0" "registry:$image" -o json >/dev/null || exit 1; done < "$1"';
  const { row: theirs } = await measure(bench, directory, take, {
    ...{ name: "grype", ours: false, compared: true, note: "grype registry:IMAGE, one after the other" },
    argv: ["/bin/sh", "-c", byHand, bench.grype, join(directory, "images")],
    env: environment(bench, directory),
    // Minutes, of which a warm-up would be a few milliseconds.
    isLong: true,
  });
  const rows = [ours, theirs];
  return {
    id: "rescan",
    what: `${images.length} images scanned again`,
    rows: withRatios(rows),
    aims: [
      ...judgeTime(rows, "fleet scan", 0.05, "at most 0.05 of the time of grype on each image"),
      judgeAim("fleet scan: layers of the images and bases that are read", layers, images.length, "images", 0),
    ],
  };
}

async function benchOverhead({ bench, directory, take, policy, images }: Stand): Promise<BenchLine> {
  const [image = ""] = images;
  const env = environment(bench, directory);
  const inputs = { INPUT_IMAGE: image, INPUT_POLICY: policy, INPUT_DATABASE: exampleDatabase };
  const { row: ours } = await measure(bench, directory, take, {
    ...{
      name: "scan",
      ours: true,
      compared: true,
      note: "the action's bundle, by the signed SBOMs of the image and of its base",
    },
    argv: [process.execPath, scanAction],
    env: { ...env, ...inputs, RUNNER_TEMP: directory },
  });
  const { row: theirs } = await measure(bench, directory, take, {
    ...{ name: "grype", ours: false, compared: true, note: "grype registry:IMAGE" },
    argv: [bench.grype, `registry:${image}`, "-o", "json"],
    env,
  });
  const sboms = (await readdir(join(directory, "goldenpath"))).filter((name) =>
    /^scan-[0-9a-f]{12}\.cdx\.json$/.test(name),
  );
  const [sbom, ...others] = sboms;
  if (sbom === undefined || others.length > 0)
    throw new Error(`${sboms.length} SBOMs of one image: ${sboms.join(", ")}`);
  // What is left when nothing is looked for in the image and nobody's signature is verified.
  const { row: least } = await measure(bench, directory, take, {
    ...{
      name: "grype on the SBOM",
      ours: false,
      compared: false,
      note: "grype sbom:FILE, which scan starts and waits for",
    },
    argv: [bench.grype, `sbom:${join(directory, "goldenpath", sbom)}`, "-o", "json"],
    env,
  });
  const rows = [ours, theirs, least];
  const seconds = theirs.seconds?.median ?? Number.NaN;
  return {
    id: "overhead",
    what: "one image scanned",
    rows: withRatios(rows),
    aims: judgeTime(rows, "scan", (seconds + overhead) / seconds, `at most ${overhead} s over the scanner itself`),
  };
}

/** With the data that everybody has to get first, from a server as far away as a job's: by the registry, or from grype's publisher. */
async function benchData(
  { bench, directory, take, policy, images }: Stand,
  registry: RegistryServer,
): Promise<BenchLine> {
  bench.say("mirroring the data");
  const publisher = await startPublisher(farAway);
  try {
    const mirrored = await mirrorForBench(publisher, { host: registry.host, policy, directory });
    registry.settings.latency = farAway;
    const [image = ""] = images;
    const env = environment(bench, directory);
    const { row: ours } = await measure(bench, directory, take, {
      ...{ name: "scan", ours: true, compared: true, note: "the action's bundle, its data verified before it is read" },
      argv: [process.execPath, scanAction],
      env: { ...env, INPUT_IMAGE: image, INPUT_POLICY: mirrored.policy, RUNNER_TEMP: directory },
    });
    // Which is signed by nobody, and comes with each run of each job.
    const { row: theirs } = await measure(bench, directory, () => addPublished(take(), publisher), {
      ...{
        name: "grype db update",
        ours: false,
        compared: true,
        note: "the same scan, its data by grype's own download",
      },
      argv: [process.execPath, scanAction],
      env: { ...env, INPUT_IMAGE: image, INPUT_POLICY: policy, RUNNER_TEMP: directory, ...ownDownload(mirrored) },
    });
    const rows = [ours, theirs];
    return {
      id: "data",
      what: `one image scanned by data that has to be fetched, ${farAway} ms a request`,
      rows: withRatios(rows),
      aims: judgeTime(rows, "scan", 1, "no slower than with grype's own download"),
    };
  } finally {
    registry.settings.latency = 0;
    publisher.close();
  }
}

/** In a folder of this run alone. */
const ownDownload = ({ list }: MirroredStand) => ({
  ...{ GRYPE_DB_UPDATE_URL: list, GRYPE_DB_CACHE_DIR: undefined, GRYPE_DB_AUTO_UPDATE: undefined },
});

/** What the publisher was asked for as well. */
function addPublished(counts: ReturnType<Stand["take"]>, publisher: DataPublisher): ReturnType<Stand["take"]> {
  const asked = publisher.requests.splice(0).length;
  const bytesReceived = counts.bytesReceived + publisher.sent;
  publisher.sent = 0;
  return {
    ...{ ...counts, requests: counts.requests + asked, bytesReceived },
    byKind: { ...counts.byKind, ...(asked === 0 ? {} : { "GET publisher": asked }) },
  };
}

function environment({ grype, syft }: ScanBench, directory: string): Record<string, string | undefined> {
  return {
    PATH: [dirname(grype), dirname(syft), process.env["PATH"]].join(delimiter),
    HOME: join(directory, "home"),
    GRYPE_DB_CACHE_DIR: exampleDatabase,
    GRYPE_DB_AUTO_UPDATE: "false",
    GRYPE_DB_VALIDATE_AGE: "false",
    GRYPE_CHECK_FOR_APP_UPDATE: "false",
    GRYPE_REGISTRY_INSECURE_USE_HTTP: "true",
  };
}

/** What came since the last call; `layers` are the paths of the images' own. */
function countRequests(requests: RecordedRequest[], layers: ReadonlySet<string>): Stand["take"] {
  return () => {
    const taken = requests.splice(0, requests.length);
    const byKind: Record<string, number> = {};
    for (const { method, path } of taken) {
      const kind = `${method} ${kindOf(path)}`;
      byKind[kind] = (byKind[kind] ?? 0) + 1;
    }
    return {
      ...{ requests: taken.length, byKind },
      bytesSent: taken.reduce((sum, { bytesIn }) => sum + bytesIn, 0),
      bytesReceived: taken.reduce((sum, { bytesOut }) => sum + bytesOut, 0),
      layers: taken.filter(({ method, path }) => method === "GET" && layers.has(path)).length,
    };
  };
}

interface Contender extends Pick<BenchRow, "name" | "ours" | "note" | "compared"> {
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Two runs are enough, and the first is one of them. */
  isLong?: true;
}

async function measure(
  { rounds, say }: ScanBench,
  directory: string,
  take: Stand["take"],
  contender: Contender,
): Promise<{ row: BenchRow; layers: number }> {
  say(contender.name);
  take();
  // The first is counted, and the warm-up.
  const first = await measureProcess(contender, directory);
  const { layers, ...counts } = take();
  const measures: ProcessMeasure[] = contender.isLong === true ? [first] : [];
  const wanted = contender.isLong === true ? Math.min(rounds, 2) : rounds;
  while (measures.length < wanted) measures.push(await measureProcess(contender, directory));
  return { row: buildRow(contender, measures, counts), layers };
}
