import { InfrastructureError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import type { Descriptor, Manifest } from "../oci/manifest.ts";
import { formatReference, isSameRepository, type Repository } from "../oci/reference.ts";
import type { RegistryClient } from "./client.ts";

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

/** An index of indexes of … is not what an image is; the bound keeps a malicious one from going on. */
const maxDepth = 4;
/** Blobs of one manifest on their way at the same time. */
const concurrency = 4;

/**
 * Copies a manifest (an image, or an index and all its children, attestations included) with its blobs, byte for byte: leaves first, root last, so that whatever
 * can be pulled at the destination is complete. Never sets a tag. What is there is not sent again, so that a copy that broke off can be repeated.
 * @throws UserError `image-not-found`, `registry-unauthorized`; InfrastructureError as {@link RegistryClient} has them
 */
export async function copyManifest(
  client: RegistryClient,
  from: Repository,
  to: Repository,
  digest: Digest,
  options: { onBytes?: (bytes: number) => void } = {},
): Promise<CopyResult> {
  const result: CopyResult = { blobsCopied: 0, blobsMounted: 0, blobsPresent: 0, bytes: 0 };
  if (isSameRepository(from, to)) {
    await client.fetchManifest({ ...from, digest });
    return result;
  }
  // Layers are shared between the children of an index: each is looked at once.
  const handled = new Set<Digest>();

  async function copyTree(each: Digest, depth: number): Promise<void> {
    if (depth > maxDepth) {
      throw new InfrastructureError(`${formatReference({ ...from, digest })} nests more than ${maxDepth} indexes`, {
        code: "manifest-invalid",
        safeToRetry: false,
      });
    }
    if (handled.has(each)) return;
    handled.add(each);
    const manifest = await client.fetchManifest({ ...from, digest: each });
    if (manifest.kind === "index") for (const child of manifest.manifest.manifests) await copyTree(child.digest, depth + 1);
    else await forEachConcurrently(concurrency, [manifest.manifest.config, ...manifest.manifest.layers].filter(isDistributable), copyBlob);
    await putCopy(manifest);
  }

  async function putCopy(manifest: Manifest): Promise<void> {
    // A referrer is pushed again even where it exists: only the push makes sure that its subject's list has it.
    const isReferrer = manifest.manifest.subject !== undefined;
    if (!isReferrer && (await client.resolve({ ...to, digest: manifest.digest })) !== undefined) return;
    await client.pushManifest(to, manifest.bytes, manifest.mediaType, manifest.digest);
  }

  async function copyBlob(descriptor: Descriptor): Promise<void> {
    if (handled.has(descriptor.digest)) return;
    handled.add(descriptor.digest);
    if (await client.hasBlob(to, descriptor.digest)) {
      result.blobsPresent++;
      return;
    }
    if (await client.mountBlob(to, descriptor.digest, from)) {
      result.blobsMounted++;
      return;
    }
    await client.pushBlob(to, descriptor, () => counted(descriptor));
    result.blobsCopied++;
    result.bytes += descriptor.size;
  }

  async function* counted(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    for await (const chunk of await client.openBlob(from, descriptor)) {
      options.onBytes?.(chunk.byteLength);
      yield chunk;
    }
  }

  await copyTree(digest, 0);
  return result;
}

/** Layers that their owner forbids to distribute are named by address and are in no registry (image specification, non-distributable layers). */
function isDistributable(descriptor: Descriptor): boolean {
  const isForeign = descriptor.mediaType.includes(".nondistributable.") || descriptor.mediaType.includes(".foreign.");
  return !(isForeign && (descriptor.urls?.length ?? 0) > 0);
}

/** Stops starting at the first error, and throws it once nothing is under way any more. */
async function forEachConcurrently<T>(limit: number, items: readonly T[], body: (item: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  const rest = [...items];
  const work = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined && errors.length === 0; item = rest.shift()) {
      await body(item).catch((error: unknown) => errors.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  if (errors.length > 0) throw errors[0];
}
