import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { ExportedFiles } from "./export-facts.ts";

/**
 * Folders of files below a directory, each there whole or not at all. One that is there of an export before gives way;
 * one that is anything else stays, and is an error.
 * @throws UserError `directory-in-use`, before anything is written
 */
export async function writeExport(directory: string, folders: ReadonlyMap<string, ExportedFiles>): Promise<void> {
  for (const folder of folders.keys()) await assertReplaceable(join(directory, folder));
  await mkdir(directory, { recursive: true });
  const draft = await mkdtemp(join(directory, ".goldenpath-evidence-"));
  try {
    for (const [folder, files] of folders) {
      for (const [name, bytes] of files) {
        const file = join(draft, folder, name);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, bytes, { flag: "wx" });
      }
    }
    for (const folder of folders.keys()) {
      const target = join(directory, folder);
      await rm(target, { recursive: true, force: true });
      await rename(join(draft, folder), target);
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function assertReplaceable(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return;
    throw inUse(folder, "is no folder that can be read");
  }
  if (names.length > 0 && !names.includes("evidence.json")) throw inUse(folder, "holds something else");
}

function inUse(folder: string, why: string): UserError {
  return new UserError(`${folder} ${why}`, {
    code: "directory-in-use",
    wayOut: "Give another directory with --out, or take that folder away.",
  });
}
