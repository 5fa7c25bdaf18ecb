import { realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatPlatform, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { cacheFolder } from "../build/cache/entry.ts";
import { planKey } from "../build/cache/key.ts";
import { digestLocks } from "../build/cache/locks.ts";
import { type OpenCache, openCache } from "../build/cache/open.ts";
import { digestPinned } from "../build/cache/pinned.ts";
import { nameWriter, protectedWriter } from "../build/cache/writer.ts";
import type { BuildOptions } from "../build/options.ts";
import type { BuildPlan } from "../build/plan-build.ts";
import type { Source } from "../build/source.ts";
import type { Target } from "../build/strategies/runner.ts";
import { writeLayout } from "../layouts/write-layout.ts";
import type { Policy } from "../policy/schema.ts";

/** What the input `cache` says: all that the policy allows, to write nothing, or none. */
export const cacheUses = ["auto", "read", "none"] as const;

interface CachedBuild {
  use: (typeof cacheUses)[number];
  /** Whether the strategy has a cache. */
  isCaching: boolean;
  plan: BuildPlan;
  platform: Platform;
  source: Source;
  options: BuildOptions;
  policy: Policy;
  /** Where the build pushes to. */
  to: Target;
  client: RegistryClient;
  context: Context;
}

/**
 * The cache of a build by a strategy that has one; undefined where the policy or the caller wants none.
 * @throws UserError `input-invalid` where the caller says that one is read, and the strategy has none
 */
export async function openBuildCache(build: CachedBuild): Promise<OpenCache | undefined> {
  const { use, plan, platform, source, options, policy, to, client, context } = build;
  const mode = policy.build.cache;
  if (use === "none" || mode === "none") return undefined;
  if (!build.isCaching) {
    refuseReading(use, plan.strategy.strategy, context);
    return undefined;
  }
  const { builder } = plan;
  const { strategy } = plan.strategy;
  const { module, file, target } = options;
  const pinned = digestPinned(builder, strategy, policy);
  const own = context.run.sourceRepository;
  const writer = nameWriter(context.run, policy);
  const scope = { strategy, platform: formatPlatform(platform), builder: pinned, source: own };
  // A repository may hold several applications, and what one leaves is nothing that another has a say in.
  const folder = relative(await realpath(context.checkout ?? context.workingDirectory), source.directory);
  const key = planKey({ ...scope, application: { folder, module, file, target } }, await digestLocks(source, module));
  return context.ports.group("look for a cache", () =>
    openCache({
      ...{ mode, key, strategy, platform: scope.platform, builder: builder.name, client, context },
      repository: plan.repository,
      to: to.repository,
      writer,
      // What nobody attests, nobody would use.
      isKept: use === "auto" && (mode === "unverified" || writer === protectedWriter),
      reader: { builder: pinned, source: own, policy },
    }),
  );
}

function refuseReading(use: CachedBuild["use"], strategy: string, { ports }: Context): void {
  if (use === "auto") {
    ports.log.info(`cache: the strategy ${strategy} builds without one`);
    return;
  }
  throw new UserError(`input 'cache' is '${use}', and the strategy ${strategy} builds without a cache`, {
    code: "input-invalid",
    wayOut: "Leave the input out, or say 'none'; the strategies buildpacks and dockerfile have caches.",
  });
}

/**
 * What a build left for later ones, by its name in quarantine. Where it is pushed nowhere, it goes beside the image, into
 * the folder `cache` of its layout, for the job that attests.
 * @param layout of the image; empty where that was pushed
 */
export async function handOutCache(
  kept: PinnedReference | undefined,
  layout: string,
  { plan, client, context }: Pick<CachedBuild, "plan" | "client" | "context">,
): Promise<string> {
  if (kept === undefined) return "";
  const { signal } = context;
  if (layout !== "") await writeLayout(client, kept, join(layout, cacheFolder), { tags: [cacheFolder], signal });
  return formatReference({ ...plan.repository, digest: kept.digest });
}
