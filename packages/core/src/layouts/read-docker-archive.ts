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
import { layerLimits, requireDisk } from "../layers/budget.ts";
import { detectCompression, magicLength } from "../layers/magic.ts";
import { packBlob } from "./pack-blob.ts";
import { maxConfigBytes, type ReadyBlob, type ReadyImage } from "./read-layout.ts";
import type { BaseLayer } from "./stand-in.ts";
import { invalidImage, type Storage } from "./storage.ts";

const listSchema = z.array(z.looseObject({ Config: z.string(), Layers: z.array(z.string()).max(2_000) })).length(1);

/**
 * Reads what `docker save` writes of one image: `manifest.json` with the paths of a config and of layers, which are tar
 * archives without compression, or with it where another program wrote them. Such an archive has no manifest, so one is
 * made: the base's layers as the base's own manifest has them, all others compressed below `work`, each held to the
 * diffID that the config has for it.
 * @throws InfrastructureError `built-image-invalid`, `config-invalid`, `disk-too-small`
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
  await mapConcurrently(availableParallelism(), [...others], async ([diffId, path]) => {
    layers.set(diffId, await readLayer(storage, path, diffId, work));
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

async function readLayer(storage: Storage, path: string, diffId: Digest, work: string): Promise<ReadyBlob> {
  const target = join(work, `${digestHex(diffId)}.tar.gz`);
  await requireDisk(work, (await storage.sizeOf(path)) ?? 0, layerLimits);
  const { diffId: found, ...blob } = await packBlob(requireTar(storage, path), target);
  if (found !== diffId) throw invalidImage(storage.where, `${path} is not the layer ${diffId} that its config names`);
  return blob;
}

/** A compressed one would need another reader; daemons save none. */
async function* requireTar(storage: Storage, path: string): AsyncGenerator<Uint8Array> {
  let start: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of storage.stream(path)) {
    if (start !== undefined) {
      start = start.length === 0 ? chunk : Buffer.concat([start, chunk]);
      if (start.length < magicLength) continue;
      if (detectCompression(start) !== undefined)
        throw invalidImage(storage.where, `${path} is compressed, and a saved layer is not`);
      yield start;
      start = undefined;
    } else yield chunk;
  }
  if (start !== undefined) yield start;
}
