import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describeError, InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { openPromise, type ZipFile } from "yauzl";
import { downloadData } from "../data/download.ts";
import { unpackTar, writeTar } from "../data/tar-files.ts";
import type { DatabaseFacts } from "../gate.ts";
import type { DataContext, DataRequest, FetchedData } from "./scanner.ts";

// OSV's export as osv-scanner keeps it: `osv-scalibr/ECOSYSTEM/all.zip`, a JSON file a record.

export const osvFolder = "osv-scalibr";

/** A record has some kilobytes; the largest list thousands of versions. Bytes. */
const maxRecord = 64 * 1024 * 1024;

/** As OSV calls them, without a version: `Debian`, `npm`, `Rocky Linux`. */
const ecosystemName = /^[A-Za-z][A-Za-z0-9.]*(?:[ -][A-Za-z0-9.]+)*$/;

/**
 * OSV's exported archives of ecosystems, as one file. OSV publishes no checksum of them; that each can be read whole is
 * seen here.
 * @throws InfrastructureError `data-unavailable`, `scanner-failed`; UserError `input-invalid`
 */
export async function fetchOsvData(
  { source, parts, directory }: DataRequest,
  context: DataContext,
): Promise<FetchedData> {
  const wrong = parts.find((part) => !ecosystemName.test(part));
  if (parts.length === 0 || wrong !== undefined) {
    const given = wrong === undefined ? "none was given" : `'${wrong}' is none`;
    throw new UserError(`osv-scanner's data is of ecosystems, and ${given}`, {
      code: "input-invalid",
      wayOut: "Name those of your images as OSV does, such as Debian, npm, Maven, PyPI, Go.",
    });
  }
  const root = source.replace(/\/+$/, "");
  const families = [...new Set(parts)].toSorted();
  for (const family of families) {
    await mkdir(join(directory, osvFolder, family), { recursive: true });
    const url = `${root}/${encodeURIComponent(family)}/all.zip`;
    await downloadData(url, archiveOf(directory, family), context, { label: `OSV's data of ${family}` });
  }
  const { built, schema = "" } = await readOsvFacts(directory, families);
  if (built === undefined) throw unreadable(directory, new Error("there is no record in it"));
  const path = join(directory, "osv-scalibr.tar");
  await writeTar(
    directory,
    families.map((family) => `${osvFolder}/${family}/all.zip`),
    path,
  );
  return { path, built, schema, source: root };
}

/** @throws InfrastructureError `data-untrusted` */
export function unpackOsvData(file: string, directory: string, signal: AbortSignal): Promise<void> {
  const isArchive = (path: string): boolean => {
    const [folder, family = "", name, ...more] = path.split("/");
    return folder === osvFolder && name === "all.zip" && more.length === 0 && ecosystemName.test(family);
  };
  return unpackTar(file, directory, isArchive, signal);
}

/** The archives in a directory of OSV's data, in a fixed order. @throws UserError `database-unsafe`: a link among them */
export async function listArchives(directory: string): Promise<string[]> {
  const entries = await readdir(join(directory, osvFolder), { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  const link = entries.find((entry) => entry.isSymbolicLink());
  if (link !== undefined) {
    throw new UserError(`${join(directory, osvFolder, link.name)} is a link, and what it leads to may be anybody's`, {
      code: "database-unsafe",
      wayOut: "Have the ecosystem's folder itself there.",
    });
  }
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(osvFolder, name, "all.zip"))
    .toSorted();
}

/**
 * What is known of the data. OSV gives each record the time of its last change, and exports all ecosystems together: the
 * data was made no sooner than its newest record, in whichever archive of the directory. An ecosystem of its own may
 * rest for weeks.
 * @param families of the ecosystems that were looked into, as the folders are called: `Debian`, `npm`
 * @throws InfrastructureError `scanner-failed`: an archive can't be read
 */
export async function readOsvFacts(directory: string, families: readonly string[]): Promise<DatabaseFacts> {
  const read = await Promise.all(
    families.toSorted().map(async (family) => [family, await hashFile(archiveOf(directory, family))]),
  );
  const times = await Promise.all((await listArchives(directory)).map((file) => findNewest(join(directory, file))));
  const newest = Math.max(...times);
  return {
    ...(Number.isFinite(newest) ? { built: new Date(newest) } : {}),
    schema: "osv",
    digest: `sha256:${createHash("sha256").update(JSON.stringify(read)).digest("hex")}`,
  };
}

/**
 * Whether an archive has an advisory for an ecosystem whose suffix begins with `suffix`.
 * @throws InfrastructureError `scanner-failed`
 */
export function hasEcosystem(directory: string, family: string, suffix: string): Promise<boolean> {
  const wanted = new RegExp(
    `"ecosystem"\\s*:\\s*"${suffix === "" ? family : `${family}:(?:[A-Za-z]+:)*${suffix.replaceAll(".", "\\.")}`}[":]`,
  );
  return withArchive(archiveOf(directory, family), async (zip) => {
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith(".json")) continue;
      if (entry.uncompressedSize > maxRecord) throw new RangeError(`${entry.fileName} is larger than any record`);
      const chunks: Uint8Array[] = [];
      for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Uint8Array);
      if (wanted.test(Buffer.concat(chunks).toString("utf8"))) return true;
    }
    return false;
  });
}

function archiveOf(directory: string, family: string): string {
  return join(directory, osvFolder, family, "all.zip");
}

/** Milliseconds; of an archive without records there is none. */
function findNewest(file: string): Promise<number> {
  return withArchive(file, async (zip) => {
    let newest = Number.NEGATIVE_INFINITY;
    for await (const entry of zip.eachEntry()) {
      newest = Math.max(newest, entry.getLastModDate({ timezone: "UTC" }).getTime());
    }
    return newest;
  });
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  } catch (error) {
    throw unreadable(file, error);
  }
  return hash.digest("hex");
}

async function withArchive<T>(file: string, read: (zip: ZipFile) => Promise<T>): Promise<T> {
  let zip: ZipFile;
  try {
    zip = await openPromise(file, { autoClose: false });
  } catch (error) {
    throw unreadable(file, error);
  }
  try {
    return await read(zip);
  } catch (error) {
    throw unreadable(file, error);
  } finally {
    zip.close();
  }
}

function unreadable(file: string, cause: unknown): InfrastructureError {
  return new InfrastructureError(`OSV's data in ${file} can't be read: ${describeError(cause)}`, {
    code: "scanner-failed",
    wayOut: "Fetch the archive again, or leave the input 'database' out: then osv-scanner downloads its data.",
    cause,
  });
}
