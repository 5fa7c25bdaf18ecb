import type { Readable } from "node:stream";
import { type Digest, isWithinPrefix } from "./grammar.ts";
import { createRepositoryState, type ManifestRecord, type RepositoryState, type Store, type Upload } from "./store.ts";

/** Per repository, sorted; two of them are equal exactly when nothing that a client can see has changed. */
export type Snapshot = Record<string, { manifests: string[]; tags: Record<string, string>; blobs: string[] }>;

/**
 * The registry's contents: what is in which repository. Changes happen one after another, and are stored before they
 * are seen.
 */
export interface Repositories {
  find(name: string): Readonly<RepositoryState> | undefined;
  /** Sorted. */
  names(): string[];
  /** The manifests of a repository that name `subject` as theirs. */
  referrers(name: string, subject: Digest): [Digest, ManifestRecord][];
  /** What `check` throws refuses the change, here and below. */
  addUpload(name: string, digest: Digest, upload: Upload, check?: () => void): Promise<void>;
  /** False when `from` doesn't have the blob. `check` is told its size. */
  mountBlob(name: string, digest: Digest, from: string, check?: (size: number) => void): Promise<boolean>;
  /** False when it wasn't there. */
  deleteBlob(name: string, digest: Digest): Promise<boolean>;
  /**
   * Stores a manifest and points tags to it. `check` sees the repository as it is when the change takes place, with no
   * other change between; what it throws refuses the change.
   */
  putManifest(
    name: string,
    digest: Digest,
    bytes: Uint8Array,
    record: ManifestRecord,
    tags: readonly string[],
    check: (state: Readonly<RepositoryState>) => void,
  ): Promise<void>;
  /** Deletes a manifest with every tag that points to it, or one tag. False when it wasn't there. */
  deleteManifest(name: string, digest: Digest, check: (state: Readonly<RepositoryState>) => void): Promise<boolean>;
  deleteTag(name: string, tag: string, check: (state: Readonly<RepositoryState>) => void): Promise<boolean>;
  openContent(digest: Digest, start: number, end: number): Promise<Readable | Uint8Array | undefined>;
  readContent(digest: Digest): Promise<Uint8Array | undefined>;
  /** All blobs and manifests in the repositories of a prefix, with their sizes. */
  holdings(prefix: string): ReadonlyMap<Digest, number>;
  snapshot(): Snapshot;
}

export async function openRepositories(store: Store): Promise<Repositories> {
  const states = await store.loadRepositories();
  const lists = createReferrerLists(states);
  const exclusively = createTurns();
  const change = <T>(name: string, edit: (draft: RepositoryState) => T) => changeRepository(store, states, name, edit);
  const releaseContent = async (digest: Digest) => {
    for (const state of states.values()) if (state.blobs.has(digest) || state.manifests.has(digest)) return;
    await store.removeContent(digest);
  };

  return {
    find: (name) => states.get(name),
    names: () => [...states.keys()].sort(),
    referrers: (name, subject) => lists.find(name, subject, states.get(name)?.manifests),
    addUpload: (name, digest, upload, check) =>
      exclusively(async () => {
        const { size } = upload;
        check?.();
        await upload.commit(digest);
        await change(name, (draft) => void draft.blobs.set(digest, size));
      }),
    mountBlob: (name, digest, from, check) =>
      exclusively(async () => {
        const size = states.get(from)?.blobs.get(digest);
        if (size === undefined) return false;
        check?.(size);
        await change(name, (draft) => void draft.blobs.set(digest, size));
        return true;
      }),
    deleteBlob: (name, digest) =>
      exclusively(async () => {
        if (states.get(name)?.blobs.has(digest) !== true) return false;
        await change(name, (draft) => void draft.blobs.delete(digest));
        await releaseContent(digest);
        return true;
      }),
    putManifest: (name, digest, bytes, record, tags, check) =>
      exclusively(async () => {
        check(states.get(name) ?? createRepositoryState());
        await store.writeContent(digest, bytes);
        lists.add(name, digest, record);
        await change(name, (draft) => {
          draft.manifests.set(digest, record);
          for (const tag of tags) draft.tags.set(tag, digest);
        });
      }),
    deleteManifest: (name, digest, check) =>
      exclusively(async () => {
        const state = states.get(name);
        if (state?.manifests.has(digest) !== true) return false;
        check(state);
        await change(name, (draft) => {
          draft.manifests.delete(digest);
          for (const [tag, target] of draft.tags) if (target === digest) draft.tags.delete(tag);
        });
        await releaseContent(digest);
        return true;
      }),
    deleteTag: (name, tag, check) =>
      exclusively(async () => {
        const state = states.get(name);
        if (state?.tags.has(tag) !== true) return false;
        check(state);
        return change(name, (draft) => draft.tags.delete(tag));
      }),
    openContent: store.openContent,
    readContent: store.readContent,
    holdings: (prefix) => findHoldings(states, prefix),
    snapshot: () => takeSnapshot(states),
  };
}

