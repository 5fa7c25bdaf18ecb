import { randomUUID } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import { quoteLine } from "@goldenpath/foundation/text/log";
import { createCredentialStore, preferIdentities } from "@goldenpath/registry-client/credentials";
import { isPlainHttpHost } from "@goldenpath/registry-client/endpoint";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference, formatRepository, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { pushDockerArchive } from "../../../layouts/push-built.ts";
import { layoutLimits } from "../../../layouts/storage.ts";
import { findPrivateTool } from "../../../tools/private.ts";
import { describeTool } from "../../../tools/run-tool.ts";
import { findDaemon as openDaemon } from "../../docker/daemon.ts";
import { selectBuildEnvironment } from "../../environment.ts";
import { selectPlatform } from "../../images.ts";
import { copySource, placesIn } from "../../source.ts";
import { readHandedOver } from "../../workspace.ts";
import { type Buildpack, formatBuildpack } from "../buildpack-names.ts";
import type { BuildpacksPlan } from "../buildpacks.ts";
import { listExtensions, requireAllowed } from "../extensions.ts";
import { describeInline, describeOwn, listOwnImages, renderDescriptor } from "../own-buildpacks.ts";
import type { BuildJob, Built, Target } from "../runner.ts";
import { parseBuilderConfig } from "./builder-image.ts";
import { listBuilderBuildpacks } from "./buildpackage.ts";
import { type OpenPackCache, openPackCache } from "./cache.ts";
import { explainPackFailure, isRestoreFailure } from "./explain.ts";
import { parseReport } from "./lifecycle.ts";
import { removeVolumes } from "./pack-volumes.ts";
import { renderDockerConfig } from "./registry-auth.ts";

type Job = BuildJob<BuildpacksPlan>;

/**
 * A goldenpath that is killed outright can stop nothing: then the kernel tells pack to end, which takes its containers
 * with it. Those are the daemon's, and would go on otherwise.
 */
const endsWithParent = ["--pdeathsig", "TERM", "--"];

/** How much of the output is kept for messages, in lines. */
const keptLines = 400;
const maxOutput = 256 * 1024 * 1024;

/** Where a Docker daemon listens, as its client finds it; undefined where there is none. */
export async function findDaemon(env: Readonly<Record<string, string | undefined>>): Promise<string | undefined> {
  const host = env["DOCKER_HOST"] || "unix:///var/run/docker.sock";
  if (!host.startsWith("unix://")) return host;
  const stats = await stat(host.slice("unix://".length)).catch(() => undefined);
  return stats?.isSocket() === true ? host : undefined;
}

/**
 * Why `engine: pack` can't build this here; undefined where it can. pack takes the lifecycle's phases that have a login
 * from an image of their own, and without one that the policy pins, from whatever is under a tag of Docker Hub.
 */
export async function refusePack({ plan }: Job, { env }: Context): Promise<string | undefined> {
  if (plan.builderImage === undefined) return `builder '${plan.builder.name}' has no image, and pack builds in one`;
  if (plan.lifecycleImage === undefined)
    return `builder '${plan.builder.name}' has no \`lifecycleImage\` in the policy`;
  return (await findDaemon(env)) === undefined ? "there is no Docker daemon" : undefined;
}

/**
 * Builds by pack: each phase in a container of its own, from the builder's image where it runs strangers' code, and
 * from the lifecycle's where it has the login. Builder, run image and lifecycle are the policy's, by digest: so no
 * builder is one that pack trusts by its name, and would show the login to. What project.toml says of builders and
 * buildpacks does not reach it.
 */
