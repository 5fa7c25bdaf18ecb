import { MalformedLayer } from "./bytes.ts";
import type { LayerContents, LayerEntry } from "./contents.ts";
import { formatName, formatPath, maxPath } from "./tar.ts";

/** What a path is; hard links share one. */
export interface TreeFile {
  kind: "file" | "directory" | "symlink" | "character-device" | "block-device" | "fifo";
  mode: number;
  uid: number;
  gid: number;
  /** SHA-256, of a file. */
  contentDigest: string;
  content?: Uint8Array;
  size: number;
  /** Of a symbolic link, as it stands there. */
  target: string;
  device: string;
  attributes: Readonly<Record<string, string>>;
}

export interface TreeNode {
  file: TreeFile;
  /** The layer that was the last to say something of it, from 0, the lowest. */
  layer: number;
  /** The last one that said something of it or of what lies in it. */
  touched: number;
  /** Of a directory, the last one that hides whatever lower layers have in it. */
  hidden?: number;
  /** No layer has an entry for it: a runtime makes the directory because something lies in it. */
  isImplied: boolean;
  children: Map<string, TreeNode>;
}

/** A root file system, as a runtime makes it of layers. Names are byte strings. */
export interface FileTree {
  root: TreeNode;
  /** Path → the layer that removed it or put something else in its place. */
  removals: Map<string, number>;
}

const whiteout = ".wh.";
const opaque = ".wh..wh..opq";
/** As many links as Linux follows. */
const maxLinks = 40;
/** Of names in a path of Linux (PATH_MAX), each with its slash. */
const maxDepth = (maxPath + 1) / 2;
const overlayAttribute = /^(?:trusted|user)\.(?:overlay|fuseoverlayfs)\./;

/**
 * Puts layers on top of each other as the overlay file system does, which containerd, Docker and podman use: whiteouts
 * and opaque directories take away what is below (image-spec 1.1, layer.md), an entry takes the place of what was
 * there, directories come together, and what lies under a lower layer's link lies in a new directory instead of the
 * link. Within one layer, links are followed.
 *
 * The lowest `trusted` layers are taken as they are. In the others, what runtimes apply in two ways is refused: a path
 * twice with another content, a path that is removed and added in one layer, attributes of the overlay file system
 * itself, whiteouts of its own kind (character device 0:0).
 * @throws MalformedLayer
 */
export function buildTree(layers: readonly LayerContents[], trusted: number): FileTree {
  const tree: FileTree = { root: createDirectory(0), removals: new Map() };
  for (const [index, { entries }] of layers.entries()) {
    const removed = new Set<string>();
    const isStrict = index >= trusted;
    for (const entry of entries) applyEntry(tree, entry, index, isStrict, removed);
  }
  return tree;
}

function applyEntry(tree: FileTree, entry: LayerEntry, layer: number, isStrict: boolean, removed: Set<string>): void {
  const parts = entry.path === "" ? [] : entry.path.split("/");
  const name = parts.at(-1) ?? "";
  const refuse = (why: string): void => {
    if (isStrict) throw new MalformedLayer(`${formatPath(entry.path)} ${why}`);
  };
  if (parts.slice(0, -1).some((part) => part.startsWith(whiteout))) {
    refuse("lies below a whiteout, which is no directory");
    return;
  }
  if (name.startsWith(whiteout)) {
    applyWhiteout(tree, parts, layer, refuse, removed);
    return;
  }
  const foreign = Object.keys(entry.attributes).find((each) => overlayAttribute.test(each));
  if (foreign !== undefined) refuse(`has the attribute ${formatName(foreign)}, which is the overlay file system's own`);
  if (entry.kind === "character-device" && entry.device === "0:0")
    refuse("is a character device 0:0, which the overlay file system takes for a removal");
  if (parts.length === 0) {
    tree.root.file = describe(entry);
    tree.root.layer = layer;
    tree.root.touched = layer;
    return;
  }
  const parent = openParent(tree, parts, layer);
  if (removed.size > 0 && isAtOrBelow(join(parent.path, name), removed)) refuse("is removed and added in one layer");
  put(tree, parent, name, entry, layer, refuse);
}

