import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeIssues, parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { createDigester, type Digest, digestHex, isDigest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes, type Platform, parseImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { createBudget, type LayerBudget, layerLimits, requireDisk, spendBytes } from "../../layers/budget.ts";
import { openStorage } from "../../layouts/storage.ts";
import type { BuildCache, CacheLayer, CacheParts, FoundCache } from "./cache.ts";

/**
 * The lifecycle's own cache, in the two forms that it knows: a folder (`-cache-dir`), with a tar a layer and a file that
 * says whose each is; and an image (`-cache-image`, which pack reads as well), with the same layers, compressed, and the
 * same text in a label. Entries are such images, so that the lifecycle needs no login; it finds the folder.
 */
const metadataName = "io.buildpacks.lifecycle.cache.metadata";
const layerType = "application/vnd.oci.image.layer.v1.tar+zstd";
/** Bytes: of a text with some lines a layer. */
const maxMetadata = 4 * 1024 * 1024;
const maxConfig = 8 * 1024 * 1024;
/** At the same time: each has a thread, and this machine builds besides. */
const concurrency = 2;

const metadataSchema = z.looseObject({
  buildpacks: z
    .array(z.looseObject({ layers: z.record(z.string(), z.looseObject({ sha: z.string() })).nullish() }))
    .nullish(),
  // https://github.com/buildpacks/lifecycle: platform.CacheMetadata
  sbom: z.looseObject({ sha: z.string().optional() }).nullish(),
});

/** Fills an empty folder with what was found. Whether a tar is the layer that it is called, the lifecycle looks itself. */
export async function placeLifecycleCache(found: FoundCache, directory: string, signal: AbortSignal): Promise<void> {
  const { config: descriptor, layers } = found.manifest;
  const config = parseImageConfig(await found.read(descriptor, maxConfig), "of the cache");
  const metadata = config.config?.Labels?.[metadataName];
  const diffIds = config.rootfs.diff_ids;
  if (metadata === undefined || diffIds.length !== layers.length) throw new Error("it is no cache of the lifecycle");
  const committed = join(directory, "committed");
  await mkdir(committed);
  const budget = createBudget(layerLimits);
  await mapConcurrently(concurrency, layers, async (layer, index) => {
    await requireDisk(directory, layer.size, layerLimits);
    const tar = join(committed, `${diffIds[index]}.tar`);
    const output = createWriteStream(tar, { flags: "wx", mode: 0o644 });
    await pipeline(await found.open(layer), createZstdDecompress(), limit(budget), output, { signal });
  });
  await writeFile(join(committed, metadataName), metadata, { flag: "wx", mode: 0o644 });
}

/** A few bytes can stand for any number. */
function limit(budget: LayerBudget) {
  return async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      spendBytes(budget, chunk.byteLength, "the cache");
      yield chunk;
    }
  };
}

/**
 * What the lifecycle left in a folder → an entry's parts; undefined where it left nothing to keep. Layers that the cache
 * which was found has already are taken from there.
 * @param work an empty folder for compressed layers, nobody else's to write
 */
export async function gatherLifecycleCache(
  directory: string,
  {
    found,
    platform,
    work,
    signal,
  }: Pick<BuildCache, "found"> & { platform: Platform; work: string; signal: AbortSignal },
): Promise<CacheParts | undefined> {
  const storage = await openStorage(join(directory, "committed"));
  if ((await storage.sizeOf(metadataName)) === undefined) return undefined;
  const metadata = (await storage.read(metadataName, maxMetadata)).toString("utf8").trim();
  const diffIds = listLayers(metadata);
  if (diffIds.length === 0) return undefined;
  const known = found === undefined ? new Map<Digest, Descriptor>() : await listKnown(found);
  const layers = await mapConcurrently(concurrency, diffIds, async (diffId): Promise<CacheLayer> => {
    const descriptor = known.get(diffId);
    if (descriptor !== undefined) return { descriptor, open: undefined };
    const file = join(work, digestHex(diffId));
    const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
    const digester = createDigester();
    let size = 0;
    const measure = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        size += chunk.byteLength;
        digester.update(chunk);
        yield chunk;
      }
    };
    const output = createWriteStream(file, { flags: "wx" });
    await pipeline(storage.stream(`${diffId}.tar`), compress, measure, output, { signal });
    return {
      descriptor: { mediaType: layerType, digest: digester.digest(), size },
      open: () => createReadStream(file),
    };
  });
  const config = {
    architecture: platform.architecture,
    os: platform.os,
    config: { Labels: { [metadataName]: metadata } },
    rootfs: { type: "layers", diff_ids: diffIds },
  };
  const bytes = new TextEncoder().encode(stringifyJson(config));
  return { config: { mediaType: mediaTypes.ociConfig, bytes }, layers };
}

/** Each once, in an order that is the same the next time. */
function listLayers(metadata: string): Digest[] {
  const parsed = metadataSchema.safeParse(parseJson(metadata));
  if (!parsed.success)
    throw new Error(`the lifecycle's ${metadataName} can't be read: ${describeIssues(parsed.error)}`);
  const { buildpacks, sbom } = parsed.data;
  const named = (buildpacks ?? []).flatMap(({ layers }) => Object.values(layers ?? {}).map(({ sha }) => sha));
  const all = [...new Set([...named, ...(sbom?.sha === undefined || sbom.sha === "" ? [] : [sbom.sha])])].sort();
  return all.map((sha) => {
    if (!isDigest(sha)) throw new Error(`the lifecycle names a layer '${sha.slice(0, 100)}'`);
    return sha;
  });
}

async function listKnown(found: FoundCache): Promise<Map<Digest, Descriptor>> {
  const { config, layers } = found.manifest;
  const { rootfs } = parseImageConfig(await found.read(config, maxConfig), "of the cache");
  return new Map(
    rootfs.diff_ids.flatMap((diffId, index) => {
      const layer = layers[index];
      return layer === undefined ? [] : [[diffId, layer] as const];
    }),
  );
}
