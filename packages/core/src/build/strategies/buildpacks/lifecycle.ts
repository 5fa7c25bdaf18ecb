import { constants } from "node:fs";
import { chmod, copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type ProcessResult, runProcess } from "@goldenpath/foundation/exec/run";
import type { Context, RunFacts } from "@goldenpath/foundation/ports";
import { describeIssues } from "@goldenpath/foundation/text/json";
import { quoteLine } from "@goldenpath/foundation/text/log";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  type PinnedReference,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import { parse, stringify } from "smol-toml";
import { z } from "zod";
import type { RunOptions, Sandbox } from "../../sandbox/sandbox.ts";
import { readHandedOver, type Workspace, writeControlFile } from "../../workspace.ts";
import { type AboutApplication, explainFailure, type Phase } from "./explain.ts";

/** The newest Platform API of the locked lifecycle (0.20). */
const platformApi = "0.14";

/** How much of a phase's output is kept for messages, in lines. */
const keptLines = 400;

export interface LifecycleRun {
  application: AboutApplication;
  workspace: Workspace;
  context: Context;
  /** Where strangers' code runs; undefined on the bare host, where the policy says `host-unisolated`. */
  sandbox: Sandbox | undefined;
  /** Where the build has another root than the machine's: that of a builder image. */
  builder?: BuilderPlaces | undefined;
  /** Paths that the build user can reach. */
  lifecycle: string;
  launcher: string;
  /** For each phase's process, without any login. */
  environment: Readonly<Record<string, string>>;
  /** `CNB_REGISTRY_AUTH`; see {@link renderRegistryAuth}. */
  registryAuth: string;
  /** Hosts that are spoken to without TLS. */
  insecureRegistries: readonly string[];
  order: string;
  /** One platform's image, by its own digest. */
  runImage: PinnedReference;
  tags: readonly [Reference, ...Reference[]];
  /** Undefined without a cache. */
  cache?: LifecycleCache | undefined;
}

interface LifecycleCache {
  /** A folder in the workspace's handover with what an earlier build left; undefined where there is nothing. */
  found: string | undefined;
  /** That what was found could not be used: the build goes on without. */
  giveUp(why: Error): void;
  /** A folder that does not exist, in the handover as well, for what this build leaves; undefined where nothing is kept. */
  kept: string | undefined;
}

/** What is different where the root is a builder image's. */
interface BuilderPlaces {
  /** Who builds, in there and in the image. */
  user: { uid: number; gid: number };
  home: string;
  /** For the phases that run strangers' code: the image's own. */
  environment: Readonly<Record<string, string>>;
  /** A path of the workspace → where it is in there. */
  at(path: string): string;
}

/**
 * Runs the real lifecycle phase by phase, without a daemon, and returns the digest that it pushed.
 *
 * Why phases and not `creator`: the buildpacks run strangers' code (an application's install scripts), and creator runs
 * them as children of a process that has the registry's login in its environment. Here `detect` and `build` get none
 * and run in a room of their own, as a user of their own where there is root; `analyze`, before them, and `export`,
 * after they and all that they started are gone, have the login. As root those two start as root and give it up by
 * themselves after they have read it. Without a room (`host-unisolated`), what an ordinary user's build leaves running
 * in a session of its own can look at this user's processes and files.
 *
 * `restore` is left out where there is no cache; with one it has no login either, and runs where `build` does: what it
 * unpacks was written by a build. Nothing of an earlier image is used: a buildpack could take over a layer of whatever
 * is under the tag now, whoever made that. There is no launch cache that builds share, which is a way for one build to
 * change another.
 * @throws UserError `nothing-detected`, `detect-failed`, `buildpack-failed`, `lifecycle-api`, `registry-unauthorized`
 * @throws InfrastructureError `lifecycle-analyze` … `lifecycle-export`, `lifecycle-output-invalid`
 */
