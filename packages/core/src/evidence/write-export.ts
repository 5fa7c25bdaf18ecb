import type { Dirent } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { z } from "zod";
import { type ExportedFiles, listName } from "./export-facts.ts";

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

const listSchema = z.object({ files: z.array(z.string()) });

/** Nothing is there, or all that is there is what an export before has written. */
async function assertReplaceable(folder: string): Promise<void> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return;
    throw inUse(folder, "is no folder that can be read");
  }
  const there = entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll("\\", "/"));
  if (there.length === 0) return;
  const written = new Set(await readList(join(folder, listName)));
  const other = there.find((name) => !written.has(name));
  if (other !== undefined) throw inUse(folder, `holds something else: ${other}`);
}

async function readList(file: string): Promise<string[]> {
  try {
    const bytes = await readBoundedFile(file, 16 * 1024 * 1024);
    return listSchema.parse(parseJson(new TextDecoder().decode(bytes))).files;
  } catch {
    return [];
  }
}

function inUse(folder: string, why: string): UserError {
  return new UserError(`${folder} ${why}`, {
    code: "directory-in-use",
    wayOut: "Give another directory with --out, or take that folder away.",
  });
}
