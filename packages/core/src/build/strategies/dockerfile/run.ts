import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { settleAll } from "@goldenpath/foundation/concurrency";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { quoteLine } from "@goldenpath/foundation/text/log";
import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { type EarlyImage, type PushedImage, pushBuiltImage } from "../../../layouts/push-built.ts";
import type { FoundTool } from "../../../tools/find.ts";
import { withPrivateTools } from "../../../tools/private.ts";
import { describeTool } from "../../../tools/run-tool.ts";
import { type BuildKitCache, openBuildKitCache } from "../../cache/buildkit.ts";
import type { CachedImage, CacheParts } from "../../cache/cache.ts";
import { copySource } from "../../source.ts";
import { closeWorkspace, openWorkspace, type Workspace } from "../../workspace.ts";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { BuildJob, Built, StrategyRunner } from "../runner.ts";
import { checkArguments } from "./arguments.ts";
import { explainFailure, explainNoCache } from "./explain.ts";
import { watchExport } from "./exported.ts";
import { type DockerfileText, findDockerfile } from "./find-file.ts";
import {
  authorityFile,
  inputsIn,
  renderArguments,
  renderSettings,
  renderSourcePolicy,
  type Told,
} from "./invocation.ts";
import { fetchImages, type Prepared, type Resolved, resolveImages } from "./prepare.ts";
import { createRedactor } from "./redact.ts";
import { digestGiven, digestImages, repeatImage } from "./repeat.ts";
import { handArguments, openRoom, prepareRoom, type RoomResult, type RoomSite, systemPath } from "./room.ts";
import { buildScript, keptFolder } from "./scripts.ts";

type Job = BuildJob<DockerfilePlan>;

const programs = ["buildkitd", "buildctl"];

/** BuildKit, on this machine and for this build alone. */
export const dockerfileRunner: StrategyRunner<DockerfilePlan> = {
  run: (job) => withPrivateTools(programs, job.context, (ready) => runDockerfile(job, ready)),
  tools: programs,
  fetchSbom: () => Promise.resolve(undefined),
  noSbom: "BuildKit made no SBOM",
  caches: true,
};

async function runDockerfile(job: Job, tools: Promise<FoundTool[]>): Promise<Built> {
  const { plan, source, context, options } = job;
  const { ports, env } = context;
  checkArguments(options);
  await requireRuntime(env);
  const text = await findDockerfile(source, options.file, context);
  const workspace = await openWorkspace({ repository: plan.repository, ports, env });
  try {
    const copying = copyApplication(job, text, workspace);
    const resolving = resolveImages(job, text);
    const ready = prepareRoom({ workspace, context }, tools.then(listPrograms));
    const run: Run = { job, text, workspace, copying, resolving, fileOf: () => undefined };
    // Beside what tells whether there is anything to build: most often there is, and it takes as long to be ready.
    const starting = startBuilder(run, ready);
    // Whoever waits for them is told.
    for (const each of [copying, resolving, ready, starting]) each.catch(() => undefined);
    try {
      return (await repeatBuild(run)) ?? (await buildAnew(run, { ready, starting, tools }));
    } finally {
      await (await starting.catch(() => undefined))?.stop();
      // Whatever is done beside it: nothing is on its way into the folder any more when that is removed.
      await Promise.allSettled([copying, resolving, ready]);
    }
  } finally {
    await closeWorkspace(workspace, ports);
  }
}

/** @returns `digestGiven` of it, where there is a cache to keep that in */
async function copyApplication(job: Job, text: DockerfileText, { app }: Workspace): Promise<string | undefined> {
  const { source, context, cache } = job;
  const copied = await copySource(source, app, context.signal);
  context.ports.log.info(`copied ${copied.files} files (${copied.bytes} bytes) of the application`);
  return cache === undefined ? undefined : digestGiven(job, text, app);
}

