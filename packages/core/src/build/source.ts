import { constants, type Dirent, lstatSync } from "node:fs";
import { chmod, copyFile, lstat, mkdir, readdir, readFile, readlink, realpath, symlink } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { describeError, type SourcePlace, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { createMatcher } from "./glob.ts";
import { findPlaces } from "./places.ts";
import { emptyProject, type Project, parseProject } from "./project.ts";
import { surveyTree } from "./survey/gather.ts";
import { folderOnDisk, isWithin } from "./survey/gather-files.ts";
import { readFolder } from "./survey/gather-folder.ts";
import { isMarker } from "./survey/markers.ts";
import { findMembership } from "./survey/members.ts";
import type { Survey } from "./survey/survey.ts";

export interface Source {
  /** Absolute, without links in it. */
  directory: string;
  /** Of the top folder. */
  survey: Survey;
  /** Of the folders below it that may be applications themselves. */
  below: readonly Survey[];
  project: Project;
}

/** What was seen of the application that is built: of all of it, or of its one module. */
export function surveyOf({ survey, below }: Pick<Source, "survey" | "below">, module: string | undefined): Survey {
  return below.find(({ path }) => path === module) ?? survey;
}

/** A place in the application's folder → the same from the checkout's root, by which it is shown in a change. */
export function placeInCheckout(
  { directory }: Pick<Source, "directory">,
  { checkout, workingDirectory }: Pick<Context, "checkout" | "workingDirectory">,
): (place: SourcePlace) => SourcePlace {
  const folder = relative(checkout ?? workingDirectory, directory);
  const isInside = folder !== "" && !folder.startsWith("..");
  return isInside ? (place) => ({ ...place, file: `${folder}/${place.file}` }) : (place) => place;
}

/** Finds the places of an application that was built in `built` in a build's output. */
export function placesIn(
  source: Pick<Source, "directory">,
  context: Pick<Context, "checkout" | "workingDirectory">,
  built: string,
): (lines: readonly string[]) => SourcePlace[] {
  const isFile = (path: string): boolean =>
    lstatSync(join(source.directory, path), { throwIfNoEntry: false })?.isFile() === true;
  const inCheckout = placeInCheckout(source, context);
  return (lines) => findPlaces({ lines, directory: built, isFile, inCheckout });
}

/**
 * Reads what there is to know of an application before it is copied. `checkout` holds it, where the surroundings have
 * one: what a build takes from elsewhere on the machine is in no commit. Without one, whoever names a folder outside
 * may; but no link leads there unseen.
 * @throws UserError `context-invalid`, `context-outside`, `project-invalid`
 */
export async function readSource(context: string, workingDirectory: string, checkout?: string): Promise<Source> {
  const given = resolve(workingDirectory, context);
  let directory: string;
  let files: string[];
  try {
    directory = await realpath(given);
    files = await readdir(directory);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const why =
      { ENOENT: "there is no such directory", ENOTDIR: "it is not a directory", EACCES: "it may not be read" }[code] ??
      describeError(error);
    throw new UserError(`input 'context' is '${context}': ${why} (${given})`, {
      code: "context-invalid",
      cause: error,
      wayOut: "Give the directory of the application, and check the repository out before this step.",
    });
  }
  const root = await realpath(checkout ?? workingDirectory);
  if (!isWithin(root, directory) && (checkout !== undefined || isWithin(resolve(workingDirectory), given))) {
    throw new UserError(`input 'context' is '${context}': that leads to ${directory}, outside of ${root}`, {
      code: "context-outside",
      wayOut: "Give a directory of the checkout; copy what the build needs into it in a step before.",
    });
  }
  if (files.filter((name) => name !== ".git").length === 0) {
    throw new UserError(`input 'context' is '${context}': there is nothing in it (${directory})`, {
      code: "context-invalid",
      wayOut: "Check the repository out before this step.",
    });
  }
  const { top, below } = await surveyTree(directory);
  const frame = isWithin(root, directory) ? await findFrame(relative(root, directory), root, top) : undefined;
  return {
    directory,
    survey: frame === undefined ? top : { ...top, frame },
    below,
    project: files.includes("project.toml") ? await readProject(join(directory, "project.toml")) : emptyProject,
  };
}

/**
 * The outermost build of the checkout that has an application's folder for a member: a workspace of npm, a module of
 * Maven, a project of Gradle. What can't be read up there is no part of what is built, and says nothing.
 */
async function findFrame(folder: string, root: string, own: Survey): Promise<Survey["frame"]> {
  const source = folderOnDisk(root);
  const parts = folder.split("/").slice(0, maxAbove);
  for (let depth = 0; depth < parts.length && folder !== ""; depth++) {
    const path = parts.slice(0, depth).join("/");
    const names = await source.list(path).catch(() => undefined);
    if (names === undefined || !names.files.some(isMarker)) continue;
    const outer = await readFolder(source, names).catch(() => undefined);
    const file = outer === undefined ? undefined : findMembership(outer, { ...own, path: folder });
    if (file !== undefined) return { file, module: relative(join(root, path), join(root, folder)) };
  }
  return undefined;
}

/** Folders above an application that are looked at. */
const maxAbove = 8;

async function readProject(file: string): Promise<Project> {
  const stats = await lstat(file);
  if (!stats.isFile()) throw new UserError("project.toml is not a file", { code: "project-invalid" });
  if (stats.size > 1024 * 1024)
    throw new UserError("project.toml is larger than a megabyte", { code: "project-invalid" });
  return parseProject(decodeUtf8(await readFile(file)));
}

/** With replacement characters in its place, a pattern would match nothing. */
function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UserError("project.toml cannot be used: it is not UTF-8, as TOML is", {
      code: "project-invalid",
      cause: error,
      wayOut: "Save it as UTF-8.",
    });
  }
}

