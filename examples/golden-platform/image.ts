import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createDigester, type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes, parseImageConfig, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LayerFile } from "./file-tree.ts";

/** An image that lies in files, ready to be pushed. */
export interface BuiltImage {
  digest: Digest;
  mediaType: string;
  manifest: Uint8Array;
  config: Uint8Array;
  layers: LayerFile[];
}

/** The config's own fields, by the OCI image specification; `rootfs` comes from the layers. */
export interface ImageDescription {
  architecture: string;
  created: Date;
  config: { User?: string; Env?: string[]; Labels: Record<string, string>; WorkingDir?: string };
  history: string;
}

/**
 * Times in what is built here, so that the same content is the same digest: `SOURCE_DATE_EPOCH` (seconds, by
 * reproducible-builds.org), or the first second of 1980, as Cloud Native Buildpacks have it.
 */
export function fixedTime(env: Readonly<Record<string, string | undefined>>): Date {
  const epoch = env.SOURCE_DATE_EPOCH;
  return new Date((epoch !== undefined && /^[0-9]{1,10}$/.test(epoch) ? Number(epoch) : 315_532_801) * 1000);
}

export function assembleImage(description: ImageDescription, layers: LayerFile[]): BuiltImage {
  const created = description.created.toISOString().replace(".000Z", "Z");
  const config = encode({
    architecture: description.architecture,
    os: "linux",
    created,
    config: description.config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created, created_by: description.history })),
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.byteLength },
    layers: layers.map(describeLayer),
  });
  return { digest: digestOf(manifest), mediaType: mediaTypes.ociManifest, manifest, config, layers };
}

/** Pushes what the registry has not got yet, the manifest last, and returns the manifest's digest. */
export async function pushImage(
  client: RegistryClient,
  repository: Repository,
  image: BuiltImage,
  tag?: string,
): Promise<Digest> {
  const config: Descriptor = {
    mediaType: mediaTypes.ociConfig,
    digest: digestOf(image.config),
    size: image.config.byteLength,
  };
  for (const layer of image.layers) {
    if (!(await client.hasBlob(repository, layer.digest))) {
      await client.pushBlob(repository, describeLayer(layer), () => createReadStream(layer.path));
    }
  }
  await client.pushBlob(repository, config, () => image.config);
  return client.pushManifest(repository, image.manifest, image.mediaType, tag);
}

/**
 * Puts an image into `directory`, whole or not at all. Its layers must lie beside that directory, on the same file
 * system; they are moved.
 */
export async function saveImage(image: BuiltImage, directory: string): Promise<BuiltImage> {
  const staging = `${directory}.${process.pid}.partial`;
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true });
  for (const [index, layer] of image.layers.entries()) await rename(layer.path, join(staging, layerName(index)));
  await writeFile(join(staging, "config.json"), image.config);
  await writeFile(join(staging, "manifest.json"), image.manifest);
  await rm(directory, { recursive: true, force: true });
  await mkdir(dirname(directory), { recursive: true });
  await rename(staging, directory);
  return {
    ...image,
    layers: image.layers.map((layer, index) => ({ ...layer, path: join(directory, layerName(index)) })),
  };
}

/**
 * The image that {@link saveImage} left in `directory`, all its digests checked again; undefined where there is none or
 * it is damaged.
 */
export async function loadImage(directory: string): Promise<BuiltImage | undefined> {
  try {
    const [manifest, config] = await Promise.all([
      readFile(join(directory, "manifest.json")),
      readFile(join(directory, "config.json")),
    ]);
    const parsed = parseManifest(manifest, undefined, directory);
    const diffIds = parseImageConfig(config, directory).rootfs.diff_ids;
    if (parsed.kind !== "image" || parsed.manifest.config.digest !== digestOf(config)) return undefined;
    if (diffIds.length !== parsed.manifest.layers.length) return undefined;
    const layers: LayerFile[] = [];
    for (const [index, layer] of parsed.manifest.layers.entries()) {
      const path = join(directory, layerName(index));
      const diffId = diffIds[index];
      if (diffId === undefined || (await stat(path)).size !== layer.size || (await digestFile(path)) !== layer.digest)
        return undefined;
      layers.push({ path, digest: layer.digest, diffId, size: layer.size });
    }
    return { digest: parsed.digest, mediaType: parsed.mediaType, manifest, config, layers };
  } catch {
    // Whatever is wrong with a cache, the answer is to make the image again.
    return undefined;
  }
}

function layerName(index: number): string {
  return `layer-${index}.tar.gz`;
}

function describeLayer(layer: LayerFile): Descriptor {
  return { mediaType: mediaTypes.ociLayerTarGzip, digest: layer.digest, size: layer.size };
}

async function digestFile(path: string): Promise<Digest> {
  const digester = createDigester();
  for await (const chunk of createReadStream(path)) digester.update(chunk as Buffer);
  return digester.digest();
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
