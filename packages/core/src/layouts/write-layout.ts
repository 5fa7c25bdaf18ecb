import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { blobsOf } from "@goldenpath/registry-client/copy";
import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";

/** Blobs that are written at the same time. */
const concurrency = 3;

/**
 * Writes an image as a registry has it, an index with all that it names, as an OCI layout (image-spec 1.1,
 * image-layout.md): byte for byte, each blob held to its digest. Nothing is in the folder but that.
 * @param directory is made; what was there under its name is gone
 * @param tags are its names in `index.json`
 * @throws what the client throws, `digest-mismatch` among it
 */
export async function writeLayout(
  client: RegistryClient,
  reference: PinnedReference,
  directory: string,
  { tags, signal }: { tags: readonly string[] } & Pick<Context, "signal">,
): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const manifests = await fetchManifests(client, reference);
  const blobs = new Map(manifests.flatMap(blobsOf).map((blob) => [blob.digest, blob]));
  await mapConcurrently(concurrency, [...blobs.values()], (blob) =>
    writeBlob(client, reference, blob, directory, signal),
  );
  for (const { digest, bytes } of manifests) await writeFile(await placeOf(directory, digest), bytes, { flag: "wx" });
  const [root] = manifests;
  if (root === undefined) throw new TypeError("an image has a manifest");
  const descriptor = { mediaType: root.mediaType, digest: root.digest, size: root.bytes.byteLength };
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: tags.map((tag) => ({ ...descriptor, annotations: { "org.opencontainers.image.ref.name": tag } })),
  };
  await writeFile(join(directory, "index.json"), stringifyJson(index));
  await writeFile(join(directory, "oci-layout"), stringifyJson({ imageLayoutVersion: "1.0.0" }));
}

/** The root first, then each that it names, once. */
async function fetchManifests(client: RegistryClient, reference: PinnedReference): Promise<Manifest[]> {
  const root = await client.fetchManifest(reference);
  if (root.kind === "image") return [root];
  const { registry, name } = reference;
  const digests = [...new Set(root.manifest.manifests.map(({ digest }) => digest))];
  return [
    root,
    ...(await mapConcurrently(concurrency, digests, (digest) => client.fetchManifest({ registry, name, digest }))),
  ];
}

async function writeBlob(
  client: RegistryClient,
  { registry, name }: PinnedReference,
  blob: Descriptor,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const file = await open(await placeOf(directory, blob.digest), "wx");
  try {
    for await (const chunk of await client.openBlob({ registry, name }, blob)) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function placeOf(directory: string, digest: Digest): Promise<string> {
  const path = join(directory, "blobs", digestAlgorithm(digest), digestHex(digest));
  await mkdir(dirname(path), { recursive: true });
  return path;
}
