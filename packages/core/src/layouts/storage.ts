import { constants } from "node:fs";
import { type FileHandle, lstat, open, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { MalformedLayer } from "../layers/bytes.ts";
import { formatPath, type TarEvent, TarParser } from "../layers/tar.ts";

/** What a build may leave, whatever it says of itself. */
export interface LayoutLimits {
  /** Of the archive, or of what is read out of a folder. Bytes. */
  bytes: number;
  /** Of an archive. */
  entries: number;
}

/** As much as the layers of an image may have where they are judged; an archive has some five entries a layer. */
export const layoutLimits: LayoutLimits = { bytes: 32 * 1024 ** 3, entries: 20_000 };

/** Files that strangers' code left, by their paths with `/` in between; nothing but whole, ordinary files. */
export interface Storage {
  /** For messages. */
  where: string;
  /** Undefined where there is none. @throws InfrastructureError `built-image-invalid` for what is no ordinary file */
  sizeOf(path: string): Promise<number | undefined>;
  /** @throws InfrastructureError `built-image-invalid` where it is missing or larger */
  read(path: string, maxBytes: number): Promise<Buffer>;
  /** From the beginning, each time that it is iterated. */
  stream(path: string): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** What a build left can't be used: nothing of it is pushed. */
export function invalidImage(where: string, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`the image that the build left in ${where} can't be taken: ${why}`, {
    code: "built-image-invalid",
    cause,
    safeToRetry: false,
    wayOut: "Find out what in the build wrote it: a plugin, an extension, or a setting of the output's format.",
  });
}

/**
 * Opens a folder, or a tar archive without compression. Nothing in it is followed anywhere: a link is no file. What is
 * read is held to what was opened, since whatever wrote a folder may still be at work there; an archive's writer is
 * gone (the sandbox ends with all that is in it).
 * @throws InfrastructureError `built-image-invalid`
 */
export async function openStorage(path: string, limits: LayoutLimits = layoutLimits): Promise<Storage> {
  const stats = await lstat(path).catch((error: unknown) => {
    throw invalidImage(path, describeError(error), error);
  });
  // Of the folder itself nothing is followed either: it may be a link by now.
  if (stats.isDirectory()) return openFolder(join(await realpath(dirname(path)), basename(path)), limits);
  if (!stats.isFile()) throw invalidImage(path, "it is neither a folder nor a file");
  if (stats.size > limits.bytes) throw invalidImage(path, `it has ${stats.size} bytes, more than ${limits.bytes}`);
  return openArchive(path, limits);
}

function openFolder(root: string, limits: LayoutLimits): Storage {
  let total = 0;
  const locate = async (path: string): Promise<{ full: string; size: number } | undefined> => {
    const parts = path.split("/");
    for (const [index, _part] of parts.entries()) {
      const full = join(root, ...parts.slice(0, index + 1));
      const stats = await lstat(full).catch(() => undefined);
      if (stats === undefined) return undefined;
      const isLast = index === parts.length - 1;
      // A second name of a file is no way in: whoever runs the build could give one to what it may not read.
      if (isLast ? !stats.isFile() || stats.nlink !== 1 : !stats.isDirectory())
        throw invalidImage(
          root,
          `${parts.slice(0, index + 1).join("/")} is not an ordinary ${isLast ? "file" : "folder"}`,
        );
      if (isLast) return { full, size: stats.size };
    }
    return undefined;
  };
  const openFile = async (path: string): Promise<{ file: FileHandle; size: number }> => {
    const found = await locate(path);
    if (found === undefined) throw invalidImage(root, `it has no ${path}`);
    total += found.size;
    if (total > limits.bytes) throw invalidImage(root, `its files have more than ${limits.bytes} bytes`);
    const file = await openFound(found.full);
    if (file === undefined) throw invalidImage(root, `${path} is not what it was`);
    return { file, size: found.size };
  };
  return {
    where: root,
    sizeOf: async (path) => (await locate(path))?.size,
    async read(path, maxBytes) {
      const { file, size } = await openFile(path);
      try {
        return await readPart(file, { offset: 0, size }, maxBytes, `${path} of ${root}`);
      } finally {
        await file.close();
      }
    },
    async *stream(path) {
      const { file, size } = await openFile(path);
      try {
        yield* streamPart(file, { offset: 0, size });
      } finally {
        await file.close();
      }
    },
    close: () => Promise.resolve(),
  };
}

/** Undefined where it is another file than the one of this path without links: somebody changed what leads there. */
async function openFound(path: string): Promise<FileHandle | undefined> {
  // What waits for a writer is not waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    const isThere = process.platform !== "linux" || (await readlink(`/proc/self/fd/${file.fd}`)) === path;
    if (isThere && stats.isFile() && stats.nlink === 1) return file;
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

interface Part {
  offset: number;
  size: number;
}

async function openArchive(path: string, limits: LayoutLimits): Promise<Storage> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const entries = await indexArchive(file, path, limits);
    const find = (name: string): Part | undefined => {
      const found = entries.get(name);
      // Docker 20.10 writes a layer that an image has twice once, and a link to it.
      return typeof found === "string" ? asPart(entries.get(found)) : found;
    };
    const require = (name: string): Part => {
      const part = find(name);
      if (part === undefined) throw invalidImage(path, `it has no ${name}`);
      return part;
    };
    return {
      where: path,
      sizeOf: (name) => Promise.resolve(find(name)?.size),
      read: (name, maxBytes) => readPart(file, require(name), maxBytes, `${name} of ${path}`),
      stream: (name) => streamPart(file, require(name)),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function asPart(found: Part | string | undefined): Part | undefined {
  return typeof found === "string" ? undefined : found;
}

/** Where each file of the archive lies in it; of a link within the archive, the path that it leads to. */
async function indexArchive(
  file: FileHandle,
  where: string,
  { entries: most }: LayoutLimits,
): Promise<Map<string, Part | string>> {
  const entries = new Map<string, Part | string>();
  const { size: end } = await file.stat();
  const parser = new TarParser();
  let chunk = Buffer.alloc(0);
  let position = 0;
  let current: Part | undefined;
  const take = (event: TarEvent): void => {
    if (event.kind === "content") {
      // The first bytes of it: where they are in what was read is where they are in the file.
      if (current?.offset === -1) current.offset = position + event.bytes.byteOffset - chunk.byteOffset;
      return;
    }
    if (event.kind === "end") return;
    const { kind, path, size } = event.entry;
    current = undefined;
    if (kind === "directory") return;
    if (entries.has(path)) throw invalidImage(where, `${formatPath(path)} is in it twice`);
    if (entries.size >= most) throw invalidImage(where, `it has more than ${most} entries`);
    if (kind === "symlink") entries.set(path, linkWithin(path, event.entry.target));
    else if (kind !== "file") throw invalidImage(where, `${formatPath(path)} is a ${kind}`);
    else {
      current = { offset: size === 0 ? 0 : -1, size };
      entries.set(path, current);
    }
  };
  try {
    while (position < end) {
      // Another one each time, since the parser keeps parts of it until it has a whole name.
      chunk = Buffer.allocUnsafe(headersSize);
      const { bytesRead } = await file.read(chunk, 0, headersSize, position);
      if (bytesRead === 0) break;
      for (const event of parser.push(chunk.subarray(0, bytesRead))) take(event);
      position += bytesRead;
      if (current?.offset === -1 && parser.pending > 0) current.offset = position;
      // What files have in them is read by whoever wants it.
      const skipped = Math.min(parser.pending, Math.max(end - position, 0));
      for (const event of parser.skip(skipped)) take(event);
      position += skipped;
    }
    parser.finish();
  } catch (error) {
    throw error instanceof MalformedLayer ? invalidImage(where, error.message, error) : error;
  }
  return entries;
}

/** The path in the archive that a link leads to; empty, which nothing is called, for one that leads out of it. */
function linkWithin(path: string, target: string): string {
  const parts = path.split("/").slice(0, -1);
  if (target.startsWith("/")) return "";
  for (const part of target.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return "";
    } else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

const chunkSize = 1024 * 1024;
/** Of what is read at a time to find entries. Bytes. */
const headersSize = 16 * 1024;

async function readPart(file: FileHandle, part: Part, maxBytes: number, what: string): Promise<Buffer> {
  if (part.size > maxBytes) throw invalidImage(what, `it has ${part.size} bytes, more than ${maxBytes}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamPart(file, part)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* streamPart(file: FileHandle, { offset, size }: Part): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < offset + size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkSize, offset + size - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}
