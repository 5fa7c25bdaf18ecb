import type { BaseChange } from "../layers/changes.ts";
import { formatName, formatPath } from "../layers/tar.ts";
import type { TreeFile } from "../layers/tree.ts";
import type { RefusedChange } from "./overlay.ts";

/**
 * One or more changes, for a message: the layer from 0, what it does (`overwrites /etc/motd`), and why that is not
 * harmless.
 */
export interface DescribedChange {
  layer: number;
  what: string;
  why: string;
}

/** Every change; what was removed with its folder is told as the folder, once. */
export function describeChanges(refused: readonly RefusedChange[]): DescribedChange[] {
  const together = Map.groupBy(refused, ({ change: { how, layer, removedAt } }, index) =>
    how === "removed" ? `${layer} ${removedAt}` : index,
  );
  return [...together.values()].flatMap((group) =>
    group.slice(0, 1).map(({ change, why }) => ({
      layer: change.layer,
      what: change.how === "removed" ? describeRemoval(change, group.length) : describeChange(change),
      why,
    })),
  );
}

function describeRemoval({ path, removedAt = path }: BaseChange, count: number): string {
  if (count === 1) return `removes ${formatPath(path)}`;
  return `removes ${formatPath(removedAt)} with ${count} files and folders, ${formatPath(path)} among them,`;
}

function describeChange({ how, path, before, after = before }: BaseChange): string {
  const shown = formatPath(path);
  if (how === "replaced") return `puts a ${after.kind} in the place of the ${before.kind} ${shown}`;
  if (how === "content")
    return before.kind === "symlink"
      ? `leads the link ${shown} elsewhere (${formatName(after.target)})`
      : `overwrites ${shown}`;
  const mode = ({ mode, uid, gid }: TreeFile): string => `${mode.toString(8)} of ${uid}:${gid}`;
  return `gives rights to ${shown} (mode ${mode(after)}, in the base ${mode(before)})`;
}
