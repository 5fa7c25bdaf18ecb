import { lstat, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PlannedFile } from "@goldenpath/core/init/example-text";
import { UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";

export type Change = PlannedFile & { change: "new" | "same" | "other"; lines: { more: number; fewer: number } };

const maxExisting = 4 * 1024 * 1024;

/**
 * What writing the files into a folder would change. Nothing is written.
 * @throws UserError `arguments-invalid` where something else than a file is in the way, a link among it
 */
export async function compareFiles(folder: string, files: readonly PlannedFile[]): Promise<Change[]> {
  const changes: Change[] = [];
  for (const file of files) {
    await refuseLinks(folder, file.path);
    const before = await readIfThere(join(folder, file.path));
    const change = before === undefined ? "new" : before === file.content ? "same" : "other";
    changes.push({ ...file, change, lines: countLines(before ?? "", file.content) });
  }
  return changes;
}

/** All files are written beside their places before the first is put into its own. */
export async function writeFiles(folder: string, changes: readonly Change[]): Promise<void> {
  const pending = changes.filter(({ change }) => change !== "same");
  if (pending.length === 0) return;
  await mkdir(folder, { recursive: true });
  const staging = await mkdtemp(join(folder, ".goldenpath-init-"));
  try {
    for (const [index, { content }] of pending.entries()) await writeFile(join(staging, `${index}`), content);
    for (const [index, { path }] of pending.entries()) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await rename(join(staging, `${index}`), join(folder, path));
    }
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** A link in a folder of somebody else's would have the files written elsewhere. */
async function refuseLinks(folder: string, path: string): Promise<void> {
  const parts = path.split("/");
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const place = join(folder, ...parts.slice(0, depth));
    const found = await lstat(place).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      if (error.code === "ENOTDIR") return "no folder" as const;
      throw error;
    });
    if (found === undefined) return;
    const fits = found !== "no folder" && (depth === parts.length ? found.isFile() : found.isDirectory());
    if (!fits)
      throw new UserError(
        `goldenpath init: ${place} is in the way: a ${depth === parts.length ? "file" : "folder"} is to be there`,
        {
          code: "arguments-invalid",
          wayOut: "Move it away, or name another folder.",
        },
      );
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await readBoundedFile(file, maxExisting));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function countLines(before: string, after: string): Change["lines"] {
  const count = (of: string, but: string): number => {
    const others = new Set(but.split("\n"));
    return of === "" ? 0 : of.split("\n").filter((line) => !others.has(line)).length;
  };
  return { more: count(after, before), fewer: count(before, after) };
}
