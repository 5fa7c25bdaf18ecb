import { access, mkdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";

/** Where a scanner's vulnerability data lies in this run. */
export interface DatabasePlace {
  /** As the scanner itself takes it. */
  directory: string;
  /** Whether the scanner brings it up to date before it looks. */
  update: boolean;
  /** Set where it was taken from a registry, as somebody has signed it. */
  mirrored?: {
    /** The artifact: `oci://HOST/NAME@sha256:…`. */
    from: string;
    /** When the data was put together, by the statement that was signed. */
    built: Date;
    /** Of the data's file. */
    digest: Digest;
  };
}

/** A scanner's data, as far as its place goes. */
export interface DatabaseKind {
  /** The scanner's name. */
  scanner: string;
  /** In the directory, without which there is no data: `6/vulnerability.db`. */
  files: readonly [string, ...string[]];
  /** Further files in it, where their names are the data's: they are held to the same. */
  listMore?(directory: string): Promise<string[]>;
  /** Which directory is meant, for who gave another. One sentence. */
  whichDirectory: string;
  /** The scanner's own environment variables, which a machine may set for good. */
  variables: {
    /** Names the directory. */
    directory: string;
    /** Where it is `false`, nothing is downloaded. */
    update?: string;
    /** Names another server than the publisher's. */
    mirror?: string;
  };
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
 * Who besides this run could have put a database where it lies: undefined where nobody could. A checksum beside it is
 * no answer, since whoever writes the one writes the other. `self` is this process's user; where it is not root, a
 * build on the same machine may run as the same one.
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
 * Where the database is taken from: the directory given, which is the workflow's own word and is not updated; that of
 * the scanner's variable, where only root can write to it; else a directory of this run alone, which the scanner fills
 * from its publisher. Never the scanner's own default below the home: on a machine that is used again, a build of
 * before may have left one there.
 * @param given absolute
 * @throws UserError `input-invalid` where there is no database in the directory given, `database-unsafe`
 */
export async function placeDatabase(
  kind: DatabaseKind,
  given: string | undefined,
  { env, temporaryDirectory }: Pick<Context, "env" | "temporaryDirectory">,
  self: number = process.getuid?.() ?? 0,
): Promise<DatabasePlace> {
  if (given !== undefined) {
    await requireDatabase(kind, given);
    for (const path of [given, ...(await listParts(kind, given))]) {
      const { mode } = await stat(path);
      if ((mode & writableByAll) !== 0 && (mode & sticky) === 0)
        throw unsafe(kind, `input 'database' is '${given}'`, `anybody may write to ${path}`);
    }
    return { directory: given, update: false };
  }
  const { variables, scanner } = kind;
  const cache = env[variables.directory];
  const mayUpdate = variables.update === undefined || env[variables.update] !== "false";
  if (cache !== undefined && cache !== "") {
    const places = await gatherPlaces(kind, cache);
    const why = findPoisoner(places, self);
    if (why !== undefined) throw unsafe(kind, `${variables.directory} is '${cache}'`, why);
    // Only root writes there, so for anybody else it is as it is.
    return { directory: cache, update: mayUpdate && self === 0 };
  }
  const directory = join(temporaryDirectory, `${scanner}-db`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return { directory, update: mayUpdate };
}

/** The data's files and the folders between them and the directory. */
async function listParts({ files, listMore }: DatabaseKind, directory: string): Promise<string[]> {
  const all = [...files, ...((await listMore?.(directory)) ?? [])];
  const parts = all.flatMap((file) => file.split("/").map((_part, index, path) => path.slice(0, index + 1).join("/")));
  return [...new Set(parts)].map((part) => join(directory, part));
}

async function gatherPlaces(kind: DatabaseKind, directory: string): Promise<PlaceFacts[]> {
  const places: PlaceFacts[] = [];
  const add = async (path: string): Promise<void> => {
    const { uid, mode } = await stat(path);
    places.push({ path, uid, mode: mode & 0o7777 });
  };
  let real: string;
  try {
    real = await realpath(directory);
  } catch (error) {
    const variable = kind.variables.directory;
    throw new UserError(`${variable} is '${directory}', which is not there`, {
      code: "database-unsafe",
      cause: error,
      wayOut: `Have root make it, or unset ${variable}: then the database is downloaded for this run alone.`,
    });
  }
  for (const path of await listParts(kind, real)) {
    if (await isThere(path)) await add(await realpath(path));
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

function unsafe({ scanner, variables }: DatabaseKind, what: string, why: string): UserError {
  return new UserError(`${what}, and a database there may be somebody else's: ${why}`, {
    code: "database-unsafe",
    wayOut: `Keep it where only root can write, or leave it out: then ${scanner} downloads its database for this run alone.${variables.mirror === undefined ? "" : ` ${variables.mirror} names a mirror that is nearer.`}`,
  });
}

/** Known before an image is fetched. @throws UserError `input-invalid`: there is no database in the directory */
export async function requireDatabase(
  { scanner, files, whichDirectory }: DatabaseKind,
  directory: string,
): Promise<void> {
  try {
    await Promise.all(files.map((file) => access(join(directory, file))));
  } catch (error) {
    throw new UserError(
      `input 'database' is '${directory}': there is no ${scanner} database in it (${files.join(" and ")})`,
      {
        code: "input-invalid",
        cause: error,
        wayOut: whichDirectory,
      },
    );
  }
}
