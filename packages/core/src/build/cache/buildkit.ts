import { createWriteStream } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, maxManifestBytes, mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import { layerLimits, requireDisk } from "../../layers/budget.ts";
import { openStorage, type Storage } from "../../layouts/storage.ts";
import type { CacheParts, FoundCache } from "./cache.ts";

/**
 * BuildKit's own cache (`mode=max`, `image-manifest=true`): a manifest whose config says what each layer is the result
 * of. Its importer and exporter of folders need no login; what is in the registry is what its registry cache has there.
 */
const configType = "application/vnd.buildkit.cacheconfig.v0";
/** Bytes. BuildKit itself reads no more. */
const maxConfig = 1024 * 1024;
const concurrency = 3;

/**
 * Writes what was found into a folder whose blobs are those of an OCI layout. It gets no index: there is one only when
 * BuildKit has left a cache there itself.
 * @param fileOf where on this machine a blob is already, by its digest
 * @returns the arguments by which buildctl reads it
 */
export async function placeBuildKitCache(
  found: FoundCache,
  directory: string,
  { fileOf, signal }: { fileOf(digest: Digest): string | undefined; signal: AbortSignal },
): Promise<string[]> {
  const { manifest } = found;
  if (manifest.config.mediaType !== configType) throw new Error("it is no cache of BuildKit");
  const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
  const place = (digest: Digest): string => join(directory, pathOf(digest));
  for (const algorithm of ["sha256", "sha512"]) await mkdir(join(directory, "blobs", algorithm), { recursive: true });
  const missing: Descriptor[] = [];
  for (const blob of blobs.values()) {
    const file = fileOf(blob.digest);
    if (file === undefined) missing.push(blob);
    else await symlink(file, place(blob.digest));
  }
  await requireDisk(
    directory,
    missing.reduce((sum, { size }) => sum + size, 0),
    layerLimits,
  );
  await mapConcurrently(concurrency, missing, async (blob) => {
    await pipeline(await found.open(blob), createWriteStream(place(blob.digest), { flags: "wx" }), { signal });
  });
  // Its fields that are ours mean nothing to BuildKit, and the digest is that of these bytes.
  const bytes = Buffer.from(stringifyJson(manifest));
  const digest = digestOf(bytes);
  await writeFile(place(digest), bytes, { flag: "wx" });
  return [`--import-cache=type=local,src=${directory},digest=${digest}`];
}

/**
 * Into the folder of what was found, so that BuildKit writes only what is not there. Layers as the image has them: gzip,
 * so that nothing is compressed twice. That it can't be written fails nothing.
 */
export function keepArgument(directory: string): string {
  return `--export-cache=type=local,dest=${directory},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true`;
}

/**
 * What BuildKit left in a folder → an entry's parts: those of what was found where no step was new, and so none was
 * written; undefined where there is neither, as of a build without a step.
 */
export async function gatherBuildKitCache(
  directory: string,
  found: FoundCache | undefined,
): Promise<CacheParts | undefined> {
  const storage = await openStorage(directory);
  const bytes =
    (await storage.sizeOf("index.json")) === undefined ? undefined : await storage.read("index.json", maxManifestBytes);
  if (bytes === undefined) return found === undefined ? undefined : repeat(storage, found);
  const index = parseManifest(bytes, mediaTypes.ociIndex, "the index of BuildKit's cache");
  const [first, ...others] = index.kind === "index" ? index.manifest.manifests : [];
  if (first === undefined || others.length > 0) throw new Error("BuildKit's cache is not of one manifest");
  const root = parseManifest(
    await readBlob(storage, first.digest, maxManifestBytes),
    first.mediaType,
    "BuildKit's cache",
  );
  if (root.kind !== "image" || root.manifest.config.mediaType !== configType)
    throw new Error("BuildKit's cache is not of the form that was asked for");
  const { config, layers } = root.manifest;
  const known = new Set(found?.manifest.layers.map(({ digest }) => digest));
  return {
    config: { mediaType: configType, bytes: await readBlob(storage, config.digest, maxConfig) },
    layers: layers.map((descriptor) => ({
      descriptor,
      open: known.has(descriptor.digest) ? undefined : () => storage.stream(pathOf(descriptor.digest)),
    })),
  };
}

async function repeat(storage: Storage, { manifest: { config, layers } }: FoundCache): Promise<CacheParts> {
  return {
    config: { mediaType: configType, bytes: await readBlob(storage, config.digest, maxConfig) },
    layers: layers.map((descriptor) => ({ descriptor, open: undefined })),
  };
}

const pathOf = (digest: Digest): string => `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;

async function readBlob(storage: Storage, digest: Digest, maxBytes: number): Promise<Buffer> {
  const bytes = await storage.read(pathOf(digest), maxBytes);
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest) throw new Error(`${digest} has other bytes`);
  return bytes;
}
