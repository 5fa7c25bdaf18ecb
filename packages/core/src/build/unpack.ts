import { chmod, type FileHandle, link, mkdir, open, symlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { InfrastructureError, isKnownError, UserError } from "../errors.ts";
import { createDigester, type Digest, digestAlgorithm } from "../oci/digest.ts";

export interface UnpackLimits {
  /** Of all layers together, uncompressed. */
  bytes: number;
  entries: number;
}

/** The largest buildpackages in use (Java's, with offline dependencies) are below a gigabyte. */
const defaultUnpackLimits: UnpackLimits = { bytes: 4 * 1024 ** 3, entries: 200_000 };

/**
 * What has been written below a folder so far, and what has been counted. Paths are looked up here and not on the disk, so that nothing is ever written
 * through a link, whoever made it.
 */
interface UnpackedTree {
  /** The folder that stands for `/cnb/buildpacks`. */
  root: string;
  kinds: Map<string, "directory" | "file" | "symlink">;
  bytes: number;
  entries: number;
  limits: UnpackLimits;
}

export function createTree(root: string, limits: UnpackLimits = defaultUnpackLimits): UnpackedTree {
  return { root, kinds: new Map(), bytes: 0, entries: 0, limits };
}

interface LayerSource {
  content: AsyncIterable<Uint8Array>;
  mediaType: string;
  diffId: Digest;
  /** For messages. */
  where: string;
}

/**
 * Unpacks one layer of a buildpackage, which holds `/cnb/buildpacks/<id>/<version>/…` and nothing else. Owners, times and special bits are not taken over.
 * @throws UserError `buildpackage-unsafe` (an entry elsewhere, a link that leads out of its buildpack, a device, one path twice), `buildpackage-too-large`
 * @throws InfrastructureError `digest-mismatch`, `buildpackage-malformed`
 */
export async function unpackBuildpackLayer(tree: UnpackedTree, layer: LayerSource, signal?: AbortSignal): Promise<void> {
  const digester = createDigester(digestAlgorithm(layer.diffId));
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, callback) {
      tree.bytes += chunk.byteLength;
      if (tree.bytes > tree.limits.bytes) return callback(tooLarge(layer.where, `more than ${tree.limits.bytes} bytes when unpacked`));
      digester.update(chunk);
      callback(null, chunk);
    },
  });
  const archive = extract();
  const expand = decompressor(layer);
  const source = Readable.from(layer.content, { objectMode: false });
  const pumping =
    expand === undefined ? pipeline(source, counter, archive, { signal }) : pipeline(source, expand, counter, archive, { signal });
  // Whichever side fails first has the reason; the other one only says that the stream ended early.
  let failure: unknown;
  const pumped = pumping.catch((error: unknown) => {
    failure ??= error;
  });
  try {
    for await (const entry of archive) {
      // streamx's declarations leave the iterator's type open; a tar entry yields bytes.
      await writeEntry(tree, entry.header, entry as AsyncIterable<unknown> as AsyncIterable<Uint8Array>, layer.where);
      entry.resume();
    }
  } catch (error) {
    failure = isKnownError(failure) ? failure : error;
    archive.destroy();
  }
  await pumped;
  if (failure !== undefined) throw isKnownError(failure) || signal?.aborted ? failure : malformed(layer.where, failure);
  const actual = digester.digest();
  if (actual !== layer.diffId) {
    throw new InfrastructureError(`${layer.where}: a layer's content has the digest ${actual}, and its config says ${layer.diffId}`, {
      code: "digest-mismatch",
      safeToRetry: false,
    });
  }
}

function decompressor({ mediaType, where }: LayerSource): Transform | undefined {
  if (/[+.]gzip$/.test(mediaType)) return createGunzip();
  if (/[+.]zstd$/.test(mediaType)) return createZstdDecompress();
  if (/[.]tar$/.test(mediaType)) return undefined;
  throw new UserError(`${where}: a layer has the media type ${mediaType}, which is no tar archive that goldenpath reads`, {
    code: "buildpackage-malformed",
  });
}

