import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, isRunnable, type Platform } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";
import {
  formatReference,
  formatRepository,
  parseRepository,
  type Reference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts, readImageFacts } from "@goldenpath/registry-client/subject";
import { createBudget } from "../layers/budget.ts";
import { MalformedLayer } from "../layers/bytes.ts";
import { keepContent, type LayerContents } from "../layers/contents.ts";
import { readLayerContents } from "../layers/image-layer.ts";
import { buildTrees, diffIdOfUnreadable, readImageLayer } from "../layers/read.ts";
import { buildTree, type FileTree } from "../layers/tree.ts";
import type { PolicyBase } from "../policy/schema.ts";
import { watchForCredentials } from "./habits/credentials.ts";
import {
  chooseLeftovers,
  findLeftovers,
  type Leftover,
  type LeftoverKinds,
  largestLogin,
  mayBeSecret,
} from "./habits/leftovers.ts";
import { type ApprovedBase, type BaseMatch, isSamePlatform, platformOf } from "./identify.ts";
import { isContentNeeded } from "./overlay.ts";
import { findRebuiltBase, type RebuiltBase } from "./rebuilt.ts";

/**
 * Every approved version of every base for the given platforms, each fetched by its digest, in the policy's order.
 *
 * One that can't be read is an error, also where another one would match: the unread one may be the longer match, and
 * then the evidence would name the wrong base, or miss that the right one has expired.
 * @throws UserError `base-not-found`, `registry-unauthorized`; InfrastructureError `base-unreadable`
 */
export async function gatherApprovedBases(
  client: RegistryClient,
  bases: readonly Pick<PolicyBase, "name" | "image" | "digests" | "until" | "mayChange">[],
  platforms: readonly Platform[],
  what = "approved base",
): Promise<ApprovedBase[]> {
  const cache = new Map<string, Promise<ChildFacts[]>>();
  const wanted = bases.flatMap((base) =>
    base.digests.map((digest) => ({ base, reference: { ...parseRepository(base.image), digest } })),
  );
  const fetched = wanted.map(({ base, reference }) => {
    const key = formatReference(reference);
    const children = cache.get(key) ?? fetchBase(client, `${what} '${base.name}'`, reference, platforms);
    cache.set(key, children);
    return children;
  });
  const all = await Promise.all(fetched);
  return wanted.flatMap(({ base, reference }, index) =>
    (all[index] ?? []).map((child) => ({
      name: base.name,
      image: formatRepository(reference),
      digest: reference.digest,
      child: child.digest,
      ...(base.until === undefined ? {} : { until: base.until }),
      platform: platformOf(child),
      diffIds: child.config.rootfs.diff_ids,
      layers: child.manifest.layers.map((layer) => layer.digest),
      ...(base.mayChange === undefined ? {} : { mayChange: base.mayChange }),
    })),
  );
}

async function fetchBase(
  client: RegistryClient,
  base: string,
  reference: PinnedReference,
  platforms: readonly Platform[],
): Promise<ChildFacts[]> {
  try {
    const root = await client.fetchManifest(reference);
    if (root.kind === "image") return (await readImageFacts(client, reference, root)).children;
    // What an index says of a child's platform only saves requests: a base is compared by the platform in its own
    // config.
    const needed = root.manifest.manifests
      .filter(isRunnable)
      .filter(({ platform }) => platform === undefined || platforms.some((wanted) => isSamePlatform(wanted, platform)));
    const children: ChildFacts[] = [];
    for (const { digest } of needed)
      children.push(...(await fetchImageFacts(client, { ...reference, digest })).children);
    return children;
  } catch (error) {
    throw describeFailure(error, base, reference);
  }
}

function describeFailure(error: unknown, base: string, reference: Reference): Error {
  const what = `${base} (${formatReference(reference)})`;
  if (error instanceof UserError && error.code === "image-not-found") {
    return new UserError(`${what} is not in its registry`, {
      code: "base-not-found",
      cause: error,
      wayOut: "Put it back, or take this digest out of the policy: what nobody can look at can't be compared with.",
    });
  }
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof UserError) {
    return new UserError(`${what} can't be read: ${why}`, {
      code: error.code,
      cause: error,
      ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }),
    });
  }
  return new InfrastructureError(`${what} can't be read: ${why}`, {
    code: "base-unreadable",
    cause: error,
    ...(error instanceof InfrastructureError ? { attempts: error.attempts, safeToRetry: error.safeToRetry } : {}),
    wayOut: "See that its registry can be reached and serves it, then run again.",
  });
}

/**
 * Whether one of the layers by which an image matches a base has another content than the image's config says. A config
 * is written by whoever built the image; what is pulled and unpacked are the layers. Those with the base's own bytes
 * need no look: most builders keep them, and then nothing is downloaded. For who only asks what an image stands on; the
 * base stage itself reads every layer ({@link readChildLayers}).
 * @throws what reading a layer and the registry client throw
 */
export async function hasFalseLayer(
  client: RegistryClient,
  repository: Repository,
  child: Pick<ChildFacts, "manifest" | "config">,
  match: BaseMatch,
): Promise<boolean> {
  const budget = createBudget();
  for (const [index, { layer, diffId }] of pairLayers(child).slice(0, match.matchedLayers).entries()) {
    if (match.bases.some((base) => base.layers[index] === layer.digest)) continue;
    const actual = await readImageLayer(client, repository, layer, diffId, budget, {});
    if (actual.diffId !== diffId) return true;
  }
  return false;
}

