import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError, PolicyViolation } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestAlgorithm } from "@goldenpath/registry-client/oci/digest";
import { ociLayerType } from "@goldenpath/registry-client/oci/layer-types";
import { isRunnable, type Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { labelImage } from "./label.ts";
import { packLayers } from "./pack-layers.ts";
import { readDockerArchive } from "./read-docker-archive.ts";
import { findRoot, type ReadyImage, readLayout } from "./read-layout.ts";
import { type BaseLayer, putBaseLayers } from "./stand-in.ts";
import { type LayoutLimits, openStorage, type Storage } from "./storage.ts";

/** Blobs that are pushed at the same time: more only makes a registry's other clients wait. */
const concurrency = 3;

export interface BuiltBase {
  repository: Repository;
  image: Pick<ChildFacts, "manifest" | "config">;
}

export interface PushOptions {
  /** Where it goes, and tags for it, all of that repository. */
  repository: Repository;
  tags: readonly Reference[];
  client: Pick<RegistryClient, "pushBlob" | "copyBlob" | "pushManifest">;
  context: Pick<Context, "ports" | "signal" | "temporaryDirectory">;
  /**
   * The base that the image has to stand on, where that is known before: by its layers, each of which is brought from
   * its repository, as it is there, where the image has it so.
   */
  base?: BuiltBase | undefined;
  /** The build was given stand-ins for the base's layers (`writeStandIn`), and its image has them. */
  hasStandIns?: boolean;
  /** Layers that the build left as plain tar archives are compressed (`packLayers`), the base's not. */
  compress?: boolean;
  /** What the build says that it left, where it says so. */
  expected?: Digest | undefined;
  /** The build is still at work, and has written the image already. */
  early?: EarlyImage | undefined;
  /** For its config, besides those that the build gave it. */
  labels?: Readonly<Record<string, string>>;
  limits?: LayoutLimits;
}

/** An index whose images are whole in the layout, which does not name it yet. */
export interface EarlyImage {
  root: Digest;
  /** When the layout is whole, and nobody writes there any more. Nothing has a name before; where it fails, so does the push. */
  whole: Promise<unknown>;
}

/**
 * Pushes the one image of an OCI layout (a folder or a tar archive) that a build left. The build had no login: what it
 * left is read strictly, as a whole and before anything is pushed; the manifest with the tags goes last, so that
 * nothing half pushed has a name.
 * @returns the digest of the image or index, which is the one in the layout unless there are labels to give, stand-ins in it or layers to compress
 * @throws InfrastructureError `built-image-invalid`, `manifest-invalid`, `config-invalid`, and what the client throws;
 *   PolicyViolation of the rule `base.approved`
 */
export async function pushBuiltLayout(path: string, options: PushOptions): Promise<Digest> {
  return (await pushBuiltImage(path, options)).digest;
}

export interface PushedImage {
  /** Of the image or index. */
  digest: Digest;
  /** What runs of an index; the image itself. */
  children: Digest[];
}

/** As {@link pushBuiltLayout}. */
export async function pushBuiltImage(path: string, options: PushOptions): Promise<PushedImage> {
  const ofBase = new Set(baseLayers(options).map(({ descriptor }) => descriptor.digest));
  return withStorage(path, options, async (storage) => {
    const { early } = options;
    const left = await readLayout(storage, (digest) => ofBase.has(digest), early?.root);
    const whole = async (): Promise<void> => {
      if (early === undefined) return;
      await early.whole;
      const { digest } = await findRoot(storage);
      if (digest !== early.root) throw differs(early.root, digest);
    };
    return options.compress === true
      ? withWork(options, (work) => push(left, { ...options, whole, work }))
      : push(left, { ...options, whole });
  });
}

/**
 * Pushes the one image of an archive as `docker save` writes it. It names no manifest, so one is made of it, in which
 * the base's layers are those of the base's own manifest.
 * @throws as {@link pushBuiltLayout}
 */
export async function pushDockerArchive(path: string, options: PushOptions): Promise<Digest> {
  const pushed = await withStorage(path, options, (storage) =>
    withWork(options, async (work) =>
      push(await readDockerArchive(storage, baseLayers(options), work), { ...options, whole: () => Promise.resolve() }),
    ),
  );
  return pushed.digest;
}

async function withStorage(
  path: string,
  { limits }: PushOptions,
  use: (storage: Storage) => Promise<PushedImage>,
): Promise<PushedImage> {
  const storage = await openStorage(path, limits);
  try {
    return await use(storage);
  } finally {
    await storage.close();
  }
}

/** @param use gets a folder for what is compressed, which is pushed from there */
async function withWork({ context }: PushOptions, use: (work: string) => Promise<PushedImage>): Promise<PushedImage> {
  const work = await mkdtemp(join(context.temporaryDirectory, "compressed-"));
  try {
    return await use(work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function baseLayers({ base }: PushOptions): BaseLayer[] {
  const { manifest, config } = base?.image ?? {};
  return (manifest?.layers ?? []).flatMap((layer, index) => {
    const diffId = config?.rootfs.diff_ids[index];
    return diffId === undefined ? [] : [{ diffId, descriptor: { ...layer, mediaType: ociLayerType(layer.mediaType) } }];
  });
}

/**
 * What the build was told to build on is one thing, and what it built on another: layers tell.
 * @throws PolicyViolation of the rule `base.approved`
 */
export function requireBase({ configs }: Pick<ReadyImage, "configs">, { base }: Pick<PushOptions, "base">): void {
  if (base === undefined) return;
  const expected = base.image.config.rootfs.diff_ids;
  for (const { rootfs } of configs) {
    const at = expected.findIndex((diffId, index) => rootfs.diff_ids[index] !== diffId);
    if (at === -1) continue;
    throw new PolicyViolation(
      `the image that the build left does not stand on ${formatRepository(base.repository)}: its layer ${at + 1} is ${rootfs.diff_ids[at] ?? "missing"}, and the base's is ${expected[at]}`,
      {
        code: "base-not-used",
        rule: "base.approved",
        wayOut: "Find out what in the build chose another base: a setting that beats the command line's, or a plugin.",
      },
    );
  }
}

function differs(expected: Digest, actual: Digest): InfrastructureError {
  return new InfrastructureError(
    `the build says that its image is ${expected}, and the one that it left is ${actual}`,
    {
      code: "built-image-invalid",
      safeToRetry: false,
      wayOut: "Find out what in the build changed the image after it was made.",
    },
  );
}

/** A registry that gets a manifest by a tag has it by its SHA-256 as well: a request of its own is for what has no tag. */
function namesOf({ digest }: Manifest, tags: PushOptions["tags"]): (string | undefined)[] {
  const names = tags.map(({ tag }) => tag);
  return names.length > 0 && digestAlgorithm(digest) === "sha256" ? names : [digest, ...names];
}

function listChildren(root: Manifest): Digest[] {
  if (root.kind === "image") return [root.digest];
  return root.manifest.manifests.filter((entry) => isRunnable(entry)).map(({ digest }) => digest);
}

interface Pushing extends PushOptions {
  /** Awaited before anything has a name. */
  whole(): Promise<void>;
  /** Where layers are to be compressed. */
  work?: string;
}

async function push(left: ReadyImage, options: Pushing): Promise<PushedImage> {
  const { repository, tags, client, context, base, expected, work } = options;
  requireBase(left, options);
  const found = left.manifests.at(-1)?.digest;
  if (found !== undefined && expected !== undefined && expected !== found) throw differs(expected, found);
  const onBase = options.hasStandIns === true ? putBaseLayers(left, baseLayers(options)) : left;
  const image = work === undefined ? onBase : await packLayers(onBase, work);
  const { manifests, blobs } = await labelImage(image, options.labels ?? {});
  const root = manifests.at(-1);
  if (root === undefined) throw new TypeError("an image has a manifest");
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
    await mapConcurrently(concurrency, manifests.slice(0, -1), ({ bytes, mediaType, digest }) =>
      client.pushManifest(repository, bytes, mediaType, digest),
    );
    await options.whole();
    for (const name of namesOf(root, tags)) await client.pushManifest(repository, root.bytes, root.mediaType, name);
    task.done();
    return { digest: root.digest, children: listChildren(root) };
  } catch (error) {
    task.failed();
    throw error;
  }
}