/** Each piece of work begins when the one before has ended. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}

interface ReferrerLists {
  add(name: string, digest: Digest, record: ManifestRecord): void;
  find(name: string, subject: Digest, manifests?: ReadonlyMap<Digest, ManifestRecord>): [Digest, ManifestRecord][];
}

/**
 * Who refers to whom: a repository has too many manifests to look through all of them for each list. One that is named
 * here counts while it is among the repository's manifests: it may not be there yet, or deleted.
 */
function createReferrerLists(states: ReadonlyMap<string, RepositoryState>): ReferrerLists {
  const lists = new Map<string, Set<Digest>>();
  const keyOf = (name: string, subject: Digest): string => `${name}@${subject}`;
  const add: ReferrerLists["add"] = (name, digest, { subject }) => {
    if (subject === undefined) return;
    const key = keyOf(name, subject);
    lists.set(key, (lists.get(key) ?? new Set()).add(digest));
  };
  for (const [name, { manifests }] of states) for (const [digest, record] of manifests) add(name, digest, record);
  return {
    add,
    find: (name, subject, manifests) =>
      [...(lists.get(keyOf(name, subject)) ?? [])].flatMap((digest): [Digest, ManifestRecord][] => {
        const record = manifests?.get(digest);
        return record === undefined ? [] : [[digest, record]];
      }),
  };
}

/** Stored before it is seen; where nothing is stored, in place. */
async function changeRepository<T>(
  store: Store,
  states: Map<string, RepositoryState>,
  name: string,
  edit: (draft: RepositoryState) => T,
): Promise<T> {
  const current = states.get(name) ?? createRepositoryState();
  const draft =
    store.saveRepository === undefined
      ? current
      : { blobs: new Map(current.blobs), manifests: new Map(current.manifests), tags: new Map(current.tags) };
  const result = edit(draft);
  await store.saveRepository?.(name, draft);
  states.set(name, draft);
  return result;
}

function findHoldings(states: ReadonlyMap<string, RepositoryState>, prefix: string): ReadonlyMap<Digest, number> {
  const sizes = new Map<Digest, number>();
  for (const [name, state] of states) {
    if (!isWithinPrefix(name, prefix)) continue;
    for (const [digest, size] of state.blobs) sizes.set(digest, size);
    for (const [digest, { size }] of state.manifests) sizes.set(digest, size);
  }
  return sizes;
}

function takeSnapshot(states: ReadonlyMap<string, RepositoryState>): Snapshot {
  return Object.fromEntries(
    [...states.entries()].sort(byKey).map(([name, state]) => [
      name,
      {
        manifests: [...state.manifests.keys()].sort(),
        tags: Object.fromEntries([...state.tags].sort(byKey)),
        blobs: [...state.blobs.keys()].sort(),
      },
    ]),
  );
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
