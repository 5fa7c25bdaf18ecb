import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";

/** Files that are read at once. */
const concurrency = 8;
/** Larger ones are read in pieces. Bytes. */
const maxWhole = 1024 * 1024;

/**
 * What a copied application is: each path with its kind, whether it may be run, and its bytes or where it leads. Times
 * and owners are not in it, nor do they get into an image. SHA-256 in hex.
 * @param directory that nobody changes meanwhile
 */
export async function digestFolder(directory: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  await addFolder(hash, Buffer.from(directory), signal);
  return hash.digest("hex");
}

/** Names are bytes, and each field is preceded by its length: two folders that differ are two texts. */
async function addFolder(hash: Hash, folder: Buffer, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const entries = await readdir(folder, { withFileTypes: true, encoding: "buffer" });
  entries.sort((one, other) => Buffer.compare(one.name, other.name));
  const paths = entries.map(({ name }) => Buffer.concat([folder, Buffer.from("/"), name]));
  const contents = await mapConcurrently(concurrency, entries, async (entry, index) => {
    const path = paths[index] as Buffer;
    if (entry.isSymbolicLink()) return { kind: "link", content: await readlink(path, { encoding: "buffer" }) };
    if (entry.isDirectory()) return { kind: "folder", content: Buffer.alloc(0) };
    const { mode, size } = await stat(path);
    return { kind: (mode & 0o111) === 0 ? "file" : "program", content: await digestFile(path, size) };
  });
  for (const [index, { kind, content }] of contents.entries()) {
    const name = entries[index]?.name ?? Buffer.alloc(0);
    for (const field of [Buffer.from(kind), name, content]) hash.update(`${field.length}:`).update(field);
    if (kind === "folder") await addFolder(hash, paths[index] as Buffer, signal);
  }
  hash.update("end");
}

async function digestFile(path: Buffer, size: number): Promise<Buffer> {
  const hash = createHash("sha256");
  if (size <= maxWhole) return hash.update(await readFile(path)).digest();
  for await (const chunk of createReadStream(path, { highWaterMark: maxWhole })) hash.update(chunk as Buffer);
  return hash.digest();
}
