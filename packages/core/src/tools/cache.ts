import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, chmod, constants, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { LockedTool, ToolPlatform } from "./lock.ts";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Where verified tools are kept: `GOLDENPATH_TOOL_CACHE`; on a runner `RUNNER_TOOL_CACHE`/goldenpath; else
 * `XDG_CACHE_HOME`/goldenpath/tools, which is `~/.cache/goldenpath/tools` by default. Below it:
 * NAME/VERSION/OS-ARCH/NAME, or the publisher's archive in NAME's place.
 */
export function toolCacheDirectory(env: Env): string {
  if (env["GOLDENPATH_TOOL_CACHE"]) return resolve(env["GOLDENPATH_TOOL_CACHE"]);
  if (env["RUNNER_TOOL_CACHE"]) return join(env["RUNNER_TOOL_CACHE"], "goldenpath");
  // The XDG base directory specification has relative values ignored.
  const xdg = env["XDG_CACHE_HOME"];
  const caches = xdg && isAbsolute(xdg) ? xdg : join(env["HOME"] || userInfo().homedir, ".cache");
  return join(caches, "goldenpath", "tools");
}

export function cachedToolPath(directory: string, tool: LockedTool, platform: ToolPlatform): string {
  return join(toolFolder(directory, tool, platform), tool.name);
}

/** Where a cache has what belongs to one version of a tool. */
export function toolFolder(directory: string, tool: LockedTool, platform: ToolPlatform): string {
  return join(directory, tool.name, tool.version, platform);
}

/** SHA-256 in hex of a file's content, or undefined where there is no such file. */
export async function sha256OfFile(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new InfrastructureError(`${path} can't be read: ${(error as Error).message}`, {
      code: "tool-cache-unreadable",
      wayOut: "Remove it, or set GOLDENPATH_TOOL_CACHE to a directory of your own.",
      cause: error,
    });
  }
  return hash.digest("hex");
}

/** A temporary folder is often mounted `noexec` on hardened machines; the program would be said not to be there. */
export async function requireStartable(copy: string, directory: string): Promise<void> {
  try {
    await access(copy, constants.X_OK);
  } catch (error) {
    throw new InfrastructureError(`no program can be started from ${directory}`, {
      code: "tool-not-startable",
      safeToRetry: false,
      wayOut:
        "Let TMPDIR (on a runner, RUNNER_TEMP) be on a file system that is not mounted noexec: what runs is a copy there, whose bytes were checked.",
      cause: error,
    });
  }
}

/** A name below `directory` that was not there before. */
export function privateFolder(directory: string): string {
  return join(directory, `tool-${randomBytes(8).toString("hex")}`);
}

/**
 * A copy of a program in a folder that is this invocation's own, each under a name that was not there before. Undefined
 * where there is no such file.
 * @throws InfrastructureError `tool-copy-failed`
 */
export async function copyToPrivate(path: string, directory: string): Promise<string | undefined> {
  const own = privateFolder(directory);
  const copy = join(own, basename(path));
  try {
    await mkdir(own, { mode: 0o700 });
    // The kernel shares the blocks where the file system can, and copies them by itself where not.
    await copyFile(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    await chmod(copy, 0o500);
    await requireStartable(copy, directory);
    return copy;
  } catch (error) {
    await rm(own, { recursive: true, force: true });
    if (isKnownError(error)) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new InfrastructureError(`${path} can't be copied to ${directory}: ${(error as Error).message}`, {
      code: "tool-copy-failed",
      wayOut: "Check that this user may read it and that there is room.",
      cause: error,
    });
  }
}

/**
 * Lets `make` write a file beside `target` and puts it in its place in one step, so that nobody, another process
 * included, ever sees half a tool. `make` verifies what it wrote and throws otherwise; then nothing is left behind.
 * @throws InfrastructureError `tool-cache-unwritable`
 */
export async function storeTool(target: string, make: (partial: string) => Promise<void>): Promise<void> {
  const partial = join(dirname(target), `.${randomBytes(8).toString("hex")}.partial`);
  await ensureWritableDirectory(dirname(target));
  try {
    await make(partial);
    await chmod(partial, 0o755);
    await rename(partial, target);
  } finally {
    await rm(partial, { force: true });
  }
}

export async function ensureWritableDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new InfrastructureError(`The tool cache can't be written: ${(error as Error).message}`, {
      code: "tool-cache-unwritable",
      wayOut: "Set GOLDENPATH_TOOL_CACHE to a directory that this user can write.",
      safeToRetry: false,
      cause: error,
    });
  }
}