export async function runLifecycle(run: LifecycleRun): Promise<Digest> {
  const { workspace } = run;
  // The application, which may be large, only changes hands for those who write to it.
  await workspace.handOver(workspace.user, workspace.layers, workspace.home, workspace.temporary, workspace.handover);
  const images = stringify({ images: [{ image: formatRepository(run.runImage) }] });
  const files: ControlFiles = {
    order: await writeControlFile(workspace, "order.toml", run.order),
    run: await writeControlFile(workspace, "run.toml", `${images}\n`),
    // From a default place below the layers buildpacks could write it themselves.
    projectMetadata: await writeControlFile(workspace, "project-metadata.toml", renderProjectMetadata(run.context.run)),
  };
  const analyzed = await analyze(run, files);
  await workspace.handOver(run.sandbox === undefined ? workspace.user : workspace.builder);
  const found = await detectAndBuild(run, files, await writeControlFile(workspace, "analyzed.toml", analyzed));
  if (run.builder === undefined) await workspace.handOver(workspace.user);
  else await openApplication(workspace);
  const report = handedOver(run, "report.toml");
  const kept = await openKept(run);
  await runPhase(run, "export", [
    ...places(run, { app: workspace.app, layers: workspace.layers, group: found.group, run: files.run, report }),
    // Written anew for each use, with the run image alone in it: the phases in between could write to the first one, and
    // with that choose another run image.
    ...places(run, { analyzed: await writeControlFile(workspace, "analyzed.toml", analyzed) }),
    // The default, below the layers, is a way for a buildpack to add any layer to the image as if an extension of the
    // builder had.
    ...places(run, { extended: workspace.empty, launcher: run.launcher, "launcher-sbom": workspace.empty }),
    ...places(run, { "project-metadata": files.projectMetadata, ...(kept === undefined ? {} : { "cache-dir": kept }) }),
    ...ownerAndRegistries(run, run.builder?.user ?? workspace.user),
    ...run.tags.map(formatReference),
  ]);
  return parseReport(await readHandedOver(report));
}

/** Nothing that the build could have put there before: it is gone, and the folder is new. */
async function openKept({ cache, builder, workspace }: LifecycleRun): Promise<string | undefined> {
  if (cache?.kept === undefined) return undefined;
  await mkdir(cache.kept, { mode: 0o755 });
  await workspace.handOver(builder === undefined ? workspace.user : workspace.builder, cache.kept);
  return cache.kept;
}

/**
 * What the lifecycle puts into the label `io.buildpacks.project.metadata`, in the words that pack has for a git checkout:
 * there is no way to give it a label of the OCI image specification.
 */
function renderProjectMetadata({ sourceRepository, sourceCommit }: RunFacts): string {
  if (sourceRepository === undefined || sourceCommit === undefined) return "";
  const source = { type: "git", version: { commit: sourceCommit }, metadata: { url: sourceRepository } };
  return `${stringify({ source })}\n`;
}

/**
 * pack gives the application's folder to everybody to write to, in each image that it builds, and the same application
 * has the same layers. On this machine nobody gets to it.
 */
async function openApplication({ app, control }: Workspace): Promise<void> {
  await chmod(dirname(control), 0o700);
  await chmod(app, 0o777);
}

/** What this side writes for the lifecycle, out of reach of what it runs. */
interface ControlFiles {
  order: string;
  run: string;
  projectMetadata: string;
}

const flags = (given: Readonly<Record<string, string>>): string[] =>
  Object.entries(given).flatMap(([name, value]) => [`-${name}`, value]);
/** Flags whose values are paths of the workspace, as the room has them. */
const places = ({ builder }: LifecycleRun, given: Readonly<Record<string, string>>): string[] =>
  flags(Object.fromEntries(Object.entries(given).map(([name, path]) => [name, builder?.at(path) ?? path])));
const handedOver = ({ workspace }: LifecycleRun, name: string): string => join(workspace.handover, name);

function ownerAndRegistries({ insecureRegistries }: LifecycleRun, user: Workspace["user"]): string[] {
  const owner = flags({ uid: String(user.uid), gid: String(user.gid) });
  return [...owner, ...insecureRegistries.flatMap((host) => flags({ "insecure-registry": host }))];
}

