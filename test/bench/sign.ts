import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { type EvidenceRegistry, startEvidenceRegistry } from "@goldenpath/testing/evidence-registry";
import { openStand } from "@goldenpath/testing/promotion";
import { makeKey } from "@goldenpath/testing/signers";
import { bundle } from "../../scripts/bundle.ts";
import { bin, root } from "../../scripts/steps.ts";
import { measureProcess, type ProcessMeasure } from "./process.ts";
import { type CountingProxy, type Counts, startCountingProxy } from "./proxy.ts";
import { type BenchLine, type BenchRow, judgeAim, spreadOf, withRatios } from "./shape.ts";
import type { SignSpec } from "./sign-run.ts";

export const signLines = ["sign", "sign-far", "verify", "verify-far", "gates", "gates-far"] as const;

export interface SignBench {
  rounds: number;
  /** Images of line `gates`. */
  many: number;
  only: readonly string[];
  cosign: string;
  say(message: string): void;
}

/** At most so much of what cosign takes for the same. */
const limit = 0.2;
/** What the way to a registry that is not in the next room takes, there and back. Milliseconds. */
const farAway = 20;
/** As a job that looks at many images would. */
const abreast = 16;
const password = "correct horse battery";

/** Six statements about one image, each with a key of its own: signed and verified, by us and by cosign; and gates. */
export async function benchSign(bench: SignBench): Promise<BenchLine[]> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  const registry = await startEvidenceRegistry(true);
  const near = await startCountingProxy(registry.server.host);
  const far = await startCountingProxy(registry.server.host, farAway);
  const wants = (id: string): boolean => bench.only.length === 0 || bench.only.includes(id);
  try {
    bench.say("bundling");
    const world: World = {
      ...{ bench, directory, registry, near, far },
      program: await bundleProgram(directory),
      stages: await makeStages(directory),
    };
    const lines: BenchLine[] = [];
    for (const does of ["sign", "verify"] as const) {
      if (wants(does)) lines.push(await benchSix(world, does));
      if (wants(`${does}-far`)) lines.push(await benchSix(world, does, "far"));
    }
    if (wants("gates") || wants("gates-far")) lines.push(...(await benchGates(world, wants)));
    return lines;
  } finally {
    await Promise.all([near.close(), far.close()]);
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  }
}

interface World {
  bench: SignBench;
  directory: string;
  registry: EvidenceRegistry;
  /** Before the registry: what counts, and what is as far from it as a job is. */
  near: CountingProxy;
  far: CountingProxy;
  /** The bundle. */
  program: string;
  stages: SignSpec["stages"];
}

/**
 * The measured program as users run one: bundled like an action, from what the sources are compiled to. Below the root,
 * where the workspaces are found.
 */
