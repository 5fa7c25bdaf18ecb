import { settleAll } from "@goldenpath/foundation/concurrency";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { tellFullDisk } from "../build/causes.ts";
import { hostPlatform, selectPlatform } from "../build/images.ts";
import { labelsOf } from "../build/labels.ts";
import type { BuildPlan } from "../build/plan-build.ts";
import { itsOwnBuildpacks } from "../build/project.ts";
import type { Source } from "../build/source.ts";
import type { BuildJob, StrategyRunner } from "../build/strategies/runner.ts";
import { runners } from "../build/strategies/runners.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { withPrivateTools } from "../tools/private.ts";
import { openBuildCache } from "./build-cache.ts";
import type { BuiltImage } from "./build-twice.ts";

/** Of what project.toml says, what nothing is done about. */
export function listPassedOver({ ownBuildpacks: own }: BuildPlan, { project }: Source): string[] {
  return project.passedOver.filter((each) => own === undefined || each !== itsOwnBuildpacks);
}

interface Surroundings extends Pick<Parameters<typeof openBuildCache>[0], "use"> {
  context: Context;
  client: RegistryClient;
  policy: LoadedPolicy;
}

interface Work extends Pick<BuildJob, "to" | "source" | "variables" | "options"> {
  plan: BuildPlan;
}

/**
 * The strategy's work, between what is the same for each: the way in before it, a look at what is really in the
 * registry after it.
 */
export function buildOnce(work: Work, { client, ...surroundings }: Surroundings): Promise<BuiltImage> {
  const runner: StrategyRunner = runners[work.plan.strategy.strategy];
  // What has a digest is read once.
  const reading = { ...surroundings, client: rememberReads(client) };
  return withPrivateTools(runner.tools ?? [], surroundings.context, () => build(work, runner, reading));
}

async function build(
  { plan, to, source, variables, options }: Work,
  runner: StrategyRunner,
  { use, context, client, policy }: Surroundings,
): Promise<BuiltImage> {
  const platform = hostPlatform();
  const { plainHttp } = policy.policy.registries;
  const labels = labelsOf(context.run);
  const cached = { use, plan, to, platform, source, options, policy: policy.policy, client, context };
  // Before minutes of work: are both registries there, and do they let us in?
  const [runImage, , cache] = await settleAll(
    pinRunImage(plan, platform, client),
    client.resolve(to.tags[0]),
    openBuildCache({ ...cached, isCaching: runner.caches === true }),
  );
  const job: BuildJob = {
    plan,
    to,
    platform,
    runImage,
    source,
    variables,
    options,
    labels,
    context,
    client,
    plainHttp,
    cache,
  };
  const built = await runner.run(job).catch((error: unknown) => {
    throw tellFullDisk(error, context.temporaryDirectory);
  });
  const image = await fetchImageFacts(client, { ...to.repository, digest: built.digest });
  const sbom = await runner.fetchSbom(image, selectPlatform(image, platform, "the built image"), job);
  const notes = [
    ...built.notes,
    ...listPassedOver(plan, source).map((each) => `project.toml says ${each}: passed over`),
    ...source.project.remarks,
    ...plan.remarks,
    ...(sbom === undefined ? [runner.noSbom] : []),
    ...(cache?.describe() ?? []),
  ];
  return { image, sbom, tools: built.tools, notes, cache: cache?.kept };
}

/** The base's image for this machine. */
async function pinRunImage(
  { runImage }: BuildPlan,
  platform: Platform,
  client: RegistryClient,
): Promise<PinnedReference | undefined> {
  if (runImage === undefined) return undefined;
  const { registry, name } = runImage.reference;
  const facts = await fetchImageFacts(client, runImage.reference);
  return { registry, name, digest: selectPlatform(facts, platform, `base '${runImage.base}'`).digest };
}
