import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts } from "@goldenpath/registry-client/subject";
import { selectPlatform } from "../../images.ts";
import type { AllowedImage } from "./judge-images.ts";

/** An image as a build gets it. */
export interface ResolvedImage extends AllowedImage {
  /** What the name meant, once: an index or an image. */
  resolved: PinnedReference;
  /** Of it, what this machine runs. */
  child: ChildFacts;
}

/** Layers that are fetched at once: more only makes a registry's other clients wait. */
const parallelLayers = 3;

/** What the name of an image means, and which image of that this machine runs: nothing of its layers is fetched. */
export async function resolveImage(
  image: AllowedImage,
  { client, platform }: { client: RegistryClient; platform: Platform },
): Promise<ResolvedImage> {
  const facts = await fetchImageFacts(client, image.reference);
  const { registry, name } = image.reference;
  return {
    ...image,
    resolved: { registry, name, digest: facts.reference.digest },
    child: selectPlatform(facts, platform, `image '${image.name}'`),
  };
}

/** What a build may use, in one OCI layout, byte for byte as the registries have it. */
export interface ImageStore {
  directory: string;
  /** Where a blob of it is; undefined for what it does not have. */
  fileOf(digest: Digest): string | undefined;
  fetch(image: ResolvedImage): Promise<void>;
}

/** @param directory that does not exist yet */
export async function openImageStore(
  directory: string,
  { client, context }: { client: RegistryClient; context: Context },
): Promise<ImageStore> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "oci-layout"), stringifyJson({ imageLayoutVersion: "1.0.0" }));
  await writeFile(
    join(directory, "index.json"),
    stringifyJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }),
  );
  const written = new Set<Digest>();
  const pathOf = (digest: Digest): string => join(directory, "blobs", digestAlgorithm(digest), digestHex(digest));
  const place = async (digest: Digest): Promise<string> => {
    await mkdir(dirname(pathOf(digest)), { recursive: true });
    return pathOf(digest);
  };
  const writeBlob = async (image: PinnedReference, blob: Descriptor): Promise<void> => {
    if (written.has(blob.digest)) return;
    written.add(blob.digest);
    // The stream ends in an error where the bytes are not those of the digest.
    await pipeline(await client.openBlob(image, blob), createWriteStream(await place(blob.digest), { flags: "wx" }), {
      signal: context.signal,
    });
  };
  return {
    directory,
    fileOf: (digest) => (written.has(digest) ? pathOf(digest) : undefined),
    async fetch({ name, resolved, child }) {
      if (written.has(child.digest)) return;
      const own = { ...resolved, digest: child.digest };
      context.ports.log.info(`fetching ${name}: ${formatReference(resolved)}`);
      for (const digest of new Set([child.digest, resolved.digest])) {
        written.add(digest);
        await writeFile(await place(digest), (await client.fetchManifest({ ...own, digest })).bytes);
      }
      const blobs = [child.manifest.config, ...child.manifest.layers];
      await mapConcurrently(parallelLayers, blobs, (blob) => writeBlob(own, blob));
    },
  };
}
