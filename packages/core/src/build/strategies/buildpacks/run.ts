import { describeError, UserError } from "@goldenpath/foundation/errors";
import { createCredentialStore, preferIdentities } from "@goldenpath/registry-client/credentials";
import { isPlainHttpHost } from "@goldenpath/registry-client/endpoint";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import type { StageResult } from "../../../result.ts";
import type { FoundTool } from "../../../tools/find.ts";
import { withPrivateTools } from "../../../tools/private.ts";
import { describeTool } from "../../../tools/run-tool.ts";
import { selectBuildEnvironment } from "../../environment.ts";
import { selectPlatform } from "../../images.ts";
import { describeIsolation, keepApart } from "../../isolation.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { copySource, placesIn } from "../../source.ts";
import { detectEcosystems } from "../../survey/ecosystems.ts";
import { closeWorkspace, openWorkspace, type Workspace, writePlatformVariables } from "../../workspace.ts";
import { type Buildpack, formatBuildpack } from "../buildpack-names.ts";
import { type BuildpacksPlan, nameModule } from "../buildpacks.ts";
import { listExtensions, whyNotLifecycle } from "../extensions.ts";
import { describeInline, describeOwn, listOwnImages } from "../own-buildpacks.ts";
import type { BuildJob, Built, StrategyRunner } from "../runner.ts";
import { fetchBuildpacks, renderOrder } from "./buildpackage.ts";
import { openLifecycleCache } from "./cache.ts";
import { type LifecycleRun, runLifecycle } from "./lifecycle.ts";
import { placeOwnBuildpacks } from "./place-own.ts";
import { renderRegistryAuth } from "./registry-auth.ts";
import { type BuilderRoom, openBuilderRoom } from "./run-builder.ts";
import { isNoRoom, refusePack, runPack } from "./run-pack.ts";
import { fetchBuildSboms, mergeSboms } from "./sbom.ts";

type Job = BuildJob<BuildpacksPlan>;

/** The real lifecycle, on this machine and without a daemon. */
export const buildpacksRunner: StrategyRunner<BuildpacksPlan> = {
  run: chooseEngine,
  fetchSbom: async (image, child, { client, context }) =>
    mergeSboms(await fetchBuildSboms(client, image, child, context.signal), context.ports.log),
  noSbom: "the buildpacks made no CycloneDX SBOM",
  caches: true,
};

/**
 * `auto` is the lifecycle in a room of this machine wherever it can make one: that has no daemon, which is root's, no
 * network but the way out, and a root that can't be written to. A container has more of each.
 */
async function chooseEngine(job: Job): Promise<Built> {
  const { options, context } = job;
  const byLifecycle = (): Promise<Built> =>
    withPrivateTools(["lifecycle", "launcher"], context, (ready) => runBuildpacks(job, ready));
  if (options.engine === "pack") return runPack(job);
  if (await needsExtensions(job)) return runPack(job);
  if (options.engine === "lifecycle" || (await refusePack(job, context)) !== undefined) return byLifecycle();
  try {
    return await byLifecycle();
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    context.ports.log.notice(`${describeError(error)}: engine pack builds, in containers of the Docker daemon`);
    return runPack(job);
  }
}

/**
 * Whether the builder has extensions that the policy lets run: then only pack makes the builder's image. Where the policy
 * allows none, the lifecycle leaves them out, and says so.
 * @throws UserError `engine-unavailable`
 */
async function needsExtensions({ plan, options, client, platform, context }: Job): Promise<boolean> {
  const { builderImage, builder, allowedExtensions } = plan;
  if (builderImage === undefined || allowedExtensions === undefined) return false;
  const { config } = selectPlatform(await fetchImageFacts(client, builderImage), platform, "builder");
  const extensions = listExtensions(config.config?.Labels ?? {}, `builder ${formatReference(builderImage)}`);
  if (extensions.length === 0) return false;
  const why = whyNotLifecycle(builder.name, extensions);
  if (options.engine !== "lifecycle") {
    context.ports.log.notice(`engine pack builds: ${why}`);
    return true;
  }
  throw new UserError(`engine 'lifecycle' can't build this: ${why}`, {
    code: "engine-unavailable",
    wayOut:
      "Build by engine 'pack' (which 'auto' takes) on a machine with Docker, or take allowExtensions out of the policy's builder: they are then left out.",
  });
}