/** What it says of the run image, and nothing else that it says. */
async function analyze(run: LifecycleRun, files: ControlFiles): Promise<string> {
  const runImage = formatReference(run.runImage);
  const analyzed = handedOver(run, "analyzed.toml");
  const [first, ...others] = run.tags.map(formatReference);
  if (first === undefined) throw new TypeError("a build has at least one tag");
  await runPhase(run, "analyze", [
    ...flags({ analyzed, layers: run.workspace.layers, run: files.run, "run-image": runImage }),
    ...[
      "-skip-layers",
      ...ownerAndRegistries(run, run.workspace.user),
      ...others.flatMap((tag) => flags({ tag })),
      first,
    ],
  ]);
  return keepRunImage(await readHandedOver(analyzed), runImage);
}

/** The two phases that run strangers' code. What detect found is written anew before build gets it. */
async function detectAndBuild(run: LifecycleRun, files: ControlFiles, analyzed: string): Promise<{ group: string }> {
  const { workspace } = run;
  const { app, layers, platform, buildpacks, empty } = workspace;
  const [foundGroup, foundPlan] = [handedOver(run, "group.toml"), handedOver(run, "plan.toml")];
  await runPhase(run, "detect", [
    ...places(run, { app, layers, platform, buildpacks, order: files.order, run: files.run, analyzed }),
    ...places(run, { group: foundGroup, plan: foundPlan, generated: empty, extensions: empty }),
    ...operatorSettings(run),
  ]);
  const group = await writeControlFile(workspace, "group.toml", await readHandedOver(foundGroup));
  const plan = await writeControlFile(workspace, "plan.toml", await readHandedOver(foundPlan));
  if (run.cache?.found !== undefined) await restore(run, { group, analyzed, cache: run.cache.found });
  await runPhase(run, "build", [
    ...places(run, { app, layers, platform, buildpacks, group, plan, analyzed }),
    ...operatorSettings(run),
  ]);
  return { group };
}

/**
 * Gives the buildpacks what the cache has of their layers. An entry that the lifecycle can't read costs what it would
 * have saved, and the build's layers are empty again.
 */
async function restore(
  run: LifecycleRun,
  { group, analyzed, cache }: { group: string; analyzed: string; cache: string },
): Promise<void> {
  const { workspace, builder } = run;
  // restore writes into it, and looks for mirrors of what it finds in the other: the build has no use for either.
  const own = handedOver(run, "restored.toml");
  await copyFile(analyzed, own, constants.COPYFILE_EXCL);
  await workspace.handOver(workspace.builder, own);
  const images = await writeControlFile(workspace, "no-images.toml", "images = []\n");
  const { exitCode, lines } = await tryPhase(run, "restore", [
    ...places(run, { layers: workspace.layers, group, analyzed: own, run: images, "cache-dir": cache }),
    ...ownerAndRegistries(run, builder?.user ?? workspace.builder),
  ]);
  if (exitCode === 0) return;
  run.cache?.giveUp(new Error(`the lifecycle can't restore it: ${lines.at(-1) ?? `exit code ${exitCode}`}`));
  for (const name of await readdir(workspace.layers))
    await rm(join(workspace.layers, name), { recursive: true, force: true });
}

/** `build-config` of a builder image is the platform's, as the image is; that of a machine is nobody's. */
function operatorSettings({ builder, workspace }: LifecycleRun): string[] {
  return flags({ "build-config": builder === undefined ? workspace.empty : "/cnb/build-config" });
}

async function runPhase(run: LifecycleRun, phase: Phase, args: readonly string[]): Promise<void> {
  const { exitCode, lines } = await tryPhase(run, phase, args);
  if (exitCode !== 0) throw explainFailure(phase, exitCode, lines, run.application);
}

