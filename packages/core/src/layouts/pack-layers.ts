import { join } from "node:path";
import { parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  type Descriptor,
  type ImageManifest,
  isAttestation,
  type Manifest,
  mediaTypes,
  parseManifest,
} from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { layerLimits, requireDisk } from "../layers/budget.ts";
import { packBlob } from "./pack-blob.ts";
import { type ReadyBlob, type ReadyImage, readAll } from "./read-layout.ts";
import { invalidImage } from "./storage.ts";

/** BuildKit's, with as many steps as a Dockerfile has lines. Bytes. */
const maxStatementBytes = 32 * 1024 * 1024;
const statementType = "application/vnd.in-toto+json";
/** By which an attestation in an index says of which image it is (BuildKit, attestation-storage.md). */
const referenceAnnotation = "vnd.docker.reference.digest";

/**
 * The image with its layers compressed that the build left as plain tar archives, each held to its digest; the base's
 * stay as its repository has them. A build's own program compresses on one core, and where it changes a layer's times,
 * twice. Whatever names what was compressed names it by the new digest: manifests, the index, and what BuildKit states
 * of an image beside it in the index.
 * @param work a folder of ours, for what is compressed
 * @throws InfrastructureError `built-image-invalid`, `disk-too-small`
 */
export async function packLayers(image: ReadyImage, work: string): Promise<ReadyImage> {
  const packing: Packing = {
    blobs: new Map(image.blobs.map((blob) => [blob.descriptor.digest, blob])),
    now: new Map(),
  };
  const plain = [...new Map(image.manifests.flatMap(listLayers).map((layer) => [layer.digest, layer])).values()];
  for (const layer of plain) await packLayer(packing, layer, work);
  if (packing.now.size === 0) return image;
  const renewedOf = new Map<Manifest, Manifest>();
  const ofLayers = image.manifests.filter((each): each is ManifestOfLayers => each.kind === "image");
  for (const each of ofLayers) if (!isStatement(each)) renewedOf.set(each, rewriteImage(packing, each));
  // What is stated of an image names it by the digest that it has by then.
  for (const each of ofLayers) if (isStatement(each)) renewedOf.set(each, await rewriteStatement(packing, each));
  const renewed = image.manifests.map((each) => renewedOf.get(each) ?? rewriteIndex(packing, each));
  return { manifests: renewed as ReadyImage["manifests"], configs: image.configs, blobs: [...packing.blobs.values()] };
}

interface Packing {
  /** By their digests: what replaces one is in its place. */
  blobs: Map<Digest, ReadyBlob>;
  /** What is called otherwise by now, by the digest that it had. */
  now: Map<string, Pick<Descriptor, "mediaType" | "digest" | "size">>;
}

type ManifestOfLayers = Manifest & { kind: "image" };

function isStatement({ manifest }: ManifestOfLayers): boolean {
  return isAttestation(manifest);
}

function listLayers(manifest: Manifest): Descriptor[] {
  if (manifest.kind !== "image" || isStatement(manifest)) return [];
  // One of another digest is pushed as it is, and held to that there: here all is held to SHA-256.
  return manifest.manifest.layers.filter(
    ({ mediaType, digest }) => mediaType === mediaTypes.ociLayerTar && digestAlgorithm(digest) === "sha256",
  );
}

async function packLayer({ blobs, now }: Packing, { digest, size }: Descriptor, work: string): Promise<void> {
  const open = blobs.get(digest)?.open;
  if (open === undefined) return;
  await requireDisk(work, size, layerLimits);
  const content = open();
  if (content instanceof Uint8Array) throw new TypeError("a layer is a stream");
  const { diffId, ...packed } = await packBlob(content, join(work, `${digestHex(digest)}.tar.gz`));
  if (diffId !== digest) throw invalidImage(digest, "its bytes are not those of its digest");
  blobs.delete(digest);
  blobs.set(packed.descriptor.digest, packed);
  now.set(digest, packed.descriptor);
}

/** @returns the descriptor, with its other fields, of what it names now */
function renew<D extends object>({ now }: Packing, descriptor: D & { digest: string }): D {
  return { ...descriptor, ...now.get(descriptor.digest) };
}