/** What the layers of one image really are. */
export interface ChildLayers {
  /** What each unpacks to, the lowest first. */
  diffIds: Digest[];
  /** What the layers above the base have that should have stayed in the build. */
  leftovers: Leftover[];
  /** What is in each, the lowest first; where they are what the config says. */
  layers?: LayerContents[];
  /** The base's layers put together, and all of them, where they stand on one and are what the config says. */
  trees?: { base: FileTree; image: FileTree };
  /** All of them put together, leniently: where it stands on none, and for messages alone. */
  foreign?: FileTree;
}

/** Layers that are read at once: hashing takes a processor, and fetching waits. */
const parallelLayers = 3;

interface ReadChildOptions {
  signal?: AbortSignal | undefined;
  /** What above the base is looked for; nothing unless told. */
  leftovers?: LeftoverKinds;
}

/**
 * Reads every layer of an image: what each unpacks to, whatever its config says, and what is in them.
 * @param baseLayers how many of them are those of an approved base; 0 where there is none
 * @throws UserError `layer-foreign`; InfrastructureError `layer-unreadable` (also where runtimes would put the layers
 *   together in two ways), `layers-too-large`, `layers-too-many-entries`, `layers-too-dense`, and what the client
 *   throws
 */
export async function readChildLayers(
  client: RegistryClient,
  repository: Repository,
  child: Pick<ChildFacts, "manifest" | "config" | "digest">,
  baseLayers: number,
  { signal, leftovers: kinds = chooseLeftovers([]) }: ReadChildOptions = {},
): Promise<ChildLayers> {
  const budget = createBudget();
  const kept = keepContent(
    (path) => {
      if (isContentNeeded(path)) return Number.POSITIVE_INFINITY;
      return kinds.secrets && mayBeSecret(path) ? largestLogin : undefined;
    },
    kinds.credentials ? watchForCredentials : undefined,
  );
  const layers = await mapConcurrently(
    parallelLayers,
    pairLayers(child),
    async ({ layer, diffId }, index): Promise<LayerContents> => {
      try {
        return await readLayerContents({
          client,
          repository,
          layer,
          diffId,
          budget,
          // What stands in the base is the platform's own.
          kept: index < baseLayers ? { ...kept, watch: undefined } : kept,
          ...(signal === undefined ? {} : { signal }),
        });
      } catch (error) {
        // That it is another one than its config says is the worse of two things, and a verdict.
        const actual = diffIdOfUnreadable(error);
        if (actual === undefined || actual === diffId) throw error;
        return { diffId: actual, entries: [] };
      }
    },
  );
  const diffIds = layers.map(({ diffId }) => diffId);
  const leftovers = findLeftovers(layers, baseLayers, kinds);
  if (diffIds.some((diffId, index) => diffId !== child.config.rootfs.diff_ids[index])) return { diffIds, leftovers };
  if (baseLayers === 0) {
    const foreign = buildLenient(layers);
    return { diffIds, leftovers, layers, ...(foreign === undefined ? {} : { foreign }) };
  }
  return {
    diffIds,
    leftovers,
    layers,
    trees: buildTrees(layers, baseLayers, `${formatRepository(repository)}@${child.digest}`),
  };
}

/** Undefined where runtimes would put them together in two ways. */
function buildLenient(layers: readonly LayerContents[]): FileTree | undefined {
  try {
    return buildTree(layers, layers.length);
  } catch (error) {
    if (error instanceof MalformedLayer) return undefined;
    throw error;
  }
}

/** So many bases are compared with an image that stands on none, the newest version of each. */
const maxCompared = 5;

/**
 * The approved base whose files an image on none has: {@link findRebuiltBase}. It only makes a refusal clearer, so a
 * base that can't be read now is passed over.
 */
export async function gatherRebuilt(
  client: RegistryClient,
  image: FileTree,
  platform: Platform,
  approved: readonly ApprovedBase[],
  signal: AbortSignal,
): Promise<RebuiltBase | undefined> {
  const newest = new Map(
    approved.filter((base) => isSamePlatform(base.platform, platform)).map((base) => [base.name, base]),
  );
  for (const base of [...newest.values()].slice(0, maxCompared)) {
    const repository = parseRepository(base.image);
    try {
      const { children } = await fetchImageFacts(client, { ...repository, digest: base.child });
      for (const child of children) {
        const { foreign } = await readChildLayers(client, repository, child, 0, { signal });
        const rebuilt =
          foreign === undefined ? undefined : findRebuiltBase(image, [{ name: base.name, tree: foreign }]);
        if (rebuilt !== undefined) return rebuilt;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isKnownError(error)) throw error;
    }
  }
  return undefined;
}

function pairLayers({
  manifest,
  config,
}: Pick<ChildFacts, "manifest" | "config">): { layer: Descriptor; diffId: Digest }[] {
  const { diff_ids } = config.rootfs;
  // fetchImageFacts has seen to it that there are as many of the one as of the other.
  return manifest.layers.flatMap((layer, index) =>
    diff_ids[index] === undefined ? [] : [{ layer, diffId: diff_ids[index] }],
  );
}
