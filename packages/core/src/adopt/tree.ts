import type { FolderNames, SourceFolder } from "../build/survey/gather-files.ts";
import type { TreeEntry } from "./facts.ts";

/** Files of one repository that are asked for. Each is a request, of 5,000 that a token has in an hour. */
const maxReads = 300;

/** What was not read for a reason that is not the repository's: what is said of it then is no answer. */
export interface TreeFolder extends SourceFolder {
  /** The first error of GitHub's, or of {@link maxReads}. */
  readonly failure: unknown;
}

/**
 * The files of a repository on GitHub, as whoever surveys a folder reads them. Links are never followed, and so are
 * strays; other repositories within (submodules) are folders with nothing in them, as in a checkout.
 */
export function folderOfTree(
  entries: readonly TreeEntry[],
  readBlob: (sha: string) => Promise<Uint8Array>,
): TreeFolder {
  const { folders, files } = sortEntries(entries);
  const read = new Map<string, Promise<Uint8Array>>();
  let failure: unknown;
  const ask = async (sha: string): Promise<Uint8Array> => {
    try {
      if (read.size >= maxReads) throw new RangeError(`more than ${maxReads} of its files would have to be read`);
      return await readBlob(sha);
    } catch (error) {
      failure ??= error;
      throw error;
    }
  };
  return {
    get failure() {
      return failure;
    },
    async list(path) {
      const names = folders.get(path);
      if (names === undefined) throw new Error("it is no folder");
      return names;
    },
    async read(file, most) {
      const entry = files.get(file);
      if (entry === undefined) throw new Error("it is no file");
      const { sha, size = 0 } = entry;
      if (size > most) throw new RangeError(`it has more than ${most} bytes`);
      const asked = read.get(sha) ?? ask(sha);
      read.set(sha, asked);
      const bytes = await asked;
      if (bytes.byteLength > most) throw new RangeError(`it has more than ${most} bytes`);
      return bytes;
    },
    find: async (path) => {
      const asked = path.replace(/\/+$/, "");
      return folders.has(asked) || files.has(asked) ? "inside" : undefined;
    },
  };
}

function sortEntries(entries: readonly TreeEntry[]): {
  folders: Map<string, FolderNames>;
  files: Map<string, TreeEntry>;
} {
  const folders = new Map<string, FolderNames>();
  const files = new Map<string, TreeEntry>();
  const open = (path: string): FolderNames => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const made: FolderNames = { path, files: [], folders: [], realFolders: [], strays: [], remarks: [] };
    folders.set(path, made);
    if (path !== "") {
      const [above, name] = cutPath(path);
      const parent = open(above);
      parent.folders.push(name);
      parent.realFolders.push(name);
    }
    return made;
  };
  open("");
  for (const entry of entries) {
    const { path, mode } = entry;
    const [above, name] = cutPath(path);
    const parent = open(above);
    if (mode === "040000" || mode === "160000") open(path);
    else if (/^100[67]\d\d$/.test(mode)) {
      parent.files.push(name);
      files.set(path, entry);
    } else {
      parent.strays.push(name);
      parent.remarks.push({ file: path, message: "is a link, and is passed over" });
    }
  }
  for (const names of folders.values())
    for (const list of [names.files, names.folders, names.realFolders, names.strays]) list.sort();
  return { folders, files };
}

/** `a/b/c` → `a/b`, `c` */
function cutPath(path: string): [above: string, name: string] {
  const at = path.lastIndexOf("/");
  return at === -1 ? ["", path] : [path.slice(0, at), path.slice(at + 1)];
}
