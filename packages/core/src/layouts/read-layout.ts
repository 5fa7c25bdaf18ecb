import { parseJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { findLayerType } from "@goldenpath/registry-client/oci/layer-types";
import {
  type Descriptor,
  type ImageConfig,
  isAttestation,
  isRunnable,
  type Manifest,
  maxManifestBytes,
  mediaTypes,
  parseImageConfig,
  parseManifest,
} from "@goldenpath/registry-client/oci/manifest";
import { maxChildren, maxChildrenBytes } from "@goldenpath/registry-client/subject";
import { invalidImage, type Storage } from "./storage.ts";

/** An image that is whole, as it is to be pushed. */
export interface ReadyImage {
  /** In the order of pushing: what an index names before the index, and the root last. */
  manifests: [...children: Manifest[], root: Manifest];
  /** Of each image in it that runs. */
  configs: ImageConfig[];
  /** Each once. `open` gives the bytes from the beginning, each time that it is called. */
  blobs: ReadyBlob[];
}

export interface ReadyBlob {
  descriptor: Descriptor;
  /** Undefined for what the base's repository has. */
  open: (() => AsyncIterable<Uint8Array> | Uint8Array) | undefined;
}

/** Far more than a config with large labels has. Bytes. */
export const maxConfigBytes = 8 * 1024 * 1024;
const maxLayers = 2_000;

/**
 * Reads an OCI layout (image-spec 1.1, image-layout.md), strictly: one image or index, by its digest whatever names it
 * has there, each manifest, config and layer there with the size that it is said to have and of a type that an image
 * has. Manifests and configs are held to their digests here; layers when they are pushed.
 * @param isThere what needs not be in the layout, since it is fetched from elsewhere: the base's layers
 * @param named the image, where it is whole before the layout's index names it: an index of images
 * @throws InfrastructureError `built-image-invalid`, `manifest-invalid`, `config-invalid`
 */
export async function readLayout(
  storage: Storage,
  isThere: (digest: Digest) => boolean,
  named?: Digest,
): Promise<ReadyImage> {
  const reading: Reading = { storage, isThere, blobs: new Map(), configs: [], bytes: 0 };
  const root = await readManifest(reading, named === undefined ? await findRoot(storage) : await find(storage, named));
  const children: Manifest[] = [];
  if (root.kind === "image") await collectImage(reading, root);
  else {
    for (const descriptor of root.manifest.manifests) {
      if (children.some(({ digest }) => digest === descriptor.digest)) continue;
      const child = await readManifest(reading, descriptor);
      if (child.kind === "index") throw invalid(reading, `${child.digest} is an index in an index`);
      await collectImage(reading, child, !isRunnable(descriptor));
      children.push(child);
    }
  }
  return { manifests: [...children, root], configs: reading.configs, blobs: [...reading.blobs.values()] };
}

interface Reading {
  storage: Storage;
  isThere(digest: Digest): boolean;
  blobs: Map<Digest, ReadyBlob>;
  configs: ImageConfig[];
  /** Of manifests and configs. */
  bytes: number;
}

function invalid({ storage }: Pick<Reading, "storage">, why: string, cause?: unknown): Error {
  return invalidImage(storage.where, why, cause);
}

async function find(storage: Storage, digest: Digest): Promise<Descriptor> {
  const size = await storage.sizeOf(blobPath(digest));
  if (size === undefined) throw invalid({ storage }, `it has no ${digest}`);
  return { mediaType: mediaTypes.ociIndex, digest, size };
}

/** What the layout's index names. @throws InfrastructureError `built-image-invalid` */
export async function findRoot(storage: Storage): Promise<Descriptor> {
  const { imageLayoutVersion } = (await readJson(storage, "oci-layout")) as { imageLayoutVersion?: unknown };
  if (imageLayoutVersion !== "1.0.0") throw invalid({ storage }, "its oci-layout is not of version 1.0.0");
  const bytes = await storage.read("index.json", maxManifestBytes);
  const index = parseManifest(bytes, mediaTypes.ociIndex, `index.json of ${storage.where}`);
  if (index.kind !== "index") throw invalid({ storage }, "its index.json is not an index");
  // Several names of one image are entries of one digest.
  const [first, ...others] = new Map(index.manifest.manifests.map((each) => [each.digest, each])).values();
  if (first === undefined || others.length > 0)
    throw invalid({ storage }, `it holds ${index.manifest.manifests.length} images, and one is expected`);
  return first;
}

async function readJson(storage: Storage, path: string): Promise<object> {
  try {
    const json = parseJson((await storage.read(path, maxManifestBytes)).toString("utf8"));
    if (typeof json === "object" && json !== null) return json;
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid({ storage }, `its ${path} is not JSON`, error);
    throw error;
  }
  throw invalid({ storage }, `its ${path} is not an object`);
}

async function readManifest(reading: Reading, descriptor: Descriptor): Promise<Manifest> {
  const bytes = await readBlob(reading, descriptor, maxManifestBytes);
  const manifest = parseManifest(bytes, descriptor.mediaType, `${descriptor.digest} of ${reading.storage.where}`);
  if (manifest.mediaType !== descriptor.mediaType)
    throw invalid(reading, `${descriptor.digest} is said to be ${descriptor.mediaType}, and is ${manifest.mediaType}`);
  // A referrer is how evidence looks: a build says nothing about another image.
  if (manifest.manifest.subject !== undefined)
    throw invalid(reading, `${descriptor.digest} refers to another image (subject)`);
  if (manifest.kind === "index" && manifest.manifest.manifests.length > maxChildren)
    throw invalid(reading, `its index has more than ${maxChildren} entries`);
  return { ...manifest, digest: descriptor.digest };
}

async function collectImage(reading: Reading, image: Manifest, isAside = false): Promise<void> {
  if (image.kind !== "image") return;
  const { config, layers } = image.manifest;
  if (layers.length > maxLayers) throw invalid(reading, `${image.digest} has more than ${maxLayers} layers`);
  if (isAside && !isAttestation(image.manifest))
    throw invalid(reading, `${image.digest} says that it is of no platform, and is not an attestation`);
  const bytes = await readBlob(reading, config, maxConfigBytes);
  if (!isAside) {
    const parsed = parseImageConfig(bytes, `of ${image.digest} in ${reading.storage.where}`);
    const { rootfs } = parsed;
    reading.configs.push(parsed);
    if (rootfs.diff_ids.length !== layers.length)
      throw invalid(reading, `${image.digest} has ${layers.length} layers and ${rootfs.diff_ids.length} diffIDs`);
    for (const { mediaType, digest, urls } of layers) {
      const type = findLayerType(mediaType);
      if (type === undefined || type.isForeign || urls !== undefined)
        throw invalid(reading, `layer ${digest} is of type ${mediaType}${urls === undefined ? "" : ", elsewhere"}`);
    }
  }
  addBlob(reading, config, () => bytes);
  for (const layer of layers) await addLayer(reading, layer);
}

async function addLayer(reading: Reading, layer: Descriptor): Promise<void> {
  const path = blobPath(layer.digest);
  if (reading.isThere(layer.digest)) return addBlob(reading, layer, undefined);
  const size = await reading.storage.sizeOf(path);
  if (size !== layer.size)
    throw invalid(reading, `${path} ${size === undefined ? "is not in it" : `has ${size} bytes`}, not ${layer.size}`);
  return addBlob(reading, layer, () => reading.storage.stream(path));
}

function addBlob(reading: Reading, { mediaType, digest, size }: Descriptor, open: ReadyBlob["open"]): void {
  if (!reading.blobs.has(digest)) reading.blobs.set(digest, { descriptor: { mediaType, digest, size }, open });
}

/** A manifest or config: whole, held to its digest and its size. */
async function readBlob(reading: Reading, { digest, size }: Descriptor, maxBytes: number): Promise<Buffer> {
  const path = blobPath(digest);
  const bytes = await reading.storage.read(path, maxBytes);
  if (bytes.length !== size || digestOf(bytes, digestAlgorithm(digest)) !== digest)
    throw invalid(reading, `${path} is not what its digest says, of ${size} bytes`);
  reading.bytes += bytes.length;
  if (reading.bytes > maxChildrenBytes)
    throw invalid(reading, `its manifests and configs have more than ${maxChildrenBytes} bytes`);
  return bytes;
}

/** Of a small blob: a config. */
export async function readAll(content: AsyncIterable<Uint8Array> | Uint8Array): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content;
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Of a blob in a layout. */
export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}
