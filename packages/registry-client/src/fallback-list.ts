import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { DownloadContext } from "./download.ts";
import { encodeIndex, fallbackTag, hasAll, mergeIntoIndex } from "./fallback-index.ts";
import { getManifestBytes, hasManifest, putManifest } from "./manifests.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import { type Descriptor, type ImageIndex, mediaTypes } from "./oci/manifest.ts";
import { formatReference, formatRepository, type Repository } from "./oci/reference.ts";
import { serialise } from "./queue.ts";
import { noteDropped, readFallbackList } from "./referrer-list.ts";
import { writeCondition } from "./tag.ts";

/**
 * The referrers of a subject under the fallback tag, which this client then writes.
 *
 * What a fallback tag can promise: nothing is lost among any number of clients that write it as this one does where the
 * registry reads If-Match and If-None-Match. Where it does not (all that are known), a writer that stops between its
 * reading and its writing for longer than the others wait takes their entries away, and so does a client that never
 * looks again (most others). What this client wrote it puts back for as long as it writes to that list; a reader that
 * must not miss anything cannot know.
 */
export interface FallbackLists {
  list(repository: Repository, subject: Digest): Promise<Descriptor[]>;
  /** Makes sure that the list has them. */
  add(repository: Repository, subject: Digest, descriptors: readonly Descriptor[]): Promise<void>;
}

/** A fallback list, as far as this client has to do with it. */
interface OwnList {
  where: string;
  repository: Repository;
  subject: Digest;
  /** What this client put there, to be put back should another client overwrite it. */
  entries: Map<Digest, Descriptor>;
  /** Those of them that were there at a second look. */
  settled: Set<Digest>;
  /**
   * The update under way: whatever comes meanwhile joins it, or waits for it and is written with all else that came.
   */
  update: Promise<void> | undefined;
}

/** How often a fallback list is written anew when others write it at the same time. */
const maxUpdates = 12;
/**
 * After a write, another client that had read the list before may still write it without ours: how long it is waited
 * until a second look, in milliseconds (up to twice that, by chance). Another client takes about as long as this one
 * from its reading to its writing; so on a slow registry it is that time twice.
 */
const settleTime = { least: 150, most: 1500 };

interface State {
  readonly context: DownloadContext;
  /** By the list's reference. */
  readonly lists: Map<string, OwnList>;
  /** By repository and kind of condition: the registry has refused a write for it, so that it reads it. */
  readonly compares: Set<string>;
}

export function createFallbackLists(context: DownloadContext): FallbackLists {
  const state: State = { context, lists: new Map(), compares: new Set() };
  return {
    list: async (repository, subject) => (await readFallback(context, repository, subject)).index?.manifests ?? [],
    add: (repository, subject, descriptors) => addToFallback(state, repository, subject, descriptors),
  };
}

/** `other`: there is something at the tag that is neither a list nor the subject itself. */
async function readFallback(
  context: DownloadContext,
  repository: Repository,
  subject: Digest,
): Promise<{ index: ImageIndex | undefined; exists: boolean; other?: boolean; etag: string | undefined }> {
  const reference = { ...repository, tag: fallbackTag(subject) };
  const fetched = await getManifestBytes(context, reference);
  if (fetched === undefined) return { index: undefined, exists: false, etag: undefined };
  const where = formatReference(reference);
  const list = readFallbackList(fetched.bytes, subject, where);
  if (typeof list === "string") {
    context.debug(`${where} is no list of referrers: there are none by it`);
    return { index: undefined, exists: true, other: list === "other", etag: fetched.etag };
  }
  noteDropped(context.note, list, where);
  return { index: list.index, exists: true, etag: fetched.etag };
}

async function addToFallback(
  state: State,
  repository: Repository,
  subject: Digest,
  descriptors: readonly Descriptor[],
): Promise<void> {
  if (descriptors.length === 0) return;
  const where = formatReference({ ...repository, tag: fallbackTag(subject) });
  const own = state.lists.get(where) ?? {
    where,
    repository,
    subject,
    entries: new Map(),
    settled: new Set(),
    update: undefined,
  };
  state.lists.set(where, own);
  for (const each of descriptors) {
    own.entries.set(each.digest, each);
    own.settled.delete(each.digest);
  }
  while (!descriptors.every((each) => own.settled.has(each.digest))) {
    own.update ??= updateFallback(state, own).finally(() => {
      own.update = undefined;
    });
    await own.update;
  }
}