/** Manifests and configs were read before by rules under which this JSON has one meaning alone; all fields are kept. */
function readJson(bytes: Uint8Array): Record<string, unknown> {
  return parseJson(Buffer.from(bytes).toString("utf8")) as Record<string, unknown>;
}

function replace({ now }: Packing, old: Manifest, json: object): Manifest {
  const bytes = Buffer.from(stringifyJson(json));
  const manifest = parseManifest(bytes, old.mediaType, `${old.digest}, compressed`);
  now.set(old.digest, { mediaType: old.mediaType, digest: manifest.digest, size: bytes.length });
  return manifest;
}

function rewriteImage(packing: Packing, image: Manifest): Manifest {
  const json = readJson(image.bytes) as { layers: Descriptor[] };
  return replace(packing, image, { ...json, layers: json.layers.map((layer) => renew(packing, layer)) });
}

function rewriteIndex(packing: Packing, index: Manifest): Manifest {
  const json = readJson(index.bytes) as { manifests: Descriptor[] };
  const manifests = json.manifests.map((each) => {
    const entry = renew(packing, each);
    const of = packing.now.get(entry.annotations?.[referenceAnnotation] ?? "");
    return of === undefined
      ? entry
      : { ...entry, annotations: { ...entry.annotations, [referenceAnnotation]: of.digest } };
  });
  return replace(packing, index, { ...json, manifests });
}

const statementSchema = z.looseObject({
  subject: z.array(z.looseObject({ digest: z.record(z.string(), z.string()) })),
});

/** What is stated of an image, in layers of a manifest of its own, whose config lists them as an image's does. */
async function rewriteStatement(packing: Packing, old: ManifestOfLayers): Promise<Manifest> {
  const { config, layers } = old.manifest;
  for (const layer of layers) {
    if (layer.mediaType === statementType)
      await replaceBlob(packing, layer, (bytes) => {
        const statement = readStatement(bytes, layer.digest);
        return { ...statement, subject: statement.subject.map((each) => renameSubject(packing, each)) };
      });
  }
  await replaceBlob(packing, config, (bytes) => {
    const json = readJson(bytes);
    const rootfs = json["rootfs"] as { diff_ids?: string[] } | undefined;
    if (rootfs?.diff_ids === undefined) return json;
    return { ...json, rootfs: { ...rootfs, diff_ids: rootfs.diff_ids.map((id) => packing.now.get(id)?.digest ?? id) } };
  });
  const json = readJson(old.bytes) as unknown as ImageManifest;
  const renewed = { config: renew(packing, json.config), layers: json.layers.map((layer) => renew(packing, layer)) };
  return replace(packing, old, { ...json, ...renewed });
}

function readStatement(bytes: Uint8Array, digest: Digest): z.infer<typeof statementSchema> {
  const invalid = (cause: unknown): Error => invalidImage(digest, "it is no in-toto statement", cause);
  try {
    return statementSchema.parse(readJson(bytes));
  } catch (error) {
    throw error instanceof SyntaxError || error instanceof z.ZodError ? invalid(error) : error;
  }
}

function renameSubject<S extends { digest: Record<string, string> }>({ now }: Packing, subject: S): S {
  const of = now.get(`sha256:${subject.digest["sha256"]}`);
  return of === undefined ? subject : { ...subject, digest: { ...subject.digest, sha256: digestHex(of.digest) } };
}

async function replaceBlob(
  { blobs, now }: Packing,
  { mediaType, digest, size }: Descriptor,
  change: (bytes: Uint8Array) => object,
): Promise<void> {
  const open = blobs.get(digest)?.open;
  if (now.has(digest) || open === undefined) return;
  if (size > maxStatementBytes) throw invalidImage(digest, `it has ${size} bytes, more than ${maxStatementBytes}`);
  const before = await readAll(open());
  if (digestOf(before, digestAlgorithm(digest)) !== digest)
    throw invalidImage(digest, "its bytes are not those of its digest");
  const bytes = Buffer.from(stringifyJson(change(before)));
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  blobs.delete(digest);
  blobs.set(descriptor.digest, { descriptor, open: () => bytes });
  now.set(digest, descriptor);
}
