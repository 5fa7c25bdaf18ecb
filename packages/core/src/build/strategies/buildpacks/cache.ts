import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { gatherLifecycleCache, placeLifecycleCache } from "../../cache/lifecycle.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Workspace } from "../../workspace.ts";
import type { BuildpacksPlan } from "../buildpacks.ts";
import type { BuildJob } from "../runner.ts";
import type { LifecycleRun } from "./lifecycle.ts";

/** A build's cache as the lifecycle has it. */
export interface OpenLifecycleCache {
  run: NonNullable<LifecycleRun["cache"]>;
  /** To be called after the export. */
  keep(): Promise<void>;
}

/**
 * Brings what was found to where the lifecycle finds it. Only where strangers' code runs in a room: what an entry has is
 * unpacked to whatever paths it names.
 */
export async function openLifecycleCache(
  { cache, context, platform }: BuildJob<BuildpacksPlan>,
  workspace: Workspace,
  sandbox: Sandbox | undefined,
): Promise<OpenLifecycleCache | undefined> {
  if (cache === undefined) return undefined;
  if (sandbox === undefined) {
    cache.giveUp(new Error("nothing keeps this build apart from the machine, and a cache is unpacked where it says"));
    return undefined;
  }
  const [found, kept] = ["cache", "kept"].map((name) => join(workspace.handover, name)) as [string, string];
  const isFilled = await fill(cache, found, context.signal);
  return {
    run: {
      found: isFilled ? found : undefined,
      giveUp: (why) => cache.giveUp(why),
      kept: cache.isKept ? kept : undefined,
    },
    keep: () =>
      cache.keep(async () => {
        // Out of reach of whoever builds, as the image's layers are by now.
        const work = join(workspace.control, "kept");
        await mkdir(work, { mode: 0o700 });
        return gatherLifecycleCache(kept, { found: cache.found, platform, work, signal: context.signal });
      }),
  };
}

/** pack writes these words otherwise wherever a volume's name has them, since they are no names of files on Windows. */
const reserved = /aux|com|con|lpt|nul|prn/;

/** A build's cache as pack has it: one folder, which it reads and writes. */
export interface OpenPackCache {
  directory: string;
  /** Whether there is anything in it that could be at fault. */
  isFilled: boolean;
  /** Empties it: the build goes on without what was found. */
  giveUp(why: Error): Promise<void>;
  /** To be called after pack. */
  keep(): Promise<void>;
}

/**
 * The folder is in the containers of the phases that restore and export, which are of the policy's lifecycle, and in
 * none that runs strangers' code. What they leave is another user's, which only root can read and remove.
 * @param folder nobody else's to write
 */
export async function openPackCache(
  { cache, context, platform }: BuildJob<BuildpacksPlan>,
  folder: string,
): Promise<OpenPackCache | undefined> {
  if (cache === undefined) return undefined;
  if (process.geteuid?.() !== 0) {
    cache.giveUp(new Error("engine pack leaves a cache as another user's files, which only root can read"));
    return undefined;
  }
  const directory = join(folder, "cache");
  if (reserved.test(directory)) {
    cache.giveUp(
      new Error(`pack takes no folder for it whose path has com, con, aux, lpt, nul or prn in it: ${directory}`),
    );
    return undefined;
  }
  const isFilled = await fill(cache, directory, context.signal);
  const empty = async (): Promise<void> => {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o700 });
  };
  if (!isFilled) await empty();
  return {
    directory,
    isFilled,
    async giveUp(why) {
      cache.giveUp(why);
      await empty();
    },
    keep: () =>
      cache.keep(async () => {
        const work = join(folder, "kept");
        await mkdir(work, { mode: 0o700 });
        return gatherLifecycleCache(directory, { found: cache.found, platform, work, signal: context.signal });
      }),
  };
}

async function fill(cache: NonNullable<BuildJob["cache"]>, directory: string, signal: AbortSignal): Promise<boolean> {
  if (cache.found === undefined) return false;
  try {
    await mkdir(directory, { mode: 0o700 });
    await placeLifecycleCache(cache.found, directory, signal);
    return true;
  } catch (error) {
    cache.giveUp(error);
    return false;
  }
}
