import {
  chmodSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { createBudget, type LayerBudget, layerLimits, requireDisk } from "../layers/budget.ts";
import { MalformedLayer } from "../layers/bytes.ts";
import { createCollector, keepContent, type LayerContents } from "../layers/contents.ts";
import { falseLayer, readImageLayer } from "../layers/read.ts";
import type { TarEvent } from "../layers/tar.ts";
import { buildTree, type FileTree, type TreeFile, type TreeNode } from "../layers/tree.ts";

interface UnpackOptions {
  client: Pick<RegistryClient, "openBlob">;
  ports: Pick<Ports, "progress">;
  signal: AbortSignal;
  /** Who works in it: what is this user's in the image, this user can read here. */
  user: { uid: number; gid: number };
}

/**
 * Unpacks an image into `directory/root`, as a runtime would: read strictly, layer by layer, put together as the
 * judging stages do, and only then written, so that nothing is ever written through a link. All of it belongs to
 * whoever runs this. Devices, owners, set-id bits, attributes and times are left out.
 * @param directory exists, is empty, and is nobody else's to write
 * @throws InfrastructureError `layer-unreadable`, `layer-contradicts`, `layers-too-large`, `disk-too-small`
 */
export async function unpackImage(
  image: PinnedReference,
  { manifest, config }: ChildFacts,
  directory: string,
  { client, ports, signal, user }: UnpackOptions,
): Promise<FileTree> {
  const staging = join(directory, "staging");
  mkdirSync(staging, { mode: 0o700 });
  const total = manifest.layers.reduce((sum, { size }) => sum + size, 0);
  const task = ports.progress.start("unpack the builder image", { amount: total, unit: "bytes" });
  try {
    const budget = createBudget(layerLimits);
    const layers: LayerContents[] = [];
    for (const [index, layer] of manifest.layers.entries()) {
      await requireDisk(directory, layer.size, layerLimits);
      layers.push(await stageLayer(staging, image, layer, config.rootfs.diff_ids[index], { client, signal, budget }));
      task.advance(layer.size);
    }
    const tree = putTogether(layers, image);
    writeTree(tree, staging, join(directory, "root"), user);
    task.done(`${formatReference(image)}, ${budget.entries} entries`);
    return tree;
  } catch (error) {
    task.failed();
    throw error;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function putTogether(layers: readonly LayerContents[], image: PinnedReference): FileTree {
  try {
    return buildTree(layers, 0);
  } catch (error) {
    if (!(error instanceof MalformedLayer)) throw error;
    throw new InfrastructureError(`${formatReference(image)} can't be unpacked: ${error.message}`, {
      code: "layer-unreadable",
      cause: error,
      safeToRetry: false,
      wayOut: "Build the image again, and put its new digest into the policy.",
    });
  }
}

type Layer = ChildFacts["manifest"]["layers"][number];

/** Reads a layer; each file's content goes into `staging` under its digest. */
async function stageLayer(
  staging: string,
  image: PinnedReference,
  layer: Layer,
  diffId: ChildFacts["config"]["rootfs"]["diff_ids"][number] | undefined,
  { client, signal, budget }: Pick<UnpackOptions, "client" | "signal"> & { budget: LayerBudget },
): Promise<LayerContents> {
  if (diffId === undefined) throw new TypeError("a layer without a diffID is refused where images are read");
  const collector = createCollector(keepContent());
  const incoming = join(staging, "incoming");
  let file: number | undefined;
  const take = (event: TarEvent): void => {
    collector.take([event]);
    if (event.kind === "entry") file = event.entry.kind === "file" ? openSync(incoming, "wx", 0o600) : undefined;
    else if (file === undefined) return;
    else if (event.kind === "content") {
      for (let at = 0; at < event.bytes.length; ) at += writeSync(file, event.bytes, at);
    } else {
      closeSync(file);
      file = undefined;
      renameSync(incoming, join(staging, collector.entries.at(-1)?.contentDigest ?? ""));
    }
  };
  const events = (of: Iterable<TarEvent>): void => {
    for (const event of of) take(event);
  };
  try {
    const read = await readImageLayer(client, image, layer, diffId, budget, { events }, signal);
    if (read.diffId !== diffId)
      throw falseLayer(`layer ${layer.digest} of ${formatReference(image)}`, diffId, read.diffId);
    return { diffId, entries: collector.entries };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The tree, whole, from files of which each is there once. */
function writeTree(tree: FileTree, staging: string, root: string, user: UnpackOptions["user"]): void {
  const placed = new Map<TreeFile, Buffer>();
  const copies = new Map<string, Buffer>();
  const writeFile = (file: TreeFile, path: Buffer): void => {
    const linked = placed.get(file);
    if (linked !== undefined) {
      linkSync(linked, path);
      return;
    }
    placed.set(file, path);
    const copy = copies.get(file.contentDigest);
    if (copy === undefined) renameSync(join(staging, file.contentDigest), path);
    else copyFileSync(copy, path);
    copies.set(file.contentDigest, path);
    chmodSync(path, modeFor(file, user));
  };
  const writeNode = ({ file, children }: TreeNode, path: Buffer): void => {
    if (file.kind === "symlink") symlinkSync(Buffer.from(file.target, "latin1"), path);
    else if (file.kind === "file") writeFile(file, path);
    else if (file.kind === "directory") {
      mkdirSync(path, { mode: 0o700 });
      // Names are bytes, and not all of them are UTF-8.
      for (const [name, child] of children) writeNode(child, Buffer.concat([path, Buffer.from(`/${name}`, "latin1")]));
      chmodSync(path, modeFor(file, user) | 0o700);
    }
  };
  writeNode(tree.root, Buffer.from(root));
}

/** What `user` may read and start by being its owner or of its group, everybody may here. */
function modeFor({ mode, uid, gid }: TreeFile, user: UnpackOptions["user"]): number {
  const permissions = mode & 0o777;
  const own = uid === user.uid ? (permissions >> 6) & 0o5 : 0;
  const group = gid === user.gid ? (permissions >> 3) & 0o5 : 0;
  return permissions | own | group;
}
