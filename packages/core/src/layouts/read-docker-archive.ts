import { availableParallelism } from "node:os";
import { join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  maxManifestBytes,
  mediaTypes,
  parseImageConfig,
  parseManifest,
} from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { checkRatio, createBudget, type LayerBudget, layerLimits, requireDisk, spendBytes } from "../layers/budget.ts";
import { ByteReader, MalformedLayer } from "../layers/bytes.ts";
import { expandGzip } from "../layers/gzip.ts";
import { detectCompression, magicLength } from "../layers/magic.ts";
import { expandZstd } from "../layers/zstd.ts";
import { packBlob } from "./pack-blob.ts";
import { maxConfigBytes, type ReadyBlob, type ReadyImage } from "./read-layout.ts";
import type { BaseLayer } from "./stand-in.ts";
import { invalidImage, type Storage } from "./storage.ts";

const listSchema = z.array(z.looseObject({ Config: z.string(), Layers: z.array(z.string()).max(2_000) })).length(1);

/**
 * Reads what `docker save` writes of one image: `manifest.json` with the paths of a config and of layers, which are tar
 * archives without compression, or by gzip or zstd as they were pulled where the daemon keeps images in containerd's
 * store. The manifest of such a store is not read: one is made, with the base's layers as the base's own manifest has
 * them and all others compressed anew below `work`, each held to the diffID that the config has for it.
 * @throws InfrastructureError `built-image-invalid`, `config-invalid`, `disk-too-small`, `layers-too-large`,
 *   `layers-too-dense`
 */
export async function readDockerArchive(
  storage: Storage,
  baseLayers: readonly BaseLayer[],
  work: string,
): Promise<ReadyImage> {
  const { configPath, layerPaths } = await readList(storage);
  const configBytes = await storage.read(configPath, maxConfigBytes);
  const imageConfig = parseImageConfig(configBytes, `in ${storage.where}`);
  const diffIds = imageConfig.rootfs.diff_ids;
  if (diffIds.length !== layerPaths.length)
    throw invalidImage(storage.where, `it has ${layerPaths.length} layers and ${diffIds.length} diffIDs`);
  const layers = new Map<Digest, ReadyBlob>();
  const others = new Map<Digest, string>();
  for (const [index, diffId] of diffIds.entries()) {
    const ofBase = baseLayers[index];
    if (layers.has(diffId) || others.has(diffId)) continue;
    if (ofBase?.diffId === diffId) layers.set(diffId, { descriptor: ofBase.descriptor, open: undefined });
    else others.set(diffId, layerPaths[index] ?? "");
  }
  const budget = createBudget();
  await mapConcurrently(availableParallelism(), [...others], async ([diffId, path]) => {
    layers.set(diffId, await readLayer(storage, path, diffId, work, budget));
  });
  const descriptors = diffIds.flatMap((diffId) => layers.get(diffId)?.descriptor ?? []);
  const config = { mediaType: mediaTypes.ociConfig, digest: digestOf(configBytes), size: configBytes.length };
  const { ociManifest } = mediaTypes;
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: descriptors }),
  );
  return {
    manifests: [parseManifest(manifest, ociManifest, `of ${storage.where}`)],
    configs: [imageConfig],
    blobs: [{ descriptor: config, open: () => configBytes }, ...layers.values()],
  };
}

async function readList(storage: Storage): Promise<{ configPath: string; layerPaths: string[] }> {
  let json: unknown;
  try {
    json = parseJson((await storage.read("manifest.json", maxManifestBytes)).toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalidImage(storage.where, "its manifest.json is not JSON", error);
    throw error;
  }
  const parsed = listSchema.safeParse(json);
  const [image] = parsed.success ? parsed.data : [];
  if (image === undefined)
    throw invalidImage(storage.where, `its manifest.json: ${parsed.success ? "" : describeIssues(parsed.error)}`);
  return { configPath: image.Config, layerPaths: image.Layers };
}

async function readLayer(
  storage: Storage,
  path: string,
  diffId: Digest,
  work: string,
  budget: LayerBudget,
): Promise<ReadyBlob> {
  const target = join(work, `${digestHex(diffId)}.tar.gz`);
  await requireDisk(work, (await storage.sizeOf(path)) ?? 0, layerLimits);
  try {
    const { diffId: found, ...blob } = await packBlob(unpack(storage, path, budget), target);
    if (found === diffId) return blob;
  } catch (error) {
    throw error instanceof MalformedLayer ? invalidImage(storage.where, `${path}: ${error.message}`, error) : error;
  }
  throw invalidImage(storage.where, `${path} is not the layer ${diffId} that its config names`);
}

/** The layer's tar archive, counted as it comes: what it unpacks to is known only by then. */
async function* unpack(storage: Storage, path: string, budget: LayerBudget): AsyncGenerator<Uint8Array> {
  const where = `${path} in ${storage.where}`;
  const reader = new ByteReader(storage.stream(path));
  let size = 0;
  try {
    for await (const chunk of expand(reader)) {
      size += chunk.length;
      spendBytes(budget, chunk.length, where);
      checkRatio(budget, reader.position, size, where);
      yield chunk;
    }
  } finally {
    await reader.close();
  }
}

/** A saved layer has no type that says how it is compressed: its first bytes do, as they do to a daemon that loads it. */
async function* expand(reader: ByteReader): AsyncGenerator<Uint8Array> {
  const compression = detectCompression(await reader.peek(magicLength));
  if (compression === "gzip") yield* expandGzip(reader);
  else if (compression === "zstd") yield* expandZstd(reader);
  else if (compression === undefined) {
    for (let chunk = await reader.some(largestChunk); chunk.length > 0; chunk = await reader.some(largestChunk))
      yield chunk;
  } else throw new MalformedLayer(`it is compressed by ${compression}, and layers are by gzip, by zstd or not at all`);
}

const largestChunk = 1024 * 1024;
