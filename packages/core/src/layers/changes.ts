import type { FileTree, TreeFile, TreeNode } from "./tree.ts";

/** A path of the base that is not in the image as the base has it. */
export interface BaseChange {
  /** Byte string, without a slash in front. */
  path: string;
  /** `rights`: its content is the base's, and somebody may do more with it than before. */
  how: "removed" | "replaced" | "content" | "rights";
  /** The layer that did it, from 0. */
  layer: number;
  before: TreeFile;
  /** What is there now, unless it was removed. */
  after?: TreeFile;
  /** Of what was removed: the highest folder that went with it, or the path itself. */
  removedAt?: string;
}

/**
 * What of a base is no longer as it was, in the image that stands on it: each path that lies in the base's tree and is
 * gone from the image's, is of another kind, has another content or link, or gives somebody rights that it did not.
 * Times don't count, nor does less of a right. Of a directory that is gone, what was in it is told.
 */
export function compareTrees(base: FileTree, image: FileTree): BaseChange[] {
  const changes: BaseChange[] = [];
  const removedBy = (path: string): number => {
    for (let at = path; at !== ""; at = at.includes("/") ? at.slice(0, at.lastIndexOf("/")) : "") {
      const layer = image.removals.get(at);
      if (layer !== undefined) return layer;
    }
    return 0;
  };
  const walk = (before: TreeNode, after: TreeNode | undefined, path: string, removedAt = path): void => {
    if (after === undefined) {
      // What was in it tells more than the directory does, which may go where nothing of the base is left in it.
      if (before.children.size === 0)
        changes.push({ path, how: "removed", layer: removedBy(path), before: before.file, removedAt });
    } else {
      const how = compareFiles(before.file, after.file, after.isImplied);
      if (how !== undefined) changes.push({ path, how, layer: after.layer, before: before.file, after: after.file });
    }
    for (const [name, child] of before.children) {
      const inside = path === "" ? name : `${path}/${name}`;
      walk(child, after?.children.get(name), inside, after === undefined ? removedAt : inside);
    }
  };
  walk(base.root, image.root, "");
  return changes;
}

function compareFiles(before: TreeFile, after: TreeFile, isImplied: boolean): BaseChange["how"] | undefined {
  if (before.kind !== after.kind) return "replaced";
  if (before.contentDigest !== after.contentDigest || before.target !== after.target || before.device !== after.device)
    return "content";
  return !isImplied && addsRights(before, after) ? "rights" : undefined;
}

const setId = 0o6000;
const sticky = 0o1000;
const writableByOthers = 0o022;

/**
 * Whether somebody may do something with a file that they could not before: a permission or set-id bit more, another
 * owner or group than root, a sticky bit less in a directory that others write to, a capability. A link's own mode
 * means nothing.
 */
export function addsRights(before: TreeFile, after: TreeFile): boolean {
  if (after.kind === "symlink") return false;
  const added = after.mode & ~before.mode & ~sticky;
  if (added !== 0) return true;
  if ((before.mode & sticky) !== 0 && (after.mode & sticky) === 0 && (after.mode & writableByOthers) !== 0) return true;
  const isGiven = (was: number, is: number): boolean => was !== is && (is !== 0 || (after.mode & setId) !== 0);
  if (isGiven(before.uid, after.uid) || isGiven(before.gid, after.gid)) return true;
  return Object.entries(after.attributes).some(
    ([name, value]) =>
      /^(?:security|system)\./.test(name) && name !== "security.selinux" && before.attributes[name] !== value,
  );
}