export async function runPack(job: Job): Promise<Built> {
  const { plan, source, context } = job;
  const { builderImage, lifecycleImage } = plan;
  const refusal = await refusePack(job, context);
  if (refusal !== undefined || builderImage === undefined || lifecycleImage === undefined) {
    throw new UserError(`engine 'pack' can't build this: ${refusal}`, {
      code: "engine-unavailable",
      wayOut: "Leave the input 'engine' out, or build where pack can.",
    });
  }
  const where = `builder ${formatReference(builderImage)}`;
  const builder = selectPlatform(await fetchImageFacts(job.client, builderImage), job.platform, "builder");
  parseBuilderConfig(builder, where);
  const labels = builder.config.config?.Labels ?? {};
  const extensions = listExtensions(labels, where);
  requireAllowed(extensions, { builder: plan.builder.name, allowed: plan.allowedExtensions ?? [] });
  const known = plan.ownBuildpacks === undefined ? [] : listBuilderBuildpacks(labels, where);
  const pack = await findPrivateTool("pack", context);
  const folder = await mkdtemp(join(context.temporaryDirectory, "pack-"));
  try {
    const places = {
      app: join(folder, "app"),
      home: join(folder, "home"),
      report: join(folder, "report"),
      docker: join(folder, "docker"),
    };
    for (const place of Object.values(places)) await mkdir(place, { mode: 0o700 });
    const copied = await copySource(source, places.app, context.signal);
    await chmod(places.app, 0o755);
    context.ports.log.info(`copied ${copied.files} files (${copied.bytes} bytes) of the application`);
    const images = { builder: builderImage, lifecycle: lifecycleImage };
    await writeFile(join(folder, "project.toml"), renderDescriptor(plan.ownBuildpacks ?? [], known));
    const cache = await openPackCache(job, folder);
    // Extensions can choose another run image: what they leave is looked at before anything of it is pushed.
    const isPublished = extensions.length === 0 && job.to.repository.registry === plan.repository.registry;
    // Of a registry on this machine, which containers could not reach otherwise.
    const talksTo = [...(isPublished ? [job.to.repository] : []), ...(extensions.length > 0 ? [builderImage] : [])];
    const hasHostNetwork = talksTo.some(({ registry }) => isLoopback(registry));
    const call: PackCall = { pack: pack.path, folder, places, images, hasHostNetwork, cache };
    const digest = isPublished
      ? await callPack(job, call, job.to.tags).then(async () =>
          parseReport(await readHandedOver(join(places.report, "report.toml"))),
        )
      : await packIntoDaemon(job, folder, (name) => callPack(job, call, name));
    await cache?.keep();
    return { digest, ...describeBuild(plan, describeTool(pack), { images, extensions, hasHostNetwork }) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function describeBuild(
  plan: Job["plan"],
  pack: Built["tools"][number],
  { images, extensions, hasHostNetwork }: Pick<PackCall, "images" | "hasHostNetwork"> & { extensions: Buildpack[] },
): Pick<Built, "tools" | "notes"> {
  const tools = Object.entries(images).map(([name, image]) => ({
    name: `${name} ${formatRepository(image)}`,
    version: image.digest,
    sha256: digestHex(image.digest),
  }));
  return {
    tools: [pack, ...tools, ...describeInline(plan.ownBuildpacks ?? [])],
    notes: [
      `builder ${plan.builder.name}: ${formatReference(images.builder)}`,
      ...(plan.ownBuildpacks === undefined ? [] : [describeOwn(plan.ownBuildpacks)]),
      "buildEnvironment: container",
      "built by pack, each phase in a container of a Docker daemon",
      ...(extensions.length === 0
        ? []
        : [
            `the builder's extensions, which the policy allows and whose steps are root's: ${extensions.map(formatBuildpack).join(", ")}`,
          ]),
      ...(hasHostNetwork ? ["the registry is this machine's own, so the containers had the machine's network"] : []),
    ],
  };
}

/**
 * An image that leaves as a layout goes by the daemon: a registry on this machine could only be reached by containers
 * that have the machine's network, those of strangers' code among them. It has the layers that pack would push, and is
 * compressed by us. The daemon's socket is in the containers of the phases that read and write images, which are of the
 * policy's lifecycle, and in none that runs strangers' code.
 */
async function packIntoDaemon(job: Job, folder: string, call: (name: string) => Promise<void>): Promise<Digest> {
  const { to, runImage, platform, client, context } = job;
  if (runImage === undefined) throw new TypeError("buildpacks build on a run image");
  const daemon = await openDaemon(context);
  const name = `goldenpath.invalid/${randomUUID()}:built`;
  const archive = join(folder, "image.tar");
  try {
    await call(name);
    await daemon.save(name, archive, layoutLimits.bytes);
    const image = selectPlatform(await fetchImageFacts(client, runImage), platform, "the base");
    return await pushDockerArchive(archive, { ...to, client, context, base: { repository: runImage, image } });
  } finally {
    await daemon
      .remove(name)
      .catch(() => context.ports.log.warning(`the image ${name} could not be removed from the daemon`));
  }
}

interface Places {
  app: string;
  home: string;
  report: string;
  docker: string;
}

interface PackCall {
  /** Paths. */
  pack: string;
  folder: string;
  places: Places;
  images: { builder: PinnedReference; lifecycle: PinnedReference };
  hasHostNetwork: boolean;
  cache: OpenPackCache | undefined;
}

/** @param target tags to push to, or a name for the daemon */
async function callPack(job: Job, call: PackCall, target: string | Target["tags"]): Promise<void> {
  const { pack, folder, places, images, hasHostNetwork, cache } = call;
  const { to, source, context, runImage, plainHttp } = job;
  if (runImage === undefined) throw new TypeError("buildpacks build on a run image");
  const { env, ports, signal } = context;
  const isPublished = typeof target !== "string";
  const all = [
    ...(isPublished ? [to.repository] : []),
    ...[runImage, images.builder, images.lifecycle, ...listOwnImages(job.plan.ownBuildpacks ?? [])],
  ];
  const store = preferIdentities(createCredentialStore(context), context);
  await writeFile(join(places.docker, "config.json"), await renderDockerConfig(store, all), { mode: 0o600 });
  // By a file, so that no list of processes shows them, and none is a setting of pack.
  const variables = join(folder, "variables");
  await writeFile(variables, renderVariables({ ...source.project.env, ...job.variables }), { mode: 0o600 });
  const [first, ...others] = isPublished ? target.map(formatReference) : [target];
  const volume = `goldenpath-${randomUUID()}`;
  const insecure = [...new Set(all.map(({ registry }) => registry))].filter((host) => isPlainHttpHost(host, plainHttp));
  const args = [
    ...["build", first ?? "", ...(isPublished ? ["--publish"] : ["--docker-host", "inherit"])],
    ...["--no-color", "--path", places.app, "--descriptor", join(folder, "project.toml")],
    ...["--builder", formatReference(images.builder), "--run-image", formatReference(runImage)],
    ...["--lifecycle-image", formatReference(images.lifecycle), "--pull-policy", "always"],
    // A cache that the daemon keeps is a way for one build to change another: this one's is removed with it.
    // By a volume's name, which a folder's path is as well: of a builder that pack does not trust, it mounts no other form.
    ...["--cache", `type=build;format=volume;name=${cache?.directory ?? volume}`],
    ...["--report-output-dir", places.report],
    ...others.flatMap((tag) => ["--tag", tag]),
    ...insecure.flatMap((host) => ["--insecure-registry", host]),
    ...["--env-file", variables],
    ...(hasHostNetwork ? ["--network", "host"] : []),
  ];
  const lines: string[] = [];
  const daemon = (await findDaemon(env)) ?? "";
  const result = await ports.group("pack build", () =>
    runProcess("setpriv", [...endsWithParent, pack, ...args], {
      env: {
        ...selectBuildEnvironment(env).process,
        HOME: places.home,
        PACK_HOME: places.home,
        DOCKER_CONFIG: places.docker,
        DOCKER_HOST: daemon,
      },
      cwd: folder,
      signal,
      maxOutputBytes: maxOutput,
      onLine: (line) => {
        ports.log.info(quoteLine(line));
        lines.push(quoteLine(line).slice(2));
        if (lines.length > keptLines) lines.shift();
      },
    }).finally(() => removeVolumes(daemon, [volume, ...(isPublished ? [] : [nameOfVolumes(target)])], ports)),
  );
  if (result.exitCode !== 0) {
    if (cache?.isFilled === true && job.cache?.found !== undefined && isRestoreFailure(lines)) {
      await cache.giveUp(new Error(`the lifecycle can't restore it: ${lines.at(-1) ?? ""}`));
      return callPack(job, call, target);
    }
    // The application's place in every container, by the Platform API.
    throw explainPackFailure(result.exitCode, lines, { findPlaces: placesIn(job.source, job.context, "/workspace") });
  }
}

/** @throws UserError `env-invalid`: pack's files have a variable a line */
function renderVariables(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => {
      if (!/[\r\n]/.test(value)) return `${name}=${value}\n`;
      throw new UserError(`the value of '${name}' has several lines, which pack can't take`, { code: "env-invalid" });
    })
    .join("");
}

/** Of the volumes that pack makes for an image of the daemon: its own name has the image's, which is random. */
function nameOfVolumes(target: string): string {
  return target.slice(target.indexOf("/") + 1, target.lastIndexOf(":"));
}

function isLoopback(registry: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/.test(registry);
}

/** Whether an error says that this machine can't keep a build apart by itself. */
export function isNoRoom(error: unknown): boolean {
  return isKnownError(error) && error.code === "build-not-isolated";
}
