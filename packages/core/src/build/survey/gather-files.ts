import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { describeError, type SourcePlace } from "@goldenpath/foundation/errors";
import { DeepJson, describeIssues } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { TomlError } from "smol-toml";
import { ZodError } from "zod";
import { UnfitXml } from "./xml.ts";

/** Whether a path, both without links in them, is that of `root` or below it. */
export function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || !(way === ".." || way.startsWith("../") || isAbsolute(way));
}

/** What a folder's listing gave. */
export interface FolderNames {
  /** From the root; empty for that. */
  path: string;
  files: string[];
  folders: string[];
  /** Those that are no links. */
  realFolders: string[];
  /** Those that are neither, within the application. */
  strays: string[];
  remarks: SourcePlace[];
}

/** Where an application's files lie: on the disk, or with GitHub. Paths are from its root, with `/` in between. */
export interface SourceFolder {
  /** Throws where the folder can't be listed. */
  list(path: string): Promise<FolderNames>;
  /** At most so many bytes; throws where there are more, or where it can't be read. */
  read(file: string, maxBytes: number): Promise<Uint8Array>;
  /** Where a file or a folder of that name is, after links; undefined where there is none. */
  find(path: string): Promise<"inside" | "outside" | undefined>;
}

/** A folder of the disk. `root` has no links in it. */
export function folderOnDisk(root: string): SourceFolder {
  return {
    list: (path) => listFolder(root, path),
    async read(file, most) {
      const path = await realpath(join(root, file));
      if (!isWithin(root, path)) throw new Error("it is a link that leads out of the application");
      return readBoundedFile(path, most);
    },
    find: (path) =>
      realpath(join(root, path)).then(
        (found) => (isWithin(root, found) ? "inside" : "outside"),
        () => undefined,
      ),
  };
}

/** A link counts as what it leads to, where that is within `root`: a build takes nothing from elsewhere on the machine. */
export async function listFolder(root: string, path: string): Promise<FolderNames> {
  const directory = join(root, path);
  const names: FolderNames = { path, files: [], folders: [], realFolders: [], strays: [], remarks: [] };
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const kind = entry.isSymbolicLink() ? await followWithin(root, join(directory, entry.name)) : kindOf(entry);
    if (kind === "file") names.files.push(entry.name);
    else if (kind === "folder") names.folders.push(entry.name);
    else {
      names.strays.push(entry.name);
      names.remarks.push({ file: path === "" ? entry.name : `${path}/${entry.name}`, message: kind });
    }
    if (entry.isDirectory()) names.realFolders.push(entry.name);
  }
  for (const list of [names.files, names.folders, names.realFolders, names.strays]) list.sort();
  return names;
}

const neither = "is neither a file nor a folder, and is passed over";

function kindOf(entry: Pick<Dirent, "isFile" | "isDirectory">): string {
  return entry.isFile() ? "file" : entry.isDirectory() ? "folder" : neither;
}

async function followWithin(root: string, link: string): Promise<string> {
  try {
    const target = await realpath(link);
    if (!isWithin(root, target)) return "is a link that leads out of the application, and is passed over";
    return kindOf(await stat(target));
  } catch {
    return "is a link that leads nowhere, and is passed over";
  }
}

/** No file by which an application says how it is built comes near it. */
const maxBytes = 4 * 1024 * 1024;

/** Reads files of one application, and keeps what could not be read. */
export class DescriptorReader {
  readonly unread: SourcePlace[] = [];
  readonly #source: SourceFolder;

  constructor(source: SourceFolder) {
    this.#source = source;
  }

  list(path: string): Promise<FolderNames> {
    return this.#source.list(path);
  }

  /** What `parse` makes of the text of a file; undefined, and kept as unread, where there is no such thing. */
  async read<T>(file: string, parse: (text: string) => T): Promise<T | undefined> {
    try {
      return parse(decode(await this.#source.read(file, maxBytes)));
    } catch (error) {
      this.unread.push({ file, ...lineOf(error), message: describeUnfit(error) });
      return undefined;
    }
  }

  /** Whether there is a file or a folder of that name, in the application. */
  async isThere(path: string): Promise<boolean> {
    return (await this.#source.find(path)) === "inside";
  }

  /** The same for a file that need not be there. */
  async readIfThere<T>(file: string, parse: (text: string) => T): Promise<T | undefined> {
    return (await this.#source.find(file)) === undefined ? undefined : this.read(file, parse);
  }
}

/** UTF-8, or what XML says that it is: older POMs are in Latin-1. */
function decode(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, 100)).toString("latin1");
  const isLatin = /^<\?xml[^>]*encoding=["'](?:iso-8859-1|windows-1252)["']/i.test(start);
  try {
    return new TextDecoder(isLatin ? "windows-1252" : "utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error("it is not UTF-8", { cause: error });
  }
}

function lineOf(error: unknown): { line?: number } {
  return error instanceof UnfitXml || error instanceof TomlError ? { line: error.line } : {};
}

function describeUnfit(error: unknown): string {
  if (error instanceof ZodError) return `it can't be read: ${describeIssues(error)}`;
  if (error instanceof TomlError) return "it can't be read: it is not TOML";
  if (error instanceof DeepJson) return `it can't be read: ${error.message}`;
  if (error instanceof SyntaxError) return "it can't be read: it is not JSON";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EACCES" ? "it may not be read" : `it can't be read: ${describeError(error)}`;
}