/**
 * Writes and looks again, until the list has all that this client put there: a read, a write and a read, where nobody
 * else writes.
 */
async function updateFallback(state: State, own: OwnList): Promise<void> {
  const { context } = state;
  for (let attempt = 1; attempt <= maxUpdates; attempt++) {
    const begun = Date.now();
    const turn = await serialise(own.where, () => takeTurn(state, own));
    for (const digest of turn.listed) own.settled.add(digest);
    if (turn.kind === "listed") return;
    if (attempt > 1)
      context.debug(`${own.where}: another client wrote the list of referrers at the same time; writing it again`);
    const least = Math.min(Math.max(2 * (Date.now() - begun), settleTime.least), settleTime.most);
    await context.transport.wait(least * (1 + Math.random()));
  }
  // The last write has not been looked at yet.
  const { index } = await readFallback(context, own.repository, own.subject);
  if (hasAll(index, [...own.entries.keys()])) {
    for (const digest of own.entries.keys()) own.settled.add(digest);
    return;
  }
  throw new InfrastructureError(
    `the list of referrers at ${own.where} could not be written: other clients overwrite it (tried ${maxUpdates} times)`,
    {
      code: "registry-error",
      attempts: maxUpdates,
      wayOut: "Run again when nobody else pushes referrers of the same image.",
    },
  );
}

/**
 * One turn of read, merge and write. `listed`: all of this client's entries are there, and stay there as far as can be
 * known.
 */
async function takeTurn(
  { context, compares }: State,
  own: OwnList,
): Promise<{ kind: "listed" | "written" | "refused"; listed: Digest[] }> {
  const before = await readFallback(context, own.repository, own.subject);
  // Somebody's tag of that name is not ours to move: the specification has the client report it.
  if (before.other === true) {
    throw new InfrastructureError(`${own.where} is not an index of referrers, and is somebody's tag`, {
      code: "manifest-invalid",
      safeToRetry: false,
      wayOut: "Delete that tag, or keep the image in a repository of its own.",
    });
  }
  const entries = [...own.entries.values()];
  const digests = entries.map((each) => each.digest);
  if (hasAll(before.index, digests)) return { kind: "listed", listed: digests };
  // Where the subject itself is seen, nobody can tell whether there is such a tag: any condition could be one that
  // never holds. Whoever wrote meanwhile is seen at the second look.
  const condition = before.exists && before.index === undefined ? {} : writeCondition(before.exists, before.etag);
  const kind = `${formatRepository(own.repository)} ${Object.keys(condition).join()}`;
  if (!(await writeList(context, own, before.index, entries, condition))) {
    compares.add(kind);
    return { kind: "refused", listed: [] };
  }
  // Where the registry compares, whoever read before this write has to read again, and no second look is needed.
  return compares.has(kind) ? { kind: "listed", listed: digests } : { kind: "written", listed: [] };
}

/** False where the condition did not hold. */
async function writeList(
  context: DownloadContext,
  own: OwnList,
  before: ImageIndex | undefined,
  entries: readonly Descriptor[],
  condition: Readonly<Record<string, string>>,
): Promise<boolean> {
  const write = async (base: ImageIndex | undefined): Promise<boolean> => {
    const bytes = encodeIndex(mergeIntoIndex(base, entries), own.where);
    const manifest = { bytes, mediaType: mediaTypes.ociIndex, digest: digestOf(bytes) };
    return (await putManifest(context, own.repository, fallbackTag(own.subject), manifest, condition)).status !== 412;
  };
  return write(before).catch(async (error: unknown) => {
    // Registries take no index that names a manifest that has been deleted since: such entries go, and nothing else
    // does.
    if (before === undefined || !(error instanceof InfrastructureError) || error.code !== "registry-error") throw error;
    const live = await withoutDeleted(context, own.repository, before);
    if (live.manifests.length === before.manifests.length) throw error;
    return write(live);
  });
}

async function withoutDeleted(
  context: DownloadContext,
  repository: Repository,
  index: ImageIndex,
): Promise<ImageIndex> {
  const manifests: Descriptor[] = [];
  for (const each of index.manifests) if (await hasManifest(context, repository, each.digest)) manifests.push(each);
  return { ...index, manifests };
}