async function bundleProgram(directory: string): Promise<string> {
  execFileSync(bin("tsc"), ["--build"], { cwd: root, stdio: "ignore" });
  const folder = await mkdtemp(join(root, "node_modules", ".cache-bench-"));
  try {
    await mkdir(join(directory, "dist"));
    const source = await readFile(join(import.meta.dirname, "sign-run.ts"), "utf8");
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    await writeFile(join(folder, "index.js"), stripTypeScriptTypes(source));
    bundle(join(folder, "index.js"), join(directory, "dist"));
    return join(directory, "dist", "index.js");
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Six, each with a key in a file, which cosign reads as well once it has imported it. */
async function makeStages(directory: string): Promise<SignSpec["stages"]> {
  const { provenance, cyclonedx, base, vulnerabilities, verificationSummary } = predicateTypes;
  const types = [provenance, cyclonedx, base, vulnerabilities, verificationSummary, "https://stage.example/sixth/v1"];
  await writeFile(
    join(directory, "signing-config.json"),
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}',
  );
  await writeFile(join(directory, "predicate.json"), '{"found":"something"}');
  return Promise.all(
    types.map(async (type, index) => {
      const { privateKeyPem, publicKeyPem } = await makeKey();
      const [key, publicKey] = [join(directory, `${index}.pem`), join(directory, `${index}.pub`)];
      await writeFile(key, privateKeyPem, { mode: 0o600 });
      await writeFile(publicKey, publicKeyPem);
      return { type, key, publicKey };
    }),
  );
}

async function runOurs(
  { directory, program }: Pick<World, "directory" | "program">,
  spec: SignSpec,
): Promise<ProcessMeasure> {
  const file = join(directory, "spec.json");
  await writeFile(file, JSON.stringify(spec));
  const env = { PATH: process.env["PATH"], HOME: directory };
  return measureProcess({ argv: [process.execPath, program, file], env }, directory);
}

/** cosign signs and verifies one statement a run: what six took is one measurement. */
async function runCosign(world: World, does: "sign" | "verify", image: string): Promise<ProcessMeasure> {
  const { bench, directory, stages } = world;
  const env = { PATH: process.env["PATH"], HOME: directory, COSIGN_PASSWORD: password };
  const measures: ProcessMeasure[] = [];
  for (const [index, { type, publicKey }] of stages.entries()) {
    const args =
      does === "sign"
        ? [
            ...["attest", "--yes", "--key", join(directory, `${index}-cosign.key`), "--type", type],
            ...["--predicate", join(directory, "predicate.json")],
            ...["--signing-config", join(directory, "signing-config.json")],
          ]
        : ["verify-attestation", "--key", publicKey, "--insecure-ignore-tlog", "--type", type];
    measures.push(await measureProcess({ argv: [bench.cosign, ...args, image], env }, directory));
  }
  const sum = (field: "seconds" | "cpuSeconds"): number => measures.reduce((all, each) => all + each[field], 0);
  return {
    seconds: sum("seconds"),
    cpuSeconds: sum("cpuSeconds"),
    peakMegabytes: Math.max(...measures.map((each) => each.peakMegabytes)),
  };
}

async function importKeys({ bench, directory, stages }: World): Promise<void> {
  const env = { PATH: process.env["PATH"], HOME: directory, COSIGN_PASSWORD: password };
  for (const [index, { key }] of stages.entries()) {
    const prefix = join(directory, `${index}-cosign`);
    const argv = [bench.cosign, "import-key-pair", "--yes", "--key", key, "--output-key-prefix", prefix];
    await measureProcess({ argv, env }, directory);
  }
}

/** Near, what is timed goes straight to the registry, and a run of each through what counts; far, all of them do. */
async function benchSix(world: World, does: "sign" | "verify", where: "near" | "far" = "near"): Promise<BenchLine> {
  const { bench, registry, stages } = world;
  const proxy = world[where];
  const [counted, timed] = [proxy.host, where === "near" ? registry.server.host : proxy.host];
  if (does === "sign") await importKeys(world);
  const nameAt = (host: string, { repository, image }: Awaited<ReturnType<EvidenceRegistry["newImage"]>>): string =>
    `${formatRepository({ ...repository, registry: host })}@${image.digest}`;
  const signed = await registry.newImage();
  if (does === "verify") await runOurs(world, { does: "sign", images: [nameAt(registry.server.host, signed)], stages });
  const imageAt = async (host: string): Promise<string> =>
    nameAt(host, does === "sign" ? await registry.newImage() : signed);
  const [ours, theirs, starts, nodes]: ProcessMeasure[][] & { length: 4 } = [[], [], [], []];
  let counts: [ours: Counts, theirs: Counts] | undefined;
  // The first round is the warm-up, and counts.
  for (let round = 0; round <= bench.rounds; round++) {
    bench.say(`${does}${where === "far" ? "-far" : ""}: round ${round}`);
    const host = round === 0 ? counted : timed;
    proxy.take();
    ours.push(await runOurs(world, { does, images: [await imageAt(host)], stages }));
    const own = proxy.take();
    theirs.push(await runCosign(world, does, await imageAt(host)));
    counts ??= [own, proxy.take()];
    starts.push(await runOurs(world, { does, images: [], stages: [] }));
    nodes.push(await measureProcess({ argv: [process.execPath, "-e", "0"], env: {} }, world.directory));
  }
  const word = does === "sign" ? "attest" : "verify-attestation";
  const rows = withRatios([
    rowOf(does, true, "one program, bundled like an action, with its start: six statements, six keys", ours.slice(1)),
    rowOf(`cosign ${word}`, false, "six runs, one after the other, each with its start", theirs.slice(1)),
  ]).map((row, index) => ({ ...row, ...(counts?.[index] === undefined ? {} : { counts: counts[index] }) }));
  rows.push(rowOf("start", true, "of that, its start alone: Node's, and loading the bundle", starts.slice(1)));
  rows.push(rowOf("node", true, "`node -e 0`: what no program in it can be faster than", nodes.slice(1)));
  const [own, peer] = rows.map(({ seconds }) => seconds?.median ?? Number.NaN);
  const distance = where === "far" ? `, ${farAway} ms from the registry` : "";
  const words = `${does}: six stages in at most ${limit} of six \`cosign ${word}\`${distance}`;
  return {
    id: where === "far" ? `${does}-far` : does,
    what: `six statements about one image ${does === "sign" ? "signed and attached" : "verified"}, each with a key of its own${distance}`,
    rows,
    aims: [judgeAim(words, own ?? Number.NaN, peer ?? Number.NaN, "cosign, s", limit)],
  };
}

/** Nobody else has such a gate: what is said is how many images and requests. */
async function benchGates(world: World, wants: (id: string) => boolean): Promise<BenchLine[]> {
  const { bench } = world;
  const stand = await openStand();
  try {
    bench.say(`gates: ${bench.many} images`);
    const images: string[] = [];
    for (let index = 0; index < bench.many; index++)
      images.push((await stand.stageImage(undefined, `image ${index}`)).reference);
    const measure = async (name: string, some: readonly string[], atOnce: number): Promise<BenchRow> => {
      bench.say(`${name}: ${atOnce} at a time`);
      const spec: SignSpec = { does: "gates", images: some, stages: [], policy: stand.policy.file, abreast: atOnce };
      const measures: ProcessMeasure[] = [];
      for (let round = 0; round < bench.rounds; round++) {
        stand.quarantine.requests.length = 0;
        measures.push(await runOurs(world, spec));
      }
      const requests = stand.quarantine.requests.length / some.length;
      const rate = some.length / spreadOf(measures.map(({ seconds }) => seconds)).median;
      const how = atOnce === 1 ? "one after the other" : `${atOnce} at a time`;
      const note = `${how}: ${requests.toFixed(1)} requests an image, ${rate.toFixed(rate < 10 ? 1 : 0)} images a second`;
      return rowOf(name, true, note, measures);
    };
    const lines: BenchLine[] = [];
    const what = (count: number): string => `the gate for ${count} images with all of their evidence`;
    if (wants("gates")) {
      const rows = [await measure("gates", images, 1), await measure("gates abreast", images, abreast)];
      lines.push({ id: "gates", what: what(images.length), rows, aims: [] });
    }
    if (wants("gates-far")) {
      stand.quarantine.settings.latency = farAway;
      const fewer = images.slice(0, Math.ceil(images.length / 20));
      const rows = [await measure("gates", fewer, 1), await measure("gates abreast", images, abreast)];
      const far = `${what(images.length)} (one after the other: ${fewer.length}), ${farAway} ms a request`;
      lines.push({ id: "gates-far", what: far, rows, aims: [] });
    }
    return lines;
  } finally {
    await stand.close();
  }
}

function rowOf(name: string, ours: boolean, note: string, measures: readonly ProcessMeasure[]): BenchRow {
  return {
    ...{ name, ours, note, compared: !ours },
    seconds: spreadOf(measures.map((each) => each.seconds)),
    cpuSeconds: spreadOf(measures.map((each) => each.cpuSeconds)),
    peakMegabytes: Math.max(...measures.map((each) => each.peakMegabytes)),
  };
}
