import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { quoteLine } from "@goldenpath/foundation/text/log";
import { digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { pushBuiltLayout } from "../../../layouts/push-built.ts";
import type { FoundTool } from "../../../tools/find.ts";
import { withPrivateTools } from "../../../tools/private.ts";
import { describeTool } from "../../../tools/run-tool.ts";
import { type CacheRegistry, openCacheRegistry } from "../../cache/buildkit.ts";
import type { CacheParts } from "../../cache/cache.ts";
import { copySource } from "../../source.ts";
import { closeWorkspace, openWorkspace, type Workspace } from "../../workspace.ts";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { BuildJob, Built, StrategyRunner } from "../runner.ts";
import { checkArguments } from "./arguments.ts";
import { explainFailure, explainNoCache } from "./explain.ts";
import { type DockerfileText, findDockerfile } from "./find-file.ts";
import { contextName } from "./images.ts";
import type { Judged } from "./judge-images.ts";
import { type Prepared, prepareImages } from "./prepare.ts";
import { createRedactor } from "./redact.ts";
import {
  handArguments,
  openRoom,
  prepareRoom,
  proxyAddress,
  type RoomFolders,
  type RoomResult,
  type RoomService,
  type RoomSite,
  systemPath,
} from "./room.ts";
import { buildScript } from "./scripts.ts";

type Job = BuildJob<DockerfilePlan>;

/** BuildKit, on this machine and for this build alone. */
export const dockerfileRunner: StrategyRunner<DockerfilePlan> = {
  run: (job) => withPrivateTools(["buildkitd", "buildctl"], job.context, (ready) => runDockerfile(job, ready)),
  fetchSbom: () => Promise.resolve(undefined),
  noSbom: "BuildKit made no SBOM",
  caches: true,
};

async function runDockerfile(job: Job, tools: Promise<FoundTool[]>): Promise<Built> {
  const { plan, source, context, options } = job;
  const { ports, env, signal } = context;
  checkArguments(options);
  await requireRuntime(env);
  const text = await findDockerfile(source, options.file, context);
  const workspace = await openWorkspace({ repository: plan.repository, ports, env });
  try {
    const copying = copySource(source, workspace.app, signal);
    const ready = tools.then((found) => placeTools(found, { workspace, context }));
    let prepared: Prepared | undefined;
    const run: Run = { job, text, workspace, fileOf: (digest) => prepared?.fileOf(digest) };
    const starting = startBuilder(run, ready);
    const settled = Promise.allSettled([copying, starting]);
    try {
      prepared = await prepareImages(job, text, workspace);
      const copied = await copying;
      ports.log.info(`copied ${copied.files} files (${copied.bytes} bytes) of the application`);
    } catch (error) {
      // Whatever is done beside it: nothing is on its way into the folder any more when that is removed.
      await settled;
      await (await starting.catch(() => undefined))?.stop();
      throw error;
    }
    const base = prepared.images.find(({ use }) => use === "base");
    const ended = await runCached(run, { prepared, builder: await starting, site: await ready });
    const digest = await pushBuiltLayout(ended.layout, {
      ...job.to,
      client: job.client,
      context,
      ...(base === undefined ? {} : { base: { repository: base.resolved, image: base.child } }),
    });
    return { digest, tools: (await tools).map(describeTool), notes: describe(job, prepared, ended) };
  } finally {
    await closeWorkspace(workspace, ports);
  }
}

/** What runs a build's steps, in a part that is in C, and so none of the lock's. */
async function requireRuntime(env: Job["context"]["env"]): Promise<void> {
  if ((await findInPath("runc", { ...env, PATH: systemPath })) !== undefined) return;
  throw new UserError("there is no runc on this machine, by which BuildKit runs a build's steps", {
    code: "tool-missing",
    wayOut: "Install it (Debian and Ubuntu: apt-get install runc; Docker brings one), or build on a hosted runner.",
  });
}

function placeTools([buildkitd, buildctl]: FoundTool[], where: Omit<RoomSite, "way">): Promise<RoomSite> {
  if (buildkitd === undefined || buildctl === undefined) throw new TypeError("two tools were asked for");
  return prepareRoom(where, { buildkitd: buildkitd.path, buildctl: buildctl.path });
}

interface Run {
  job: Job;
  text: DockerfileText;
  workspace: Workspace;
  /** Where a blob is on this machine, as soon as there is one. */
  fileOf: Prepared["fileOf"];
}

/** A BuildKit that waits for what it has to build. */
interface Builder {
  caching: CacheRegistry | undefined;
  /** What it left of a cache; undefined where there was nothing to leave. @throws Error where it could not */
  gather(): Promise<CacheParts | undefined>;
  /** @throws what `explainFailure` makes of an exit code, and as `buildInRoom` */
  build(prepared: Prepared): Promise<RoomResult>;
  /** Ends it, whatever it does. */
  stop(): Promise<void>;
}

/**
 * With a cache, which is read while the build runs: where something of it can't be had after all, once more without.
 * @throws as {@link Builder.build}
 */
async function runCached(
  run: Run,
  { prepared, builder, site }: { prepared: Prepared; builder: Builder; site: RoomSite },
): Promise<RoomResult> {
  const { cache } = run.job;
  const { caching } = builder;
  try {
    const ended = await builder.build(prepared);
    await cache?.keep(() => builder.gather());
    return ended;
  } catch (error) {
    if (caching?.failure === undefined || cache?.found === undefined) throw error;
    cache.giveUp(caching.failure);
  } finally {
    await builder.stop();
  }
  return runCached(run, { prepared, site, builder: await startBuilder(run, Promise.resolve(site)) });
}

async function openCaching({ job: { cache }, workspace, fileOf }: Run): Promise<CacheRegistry | undefined> {
  if (cache === undefined) return undefined;
  const open = () => openCacheRegistry(cache, { parent: workspace.control, fileOf });
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

function inputsIn({ control }: Workspace): { folder: string; policy: string } {
  return { folder: join(control, "dockerfile"), policy: join(control, "sources.json") };
}

/** Into the log, and the last of it for messages. */
function keepOutput({ ports }: Job["context"], hide: (line: string) => string) {
  const lines: string[] = [];
  const onLine = (line: string): void => {
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
  const output = keepOutput(context, createRedactor([...secrets.values()]));
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
        "buildkitd.toml": renderSettings(workspace, service),
        ...(service === undefined ? {} : { [authorityFile]: service.certificate }),
      },
      ...(service === undefined ? {} : { service }),
      secrets,
      hidden: [source.directory],
      signal: stopping.signal,
      onLine: output.onLine,
    }),
  );
  const { folders, ended } = await opening.catch(async (error: unknown) => {
    await caching?.close();
    throw error;
  });
  // It is looked at when there is something to build.
  ended.catch(() => undefined);
  return {
    caching,
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
        return ended;
      });
      if (result.exitCode === 0) return result;
      throw explainFailure({ exitCode: result.exitCode, lines: output.lines, file: text.file });
    },
    async stop() {
      stopping.abort();
      await ended.catch(() => undefined);
      await caching?.close();
    },
  };
}

