import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { pack } from "tar-stream";

/** What a layer holds at one path. Everything belongs to root unless told otherwise. */
export type TreeEntry =
  | { type: "directory"; mode: number; uid?: number; gid?: number }
  | { type: "file"; mode: number; content: Uint8Array; uid?: number; gid?: number }
  | { type: "symlink"; target: string };

/** Paths have no slash at either end: `usr/lib/os-release`. */
export type FileTree = Map<string, TreeEntry>;

/** A gzipped layer as a file. `digest` and `size` are of the file, `diffId` is of the tar in it. */
export interface LayerFile {
  path: string;
  digest: Digest;
  diffId: Digest;
  size: number;
}

/**
 * Reads a folder as it is, links not followed. Owners and times are left behind: whoever unpacked it must not show in a
 * digest.
 * @throws Error on devices, sockets and the like
 */
export async function readTree(directory: string): Promise<FileTree> {
  const tree: FileTree = new Map();
  const visit = async (path: string): Promise<void> => {
    for (const name of await readdir(join(directory, path))) {
      const inner = path === "" ? name : `${path}/${name}`;
      const full = join(directory, inner);
      const stat = await lstat(full);
      const mode = stat.mode & 0o7777;
      if (stat.isDirectory()) {
        tree.set(inner, { type: "directory", mode });
        await visit(inner);
      } else if (stat.isSymbolicLink()) {
        tree.set(inner, { type: "symlink", target: await readlink(full) });
      } else if (stat.isFile()) {
        tree.set(inner, { type: "file", mode, content: await readFile(full) });
      } else {
        throw new Error(`${full} is neither a file, nor a directory, nor a symbolic link`);
      }
    }
  };
  await visit("");
  return tree;
}

export function addFile(tree: FileTree, path: string, content: string | Uint8Array, mode = 0o644): void {
  addParents(tree, path);
  tree.set(path, {
    type: "file",
    mode,
    content: typeof content === "string" ? new TextEncoder().encode(content) : content,
  });
}

/** Adds the directories above `path` that are not there. */
export function addParents(tree: FileTree, path: string): void {
  const parts = path.split("/").slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth++) {
    const parent = parts.slice(0, depth).join("/");
    if (!tree.has(parent)) tree.set(parent, { type: "directory", mode: 0o755 });
  }
}

/**
 * Writes the tree as a gzipped tar whose bytes depend on nothing but the tree and `modified`: sorted, without names of
 * owners. `prefix` goes before each path; `level` is gzip's.
 */
export async function writeLayer(
  tree: FileTree,
  modified: Date,
  path: string,
  { prefix = "", level = 9 } = {},
): Promise<LayerFile> {
  const tar = pack();
  const [plain, compressed] = [measure(), measure()];
  const written = pipeline(tar, plain.stream, createGzip({ level }), compressed.stream, createWriteStream(path));
  const entries = [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [inner, entry] of entries) {
    const name = `${prefix}${inner}`;
    if (entry.type === "symlink")
      tar.entry({ name, type: "symlink", linkname: entry.target, mode: 0o777, uid: 0, gid: 0, mtime: modified });
    else {
      const header = {
        name,
        type: entry.type,
        mode: entry.mode,
        uid: entry.uid ?? 0,
        gid: entry.gid ?? 0,
        mtime: modified,
      };
      if (entry.type === "directory") tar.entry(header);
      else tar.entry(header, Buffer.from(entry.content));
    }
  }
  tar.finalize();
  await written;
  return { path, digest: compressed.digest(), diffId: plain.digest(), size: compressed.size() };
}

function measure(): { stream: Transform; digest(): Digest; size(): number } {
  const hash = createHash("sha256");
  let size = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  return { stream, digest: () => `sha256:${hash.digest("hex")}`, size: () => size };
}
