import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { type Digest, isDigest, isRepositoryName, isTag } from "./grammar.ts";
import {
  BodyTooLongError,
  createRepositoryState,
  type ManifestRecord,
  type RepositoryState,
  type Store,
  type Upload,
} from "./store.ts";

/**
 * Everything in files under one folder, which one server uses at a time:
 *
 * - `contents/sha256/ab/<hex>`: blobs and manifests, shared by all repositories
 * - `repositories/<name>/_repository.json`: a repository's blobs, manifests and tags. One file, so that a manifest and
 *   its tags appear together; its name can't be a repository's, since no component of those starts with an underscore
 * - `partial/`: what is being written. A file leaves it by rename, when whole; what a crash left in it is deleted at
 *   the next start
 */
export async function createDirectoryStore(directory: string): Promise<Store> {
  const partial = join(directory, "partial");
  const repositories = join(directory, "repositories");
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await mkdir(repositories, { recursive: true });

  const contentPath = (digest: Digest): string => {
    const [algorithm, hex] = digest.split(":") as [string, string];
    return join(directory, "contents", algorithm, hex.slice(0, 2), hex);
  };
  const moveInPlace = async (from: string, to: string) => {
    await mkdir(dirname(to), { recursive: true });
    await rename(from, to);
  };
  const writeAtomically = async (path: string, bytes: Uint8Array | string) => {
    const temporary = join(partial, randomUUID());
    await writeFile(temporary, bytes);
    await moveInPlace(temporary, path);
  };
  const openContent = async (digest: Digest, start: number, end: number): Promise<Readable | undefined> => {
    // Opened before the answer starts: content that is missing is a 404, and content deleted while it is being sent is
    // still sent whole.
    const file = await open(contentPath(digest)).catch(ignoreMissing);
    // A stream can't be told to read nothing: its `end` is inclusive.
    return file?.createReadStream({ start, ...(end > start ? { end: end - 1 } : {}) });
  };

  return {
    loadRepositories: () => loadRepositories(repositories),
    saveRepository: (name, state) => writeAtomically(join(repositories, name, stateFile), serializeState(state)),
    createUpload: (id, algorithm) =>
      createUpload(join(partial, id), algorithm, (path, digest) => moveInPlace(path, contentPath(digest))),
    writeContent: (digest, bytes) => writeAtomically(contentPath(digest), bytes),
    openContent,
    readContent: (digest) => readFile(contentPath(digest)).catch(ignoreMissing),
    removeContent: (digest) => rm(contentPath(digest), { force: true }),
  };
}

const stateFile = "_repository.json";

async function createUpload(
  path: string,
  algorithm: "sha256" | "sha512",
  moveInPlace: (path: string, digest: Digest) => Promise<void>,
): Promise<Upload> {
  const hash = createHash(algorithm);
  let size = 0;
  await writeFile(path, "");
  return {
    get size() {
      return size;
    },
    async append(body, limit = Number.POSITIVE_INFINITY) {
      const end = size + limit;
      const file = await open(path, "r+");
      try {
        for await (const chunk of body) {
          const room = end - size;
          const taken = chunk.byteLength > room ? chunk.subarray(0, room) : chunk;
          // At its own position: a write that failed halfway is written over by the next.
          await writeAll(file, taken, size);
          hash.update(taken);
          size += taken.byteLength;
          if (taken !== chunk) throw new BodyTooLongError(`the body is longer than ${limit} bytes`);
        }
      } finally {
        await file.close();
      }
    },
    async digest(wanted) {
      if (wanted === algorithm) return `${algorithm}:${hash.copy().digest("hex")}`;
      // The client didn't say at the start that it would use another algorithm: read the file once more.
      const other = createHash(wanted);
      const file = await open(path);
      for await (const chunk of file.createReadStream()) other.update(chunk as Uint8Array);
      return `${wanted}:${other.digest("hex")}`;
    },
    commit: (digest) => moveInPlace(path, digest),
    discard: () => rm(path, { force: true }),
  };
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.byteLength - offset, position + offset);
    offset += bytesWritten;
  }
}

async function loadRepositories(root: string): Promise<Map<string, RepositoryState>> {
  const found = new Map<string, RepositoryState>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.name !== stateFile || !entry.isFile()) continue;
    const name = entry.parentPath.slice(root.length + 1).replaceAll("\\", "/");
    const path = join(entry.parentPath, entry.name);
    if (!isRepositoryName(name)) throw new Error(`registry folder: ${path} is not under a repository's name`);
    found.set(name, parseState(await readFile(path, "utf8"), path));
  }
  return found;
}

function serializeState(state: RepositoryState): string {
  const { blobs, manifests, tags } = state;
  return JSON.stringify({
    blobs: Object.fromEntries(blobs),
    manifests: Object.fromEntries(manifests),
    tags: Object.fromEntries(tags),
  });
}

/**
 * Refuses a file that it would otherwise only half understand: a registry that forgot tags looks like one from which
 * they were deleted.
 */
function parseState(text: string, path: string): RepositoryState {
  const state = createRepositoryState();
  const malformed = (why: string, cause?: unknown): never => {
    throw new Error(`registry folder: ${path} is malformed: ${why}`, { cause });
  };
  let json: { blobs?: unknown; manifests?: unknown; tags?: unknown };
  try {
    // Written below; of any depth, as two levels are looked at.
    json = JSON.parse(text) as typeof json;
  } catch (error) {
    return malformed("it is not JSON", error);
  }
  const entries = (value: unknown, what: string): [string, unknown][] =>
    typeof value === "object" && value !== null ? Object.entries(value) : malformed(`it has no ${what}`);
  for (const [digest, size] of entries(json?.blobs, "blobs")) {
    if (!isDigest(digest) || typeof size !== "number") return malformed(`blob '${digest}'`);
    state.blobs.set(digest, size);
  }
  for (const [digest, record] of entries(json.manifests, "manifests")) {
    if (!isDigest(digest) || !isManifestRecord(record)) return malformed(`manifest '${digest}'`);
    state.manifests.set(digest, record);
  }
  for (const [tag, digest] of entries(json.tags, "tags")) {
    if (!isTag(tag) || !isDigest(digest)) return malformed(`tag '${tag}'`);
    state.tags.set(tag, digest);
  }
  return state;
}

function isManifestRecord(value: unknown): value is ManifestRecord {
  return (
    typeof value === "object" &&
    value !== null &&
    "mediaType" in value &&
    "size" in value &&
    typeof value.size === "number"
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