/** Where this writer has built the very same before, and the image is there; undefined where it has to be built. */
async function repeatBuild(run: Run): Promise<Built | undefined> {
  const { job } = run;
  const { plan, cache } = job;
  const before = cache?.found?.image;
  if (cache === undefined || before === undefined || before.given !== (await run.copying)) return undefined;
  const resolved = await run.resolving;
  if (before.images !== digestImages(resolved)) return undefined;
  const digest = await repeatImage(job, before, resolved);
  // What was found may have turned out to be no cache meanwhile.
  if (digest === undefined || cache.found?.image !== before) return undefined;
  await cache.keepFound();
  const { images, remarks } = resolved;
  const notes = [
    "buildEnvironment: container",
    "nothing ran: it is the image of an earlier build of this ref, of the same files, Dockerfile, images and arguments",
    `builder ${plan.builder.name}: ${describeImages(images)}`,
  ];
  return { digest, tools: [], notes: [...notes, ...remarks] };
}

async function buildAnew(
  run: Run,
  { ready, starting, tools }: { ready: Promise<RoomSite>; starting: Promise<Builder>; tools: Promise<FoundTool[]> },
): Promise<Built> {
  const { job, workspace, copying } = run;
  let builder: Builder | undefined;
  try {
    const prepared = await fetchImages(job, await run.resolving, workspace);
    run.fileOf = prepared.fileOf;
    const given = await copying;
    builder = await starting;
    const building = runCached(run, { prepared, builder, site: await ready });
    const pushing = startPush(run, { prepared, building, first: builder });
    const ended = await building.catch(async (error: unknown) => {
      await pushing.catch(() => undefined);
      throw error;
    });
    builder = ended.builder;
    const digest = await keepBeside(run, { prepared, given, builder, pushing });
    return { digest, tools: (await tools).map(describeTool), notes: describe(job, prepared, ended.result) };
  } finally {
    // Another one than was started first, where it had to be built once more.
    await builder?.stop();
  }
}

/** The image, as soon as it is written: what else the builder still does (its cache) goes on beside it. */
async function startPush(
  { job }: Run,
  { prepared, building, first }: { prepared: Prepared; building: Promise<BuildEnd>; first: Builder },
): Promise<PushedImage> {
  const { client, context, to } = job;
  const base = prepared.images.find(({ use }) => use === "base");
  const pushFrom = (layout: string, early?: EarlyImage): Promise<PushedImage> =>
    pushBuiltImage(layout, {
      ...to,
      ...{ client, context, early, compress: true },
      ...(base === undefined ? {} : { base: { repository: base.resolved, image: base.child } }),
    });
  const ended = building.then(() => undefined);
  const root = await Promise.race([first.exported(), ended]);
  if (root === undefined) return pushFrom((await building).result.layout);
  // Where it had to be built once more, what the first one wrote is nothing.
  const isFirst = building.then(({ builder }) => builder === first);
  const whole = isFirst.then((is) => (is ? undefined : Promise.reject(new Error("it is built once more"))));
  whole.catch(() => undefined);
  const early = pushFrom(first.layout, { root, whole });
  early.catch(() => undefined);
  const isTaken = await isFirst.catch(() => false);
  // Nothing of what is not taken is at work any more.
  if (!isTaken) await early.catch(() => undefined);
  const pushAll = async (): Promise<PushedImage> => pushFrom((await building).result.layout);
  if (!(await isFirst)) return pushAll();
  return early.catch((error: unknown) => {
    // What could not be read while it was written to may be in order by now.
    if (isKnownError(error) && error.code === "built-image-invalid") return pushAll();
    throw error;
  });
}

/** What of the build is kept for later ones, while the image is pushed, which it names at last. */
async function keepBeside(
  { job }: Run,
  {
    prepared,
    given,
    builder,
    pushing,
  }: { prepared: Prepared; given: string | undefined; builder: Builder; pushing: Promise<PushedImage> },
): Promise<Digest> {
  const { cache } = job;
  const naming = pushing.then(({ digest, children: [child, ...others] }): CachedImage | undefined => {
    if (given === undefined || child === undefined || others.length > 0) return undefined;
    return { digest, child, given, images: digestImages(prepared) };
  });
  naming.catch(() => undefined);
  const [{ digest }] = await settleAll(
    pushing,
    cache?.keep(() => builder.gather(), naming),
  );
  return digest;
}

