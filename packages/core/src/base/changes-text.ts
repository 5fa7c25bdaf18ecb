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

/** What was removed with its folder is told as the folder, once. */
export function describeChanges(refused: readonly RefusedChange[]): DescribedChange[] {
  const removed = new Map<string, { layer: number; paths: string[]; why: string }>();
  const described: DescribedChange[] = [];
  for (const { change, why } of refused) {
    if (change.how !== "removed") {
      described.push({
        layer: change.layer,
        what: describeChange(change.how, change.path, change.before, change.after),
        why,
      });
      continue;
    }
    const key = `${change.layer} ${change.removedAt}`;
    const known = removed.get(key) ?? { layer: change.layer, paths: [], why };
    removed.set(key, known);
    known.paths.push(change.path);
    if (known.paths.length === 1) described.push({ layer: change.layer, what: key, why });
  }
  return described.map((each) => {
    const group = removed.get(each.what);
    return group === undefined
      ? each
      : { ...each, what: describeRemoval(each.what.slice(each.what.indexOf(" ") + 1), group.paths) };
  });
}

function describeRemoval(at: string, paths: readonly string[]): string {
  const [first = at] = paths;
  if (paths.length === 1) return `removes ${formatPath(first)}`;
  return `removes ${formatPath(at)} with ${paths.length} files and folders, ${formatPath(first)} among them,`;
}

function describeChange(
  how: "replaced" | "content" | "rights" | "removed",
  path: string,
  before: TreeFile,
  after: TreeFile | undefined,
): string {
  const shown = formatPath(path);
  if (how === "replaced") return `puts a ${after?.kind} in the place of the ${before.kind} ${shown}`;
  if (how === "content")
    return before.kind === "symlink"
      ? `leads the link ${shown} elsewhere (${formatName(after?.target ?? "")})`
      : `overwrites ${shown}`;
  const mode = (file: TreeFile | undefined): string => `${(file?.mode ?? 0).toString(8)} of ${file?.uid}:${file?.gid}`;
  return `gives rights to ${shown} (mode ${mode(after)}, in the base ${mode(before)})`;
}
