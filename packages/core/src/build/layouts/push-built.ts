import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { readDockerArchive } from "./read-docker-archive.ts";
import { type ReadyImage, readLayout } from "./read-layout.ts";
import { type LayoutLimits, openStorage } from "./storage.ts";

/** Blobs that are pushed at the same time: more only makes a registry's other clients wait. */
const concurrency = 3;

export interface PushOptions {
  /** Where it goes, and at least one tag for it, all of one repository. */
  repository: Repository;
  tags: readonly [Reference, ...Reference[]];
  client: Pick<RegistryClient, "pushBlob" | "copyBlob" | "pushManifest">;
  context: Pick<Context, "ports" | "signal" | "temporaryDirectory">;
  /**
   * The base, where it is known: its layers are brought from its repository, as they are there, and not from what the
   * build left.
   */
  base?: { repository: Repository; image: Pick<ChildFacts, "manifest" | "config"> };
  limits?: LayoutLimits;
}

/**
 * Pushes the one image of an OCI layout (a folder or a tar archive) that a build left. The build had no login: what it
 * left is read strictly, as a whole and before anything is pushed; the manifest with the tags goes last, so that
 * nothing half pushed has a name.
 * @returns the digest of the image or index, which is the one in the layout
 * @throws InfrastructureError `built-image-invalid`, `manifest-invalid`, `config-invalid`, and what the client throws
 */
export async function pushBuiltLayout(path: string, options: PushOptions): Promise<Digest> {
  const storage = await openStorage(path, options.limits);
  try {
    const ofBase = new Set(baseLayers(options).map(({ descriptor }) => descriptor.digest));
    return await push(await readLayout(storage, (digest) => ofBase.has(digest)), options);
  } finally {
    await storage.close();
  }
}

/**
 * Pushes the one image of an archive as `docker save` writes it. It names no manifest, so one is made of it, in which
 * the base's layers are those of the base's own manifest.
 * @throws as {@link pushBuiltLayout}
 */
export async function pushDockerArchive(path: string, options: PushOptions): Promise<Digest> {
  const storage = await openStorage(path, options.limits);
  const work = await mkdtemp(join(options.context.temporaryDirectory, "saved-"));
  try {
    return await push(await readDockerArchive(storage, baseLayers(options), work), options);
  } finally {
    await storage.close();
    await rm(work, { recursive: true, force: true });
  }
}

function baseLayers({ base }: PushOptions) {
  const { manifest, config } = base?.image ?? {};
  return (manifest?.layers ?? []).flatMap((descriptor, index) => {
    const diffId = config?.rootfs.diff_ids[index];
    return diffId === undefined ? [] : [{ diffId, descriptor }];
  });
}

async function push({ manifests, blobs }: ReadyImage, options: PushOptions): Promise<Digest> {
  const { repository, tags, client, context, base } = options;
  const amount = blobs.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const task = context.ports.progress.start(`pushing to ${formatRepository(repository)}`, { amount, unit: "bytes" });
  try {
    await mapConcurrently(concurrency, blobs, async ({ descriptor, open }) => {
      context.signal.throwIfAborted();
      if (open !== undefined) await client.pushBlob(repository, descriptor, open);
      else if (base !== undefined) await client.copyBlob(base.repository, repository, descriptor);
      else throw new TypeError(`nobody has ${descriptor.digest}`);
      task.advance(descriptor.size);
    });
    const root = manifests.at(-1);
    if (root === undefined) throw new TypeError("an image has a manifest");
    for (const { bytes, mediaType, digest } of manifests)
      await client.pushManifest(repository, bytes, mediaType, digest);
    for (const { tag } of tags) await client.pushManifest(repository, root.bytes, root.mediaType, tag);
    task.done();
    return root.digest;
  } catch (error) {
    task.failed();
    throw error;
  }
}