const authorityFile = "cache-authority.pem";

function renderSettings({ control, handover }: Workspace, service: RoomService | undefined): string {
  const cdi = "[cdi]\n  disabled = true\n";
  const workers = "[worker.containerd]\n  enabled = false\n[worker.oci]\n  enabled = true\n  gc = false\n";
  const registry =
    service === undefined
      ? ""
      : `[registry."${service.host}:${service.port}"]\n  ca = ["${join(control, authorityFile)}"]\n`;
  return `[otel]\n  socketPath = "${handover}/run/otel.sock"\n${cdi}${workers}${registry}`;
}

/** 1980-01-01T00:00:01Z, as buildpacks have it, unless the caller says another time: the same files are the same image. */
const epoch = "315532801";

function renderArguments(
  { job: { plan, options, labels }, text: { name }, workspace }: Run,
  { images }: Prepared,
  { result, control, secretFiles }: RoomFolders,
): string[] {
  const { folder, policy } = inputsIn(workspace);
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map((each) => [each, proxyAddress]);
  const args = {
    SOURCE_DATE_EPOCH: epoch,
    ...options.buildArgs,
    ...Object.fromEntries(proxies),
    NO_PROXY: "localhost,127.0.0.1,::1",
  };
  const settings: Record<string, string> = {
    filename: name,
    // Whatever the file's first line says: only BuildKit's own frontend.
    cmdline: "dockerfile.v0",
    "attest:provenance": "mode=max,version=v1",
    ...(options.target === undefined ? {} : { target: options.target }),
    ...Object.fromEntries(Object.entries(labels).map(([key, value]) => [`label:${key}`, value])),
    ...Object.fromEntries(Object.entries(args).map(([key, value]) => [`build-arg:${key}`, value])),
    ...Object.fromEntries(
      images.map((image) => [`context:${contextName(image.name)}`, `oci-layout://images@${image.child.digest}`]),
    ),
  };
  const output = `type=oci,tar=false,dest=${result},rewrite-timestamp=true,name=${formatReference(plan.tags[0])}`;
  return [
    ...["--progress=plain", "--frontend=dockerfile.v0", `--output=${output}`],
    ...[`--local=context=${workspace.app}`, `--local=dockerfile=${folder}`],
    `--oci-layout=images=${join(control, "images")}`,
    `--source-policy-file=${policy}`,
    ...Object.entries(settings).map(([key, value]) => `--opt=${key}=${value}`),
    ...[...secretFiles].map(([id, file]) => `--secret=id=${id},src=${file}`),
  ];
}

/**
 * BuildKit's own list of what it may fetch, the last rule that fits deciding: the application, the images that were
 * fetched for it, and URLs with the checksum that was judged.
 */
export function renderSourcePolicy(downloads: Judged["downloads"]): object {
  const allow = (identifier: string, constraints: object[] = []) => ({
    action: "ALLOW",
    selector: { identifier, ...(constraints.length === 0 ? {} : { constraints }) },
  });
  return {
    version: 1,
    rules: [
      { action: "DENY", selector: { identifier: "*" } },
      ...["local://context", "local://dockerfile", "oci-layout://*"].map((each) => allow(each)),
      ...downloads.map(({ url, checksum }) =>
        allow(url, [{ key: "http.checksum", value: checksum, condition: "EQUAL" }]),
      ),
    ],
  };
}

function describe({ plan, options }: Job, { images, remarks }: Prepared, { way, refused }: RoomResult): string[] {
  const hosts = [...refused].slice(0, 10);
  return [
    "buildEnvironment: container",
    `built by BuildKit in namespaces of its own (by ${way}), its users nobody's on the machine`,
    `builder ${plan.builder.name}: ${images.map(({ name, use, resolved }) => `${use === "base" ? "on " : "with "}${name} (${resolved.digest})`).join(", ") || "no image"}`,
    ...(options.secrets.size === 0
      ? []
      : [`secrets that steps could mount: ${[...options.secrets.keys()].join(", ")}`]),
    ...remarks,
    ...(hosts.length === 0 ? [] : [`the build asked for addresses that no build gets to: ${hosts.join(", ")}`]),
  ];
}