async function tryPhase(
  run: LifecycleRun,
  phase: Phase | "restore",
  args: readonly string[],
): Promise<{ exitCode: number; lines: string[] }> {
  const { workspace, context } = run;
  const lines: string[] = [];
  const isTrusted = phase === "analyze" || phase === "export";
  const env = {
    ...(isTrusted ? run.environment : (run.builder?.environment ?? run.environment)),
    HOME: run.builder?.home ?? workspace.home,
    TMPDIR: run.builder?.at(workspace.temporary) ?? workspace.temporary,
    CNB_PLATFORM_API: platformApi,
    CNB_NO_COLOR: "true",
  };
  const options = {
    env,
    cwd: workspace.app,
    signal: context.signal,
    // Output is shown as it comes; only its end is kept.
    maxOutputBytes: maxPhaseOutput,
    onLine: (line: string) => {
      context.ports.log.info(quoteLine(line));
      lines.push(quoteLine(line).slice(2));
      if (lines.length > keptLines) lines.shift();
    },
  };
  const { exitCode } = await context.ports.group(`lifecycle ${phase}`, () => startPhase(run, phase, args, options));
  return { exitCode, lines };
}

/**
 * The lifecycle would ask the clouds' own credential services as well; logins come from Docker's configuration alone.
 */
const noKeychains = {
  CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON: "true",
  CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE: "true",
};
const loginVariable = "CNB_REGISTRY_AUTH";

/** Strangers' code in the room, without a login; the lifecycle's own work with one, where it can read what is there. */
function startPhase(
  run: LifecycleRun,
  phase: Phase | "restore",
  args: readonly string[],
  { env, ...options }: RunOptions,
): Promise<ProcessResult> {
  const { sandbox, builder, lifecycle, registryAuth } = run;
  const { dropsTo } = run.workspace;
  if (phase === "export" && builder !== undefined && sandbox !== undefined) {
    const program = [builder.at(lifecycle), phase, ...args] as const;
    const secret = { name: loginVariable, value: registryAuth };
    return sandbox.runOutside(program, { ...options, cwd: "/", env: { ...env, ...noKeychains }, secret });
  }
  const isTrusted = phase === "analyze" || phase === "export";
  if (!isTrusted && sandbox !== undefined)
    return sandbox.run([builder?.at(lifecycle) ?? lifecycle, phase, ...args], { ...options, env });
  // An inherited umask of 077 would make layers that the image's user can't read; Node can't set it for a child alone.
  // analyze and export drop by themselves, after they have read the login.
  return runProcess("/bin/sh", ["-c", 'umask 022; exec "$@"', "sh", lifecycle, phase, ...args], {
    ...options,
    env: isTrusted ? { ...env, [loginVariable]: registryAuth, ...noKeychains } : env,
    ...(isTrusted || dropsTo === undefined ? {} : { uid: dropsTo.uid, gid: dropsTo.gid }),
  });
}

/** A build may print a lot; a log of this size is something gone wrong. */
const maxPhaseOutput = 256 * 1024 * 1024;

const analyzedSchema = z.looseObject({
  "run-image": z.looseObject({
    reference: z.string(),
    image: z.string().optional(),
    target: z.record(z.string(), z.unknown()).optional(),
  }),
});

/**
 * `analyzed.toml` with nothing in it but the run image, which must be the one that was asked for.
 * @throws InfrastructureError `lifecycle-output-invalid`
 */
export function keepRunImage(text: string, expected: string): string {
  const parsed = analyzedSchema.safeParse(parseOutput(text, "analyzed.toml"));
  if (!parsed.success) throw invalidOutput("analyzed.toml", describeIssues(parsed.error));
  const { reference, image, target } = parsed.data["run-image"];
  if (reference !== expected) throw invalidOutput("analyzed.toml", `its run image is '${reference}', not ${expected}`);
  return `${stringify({ "run-image": { reference, ...(image === undefined ? {} : { image }), ...(target === undefined ? {} : { target }) } })}\n`;
}

const reportSchema = z.looseObject({
  image: z.looseObject({ digest: z.custom<Digest>(isDigest, "expected a digest") }),
});

/** @throws InfrastructureError `lifecycle-output-invalid` */
export function parseReport(text: string): Digest {
  const parsed = reportSchema.safeParse(parseOutput(text, "report.toml"));
  if (!parsed.success) throw invalidOutput("report.toml", describeIssues(parsed.error));
  return parsed.data.image.digest;
}

function parseOutput(text: string, name: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw invalidOutput(name, "it is not TOML", error);
  }
}

function invalidOutput(name: string, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`the lifecycle's ${name} can't be used: ${why}`, {
    code: "lifecycle-output-invalid",
    cause,
  });
}
