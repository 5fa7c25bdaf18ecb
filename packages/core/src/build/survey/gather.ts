import { readdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import type { SourcePlace } from "@goldenpath/foundation/errors";
import type { Survey } from "./survey.ts";

/** Whether a path, both without links in them, is that of `root` or below it. */
export function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || !(way === ".." || way.startsWith("../") || isAbsolute(way));
}

/**
 * Looks at one folder. A link counts as what it leads to, where that is within `root`: a build takes nothing from
 * elsewhere on the machine. `root` has no links in it.
 * @throws the system's errors, where the folder itself can't be listed
 */
export async function surveyFolder(root: string, path: string): Promise<Survey> {
  const directory = join(root, path);
  const [files, folders]: [string[], string[]] = [[], []];
  const remarks: SourcePlace[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const { name } = entry;
    const file = path === "" ? name : `${path}/${name}`;
    if (!entry.isSymbolicLink()) {
      if (entry.isFile()) files.push(name);
      else if (entry.isDirectory()) folders.push(name);
      continue;
    }
    const found = await followWithin(root, join(directory, name));
    if (found === "file") files.push(name);
    else if (found === "folder") folders.push(name);
    else remarks.push({ file, message: `is a link ${found}, and is passed over` });
  }
  return { path, files: files.sort(), folders: folders.sort(), remarks };
}

async function followWithin(root: string, link: string): Promise<string> {
  try {
    const target = await realpath(link);
    if (!isWithin(root, target)) return "that leads out of the application";
    const stats = await stat(target);
    return stats.isFile() ? "file" : stats.isDirectory() ? "folder" : "to something that is neither file nor folder";
  } catch {
    return "that leads nowhere";
  }
}
