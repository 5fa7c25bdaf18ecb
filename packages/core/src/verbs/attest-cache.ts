import { join, resolve } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError } from "@goldenpath/foundation/errors";
import { digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Manifest, maxManifestBytes, mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  isSameRepository,
  type PinnedReference,
  parseReference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { type CacheLabels, cacheFolder, readEntry } from "../build/cache/entry.ts";
import { describeEntry } from "../build/cache/judge-entry.ts";
import { digestPinned } from "../build/cache/pinned.ts";
import { isProtected, nameTags, nameWriter } from "../build/cache/writer.ts";
import { kindOf, type StrategyName } from "../build/strategies/find.ts";
import { openStorage, type Storage } from "../layouts/storage.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { buildStatement, buildSubjects } from "../signing/statement.ts";
import { attachAll, type Signing } from "./attachments.ts";

/** What the jobs that built say they left. */
export interface GivenCaches {
  /** Entries by digest: one, or one of each platform. */
  cache: readonly string[];
  /** The images' layouts, where those jobs pushed nothing: an entry is beside its image. */
  layout: readonly string[];
}

/** Blobs that are pushed at the same time. */
const concurrency = 3;

/**
 * Attests what a build left for later ones, where they are to count on it: about that very digest, by this job's own
 * run, and only where the run is a protected ref's. An image is whole without it: what is wrong with a cache is said,
 * and nothing fails.
 */
export async function attestCaches(work: Signing, { cache: caches, layout }: GivenCaches): Promise<void> {
  const { ports, workingDirectory, signal } = work.context;
  const folders = layout.map((line) =>
    join(resolve(workingDirectory, line.replace(/^[^=/]+\/[^=]+=/, "")), cacheFolder),
  );
  for (const cache of caches) {
    try {
      const problem = await bringAndAttest(work, cache, folders);
      if (problem !== undefined) ports.log.warning(`cache: ${cache} is not attested: ${problem}`);
    } catch (error) {
      signal.throwIfAborted();
      ports.log.warning(`cache: ${cache} is not attested: ${describeError(error)}`);
    }
  }
}

/** @returns why it is not attested */
async function bringAndAttest(work: Signing, cache: string, folders: readonly string[]): Promise<string | undefined> {
  const { client, image, policy, context } = work;
  const { registry, name } = image.reference;
  const repository: Repository = { registry, name };
  const reference = parseReference(cache, "input 'cache'");
  const { digest } = reference;
  if (digest === undefined || !isSameRepository(reference, repository))
    return `it is not named by digest in the image's repository, ${registry}/${name}`;
  if (policy.policy.build.cache === "none") return "the policy has no caches";
  const pinned: PinnedReference = { ...repository, digest };
  const storage = folders.length === 0 ? undefined : await findLayout(folders, digest);
  const found = storage === undefined ? await client.fetchManifest(pinned) : await readManifest(storage, pinned);
  const entry = readEntry(found);
  if ("problem" in entry) return entry.problem;
  const { labels } = entry;
  if (labels.writer !== nameWriter(context.run, policy.policy))
    return `it says that it was written by '${labels.writer}', and this run is of '${nameWriter(context.run, policy.policy)}'`;
  const stranger = describeStranger(labels, image);
  if (stranger !== undefined) return stranger;
  if (storage !== undefined) await pushEntry(work, repository, { storage, found, labels });
  if (policy.policy.build.cache !== "verified") return undefined;
  return attestEntry(work, pinned, found, labels);
}

/** An entry names the whole image of its build: that is the one that this job attests, or one of those in its index. */
function describeStranger(
  { image: named }: CacheLabels,
  { reference, children }: Signing["image"],
): string | undefined {
  if (named === undefined || named.digest === reference.digest) return undefined;
  if (children.some(({ digest }) => digest === named.child)) return undefined;
  return `it names the image ${named.digest}, and what is attested is ${reference.digest}`;
}

async function attestEntry(
  work: Signing,
  { digest, ...repository }: PinnedReference,
  found: Manifest,
  labels: CacheLabels,
): Promise<string | undefined> {
  const { policy, context } = work;
  if (!isProtected(context.run, policy.policy)) {
    context.ports.log.info(`cache: ${digest} is this ref's own, and attested for nobody else`);
    return undefined;
  }
  const builder = policy.policy.build.builders.find((each) => each.name === labels.builder);
  if (builder === undefined || kindOf(builder) !== labels.strategy)
    return `it names the builder '${labels.builder}', and the policy has none of that name for ${labels.strategy}`;
  const pinned = digestPinned(builder, labels.strategy as StrategyName, policy.policy);
  const predicate = describeEntry(labels, pinned, context.run);
  if (predicate === undefined) return "this run does not say what it is of";
  const subjects = buildSubjects(repository, [digest]);
  const descriptor = { mediaType: found.mediaType, digest, size: found.bytes.byteLength };
  const statement = buildStatement(subjects, predicateTypes.buildCache, { ...predicate });
  await attachAll(work, [{ target: { image: descriptor, children: [] }, statement }]);
  return undefined;
}

/** The one that has it. What lies there was left by a build, and is read as such. */
async function findLayout(folders: readonly string[], digest: PinnedReference["digest"]): Promise<Storage> {
  for (const folder of folders) {
    const storage = await openStorage(folder).catch(() => undefined);
    if ((await storage?.sizeOf(blobPath(digest))) !== undefined && storage !== undefined) return storage;
  }
  throw new Error("it is in no layout that was given");
}

async function readManifest(storage: Storage, { digest, ...repository }: PinnedReference): Promise<Manifest> {
  const bytes = await storage.read(blobPath(digest), maxManifestBytes);
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest)
    throw new Error("its layout has other bytes under its digest");
  return parseManifest(bytes, mediaTypes.ociManifest, formatReference({ ...repository, digest }));
}

const blobPath = (digest: PinnedReference["digest"]): string => `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;

/** Each blob is held to its digest as it is pushed; the tags, which are this run's own, come last. */
async function pushEntry(
  { client }: Signing,
  repository: Repository,
  { storage, found, labels }: { storage: Storage; found: Manifest; labels: CacheLabels },
): Promise<void> {
  if (found.kind !== "image") throw new TypeError("an entry is one manifest");
  const { config, layers } = found.manifest;
  await mapConcurrently(concurrency, [config, ...layers], (blob) =>
    client.pushBlob(repository, blob, () => storage.stream(blobPath(blob.digest))),
  );
  await client.pushManifest(repository, found.bytes, found.mediaType, found.digest);
  for (const tag of nameTags(labels.writer, { exact: labels.key, group: labels.group }))
    await client.pushManifest(repository, found.bytes, found.mediaType, tag);
}
