import { type FileHandle, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { sha256OfFile } from "../../tools/cache.ts";
import type { DatabaseFacts } from "../gate.ts";

// trivy's data: a bbolt file with a bucket for each source, and beside it when it was made.

export const trivyFiles = ["db/trivy.db", "db/metadata.json"] as const;

const metadataSchema = z.looseObject({ Version: z.number(), UpdatedAt: z.iso.datetime({ offset: true }) });

/** @throws InfrastructureError `scanner-failed`: it can't be read */
export async function readTrivyFacts(directory: string): Promise<DatabaseFacts> {
  try {
    const metadata = metadataSchema.parse(parseJson(await readFile(join(directory, trivyFiles[1]), "utf8")));
    const sha256 = await sha256OfFile(join(directory, trivyFiles[0]));
    return {
      built: new Date(metadata.UpdatedAt),
      schema: String(metadata.Version),
      ...(sha256 === undefined ? {} : { digest: `sha256:${sha256}` }),
    };
  } catch (error) {
    throw unreadable(directory, error);
  }
}

/**
 * The names of the sources that the data has: `debian 12`, `npm::GitHub Security Advisory npm`. trivy itself can't be
 * asked for them, and answers as if nothing were known where there is none.
 * @throws InfrastructureError `scanner-failed`: it is no bbolt file, or a broken one
 */
export async function listTrivySources(directory: string): Promise<Set<string>> {
  let file: FileHandle | undefined;
  try {
    file = await open(join(directory, trivyFiles[0]), "r");
    return await readBucketNames(file);
  } catch (error) {
    throw unreadable(directory, error);
  } finally {
    await file?.close();
  }
}

/** bbolt's file format, version 2 (its internal/common: page.go, meta.go). Numbers are the machine's: little-endian. */
const layout = { magic: 0xed0cdaed, version: 2, pageHeader: 16, metaBytes: 64, element: 16 } as const;
const flags = { branch: 0x01, leaf: 0x02, meta: 0x04, bucket: 0x01 } as const;
/** The data has some hundreds of sources, which fill a few pages. */
const maxPages = 10_000;
const maxPageBytes = 1024 * 1024;

async function readBucketNames(file: FileHandle): Promise<Set<string>> {
  const { root, pageSize } = await readMeta(file);
  const names = new Set<string>();
  const pending = [root];
  for (let read = 0; ; read += 1) {
    const id = pending.pop();
    if (id === undefined) return names;
    if (read >= maxPages) throw new RangeError(`it has more than ${maxPages} pages of names`);
    const page = await readPage(file, id, pageSize);
    const count = page.readUInt16LE(10);
    const kind = page.readUInt16LE(8);
    if (kind !== flags.branch && kind !== flags.leaf) throw new RangeError(`page ${id} is of no kind that has names`);
    for (let index = 0; index < count; index += 1) {
      const at = layout.pageHeader + index * layout.element;
      if (kind === flags.branch) pending.push(Number(page.readBigUInt64LE(at + 8)));
      else if ((page.readUInt32LE(at) & flags.bucket) !== 0) names.add(readKey(page, at));
    }
  }
}

function readKey(page: Buffer, at: number): string {
  const start = at + page.readUInt32LE(at + 4);
  const end = start + page.readUInt32LE(at + 8);
  if (end > page.length) throw new RangeError("a name ends behind its page");
  return page.toString("utf8", start, end);
}

/** The newer of the two that says by its sum that it is whole. */
async function readMeta(file: FileHandle): Promise<{ root: number; pageSize: number }> {
  const first = await readBytes(file, 0, layout.pageHeader + layout.metaBytes);
  const size = first.readUInt32LE(layout.pageHeader + 8);
  const second =
    size >= 1024 && size <= maxPageBytes
      ? await readBytes(file, size, layout.pageHeader + layout.metaBytes)
      : Buffer.alloc(0);
  const whole = [first, second].flatMap((page) => {
    const meta = page.subarray(layout.pageHeader);
    if (meta.length < layout.metaBytes || meta.readUInt32LE(0) !== layout.magic) return [];
    if (meta.readUInt32LE(4) !== layout.version || meta.readBigUInt64LE(56) !== sumOf(meta.subarray(0, 56))) return [];
    return [{ root: Number(meta.readBigUInt64LE(16)), pageSize: meta.readUInt32LE(8), time: meta.readBigUInt64LE(48) }];
  });
  const newest = whole.toSorted((a, b) => (a.time < b.time ? 1 : -1))[0];
  if (newest === undefined) throw new RangeError("it does not begin as a bbolt file does");
  return newest;
}

/** FNV-1a, 64 bits. */
function sumOf(bytes: Uint8Array): bigint {
  let sum = 0xcbf29ce484222325n;
  for (const byte of bytes) sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x100000001b3n);
  return sum;
}

async function readPage(file: FileHandle, id: number, pageSize: number): Promise<Buffer> {
  const header = await readBytes(file, id * pageSize, layout.pageHeader);
  const bytes = (header.readUInt32LE(12) + 1) * pageSize;
  if (bytes > maxPageBytes) throw new RangeError(`page ${id} is larger than any with names`);
  return readBytes(file, id * pageSize, bytes);
}

async function readBytes(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new RangeError("it is cut off");
  return buffer;
}

function unreadable(directory: string, cause: unknown): InfrastructureError {
  return new InfrastructureError(`trivy's data in ${directory} can't be read: ${describeError(cause)}`, {
    code: "scanner-failed",
    wayOut: "Fetch it again, or leave the input 'database' out: then trivy downloads its data.",
    cause,
  });
}
