import type { FileTree, TreeNode } from "../layers/tree.ts";

/** A base whose files an image has without having its layers. */
export interface RebuiltBase {
  name: string;
  /** Files of the base that the image has, with the same content at the same place. */
  same: number;
  /** Files of the base that are not empty. */
  of: number;
}

/** From this share of its files on, it is the base. */
const share = 0.9;
/** With fewer files, two bases are too alike to be told apart. */
const fewest = 3;

/**
 * The base of which an image has the files, but other layers: squashed, flattened (`docker export` and `import`), or
 * packed again by who copied it. It explains a refusal, and is no reason to let anything through: content that is the
 * same today proves nothing of what lies between.
 */
export function findRebuiltBase(
  image: FileTree,
  bases: readonly { name: string; tree: FileTree }[],
): RebuiltBase | undefined {
  const compared = bases.map(({ name, tree }) => ({ name, ...countSame(tree.root, image.root) }));
  const [nearest] = compared
    .filter(({ same, of }) => of >= fewest && same / of >= share)
    .toSorted((a, b) => b.same - a.same);
  return nearest;
}

function countSame(before: TreeNode, after: TreeNode | undefined): { same: number; of: number } {
  let [same, of] = [0, 0];
  if (before.file.kind === "file" && before.file.size > 0) {
    of += 1;
    if (after?.file.kind === "file" && after.file.contentDigest === before.file.contentDigest) same += 1;
  }
  for (const [name, child] of before.children) {
    const inside = countSame(child, after?.children.get(name));
    same += inside.same;
    of += inside.of;
  }
  return { same, of };
}