/**
 * A path in the application, a byte a character: names of files are bytes, and not all of them are UTF-8 (Latin-1 from
 * an old archive). Below `directory`.
 */
function bytePath(directory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(path === "" ? directory : `${directory}/`), Buffer.from(path, "latin1")]);
}

/** As patterns and people read it. */
function shownPath(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

interface CopiedSource {
  files: number;
  bytes: number;
}

/**
 * Copies an application into an existing, empty folder: the build changes what it works on, and a caller's checkout is
 * not its to change. Left out are what project.toml leaves out, and every `.git`: it is no part of an application, and
 * actions/checkout leaves a token in it. Modes become 0755 and 0644, since they end up in the image and a checkout's
 * depend on the umask of the machine.
 * @throws UserError `context-unreadable`, `context-invalid` (a device or a socket in it)
 */
export async function copySource(source: Source, target: string, signal?: AbortSignal): Promise<CopiedSource> {
  const { include, exclude } = source.project;
  const excluded = exclude === undefined ? undefined : createMatcher(exclude, "project.toml");
  const included = include === undefined ? undefined : createMatcher(include, "project.toml");
  const copied: CopiedSource = { files: 0, bytes: 0 };

  async function copyDirectory(path: string): Promise<void> {
    signal?.throwIfAborted();
    for (const entry of await readdir(bytePath(source.directory, path), { withFileTypes: true, encoding: "buffer" })) {
      const name = entry.name.toString("latin1");
      const inner = path === "" ? name : `${path}/${name}`;
      if (name === ".git" || excluded?.(shownPath(inner), entry.isDirectory()) === true) continue;
      await copyEntry(entry, inner);
    }
  }

  async function copyEntry(entry: Dirent<Buffer>, path: string): Promise<void> {
    const from = bytePath(source.directory, path);
    const to = bytePath(target, path);
    if (entry.isDirectory()) {
      // A folder that isn't included itself may still hold what is; it is made when the first such thing comes.
      if (included === undefined || included(shownPath(path), true)) await mkdir(to, { recursive: true });
      await copyDirectory(path);
      return;
    }
    if (included !== undefined && !included(shownPath(path), false)) return;
    if (included !== undefined)
      await mkdir(bytePath(target, path.slice(0, Math.max(path.lastIndexOf("/"), 0))), { recursive: true });
    if (entry.isSymbolicLink()) {
      await symlink(await readlink(from, { encoding: "buffer" }), to);
    } else if (entry.isFile()) {
      const { mode, size } = await lstat(from);
      await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await chmod(to, (mode & 0o111) === 0 ? 0o644 : 0o755);
      copied.bytes += size;
    } else {
      throw new UserError(`'${shownPath(path)}' in the application is neither a file, nor a folder, nor a link`, {
        code: "context-invalid",
        wayOut: "Remove it, or exclude it in project.toml.",
      });
    }
    copied.files += 1;
  }

  try {
    await copyDirectory("");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "EACCES" || error.code === "EPERM")) {
      throw new UserError(`the application in '${source.directory}' cannot be read: ${error.message}`, {
        code: "context-unreadable",
        cause: error,
      });
    }
    throw error;
  }
  if (copied.files === 0) {
    throw new UserError("project.toml leaves nothing of the application to build", {
      code: "context-invalid",
      wayOut: "Check its include and exclude.",
    });
  }
  await setDirectoryModes(target, "");
  return copied;
}

/** mkdir's mode goes through the umask. */
async function setDirectoryModes(directory: string, path: string): Promise<void> {
  await chmod(bytePath(directory, path), 0o755);
  for (const entry of await readdir(bytePath(directory, path), { withFileTypes: true, encoding: "buffer" })) {
    const name = entry.name.toString("latin1");
    if (entry.isDirectory()) await setDirectoryModes(directory, path === "" ? name : `${path}/${name}`);
  }
}