/** What runs a build's steps, in a part that is in C, and so none of the lock's. */
async function requireRuntime(env: Job["context"]["env"]): Promise<void> {
  if ((await findInPath("runc", { ...env, PATH: systemPath })) !== undefined) return;
  throw new UserError("there is no runc on this machine, by which BuildKit runs a build's steps", {
    code: "tool-missing",
    wayOut: "Install it (Debian and Ubuntu: apt-get install runc; Docker brings one), or build on a hosted runner.",
  });
}

function listPrograms([buildkitd, buildctl]: FoundTool[]): Record<string, string> {
  if (buildkitd === undefined || buildctl === undefined) throw new TypeError("two tools were asked for");
  return { buildkitd: buildkitd.path, buildctl: buildctl.path };
}

interface Run extends Told {
  /** What {@link copyApplication} gives. */
  copying: Promise<string | undefined>;
  /** What the build may use: to repeat one and to make one, it has to be known. */
  resolving: Promise<Resolved>;
  /** Where a blob is on this machine, as soon as there is one. */
  fileOf: Prepared["fileOf"];
}

/** A BuildKit that waits for what it has to build. */
interface Builder {
  /** Where it writes the image. */
  layout: string;
  /** The image that is whole there, before the builder is done; never, where it is not told before. */
  exported(): Promise<Digest>;
  caching: BuildKitCache | undefined;
  /** What it left of a cache; undefined where there was nothing to leave. @throws Error where it could not */
  gather(): Promise<CacheParts | undefined>;
  /** @throws what `explainFailure` makes of an exit code, and as `buildInRoom` */
  build(prepared: Prepared): Promise<RoomResult>;
  /** Ends it, whatever it does, once. */
  stop(): Promise<void>;
}

interface BuildEnd {
  result: RoomResult;
  builder: Builder;
}

/**
 * With a cache, which is read while the build runs: where something of it can't be had after all, once more without.
 * @throws as {@link Builder.build}
 */
async function runCached(
  run: Run,
  { prepared, builder, site }: { prepared: Prepared; builder: Builder; site: RoomSite },
): Promise<BuildEnd> {
  const { cache } = run.job;
  const { caching } = builder;
  try {
    return { result: await builder.build(prepared), builder };
  } catch (error) {
    await builder.stop();
    if (caching?.failure === undefined || cache?.found === undefined) throw error;
    cache.giveUp(caching.failure);
  }
  return runCached(run, { prepared, site, builder: await startBuilder(run, Promise.resolve(site)) });
}

async function openCaching(run: Run): Promise<BuildKitCache | undefined> {
  const { cache } = run.job;
  if (cache === undefined) return undefined;
  const { control, handover } = run.workspace;
  const fileOf = (digest: Digest): string | undefined => run.fileOf(digest);
  const open = () => openBuildKitCache(cache, { parent: control, kept: join(handover, keptFolder), fileOf });
  return open().catch((error: unknown) => {
    cache.giveUp(error);
    return open().catch(() => undefined);
  });
}

/**
 * The base's layers, where BuildKit looks before it writes a layer of the image: they are as they were fetched, nobody
 * reads them there, and where the image goes they are brought from the base's repository.
 */
async function placeBase({ images, fileOf }: Prepared, { control }: Workspace): Promise<void> {
  const base = images.find(({ use }) => use === "base");
  // An image may have a layer twice.
  for (const digest of new Set(base?.child.manifest.layers.map((layer) => layer.digest))) {
    const [file, folder] = [fileOf(digest), join(control, "placed", "blobs", digestAlgorithm(digest))];
    if (file === undefined) throw new TypeError(`${digest} was fetched`);
    await mkdir(folder, { recursive: true });
    await symlink(file, join(folder, digestHex(digest)));
  }
}

/** How much of the output is kept for messages, in lines. */
const keptLines = 2000;

