import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { BlobTransfer, RegistryClient } from "./client.ts";
import type { Digest } from "./oci/digest.ts";
import { foreignLayerMissing, isForeignLayer } from "./oci/layer-types.ts";
import type { Descriptor, Manifest } from "./oci/manifest.ts";
import { formatReference, formatRepository, isSameRepository, type Repository } from "./oci/reference.ts";

/** An index of indexes of … is not what an image is; the bound keeps a malicious one from going on. */
const maxDepth = 4;
/** Manifests of one tree, which are held until they are written, and their bytes. */
const maxManifests = 1_000;
const maxTreeBytes = 128 * 1024 * 1024;
/**
 * Mounts, or manifests of one level, on their way at the same time; the client bounds the requests to each host
 * besides.
 */
const concurrency = 8;
/** Blobs whose bytes are on their way at the same time: more is no faster, and holds more in memory. */
const streams = 4;

export interface CopyResult {
  /** Streamed from one repository to the other. */
  blobsCopied: number;
  /** Taken over by the registry itself, without their bytes passing here. */
  blobsMounted: number;
  /** There before. */
  blobsPresent: number;
  /** What was streamed, in bytes. */
  bytes: number;
}

interface BlobToCopy {
  descriptor: Descriptor;
  /** The destination was asked, and has it not. */
  isMissing?: boolean;
  /** Its content, where it is at hand. */
  bytes?: Uint8Array | undefined;
  /** Told why it could not be copied, or throws it on; without, it ends the copying. */
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * The blobs that a registry has to hold for a manifest, each once: an index has none of its own. Foreign layers are
 * among them: what was judged is what is there ({@link foreignLayerMissing}).
 */
export function blobsOf(manifest: Manifest): Descriptor[] {
  if (manifest.kind === "index") return [];
  return [
    ...new Map([manifest.manifest.config, ...manifest.manifest.layers].map((blob) => [blob.digest, blob])).values(),
  ];
}

/**
 * Brings blobs from one repository to another, several at once. Within one registry each is mounted straight away,
 * without asking whether it is there: a mount of what is there costs no more than the question. What the registry will
 * not mount is streamed, or sent from memory; the first that it refuses is taken for its way with the others.
 */
export async function copyBlobs(
  client: RegistryClient,
  from: Repository,
  to: Repository,
  blobs: readonly BlobToCopy[],
  {
    onBytes,
    onDone,
  }: { onBytes?: (bytes: number) => void; onDone?: (blob: Descriptor, transfer: BlobTransfer) => void } = {},
): Promise<CopyResult> {
  const result: CopyResult = { blobsCopied: 0, blobsMounted: 0, blobsPresent: 0, bytes: 0 };
  let mounts = from.registry === to.registry;

  async function transfer({ descriptor, isMissing = false, bytes }: BlobToCopy): Promise<BlobTransfer> {
    const options = { isMissing, ...(onBytes === undefined ? {} : { onBytes }) };
    if (bytes === undefined || mounts) {
      const done = await client.copyBlob(from, to, descriptor, options);
      if (done !== "mounted") mounts = false;
      return done;
    }
    await client.pushBlob(to, descriptor, () => bytes, options);
    return "copied";
  }

  await mapConcurrently(mounts ? concurrency : streams, blobs, async (blob) => {
    let done: BlobTransfer;
    try {
      done = await transfer(blob);
    } catch (cause) {
      const error = explainForeign(cause, from, blob.descriptor);
      if (blob.onError === undefined) throw error;
      return blob.onError(error);
    }
    if (done === "present") result.blobsPresent++;
    else if (done === "mounted") result.blobsMounted++;
    else {
      result.blobsCopied++;
      result.bytes += blob.descriptor.size;
    }
    onDone?.(blob.descriptor, done);
  });
  return result;
}

function explainForeign(error: unknown, from: Repository, blob: Descriptor): unknown {
  const isMissing = isKnownError(error) && error.code === "blob-not-found";
  return isMissing && isForeignLayer(blob.mediaType) ? foreignLayerMissing(formatRepository(from), blob) : error;
}

/**
 * Copies a manifest (an image, or an index and all its children, attestations included) with its blobs, byte for byte:
 * leaves first, root last, so that whatever can be pulled at the destination is complete. Never sets a tag. What is
 * there is not sent again, so that a copy that broke off can be repeated.
 * @throws UserError `image-not-found`, `registry-unauthorized`, `layer-foreign`; InfrastructureError as {@link
 *   RegistryClient} has them
 */
export async function copyManifest(
  client: RegistryClient,
  from: Repository,
  to: Repository,
  digest: Digest,
  options: { onBytes?: (bytes: number) => void } = {},
): Promise<CopyResult> {
  const levels = await fetchTree(client, from, digest, isSameRepository(from, to) ? 0 : maxDepth);
  const result: CopyResult = { blobsCopied: 0, blobsMounted: 0, blobsPresent: 0, bytes: 0 };
  if (isSameRepository(from, to)) return result;
  const blobs = [
    ...new Map(
      levels
        .flat()
        .flatMap(blobsOf)
        .map((blob) => [blob.digest, blob]),
    ).values(),
  ];
  const [root] = levels.at(-1) ?? [];
  if (root === undefined) throw new TypeError("a tree without a root");
  // A referrer is pushed again even where it exists: only the push makes sure that its subject's list has it.
  const isThere = (manifest: Manifest): Promise<boolean> =>
    manifest.manifest.subject === undefined
      ? client.resolve({ ...to, digest: manifest.digest }).then((found) => found !== undefined)
      : Promise.resolve(false);
  if (await isThere(root)) return { ...result, blobsPresent: blobs.length };
  const copied = await copyBlobs(
    client,
    from,
    to,
    blobs.map((descriptor) => ({ descriptor })),
    options,
  );
  for (const level of levels) {
    await mapConcurrently(concurrency, level, async (manifest) => {
      if (manifest === root || !(await isThere(manifest)))
        await client.pushManifest(to, manifest.bytes, manifest.mediaType, manifest.digest);
    });
  }
  return copied;
}

/**
 * A manifest and all that it names, each once, in the levels in which they may be written: those that name no other
 * first, the root last and alone.
 * @throws InfrastructureError `manifest-invalid` where indexes are nested deeper than `depth`, `too-large`
 */
async function fetchTree(
  client: RegistryClient,
  from: Repository,
  digest: Digest,
  depth: number,
): Promise<Manifest[][]> {
  const heights = new Map<Digest, { manifest: Manifest; height: number }>();
  let bytes = 0;
  function hold(manifest: Manifest): void {
    bytes += manifest.bytes.byteLength;
    if (heights.size < maxManifests && bytes <= maxTreeBytes) return;
    throw new InfrastructureError(
      `${formatReference({ ...from, digest })} is too large to be copied: at most ${maxManifests} manifests and ${maxTreeBytes} bytes of them are`,
      { code: "too-large", safeToRetry: false },
    );
  }
  async function visit(each: Digest, left: number): Promise<number> {
    const known = heights.get(each);
    if (known !== undefined) return known.height;
    const manifest = await client.fetchManifest({ ...from, digest: each });
    hold(manifest);
    const children =
      manifest.kind === "index" && depth > 0
        ? [...new Set(manifest.manifest.manifests.map((child) => child.digest))]
        : [];
    if (children.length > 0 && left === 0) {
      throw new InfrastructureError(`${formatReference({ ...from, digest })} nests more than ${depth} indexes`, {
        code: "manifest-invalid",
        safeToRetry: false,
      });
    }
    const below = await mapConcurrently(concurrency, children, (child) => visit(child, left - 1));
    const height = Math.max(-1, ...below) + 1;
    heights.set(each, { manifest, height });
    return height;
  }
  const top = await visit(digest, depth);
  const levels = Array.from({ length: top + 1 }, (): Manifest[] => []);
  for (const { manifest, height } of heights.values()) levels[height]?.push(manifest);
  return levels;
}
