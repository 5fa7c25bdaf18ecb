import { chmod, lstat, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ViewPart } from "./view.ts";

/** What a room has of its own, besides the parts of its view. */
const folders = ["proc", "dev/shm"];
const devices = ["null", "zero", "full", "random", "urandom"];
const links = { "dev/fd": "/proc/self/fd", "dev/stdin": "fd/0", "dev/stdout": "fd/1", "dev/stderr": "fd/2" };

/**
 * The folders, empty files and links of a room's root, which one copy puts there: by a program each, they take longer
 * than all else in it. What lies behind a link, or in something that is mounted before, is left to the script.
 * @param folder that is not there yet
 * @param roots other ones below it, which get its devices
 */
export async function writeSkeleton(
  folder: string,
  parts: readonly ViewPart[],
  roots: readonly string[],
): Promise<void> {
  for (const path of [".old", ...folders]) await makeFolder(folder, path);
  for (const name of devices) await makeFile(folder, join("dev", name));
  for (const [path, target] of Object.entries(links)) await makeLink(folder, path, target);
  for (const root of roots) for (const path of ["proc", "dev"]) await makeFolder(folder, join(root, path));
  for (const { mode, from, to } of parts) {
    if (mode === "link") await makeLink(folder, to, from);
    else if (mode === "mask") await makeFolder(folder, to);
    else {
      const stats = await stat(from).catch(() => undefined);
      if (stats?.isDirectory() === true) await makeFolder(folder, to);
      else if (stats !== undefined) await makeFile(folder, to);
    }
  }
}

/** @returns whether it is one, with nothing but folders on the way */
async function makeFolder(folder: string, path: string): Promise<boolean> {
  const parts = join("/", path)
    .split("/")
    .filter((part) => part !== "");
  for (let at = 0; at <= parts.length; at += 1) {
    const full = join(folder, ...parts.slice(0, at));
    const stats = await lstat(full).catch(() => undefined);
    if (stats?.isDirectory() === true) continue;
    // Nothing is ever written through a link.
    if (stats !== undefined) return false;
    await mkdir(full);
    // Whatever the umask: the build's user is another one.
    await chmod(full, 0o755);
  }
  return true;
}

/** Where something new is put; undefined where that is not in the skeleton, or there is something. */
async function findFree(folder: string, path: string): Promise<string | undefined> {
  // No path leads out of it.
  const inside = join("/", path);
  if (!(await makeFolder(folder, dirname(inside)))) return undefined;
  const full = join(folder, inside);
  return (await lstat(full).catch(() => undefined)) === undefined ? full : undefined;
}

async function makeFile(folder: string, path: string): Promise<void> {
  const full = await findFree(folder, path);
  if (full === undefined) return;
  await writeFile(full, "", { flag: "wx" });
  await chmod(full, 0o644);
}

async function makeLink(folder: string, path: string, target: string): Promise<void> {
  const full = await findFree(folder, path);
  if (full !== undefined) await symlink(target, full);
}