/** Where the Dockerfile is, what BuildKit may fetch, and the base's layers. */
async function writeInputs({ text, workspace }: Run, prepared: Prepared): Promise<void> {
  const { folder, policy } = inputsIn(workspace);
  // They are there where this is not the first run.
  if ((await mkdir(folder, { recursive: true })) === undefined) return;
  await writeFile(join(folder, text.name), text.bytes);
  if (text.ignore !== undefined) await writeFile(join(folder, `${text.name}.dockerignore`), text.ignore);
  await writeFile(policy, stringifyJson(renderSourcePolicy(prepared.downloads)));
  await placeBase(prepared, workspace);
}

/** Into the log, and the last of it for messages. */
function keepOutput({ ports }: Job["context"], hide: (line: string) => string, see: (line: string) => void) {
  const lines: string[] = [];
  const onLine = (line: string): void => {
    see(line);
    const shown = quoteLine(hide(line));
    ports.log.info(shown);
    lines.push(shown.slice(2));
    if (lines.length > keptLines) lines.shift();
  };
  return { lines, onLine };
}

async function startBuilder(run: Run, ready: Promise<RoomSite>): Promise<Builder> {
  const { job, text, workspace } = run;
  const { options, source, context } = job;
  const secrets = new Map([...options.secrets].map(([id, { value }]) => [id, value]));
  const exporting = watchExport();
  const output = keepOutput(context, createRedactor([...secrets.values()]), exporting.onLine);
  // Whoever waits for it is told.
  ready.catch(() => undefined);
  const caching = await openCaching(run);
  const service = caching?.service;
  const stopping = new AbortController();
  const opening = ready.then((site) =>
    openRoom({
      ...site,
      script: buildScript,
      files: {
        "buildkitd.toml": renderSettings(run, service),
        ...(service === undefined ? {} : { [authorityFile]: service.certificate }),
      },
      ...(service === undefined ? {} : { service }),
      secrets,
      hidden: [source.directory],
      signal: stopping.signal,
      onLine: output.onLine,
    }),
  );
  const { folders, done, ended } = await opening.catch(async (error: unknown) => {
    await caching?.close();
    throw error;
  });
  // It is looked at when there is something to build.
  ended.catch(() => undefined);
  let isDone = false;
  let stopped: Promise<void> | undefined;
  return {
    caching,
    layout: folders.result,
    exported: () => exporting.written(folders.result, ended),
    async gather() {
      if (caching === undefined) return undefined;
      const parts = await caching.gather();
      const reason = parts === undefined ? explainNoCache(output.lines) : undefined;
      if (reason !== undefined) throw new Error(reason);
      return parts;
    },
    async build(prepared) {
      await writeInputs(run, prepared);
      const args = [...renderArguments(run, prepared, folders), ...(caching?.args ?? [])];
      const result = await context.ports.group("buildkit build", async () => {
        await handArguments(workspace, args);
        return done;
      });
      isDone = true;
      if (result.exitCode === 0) return result;
      throw explainFailure({ exitCode: result.exitCode, lines: output.lines, file: text.file });
    },
    stop() {
      // What is done is only still removed.
      if (!isDone) stopping.abort();
      stopped ??= ended.catch(() => undefined).then(() => caching?.close());
      return stopped;
    },
  };
}

function describe({ plan, options }: Job, { images, remarks }: Prepared, { way, refused }: RoomResult): string[] {
  const hosts = [...refused].slice(0, 10);
  return [
    "buildEnvironment: container",
    `built by BuildKit in namespaces of its own (by ${way}), its users nobody's on the machine`,
    `builder ${plan.builder.name}: ${describeImages(images)}`,
    ...(options.secrets.size === 0
      ? []
      : [`secrets that steps could mount: ${[...options.secrets.keys()].join(", ")}`]),
    ...remarks,
    ...(hosts.length === 0 ? [] : [`the build asked for addresses that no build gets to: ${hosts.join(", ")}`]),
  ];
}

function describeImages(images: Resolved["images"]): string {
  const each = images.map(
    ({ name, use, resolved }) => `${use === "base" ? "on " : "with "}${name} (${resolved.digest})`,
  );
  return each.join(", ") || "no image";
}
