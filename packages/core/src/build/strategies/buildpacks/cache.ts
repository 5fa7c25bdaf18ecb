import { mkdir } from "node:fs/promises";
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
