import { type FileHandle, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  type Descriptor,
  type ImageConfig,
  mediaTypes,
  parseImageConfig,
} from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { createBudget, type LayerBudget, type LayerLimits, layerLimits, requireDisk } from "../layers/budget.ts";
import { type KeptContent, keepContent, type LayerContents } from "../layers/contents.ts";
import { readLayerContents } from "../layers/image-layer.ts";
import { falseLayer } from "../layers/read.ts";

/** Layers that are fetched at once: more only makes a registry's other clients wait. */
const parallelLayers = 3;
/** How much is written between two looks at the free space. Bytes. */
const diskStep = 64 * 1024 * 1024;
/** Far more than a config with large labels has. Bytes. */
const maxConfigBytes = 8 * 1024 * 1024;

export interface LayoutOptions {
  /**
   * Only so many layers, the lowest first: the layers of the base that the image stands on. All of them, unless told.
   */
  layers?: number;
  limits?: LayerLimits;
}

/**
 * Writes one image, or its lowest layers, as an OCI layout (image-spec 1.1, image-layout.md): tools that read it need
 * no registry, no login and no proxy of their own. What is in it is what was checked: each layer is the tar archive
 * that {@link readImageLayer} read, not compressed, and is what the config says, so that nobody unpacks it in another
 * way. Manifest and config are written anew to name these; diffIDs stay as they are.
 * @returns what each layer has, the lowest first
 * @throws InfrastructureError `layout-invalid` (not a single image, or a full disk), `layer-contradicts`,
 *   `disk-too-small`, and what reading a layer and the client throw
 */
export async function writeImageLayout(
  client: RegistryClient,
  repository: Repository,
  digest: Digest,
  directory: string,
  context: Pick<Context, "ports" | "signal">,
  { layers: count, limits = layerLimits }: LayoutOptions = {},
): Promise<LayerContents[]> {
  const where = formatReference({ ...repository, digest });
  const manifest = await client.fetchManifest({ ...repository, digest });
  if (manifest.kind !== "image" || manifest.digest !== digest)
    throw invalid(`${where} is not a single image that can be written to disk`);
  const configBytes = await client.fetchBlob(repository, manifest.manifest.config, maxConfigBytes);
  const config = parseImageConfig(configBytes, `of ${where}`);
  const layers = manifest.manifest.layers.slice(0, count);
  const diffIds = config.rootfs.diff_ids.slice(0, count);
  if (
    config.rootfs.diff_ids.length !== manifest.manifest.layers.length ||
    (count !== undefined && diffIds.length < count)
  ) {
    throw invalid(
      `${where} has ${manifest.manifest.layers.length} layers, and its config has ${config.rootfs.diff_ids.length} diffIDs`,
    );
  }
  const total = [...new Map(layers.map((blob) => [blob.digest, blob])).values()].reduce(
    (sum, blob) => sum + blob.size,
    0,
  );
  const task = context.ports.progress.start(`fetching ${where}`, {
    amount: total,
    unit: "bytes",
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  try {
    const work: Work = {
      client,
      repository,
      directory,
      signal,
      budget: createBudget(limits),
      kept: keepContent(),
      advance: (bytes) => task.advance(bytes),
    };
    for (const algorithm of new Set<string>(["sha256", ...diffIds.map(digestAlgorithm)])) {
      await mkdir(join(directory, "blobs", algorithm), { recursive: true });
    }
    await requireDisk(directory, total, limits);
    const first = new Map(diffIds.map((diffId, index) => [diffId, index]).reverse() as [Digest, number][]);
    const written = await mapConcurrently(parallelLayers, diffIds, async (diffId, index) => {
      // One layer twice, as often as a builder copies nothing, is one file.
      if (first.get(diffId) !== index && layers[index]?.digest === layers[first.get(diffId) ?? 0]?.digest)
        return undefined;
      try {
        return await writeLayer(work, layers[index] as Descriptor, diffId, index);
      } catch (error) {
        stop.abort();
        throw error;
      }
    });
    const contents = diffIds.map((diffId, index) => written[index] ?? (written[first.get(diffId) ?? 0] as Written));
    await writeDescription(directory, config, configBytes, contents);
    task.done();
    return contents.map(({ diffId, entries }) => ({ diffId, entries }));
  } catch (error) {
    task.failed();
    throw asFullDisk(error, directory);
  }
}

interface Work {
  client: RegistryClient;
  repository: Repository;
  directory: string;
  signal: AbortSignal;
  budget: LayerBudget;
  kept: KeptContent;
  advance(bytes: number): void;
}

interface Written extends LayerContents {
  size: number;
}

async function writeLayer(work: Work, layer: Descriptor, diffId: Digest, index: number): Promise<Written> {
  const { directory, repository, signal, budget } = work;
  signal.throwIfAborted();
  const target = blobPath(directory, diffId);
  const unfinished = `${target}.${index}`;
  let unchecked = diskStep;
  let file: FileHandle | undefined;
  try {
    file = await open(unfinished, "wx");
    const handle = file;
    const counted = countReads(work);
    const source = { client: counted, repository, layer, diffId, budget, kept: work.kept, signal };
    const read = await readLayerContents(source, async (chunk) => {
      unchecked += chunk.length;
      if (unchecked >= diskStep) {
        await requireDisk(directory, diskStep, budget.limits);
        unchecked = 0;
      }
      await handle.writeFile(chunk);
    });
    if (read.diffId !== diffId)
      throw falseLayer(`layer ${index + 1} of ${formatRepository(repository)}`, diffId, read.diffId);
    await file.close();
    file = undefined;
    await rename(unfinished, target);
    return read;
  } finally {
    await file?.close();
    await rm(unfinished, { force: true });
  }
}

/** The client, which tells of what it reads of a blob as it comes. */
function countReads({ client, advance }: Work): Pick<RegistryClient, "openBlob"> {
  return {
    async openBlob(repository, descriptor) {
      const content = await client.openBlob(repository, descriptor);
      return (async function* () {
        for await (const chunk of content) {
          advance(chunk.byteLength);
          yield chunk;
        }
      })();
    },
  };
}

async function writeDescription(
  directory: string,
  config: ImageConfig,
  configBytes: Uint8Array,
  contents: readonly Written[],
): Promise<void> {
  const diffIds = contents.map(({ diffId }) => diffId);
  const isWhole = diffIds.length === config.rootfs.diff_ids.length;
  const { history: _history, ...rest } = config;
  const bytes = isWhole ? configBytes : encode({ ...rest, rootfs: { type: "layers", diff_ids: diffIds } });
  const put = async (mediaType: string, content: Uint8Array): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digestOf(content), size: content.byteLength };
    await writeFile(blobPath(directory, descriptor.digest), content);
    return descriptor;
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await put(mediaTypes.ociConfig, bytes),
    layers: contents.map(({ diffId, size }) => ({ mediaType: mediaTypes.ociLayerTar, digest: diffId, size })),
  };
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [await put(mediaTypes.ociManifest, encode(manifest))],
  };
  await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(directory, "index.json"), JSON.stringify(index));
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function blobPath(directory: string, digest: Digest): string {
  return join(directory, "blobs", digestAlgorithm(digest), digestHex(digest));
}

function invalid(message: string): InfrastructureError {
  return new InfrastructureError(message, { code: "layout-invalid", safeToRetry: false });
}

function asFullDisk(error: unknown, directory: string): unknown {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOSPC") return error;
  return new InfrastructureError(`there is no space left for the image in ${dirname(directory)}`, {
    code: "layout-invalid",
    wayOut: "Free space on the runner, or let its temporary directory be on a larger disk.",
    cause: error,
  });
}
