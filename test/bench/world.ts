import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { findPointerRepository } from "@goldenpath/core/policy/pointer";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { freePort, startDistribution, startOlareg, startProgram, type TestServer } from "../support/servers.ts";
import { addCounts, type CountingProxy, type Counts, startCountingProxy } from "./proxy.ts";

export interface BenchRegistry {
  /** `localhost:PORT`, for what is timed. */
  host: string;
  proxy: CountingProxy;
  what: string;
  /** It has the referrers API. */
  api: boolean;
}

export interface BenchWorld {
  directory: string;
  client: RegistryClient;
  distribution: BenchRegistry;
  /** Where streams go. */
  other: BenchRegistry;
  olareg: BenchRegistry;
  embedded: BenchRegistry;
  keys: TestKeys;
  /** Promotes between any two of these registries, through their proxies as well. */
  policy: ChainPolicy;
  /** A name that nothing has been copied to; the last part is always the same, since skopeo sync keeps it. */
  freshName(): string;
  takeCounts(): Counts;
  close(): Promise<void>;
}

/** Where images come from and go to, in each registry: prefixes of the policy. */
export const quarantine = "quarantine";
export const vetted = "vetted";

/** @throws Error where a program that serves a registry does not */
export async function openWorld(programs: { distribution: string; olareg: string }): Promise<BenchWorld> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-bench-"));
  const closers: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const each of closers.toReversed()) await each();
  };
  const open = async (starting: Promise<TestServer>, what: string, api: boolean): Promise<BenchRegistry> => {
    const server = await starting;
    closers.push(() => server.stop());
    const proxy = await startCountingProxy(server.host);
    closers.push(() => proxy.close());
    return { host: server.host, proxy, what, api };
  };
  try {
    const distribution = await open(startDistribution(programs.distribution), "CNCF distribution", false);
    const other = await open(startDistribution(programs.distribution), "CNCF distribution", false);
    const olareg = await open(startOlareg(programs.olareg), "olareg (referrers API)", true);
    const embedded = await open(startServe(), "goldenpath registry serve (referrers API)", true);
    const client = createRegistryClient({ ports: silentPorts(), env: {} });
    closers.push(() => client.close());
    const registries = [distribution, other, olareg, embedded];
    const keys = await makeKeys(directory);
    const policy = await writeWidePolicy(
      directory,
      keys,
      registries.flatMap(({ host, proxy }) => [host, proxy.host]),
    );
    // Each is reached by two names.
    for (const { host, proxy } of registries) {
      const aliases = [findPointerRepository(parseRepository(`${proxy.host}/${vetted}/any`))];
      await putInForce(client, `${host}/${vetted}`, policy, { keys, aliases });
    }
    let names = 0;
    return {
      directory,
      client,
      distribution,
      other,
      olareg,
      embedded,
      keys,
      policy,
      freshName: () => `${vetted}/n${++names}/shop`,
      takeCounts: () => registries.map(({ proxy }) => proxy.take()).reduce(addCounts),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The project's own registry in a process of its own, in memory. */
async function startServe(): Promise<TestServer> {
  const port = await freePort();
  const cli = join(import.meta.dirname, "..", "..", "packages", "cli", "bin", "goldenpath.mjs");
  const program = startProgram(process.execPath, [
    "--conditions=goldenpath-source",
    cli,
    "registry",
    "serve",
    "--port",
    String(port),
  ]);
  try {
    await program.until(async () => (await fetch(`http://127.0.0.1:${port}/v2/`)).ok);
  } catch (error) {
    await program.stop();
    throw error;
  }
  return { host: `localhost:${port}`, stop: () => program.stop() };
}

async function writeWidePolicy(directory: string, keys: TestKeys, hosts: readonly string[]): Promise<ChainPolicy> {
  const [from, to] = [`${hosts[0]}/${quarantine}`, `${hosts[0]}/${vetted}`];
  const narrow = await writeChainPolicy({ directory, keys, from, to, referrers: "all" });
  const list = (prefix: string): string => JSON.stringify(hosts.map((host) => `${host}/${prefix}`));
  const text = (await readFile(narrow.file, "utf8"))
    .replace(`from: ${JSON.stringify([from])}`, `from: ${list(quarantine)}`)
    .replace(`to: ${JSON.stringify([to])}`, `to: ${list(vetted)}`)
    // The peers' job is one image with five referrers, so two stages are required, and not three.
    .replace(/^.*stage: base,.*\n/m, "");
  await writeFile(narrow.file, text);
  const bytes = new TextEncoder().encode(text);
  return { ...narrow, policy: parsePolicy(bytes, narrow.file), digest: digestOf(bytes) };
}

export interface BenchImages {
  registry: BenchRegistry;
  /** NAME of the repository that has them all. */
  name: string;
  images: { tag: string; digest: Digest }[];
  /** Distinct blobs of the images, configs included. */
  blobs: number;
  /** Bytes of those. */
  bytes: number;
  /** Statements attached to each image; 0: none were made. */
  referrers: number;
}

export interface ImagesWanted {
  count: number;
  /** Random bytes: nothing can be left out by compression. One more layer is common to all images. */
  layers: number;
  layerBytes: number;
  evidence: boolean;
}

/** What is attached to each image: the statements that the policy below requires, and one more. */
const evidencePieces = ["provenance", "sbom", "base", "scan", "scanVerdict"] as const;
/** A little one; the base of every image. */
const baseBytes = 100_000;

export async function makeImages(
  world: BenchWorld,
  registry: BenchRegistry,
  wanted: ImagesWanted,
): Promise<BenchImages> {
  const name = `${quarantine}/${wanted.evidence ? "evident" : "plain"}-${wanted.count}-${wanted.layers}-${wanted.layerBytes}/shop`;
  const repository = parseRepository(`${registry.host}/${name}`);
  const common = await pushRandom(world.client, repository, baseBytes);
  const made: BenchImages = { registry, name, images: [], blobs: 1, bytes: baseBytes, referrers: 0 };
  for (let index = 0; index < wanted.count; index++) {
    const layers = [common];
    for (let layer = 0; layer < wanted.layers; layer++)
      layers.push(await pushRandom(world.client, repository, wanted.layerBytes));
    const tag = `v${index + 1}`;
    const { descriptor, configBytes } = await pushImage(world.client, repository, layers, tag);
    made.images.push({ tag, digest: descriptor.digest });
    made.blobs += wanted.layers + 1;
    made.bytes += wanted.layers * wanted.layerBytes + configBytes;
    if (!wanted.evidence) continue;
    const image = { repository, image: descriptor, children: [], digest: descriptor.digest, reference: "" };
    await attachEvidence({
      client: world.client,
      image,
      policy: world.policy,
      keys: world.keys,
      pieces: evidencePieces,
    });
    made.referrers = evidencePieces.length;
  }
  return made;
}

/**
 * A layer as registries have them, in gzip, whose bytes are random: skopeo compresses, and so changes, what is not
 * compressed.
 */
async function pushRandom(client: RegistryClient, repository: Repository, size: number): Promise<Descriptor> {
  // One block, repeated with a number in front: a gigabyte need not be in memory.
  const block = randomBytes(Math.min(size, 1 << 20));
  function* blocks(): Generator<Uint8Array> {
    for (let sent = 0, number = 0; sent < size; sent += block.byteLength, number++) {
      const chunk = Buffer.from(block.subarray(0, Math.min(block.byteLength, size - sent)));
      if (chunk.byteLength >= 4) chunk.writeUInt32LE(number);
      yield chunk;
    }
  }
  const content = (): AsyncIterable<Uint8Array> =>
    Readable.from(blocks(), { objectMode: false }).pipe(createGzip({ level: 0 }));
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of content()) {
    hash.update(chunk);
    length += chunk.byteLength;
  }
  const descriptor: Descriptor = {
    mediaType: mediaTypes.ociLayerTarGzip,
    digest: `sha256:${hash.digest("hex")}`,
    size: length,
  };
  await client.pushBlob(repository, descriptor, content);
  return descriptor;
}

async function pushImage(
  client: RegistryClient,
  repository: Repository,
  layers: readonly Descriptor[],
  tag: string,
): Promise<{ descriptor: Descriptor; configBytes: number }> {
  const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const content = encode({
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs,
    created: new Date(0).toISOString(),
    comment: tag,
  });
  const config: Descriptor = { mediaType: mediaTypes.ociConfig, digest: digestOf(content), size: content.byteLength };
  await client.pushBlob(repository, config, () => content);
  const manifest = encode({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers });
  const digest = await client.pushManifest(repository, manifest, mediaTypes.ociManifest, tag);
  return {
    descriptor: { mediaType: mediaTypes.ociManifest, digest, size: manifest.byteLength },
    configBytes: content.byteLength,
  };
}