async function writeEntry(tree: UnpackedTree, header: Header, content: AsyncIterable<Uint8Array>, where: string): Promise<void> {
  tree.entries += 1;
  if (tree.entries > tree.limits.entries) throw tooLarge(where, `more than ${tree.limits.entries} entries`);
  const unsafe = (why: string): UserError => unsafeEntry(where, header.name, why);
  const path = pathInBuildpacks(header, unsafe);
  if (path === undefined) return;
  const depth = path.split("/").length;
  const target = join(tree.root, path);
  if (header.type === "directory") {
    if (tree.kinds.get(path) !== "directory") await makeDirectories(tree, path, unsafe);
    return;
  }
  // <id> and <version> themselves are folders: a link there would be another buildpack's content under this one's name.
  if (depth < 3) throw unsafe("only folders are expected there");
  await makeDirectories(tree, posix.dirname(path), unsafe);
  if (tree.kinds.has(path)) throw unsafe("it is there already, and what a path is must not depend on the order");
  switch (header.type) {
    case "file":
    case "contiguous-file":
      tree.kinds.set(path, "file");
      await writeContent(target, (header.mode & 0o111) === 0 ? 0o644 : 0o755, content);
      return;
    case "symlink":
      // tar-stream's declaration says string; an empty field comes as null.
      checkLinkTarget(path, header.linkname ?? "", unsafe);
      tree.kinds.set(path, "symlink");
      await symlink(header.linkname, target);
      return;
    case "link": {
      const source = pathInBuildpacks({ ...header, name: header.linkname ?? "" }, unsafe);
      if (source === undefined || tree.kinds.get(source) !== "file")
        throw unsafe(`it is a hard link to '${header.linkname}', which is no file`);
      if (rootOf(source) !== rootOf(path)) throw unsafe(`it is a hard link to '${header.linkname}', in another buildpack`);
      tree.kinds.set(path, "file");
      await link(join(tree.root, source), target);
      return;
    }
    default:
      throw unsafe(`it is a ${String(header.type ?? "thing of no known type")}, and only files, folders and links are expected`);
  }
}

/** An entry's path below `/cnb/buildpacks`; undefined for that folder and its parents. */
function pathInBuildpacks(header: Pick<Header, "name" | "type">, unsafe: (why: string) => UserError): string | undefined {
  const parts = header.name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw unsafe("it climbs out with '..'");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(header.name)) throw unsafe("it has control characters or backslashes in its name");
  if (header.name.length > 4096 || parts.some((part) => Buffer.byteLength(part) > 255)) throw unsafe("its name is too long");
  if (parts.some((part) => part.startsWith(".wh."))) throw unsafe("it removes something of a lower layer");
  const isParent = parts.length <= 2 && ["", "cnb", "cnb/buildpacks"].includes(parts.join("/"));
  if (isParent && header.type === "directory") return undefined;
  if (isParent || parts[0] !== "cnb" || parts[1] !== "buildpacks") throw unsafe("a buildpackage has nothing outside /cnb/buildpacks");
  return parts.slice(2).join("/");
}

async function makeDirectories(tree: UnpackedTree, path: string, unsafe: (why: string) => UserError): Promise<void> {
  const parts = path.split("/");
  for (let length = 1; length <= parts.length; length += 1) {
    const part = parts.slice(0, length).join("/");
    const kind = tree.kinds.get(part);
    if (kind === "directory") continue;
    if (kind !== undefined) throw unsafe(`'${part}' is a ${kind}, and it would be written through that`);
    tree.kinds.set(part, "directory");
    const target = join(tree.root, part);
    await mkdir(target, { mode: 0o755 });
    // mkdir's mode, and open's below, go through the umask.
    await chmod(target, 0o755);
  }
}

/** `..` may only lead: further on it would climb from wherever a link before it leads to, which no look at the text can tell. */
function checkLinkTarget(path: string, target: string, unsafe: (why: string) => UserError): void {
  if (target === "" || target.startsWith("/") || target.includes("\0")) throw unsafe(`it is a link to '${target}', which is not relative`);
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const climbs = parts.findIndex((part) => part !== "..");
  if (climbs !== -1 && parts.slice(climbs).includes("..")) throw unsafe(`it is a link to '${target}', with '..' after a name`);
  const resolved = posix.join(posix.dirname(path), target);
  const root = rootOf(path);
  if (resolved !== root && !resolved.startsWith(`${root}/`)) throw unsafe(`it is a link to '${target}', outside its buildpack`);
}

function rootOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

async function writeContent(target: string, mode: number, content: AsyncIterable<Uint8Array>): Promise<void> {
  let file: FileHandle | undefined;
  try {
    // wx: what is there, a link included, is an error and is not opened.
    file = await open(target, "wx", mode);
    for await (const chunk of content) await file.writeFile(chunk);
    await file.chmod(mode);
  } finally {
    await file?.close();
  }
}

function unsafeEntry(where: string, name: string, why: string): UserError {
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  return new UserError(`${where}: the entry ${shown} is refused: ${why}`, {
    code: "buildpackage-unsafe",
    wayOut: "Package the buildpack again (pack buildpack package), and put the new digest into the policy.",
  });
}

function tooLarge(where: string, why: string): UserError {
  return new UserError(`${where} is too large: ${why}`, {
    code: "buildpackage-too-large",
    wayOut: "Use a buildpack without bundled dependencies.",
  });
}

function malformed(where: string, cause: unknown): InfrastructureError {
  return new InfrastructureError(`${where}: a layer cannot be unpacked: ${cause instanceof Error ? cause.message : String(cause)}`, {
    code: "buildpackage-malformed",
    cause,
    safeToRetry: false,
  });
}
