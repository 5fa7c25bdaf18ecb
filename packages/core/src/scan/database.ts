import { access, mkdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";

/** Where grype's database lies in this run. */
export interface DatabasePlace {
  /** That which has `6/`. */
  directory: string;
  /** Whether grype brings it up to date before it looks. */
  update: boolean;
}

/** What is known of a file or folder on the way to a database, or in it. */
export interface PlaceFacts {
  path: string;
  uid: number;
  /** Permission bits, the sticky one among them. */
  mode: number;
}

const writableByGroup = 0o020;
const writableByAll = 0o002;
const sticky = 0o1000;

/**
 * Who besides this run could have put a database where it lies: undefined where nobody could. A checksum beside it is no answer, since whoever writes the one writes
 * the other. `self` is this process's user; where it is not root, a build on the same machine may run as the same one.
 * @param places the database's files, its folder, and every folder above it
 */
export function findPoisoner(places: readonly PlaceFacts[], self: number): string | undefined {
  for (const { path, uid, mode } of places) {
    if (uid !== 0 && uid === self)
      return `${path} belongs to the user that this step runs as, and a build on this machine may run as the same one`;
    if (uid !== 0) return `${path} belongs to the user with the number ${uid}`;
    if ((mode & writableByAll) !== 0 && (mode & sticky) === 0) return `anybody may write to ${path}`;
    if ((mode & writableByGroup) !== 0 && (mode & sticky) === 0) return `a group may write to ${path}`;
  }
  return undefined;
}

/**
 * Where the database is taken from: the directory given, which is the workflow's own word and is not updated; that of `GRYPE_DB_CACHE_DIR`, where only root can write
 * to it; else a directory of this run alone, which grype fills from its publisher. Never grype's own default below the home: on a machine that is used again, a build
 * of before may have left one there.
 * @param given absolute
 * @throws UserError `input-invalid` where there is no database in the directory given, `database-unsafe`
 */
export async function placeDatabase(
  given: string | undefined,
  { env, temporaryDirectory }: Pick<Context, "env" | "temporaryDirectory">,
  self: number = process.getuid?.() ?? 0,
): Promise<DatabasePlace> {
  if (given !== undefined) {
    await requireDatabase(given);
    for (const path of [given, ...filesOf(given)]) {
      const { mode } = await stat(path);
      if ((mode & writableByAll) !== 0 && (mode & sticky) === 0)
        throw unsafe(`input 'database' is '${given}'`, `anybody may write to ${path}`);
    }
    return { directory: given, update: false };
  }
  const cache = env["GRYPE_DB_CACHE_DIR"];
  const mayUpdate = env["GRYPE_DB_AUTO_UPDATE"] !== "false";
  if (cache !== undefined && cache !== "") {
    const places = await gatherPlaces(cache);
    const why = findPoisoner(places, self);
    if (why !== undefined) throw unsafe(`GRYPE_DB_CACHE_DIR is '${cache}'`, why);
    // Only root writes there, so for anybody else it is as it is.
    return { directory: cache, update: mayUpdate && self === 0 };
  }
  const directory = join(temporaryDirectory, "grype-db");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return { directory, update: mayUpdate };
}

function filesOf(directory: string): string[] {
  return [join(directory, "6"), join(directory, "6", "vulnerability.db"), join(directory, "6", "import.json")];
}

async function gatherPlaces(directory: string): Promise<PlaceFacts[]> {
  const places: PlaceFacts[] = [];
  const add = async (path: string): Promise<void> => {
    const { uid, mode } = await stat(path);
    places.push({ path, uid, mode: mode & 0o7777 });
  };
  let real: string;
  try {
    real = await realpath(directory);
  } catch (error) {
    throw new UserError(`GRYPE_DB_CACHE_DIR is '${directory}', which is not there`, {
      code: "database-unsafe",
      cause: error,
      wayOut: "Have root make it, or unset GRYPE_DB_CACHE_DIR: then the database is downloaded for this run alone.",
    });
  }
  for (const file of filesOf(real)) {
    if (await isThere(file)) await add(await realpath(file));
  }
  for (let path = real; ; path = dirname(path)) {
    await add(path);
    if (path === dirname(path)) return places;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

function unsafe(what: string, why: string): UserError {
  return new UserError(`${what}, and a database there may be somebody else's: ${why}`, {
    code: "database-unsafe",
    wayOut:
      "Keep it where only root can write, or leave it out: then grype downloads its database for this run alone. GRYPE_DB_UPDATE_URL names a mirror that is nearer.",
  });
}

/** Known before an image is fetched. @throws UserError `input-invalid`: there is no database in the directory */
export async function requireDatabase(directory: string): Promise<void> {
  try {
    await Promise.all(["vulnerability.db", "import.json"].map((name) => access(join(directory, "6", name))));
  } catch (error) {
    throw new UserError(`input 'database' is '${directory}': there is no grype database in it (6/vulnerability.db and 6/import.json)`, {
      code: "input-invalid",
      cause: error,
      wayOut: "Give the directory that has the folder `6`: what GRYPE_DB_CACHE_DIR is for grype.",
    });
  }
}