function applyWhiteout(
  tree: FileTree,
  parts: readonly string[],
  layer: number,
  refuse: (why: string) => void,
  removed: Set<string>,
): void {
  const name = parts.at(-1) ?? "";
  const hidden = name.slice(whiteout.length);
  if (name !== opaque && (hidden === "" || hidden === "." || hidden === ".." || hidden.startsWith(whiteout))) {
    refuse("is no whiteout that a runtime knows");
    return;
  }
  const parent = openParent(tree, parts, layer);
  if (name === opaque) {
    hideBelow(tree, parent.node, parent.path, layer);
    return;
  }
  const path = join(parent.path, hidden);
  const node = parent.node.children.get(hidden);
  if (node?.touched === layer) {
    refuse("removes what the same layer adds");
    return;
  }
  removed.add(path);
  if (node === undefined) return;
  parent.node.children.delete(hidden);
  tree.removals.set(path, layer);
}

/**
 * Takes away what lower layers have in a directory; what this layer has put there stays. Once is enough: all that comes
 * there afterwards is this layer's, and an archive of a megabyte may say it half a million times.
 */
function hideBelow(tree: FileTree, directory: TreeNode, path: string, layer: number): void {
  if (directory.hidden === layer) return;
  directory.hidden = layer;
  for (const [name, node] of directory.children) {
    const inside = join(path, name);
    if (node.touched === layer) hideBelow(tree, node, inside, layer);
    else {
      directory.children.delete(name);
      tree.removals.set(inside, layer);
    }
  }
}

interface Parent {
  node: TreeNode;
  path: string;
  /** From the root down to it. */
  above: readonly TreeNode[];
}

/** The directory that an entry lies in, made where it is not there. */
function openParent(tree: FileTree, parts: readonly string[], layer: number): Parent {
  const walked: string[] = [];
  const above = [tree.root];
  const waiting = parts.slice(0, -1).reverse();
  let links = 0;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (part === "..") {
      walked.pop();
      if (above.length > 1) above.pop();
      continue;
    }
    const node = above.at(-1) ?? tree.root;
    const next = node.children.get(part);
    if (next?.file.kind === "symlink" && next.layer === layer) {
      links += 1;
      if (links > maxLinks) throw new MalformedLayer(`${formatPath(parts.join("/"))} lies below a circle of links`);
      const target = next.file.target.split("/").filter((each) => each !== "" && each !== ".");
      if (next.file.target.startsWith("/")) {
        walked.length = 0;
        above.length = 1;
      }
      waiting.push(...target.reverse());
      continue;
    }
    walked.push(part);
    // Each link may lead on by a whole path, and no runtime opens what lies deeper than one.
    if (walked.length > maxDepth) throw new MalformedLayer(`${formatPath(parts.join("/"))} lies too deep`);
    if (next !== undefined && next.file.kind === "directory") {
      above.push(next);
      continue;
    }
    if (next !== undefined) tree.removals.set(walked.join("/"), layer);
    const made = createDirectory(layer);
    node.children.set(part, made);
    touch(above, layer);
    above.push(made);
  }
  return { node: above.at(-1) ?? tree.root, path: walked.join("/"), above };
}

function touch(nodes: readonly TreeNode[], layer: number): void {
  for (const node of nodes) node.touched = layer;
}

