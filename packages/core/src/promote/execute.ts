import { InfrastructureError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import type { Descriptor, Manifest } from "../oci/manifest.ts";
import { formatRepository, parseRepository, type Repository } from "../oci/reference.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { PromotionPlan } from "./plan.ts";

export interface ExecutionCounts {
  blobsMounted: number;
  blobsCopied: number;
  manifestsCopied: number;
  bytesCopied: number;
}

/**
 * Writes what the plan says is missing, tags left out: blobs, then the image's manifests with children first, then the evidence. Stopped anywhere, it leaves
 * blobs and manifests that no tag points at, and the next run finds them present.
 */
export async function executeCopy(
  client: RegistryClient,
  plan: PromotionPlan,
  manifests: ReadonlyMap<Digest, Manifest>,
  ports: Ports,
): Promise<ExecutionCounts> {
  const from = parseRepository(plan.from);
  const to = parseRepository(plan.to);
  const counts: ExecutionCounts = { blobsMounted: 0, blobsCopied: 0, manifestsCopied: 0, bytesCopied: 0 };
  const missing = plan.blobs.filter((blob) => blob.action !== "present");
  const task = ports.progress.start(`copy to ${plan.to}`, { amount: plan.bytes.copy + plan.bytes.mount, unit: "bytes" });
  try {
    for (const blob of missing) {
      if (blob.action === "mount" && (await client.mountBlob(to, blob.digest, from))) {
        counts.blobsMounted += 1;
        task.advance(blob.size);
        continue;
      }
      await copyBlob(client, from, to, blob, (bytes) => task.advance(bytes));
      counts.blobsCopied += 1;
      counts.bytesCopied += blob.size;
    }
    for (const { digest, action } of plan.manifests) {
      if (action === "present") continue;
      const manifest = manifests.get(digest);
      if (manifest === undefined) throw new TypeError(`the plan names ${digest}, and its bytes were not gathered`);
      await client.pushManifest(to, manifest.bytes, manifest.mediaType);
      counts.manifestsCopied += 1;
      counts.bytesCopied += manifest.bytes.byteLength;
      task.advance(manifest.bytes.byteLength);
    }
    task.done(
      `${counts.blobsMounted} mounted, ${counts.blobsCopied + counts.manifestsCopied} copied, ${(counts.bytesCopied / 1e6).toFixed(1)} MB`,
    );
    return counts;
  } catch (error) {
    task.failed();
    throw error;
  }
}

/** Streams a blob from one repository to the other; nothing touches the disk, and both ends check the digest. */
async function copyBlob(
  client: RegistryClient,
  from: Repository,
  to: Repository,
  blob: Descriptor,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await client.pushBlob(to, blob, () => streamBlob(client, from, blob, onBytes));
}

async function* streamBlob(
  client: RegistryClient,
  from: Repository,
  blob: Descriptor,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of await client.openBlob(from, blob)) {
    onBytes(chunk.byteLength);
    yield chunk;
  }
}

/**
 * Points the plan's tags at the promoted digest: the last thing that a promotion does. Where somebody moved one of them since the plan, it is left alone, and none
 * of the others is set.
 * @throws InfrastructureError `tag-moved`
 */
export async function executeTags(client: RegistryClient, plan: PromotionPlan, image: Manifest): Promise<void> {
  const to = parseRepository(plan.to);
  const unset: string[] = [];
  for (const { tag, from } of plan.tags) {
    const current = await client.resolve({ ...to, tag });
    if (current === plan.digest) continue;
    if (current !== from) {
      throw new InfrastructureError(
        `tag ${tag} of ${formatRepository(to)} was moved while this promotion ran: from ${from ?? "nothing"} to ${current ?? "nothing"}`,
        { code: "tag-moved", wayOut: "See who else promotes to this tag, then run the promotion again." },
      );
    }
    unset.push(tag);
  }
  for (const tag of unset) await client.pushManifest(to, image.bytes, image.mediaType, tag);
}
