import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describeError, InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { type UnpackOptions, unpackMember } from "./archive.ts";
import { copyToPrivate, privateFolder, requireStartable, sha256OfFile, storeTool } from "./cache.ts";
import type { LockedFile } from "./lock.ts";
import { labelOf, type Search } from "./search.ts";

/**
 * A program that may be run, or why this one may not; `sha256` is what it has in that case, too, where there is a file.
 */
export type Inspection = { path: string; sha256: string } | { reason: string; sha256?: string; corrupt?: boolean };

/** Where the cache has a file of the search. */
export function cachedPath({ folder }: Search, { file }: LockedFile): string {
  return join(folder, file);
}

/**
 * Lets `fetch` write the file, and puts it into the cache once it is verified. Of an archive whose program has a hash
 * in the lock, the program is kept in its place: it need not be unpacked each time.
 * @returns what is in the cache now
 * @throws what `fetch`, `storeTool` and `unpackMember` throw
 */
export async function keepFile(
  search: Search,
  file: LockedFile,
  fetch: (partial: string) => Promise<void>,
): Promise<LockedFile> {
  const memberSha256 = file.archive?.memberSha256;
  if (memberSha256 === undefined) {
    await storeTool(cachedPath(search, file), fetch);
    return file;
  }
  const program: LockedFile = { file: search.tool.name, sha256s: [memberSha256] };
  await storeTool(cachedPath(search, program), async (partial) => {
    const packed = `${partial}.archive`;
    try {
      await fetch(packed);
      await unpackMember(packed, partial, unpackOptions(search, file));
    } finally {
      await rm(packed, { force: true });
    }
  });
  return program;
}

/** Whether the cache has the file, byte for byte; nothing is copied or unpacked. */
export async function inspectCached(search: Search, file: LockedFile): Promise<Inspection> {
  const path = cachedPath(search, file);
  const sha256 = await sha256OfFile(path);
  return judge(path, path, sha256, file.sha256s);
}

/**
 * The program to run out of a file in the cache: a copy, or what an archive unpacks to, that nobody else can change
 * where there is a private folder.
 * @throws InfrastructureError `tool-archive-invalid`, `tool-mismatch` of an archive that is the lock's and has no such
 *   program, `tool-copy-failed`
 */
export async function useCached(search: Search, file: LockedFile): Promise<Inspection> {
  if (file.archive === undefined)
    return verifyWhatIsRun(cachedPath(search, file), file.sha256s, search.options.privateDirectory);
  const inspected = await inspectCached(search, file);
  return "reason" in inspected ? inspected : unpackCached(search, file, inspected.path);
}

/**
 * A program's copy in the private folder, where there is one, with the hash of what is run; a copy that has another
 * hash than these is not kept.
 */
export async function verifyWhatIsRun(
  path: string,
  sha256s: readonly string[],
  privateDirectory: string | undefined,
): Promise<Inspection> {
  const copy = privateDirectory === undefined ? path : await copyToPrivate(path, privateDirectory);
  const sha256 = copy === undefined ? undefined : await sha256OfFile(copy);
  const result = judge(path, copy ?? path, sha256, sha256s);
  if ("reason" in result && copy !== undefined && copy !== path) await rm(copy, { force: true });
  return result;
}

function judge(original: string, run: string, sha256: string | undefined, expected: readonly string[]): Inspection {
  if (sha256 === undefined) return { reason: `not in the cache (${original})` };
  if (expected.includes(sha256)) return { path: run, sha256 };
  return {
    reason: `${original} was changed: its SHA-256 is ${sha256}, expected ${expected.join(" or ")}`,
    sha256,
    corrupt: true,
  };
}

async function unpackCached(search: Search, file: LockedFile, archive: string): Promise<Inspection> {
  const { privateDirectory } = search.options;
  const options = unpackOptions(search, file);
  if (privateDirectory === undefined) {
    const path = join(search.folder, "unpacked", search.tool.name);
    let sha256 = "";
    await storeTool(path, async (partial) => {
      sha256 = await unpackMember(archive, partial, options);
    });
    return { path, sha256 };
  }
  const path = join(privateFolder(privateDirectory), search.tool.name);
  try {
    await mkdir(dirname(path), { mode: 0o700 });
    const sha256 = await unpackMember(archive, path, options);
    await chmod(path, 0o500);
    await requireStartable(path, privateDirectory);
    return { path, sha256 };
  } catch (error) {
    await rm(dirname(path), { recursive: true, force: true });
    if (isKnownError(error)) throw error;
    throw new InfrastructureError(`${archive} can't be unpacked to ${privateDirectory}: ${describeError(error)}`, {
      code: "tool-copy-failed",
      wayOut: "Check that there is room.",
      cause: error,
    });
  }
}

function unpackOptions(search: Search, { sha256s: [sha256 = ""], archive }: LockedFile): UnpackOptions {
  const { signal } = search.options;
  return { label: labelOf(search), sha256, member: "", ...archive, ...(signal === undefined ? {} : { signal }) };
}
