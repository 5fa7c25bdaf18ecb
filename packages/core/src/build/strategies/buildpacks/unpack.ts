import { chmod, type FileHandle, link, mkdir, open, symlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import { findLayerType } from "@goldenpath/registry-client/oci/layer-types";
import { createBudget, type LayerBudget, layerLimits } from "../../../layers/budget.ts";
import { UnsafeEntry } from "../../../layers/bytes.ts";
import { type LayerSource as DescribedLayer, type ReadLayer, readLayer } from "../../../layers/read.ts";
import type { TarEntry, TarEvent } from "../../../layers/tar.ts";

export interface UnpackLimits {
  /** Of all layers together, uncompressed. */
  bytes: number;
  entries: number;
}

/** The largest buildpackages in use (Java's, with offline dependencies) are below a gigabyte. */
const defaultUnpackLimits: UnpackLimits = { bytes: 4 * 1024 ** 3, entries: 200_000 };

/**
 * What has been written below a folder so far, and what has been counted. Paths are looked up here and not on the disk,
 * so that nothing is ever written through a link, whoever made it.
 */
interface UnpackedTree {
  /** The folder that stands for `/cnb/buildpacks`. */
  root: string;
  kinds: Map<string, "directory" | "file" | "symlink">;
  budget: LayerBudget;
  limits: UnpackLimits;
}

export function createTree(root: string, limits: UnpackLimits = defaultUnpackLimits): UnpackedTree {
  return { root, kinds: new Map(), budget: createBudget({ ...layerLimits, ...limits }), limits };
}

interface LayerSource extends DescribedLayer {
  content: AsyncIterable<Uint8Array>;
}

/**
 * Unpacks one layer of a buildpackage, which holds `/cnb/buildpacks/<id>/<version>/…` and nothing else. Owners, times
 * and special bits are not taken over.
 * @throws UserError `buildpackage-unsafe` (an entry elsewhere, a link that leads out of its buildpack, a device, one
 *   path twice), `buildpackage-too-large`
 * @throws InfrastructureError `digest-mismatch`, `buildpackage-malformed`
 */
export async function unpackBuildpackLayer(
  tree: UnpackedTree,
  layer: LayerSource,
  signal?: AbortSignal,
): Promise<void> {
  if (findLayerType(layer.mediaType) === undefined) {
    throw new UserError(
      `${layer.where}: a layer has the media type ${layer.mediaType}, which is no tar archive that goldenpath reads`,
      {
        code: "buildpackage-malformed",
      },
    );
  }
  let writing: OpenEntry | undefined;
  const take = async (event: TarEvent): Promise<void> => {
    if (event.kind === "entry") writing = await writeEntry(tree, event.entry, layer.where);
    else if (event.kind === "content") await writing?.file?.writeFile(event.bytes);
    else {
      await closeEntry(writing);
      writing = undefined;
    }
  };
  let read: ReadLayer;
  try {
    read = await readLayer(
      layer.content,
      layer,
      tree.budget,
      {
        async events(events) {
          for (const event of events) await take(event);
        },
      },
      signal,
    );
  } catch (error) {
    throw asBuildpackageError(error, tree.limits, layer.where);
  } finally {
    await writing?.file?.close();
  }
  if (read.diffId !== layer.diffId) {
    throw new InfrastructureError(
      `${layer.where}: a layer's content has the digest ${read.diffId}, and its config says ${layer.diffId}`,
      {
        code: "digest-mismatch",
        safeToRetry: false,
      },
    );
  }
}

/** What a layer's reader says, in the words of who fetches buildpacks. */
function asBuildpackageError(error: unknown, limits: UnpackLimits, where: string): unknown {
  if (!isKnownError(error)) return error;
  if (error.cause instanceof UnsafeEntry) return unsafe(where, error.cause.message);
  if (error.code === "layers-too-large") return tooLarge(where, `more than ${limits.bytes} bytes when unpacked`);
  if (error.code === "layers-too-many-entries") return tooLarge(where, `more than ${limits.entries} entries`);
  if (error.code === "layers-too-dense" || error.code === "layer-unreadable") return malformed(where, error);
  return error;
}

interface OpenEntry {
  /** Open for the content, where there is some. */
  file?: FileHandle;
  mode: number;
}

async function closeEntry(entry: OpenEntry | undefined): Promise<void> {
  if (entry?.file === undefined) return;
  // open's mode goes through the umask.
  await entry.file.chmod(entry.mode);
  await entry.file.close();
  delete entry.file;
}

async function writeEntry(tree: UnpackedTree, entry: TarEntry, where: string): Promise<OpenEntry | undefined> {
  const unsafe = (why: string): UserError => unsafeEntry(where, entry.path, why);
  const path = pathInBuildpacks(entry, unsafe);
  if (path === undefined) return undefined;
  const depth = path.split("/").length;
  const target = join(tree.root, path);
  if (entry.kind === "directory") {
    if (tree.kinds.get(path) !== "directory") await makeDirectories(tree, path, unsafe);
    return undefined;
  }
  // <id> and <version> themselves are folders: a link there would be another buildpack's content under this one's name.
  if (depth < 3) throw unsafe("only folders are expected there");
  await makeDirectories(tree, posix.dirname(path), unsafe);
  if (tree.kinds.has(path)) throw unsafe("it is there already, and what a path is must not depend on the order");
  switch (entry.kind) {
    case "file": {
      tree.kinds.set(path, "file");
      const mode = (entry.mode & 0o111) === 0 ? 0o644 : 0o755;
      // wx: what is there, a link included, is an error and is not opened.
      return { file: await open(target, "wx", mode), mode };
    }
    case "symlink": {
      const linkname = readText(entry.target, unsafe);
      checkLinkTarget(path, linkname, unsafe);
      tree.kinds.set(path, "symlink");
      await symlink(linkname, target);
      return undefined;
    }
    case "hardlink": {
      const source = pathInBuildpacks({ path: entry.target, kind: "file" }, unsafe);
      if (source === undefined || tree.kinds.get(source) !== "file")
        throw unsafe(`it is a hard link to '${entry.target}', which is no file`);
      if (rootOf(source) !== rootOf(path)) throw unsafe(`it is a hard link to '${entry.target}', in another buildpack`);
      tree.kinds.set(path, "file");
      await link(join(tree.root, source), target);
      return undefined;
    }
    default:
      throw unsafe(`it is a ${entry.kind}, and only files, folders and links are expected`);
  }
}

/** A name as text: a buildpackage has none that isn't UTF-8. */
function readText(name: string, unsafe: (why: string) => UserError): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(name, "latin1"));
  } catch {
    throw unsafe("its name is not UTF-8");
  }
}