async function runBuildpacks(job: Job, tools: Promise<FoundTool[]>): Promise<Built> {
  const { plan, source, context, client, platform } = job;
  const { ports, env, signal } = context;
  const workspace = await openWorkspace({ repository: plan.repository, ports, env });
  let sandbox: Sandbox | undefined;
  let copying: Promise<void> | undefined;
  try {
    copying = copyApplication(job, workspace);
    // Whoever waits for it is told.
    copying.catch(() => undefined);
    // What lies in the application is placed from there.
    if (plan.ownBuildpacks !== undefined) await copying;
    const pinned = [...plan.buildpacks, ...listOwnImages(plan.ownBuildpacks ?? [])];
    const fetched = await fetchBuildpacks(pinned, workspace.buildpacks, { client, ports, signal, platform });
    const [packages, images] = [fetched.slice(0, plan.buildpacks.length), fetched.slice(plan.buildpacks.length)];
    const [lifecycle, launcher] = await tools;
    if (lifecycle === undefined || launcher === undefined) throw new TypeError("two tools were asked for");
    const programs = {
      lifecycle: await workspace.placeProgram(lifecycle.path, "lifecycle"),
      launcher: await workspace.placeProgram(launcher.path, "launcher"),
    };
    const room = await openBuilderRoom(job, workspace, images);
    const order = room?.run.order ?? (await orderOnHost(plan, workspace, packages, images));
    sandbox = room === undefined ? await keepApart(workspace, plan, source, context) : room.sandbox;
    await copying;
    const cache = await openLifecycleCache(job, workspace, sandbox);
    const digest = await buildImage(job, { workspace, sandbox, room, order, ...programs, cache: cache?.run });
    await cache?.keep();
    const image = plan.builderImage === undefined ? undefined : formatReference(plan.builderImage);
    return {
      digest,
      tools: [
        ...[lifecycle, launcher].map(describeTool),
        ...(room === undefined ? [] : [room.tool]),
        ...fetched.map((each, index) => describeBuildpack(each, pinned[index]?.digest)),
        ...describeInline(plan.ownBuildpacks ?? []),
      ],
      notes: [
        `builder ${plan.builder.name}: ${image ?? packages.map(formatBuildpack).join(", ")}`,
        ...(plan.ownBuildpacks === undefined ? [] : [describeOwn(plan.ownBuildpacks)]),
        ...describeIsolation(sandbox, image),
        ...(room?.notes ?? []),
        ...(workspace.isUsualPath || room !== undefined
          ? []
          : ["built beside another build of this repository: a rebuild has other paths in it, and another digest"]),
      ],
    };
  } finally {
    // Nothing is on its way into the folder any more when that is removed.
    await copying?.catch(() => undefined);
    await sandbox?.close();
    await closeWorkspace(workspace, ports);
  }
}

async function copyApplication({ source, context: { ports, signal } }: Job, { app }: Workspace): Promise<void> {
  const copied = await copySource(source, app, signal);
  ports.log.info(`copied ${copied.files} files (${copied.bytes} bytes) of the application`);
}

/** What a build is made in and by. */
interface Room {
  workspace: Workspace;
  sandbox: Sandbox | undefined;
  /** With a builder image. */
  room: BuilderRoom | undefined;
  /** `order.toml`. */
  order: string;
  /** Paths. */
  lifecycle: string;
  launcher: string;
  cache: LifecycleRun["cache"];
}

async function buildImage(
  job: Job,
  { workspace, sandbox, room, order, lifecycle, launcher, cache }: Room,
): Promise<Digest> {
  const { to, context, plainHttp, runImage } = job;
  const store = preferIdentities(createCredentialStore(context), context);
  if (runImage === undefined) throw new TypeError("every builder of buildpacks has a base");
  const registries = [to.repository, runImage];
  const { environment, variables } =
    room === undefined ? hostEnvironment(job, workspace, sandbox) : builderEnvironment(room);
  await writePlatformVariables(workspace, variables);
  const { module } = job.options;
  const own = job.source.below.find(({ path }) => path === module) ?? job.source.survey;
  return runLifecycle({
    application: {
      ecosystems: detectEcosystems(own),
      findPlaces: placesIn(job.source, context, room?.run.builder.at(workspace.app) ?? workspace.app),
    },
    workspace,
    context,
    sandbox,
    builder: room?.run.builder,
    lifecycle,
    launcher,
    environment,
    registryAuth: await renderRegistryAuth(store, registries),
    insecureRegistries: registries
      .map(({ registry }) => registry)
      .filter((host, index, all) => isPlainHttpHost(host, plainHttp) && all.indexOf(host) === index),
    order,
    runImage,
    tags: to.tags,
    cache,
  });
}

async function orderOnHost(
  { ownBuildpacks: own }: BuildpacksPlan,
  workspace: Workspace,
  packages: readonly Buildpack[],
  images: readonly Buildpack[],
): Promise<string> {
  if (own === undefined) return renderOrder(packages);
  return placeOwnBuildpacks(own, workspace, { groups: [packages], buildpacks: undefined, packages, images });
}

interface Variables {
  /** Of each phase's process. */
  environment: Readonly<Record<string, string>>;
  /** Of the buildpacks. */
  variables: Readonly<Record<string, string>>;
}

function hostEnvironment(
  { source, options, variables, context }: Job,
  workspace: Workspace,
  sandbox: Sandbox | undefined,
): Variables {
  const own = { ...nameModule(options.module), ...source.project.env, ...variables };
  const all = sandbox === undefined ? own : { ...sandbox.variables, ...own };
  const chosen = selectBuildEnvironment(context.env, all, sandbox !== undefined);
  return { environment: chosen.process, variables: { TMPDIR: workspace.temporary, ...chosen.platform } };
}

function builderEnvironment({ run, variables }: BuilderRoom): Variables {
  return { environment: run.environment, variables };
}

function describeBuildpack({ id, version }: Buildpack, digest: Digest | undefined): StageResult["tools"][number] {
  const sha256 = digest?.startsWith("sha256:") === true ? { sha256: digestHex(digest) } : {};
  return { name: `buildpack ${id}`, version, ...sha256 };
}