function put(
  tree: FileTree,
  parent: Parent,
  name: string,
  entry: LayerEntry,
  layer: number,
  refuse: (why: string) => void,
): void {
  const path = join(parent.path, name);
  const before = parent.node.children.get(name);
  if (entry.kind === "hardlink") {
    const way = findWay(tree, entry.target);
    const target = way?.at(-1);
    if (way === undefined || target === undefined || target.file.kind === "directory") {
      refuse(`is a hard link to ${formatPath(entry.target)}, which is no file`);
      return;
    }
    if (before !== undefined && before.layer === layer && !before.isImplied && before.file !== target.file) {
      refuse("is there twice, each time as something else");
    }
    // One file with two names: what the link says of its mode and owner, it says of both.
    const { mode, uid, gid } = entry;
    const differs = target.file.mode !== mode || target.file.uid !== uid || target.file.gid !== gid;
    if (differs && target.file.kind === "file") {
      Object.assign(target.file, { mode, uid, gid });
      target.layer = layer;
      touch(way, layer);
    }
    touch(parent.above, layer);
    parent.node.children.set(name, createNode(target.file, layer));
    if (before !== undefined && before.file !== target.file) tree.removals.set(path, layer);
    return;
  }
  const file = describe(entry);
  touch(parent.above, layer);
  if (before !== undefined && before.file.kind === "directory" && file.kind === "directory") {
    before.file = file;
    before.layer = layer;
    before.touched = layer;
    before.isImplied = false;
    return;
  }
  if (before !== undefined && before.layer === layer && !before.isImplied && !isSame(before.file, file))
    refuse("is there twice, each time as something else");
  if (before?.isImplied === true && before.layer === layer) refuse("is a directory and something else in one layer");
  if (before !== undefined) tree.removals.set(path, layer);
  parent.node.children.set(name, createNode(file, layer));
}

function describe(entry: LayerEntry): TreeFile {
  const { mode, uid, gid, contentDigest, content, size, target, device, attributes } = entry;
  const kind = entry.kind === "hardlink" ? "file" : entry.kind;
  return {
    kind,
    mode,
    uid,
    gid,
    contentDigest,
    ...(content === undefined ? {} : { content }),
    size,
    target,
    device,
    attributes,
  };
}

function isSame(a: TreeFile, b: TreeFile): boolean {
  return (
    a.kind === b.kind &&
    a.contentDigest === b.contentDigest &&
    a.target === b.target &&
    a.device === b.device &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid
  );
}

function createNode(file: TreeFile, layer: number): TreeNode {
  return { file, layer, touched: layer, isImplied: false, children: new Map() };
}

function createDirectory(layer: number): TreeNode {
  const file: TreeFile = {
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    contentDigest: "",
    size: 0,
    target: "",
    device: "",
    attributes: {},
  };
  return { file, layer, touched: layer, isImplied: true, children: new Map() };
}

/** Whether a path is one of these, or lies below one. */
function isAtOrBelow(path: string, places: ReadonlySet<string>): boolean {
  for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1))
    if (places.has(path.slice(0, end))) return true;
  return places.has(path);
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** What lies at a path, no link followed. */
export function findNode(tree: FileTree, path: string): TreeNode | undefined {
  return findWay(tree, path)?.at(-1);
}

/** From the root down to what lies at a path. */
function findWay({ root }: FileTree, path: string): TreeNode[] | undefined {
  const way = [root];
  for (const part of path === "" ? [] : path.split("/")) {
    const node = way.at(-1)?.children.get(part);
    if (node === undefined) return undefined;
    way.push(node);
  }
  return way;
}

/**
 * Where a path really lies: links on the way to it are followed, below the root, and the last component is not.
 * `/lib/libc.so` is `usr/lib/libc.so` where `/lib` is a link. Components that are not there are kept as they are.
 * @returns undefined for a circle of links
 */
export function resolvePath(tree: FileTree, path: string): string | undefined {
  const waiting = path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .reverse();
  const walked: string[] = [];
  /** What lies at each of them, from the root down; looked up from the one above, as a path may be long. */
  const way: (TreeNode | undefined)[] = [tree.root];
  let links = 0;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (part === "..") {
      walked.pop();
      if (way.length > 1) way.pop();
      continue;
    }
    const node = way.at(-1)?.children.get(part);
    if (node?.file.kind !== "symlink" || waiting.length === 0) {
      walked.push(part);
      way.push(node);
      continue;
    }
    links += 1;
    if (links > maxLinks) return undefined;
    if (node.file.target.startsWith("/")) {
      walked.length = 0;
      way.length = 1;
    }
    waiting.push(
      ...node.file.target
        .split("/")
        .filter((each) => each !== "" && each !== ".")
        .reverse(),
    );
  }
  return walked.join("/");
}