/** An entry's path below `/cnb/buildpacks`; undefined for that folder and its parents. */
function pathInBuildpacks(
  entry: Pick<TarEntry, "path" | "kind">,
  unsafe: (why: string) => UserError,
): string | undefined {
  const name = readText(entry.path, unsafe);
  const parts = name.split("/").filter((part) => part !== "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(name)) throw unsafe("it has control characters or backslashes in its name");
  if (name.length > 4096 || parts.some((part) => Buffer.byteLength(part) > 255)) throw unsafe("its name is too long");
  if (parts.some((part) => part.startsWith(".wh."))) throw unsafe("it removes something of a lower layer");
  const isParent = parts.length <= 2 && ["", "cnb", "cnb/buildpacks"].includes(parts.join("/"));
  if (isParent && entry.kind === "directory") return undefined;
  if (isParent || parts[0] !== "cnb" || parts[1] !== "buildpacks")
    throw unsafe("a buildpackage has nothing outside /cnb/buildpacks");
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

/**
 * `..` may only lead: further on it would climb from wherever a link before it leads to, which no look at the text can
 * tell.
 */
function checkLinkTarget(path: string, target: string, unsafe: (why: string) => UserError): void {
  if (target === "" || target.startsWith("/") || target.includes("\0"))
    throw unsafe(`it is a link to '${target}', which is not relative`);
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const climbs = parts.findIndex((part) => part !== "..");
  if (climbs !== -1 && parts.slice(climbs).includes(".."))
    throw unsafe(`it is a link to '${target}', with '..' after a name`);
  const resolved = posix.join(posix.dirname(path), target);
  const root = rootOf(path);
  if (resolved !== root && !resolved.startsWith(`${root}/`))
    throw unsafe(`it is a link to '${target}', outside its buildpack`);
}

function rootOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

function unsafeEntry(where: string, name: string, why: string): UserError {
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  return unsafe(where, `the entry ${shown} is refused: ${why}`);
}

function unsafe(where: string, why: string): UserError {
  return new UserError(`${where}: ${why}`, {
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
  return new InfrastructureError(
    `${where}: a layer cannot be unpacked: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      code: "buildpackage-malformed",
      cause,
      safeToRetry: false,
    },
  );
}
