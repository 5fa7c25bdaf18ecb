import { UserError } from "@goldenpath/foundation/errors";
import { fromBufferPromise, type ZipFile } from "yauzl";

/** What one run's results never come near to. Bytes, and files. */
export const archiveLimits = { unpacked: 64 * 1024 * 1024, files: 200, nameLength: 200 };

/** What of it is left for the next archive. */
export interface ArchiveBudget {
  unpacked: number;
  files: number;
}

/**
 * The files of a stranger's zip archive that `accepts` takes by their base name, in memory: nothing of it gets a place
 * in the file system, whatever it is called. Its own word for a size is checked before it is unpacked, and held to while
 * it is. Anything odd refuses the whole: a name that is absolute, leads elsewhere or comes twice, a link, a cipher.
 * @param budget of all archives of a run; what this one takes is taken off
 * @throws UserError `artifact-invalid`
 */
export async function readArchive(
  archive: Uint8Array,
  what: string,
  accepts: (file: string) => boolean,
  budget: ArchiveBudget,
): Promise<{ name: string; text: string }[]> {
  try {
    // yauzl checks each name, and that an entry is as long as it says.
    return await readEntries(
      await fromBufferPromise(Buffer.from(archive), { strictFileNames: true, validateEntrySizes: true }),
      accepts,
      budget,
    );
  } catch (error) {
    throw new UserError(`the artifact ${what} is refused: ${error instanceof Error ? error.message : "it is no zip"}`, {
      code: "artifact-invalid",
      cause: error,
      wayOut: "Upload the result files that the actions name by their output `result`, and nothing else.",
    });
  }
}

async function readEntries(
  zip: ZipFile,
  accepts: (file: string) => boolean,
  budget: ArchiveBudget,
): Promise<{ name: string; text: string }[]> {
  const files: { name: string; text: string }[] = [];
  const names = new Set<string>();
  for await (const entry of zip.eachEntry()) {
    const { fileName: name } = entry;
    if (--budget.files < 0) throw new RangeError(`there are more than ${archiveLimits.files} files`);
    if (name.length > archiveLimits.nameLength || !/^[\w.][\w./-]*$/.test(name))
      throw new RangeError("it has a file of a name that no result has");
    if (names.has(name)) throw new RangeError(`it has ${name} twice`);
    names.add(name);
    // Made on a Unix, the upper half of the attributes is the file's mode.
    const type = (entry.externalFileAttributes >>> 16) & 0o170000;
    if (type !== 0 && type !== 0o100000 && type !== 0o040000) throw new RangeError(`${name} is no plain file`);
    if (name.endsWith("/") || !accepts(name.slice(name.lastIndexOf("/") + 1))) continue;
    budget.unpacked -= entry.uncompressedSize;
    if (budget.unpacked < 0) throw new RangeError(`the files have more than ${archiveLimits.unpacked} bytes`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Uint8Array);
    files.push({ name, text: new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)) });
  }
  return files;
}
