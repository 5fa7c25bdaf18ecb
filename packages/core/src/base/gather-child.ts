import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts } from "@goldenpath/registry-client/subject";
import { createBudget } from "../layers/budget.ts";
import { MalformedLayer } from "../layers/bytes.ts";
import { keepContent, type LayerContents } from "../layers/contents.ts";
import { readLayerContents } from "../layers/image-layer.ts";
import { pairLayers } from "../layers/pair.ts";
import { buildTrees, diffIdOfUnreadable } from "../layers/read.ts";
import { buildTree, type FileTree } from "../layers/tree.ts";
import { watchForCredentials } from "./habits/credentials.ts";
import {
  chooseLeftovers,
  findLeftovers,
  type Leftover,
  type LeftoverKinds,
  largestLogin,
  mayBeSecret,
} from "./habits/leftovers.ts";
import { type ApprovedBase, isSamePlatform } from "./identify.ts";
import { isContentNeeded } from "./overlay.ts";
import { findRebuiltBase, type RebuiltBase } from "./rebuilt.ts";

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
