import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { describeError, InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { buildTool } from "./build.ts";
import { cachedToolPath, copyToPrivate, sha256OfFile, storeTool, toolCacheDirectory } from "./cache.ts";
import { downloadTool, locateOnMirror, type ToolLocation } from "./fetch.ts";
import { acceptedSha256s, type LockedTool, productionTools, type ToolPlatform, toolPlatform } from "./lock.ts";
import { findInPath, isProgram, readToolVersion } from "./path.ts";
import { createKeyedTurns } from "./turns.ts";

export type ToolSource = "given" | "path" | "cache" | "mirror" | "release" | "build";

export interface FoundTool {
  name: string;
  /** The lock's, but for a given program of another version: then what that says it is, or `unknown`. */
  version: string;
  /** Absolute; below `privateDirectory` where one was given. */
  path: string;
  source: ToolSource;
  /** Hex. */
  sha256?: string;
}

export interface FindToolOptions {
  ports: Ports;
  /** Read: PATH, HOME, XDG_CACHE_HOME, RUNNER_TOOL_CACHE, GOLDENPATH_TOOL_CACHE, GOLDENPATH_TOOL_MIRROR, the proxy variables and Go's own. */
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  /**
   * A folder that only this invocation writes to. The program is copied there first, and the copy is what is hashed and run: what is in PATH or in the
   * cache can be changed between the look and the use by whoever may write there.
   */
  privateDirectory?: string;
  /** A path that the user named for this tool; it is used whatever its version, with a warning. */
  given?: string;
  lock?: readonly LockedTool[];
  platform?: ToolPlatform;
}

export interface RejectedSource {
  source: ToolSource;
  reason: string;
}

/** What {@link findTool} would do, found out without downloading, building or changing anything. */
export interface ToolPlan {
  name: string;
  version: string;
  /** Undefined where no source can give the tool. */
  source?: ToolSource;
  /** The program, where it is here already. */
  path?: string;
  /** The URL or the Go module that it would come from. */
  origin?: string;
  rejected: RejectedSource[];
}

interface Search {
  tool: LockedTool;
  options: FindToolOptions;
  platform: ToolPlatform;
  accepted: readonly string[];
  cacheDirectory: string;
  target: string;
}

type Inspection = { found: FoundTool } | { reason: string; corrupt?: boolean };

const obtainTurn = createKeyedTurns();

/**
 * The program for a tool of the lock. In this order: the path given, PATH, the tool cache, the mirror, the publisher's release, a build from the Go module
 * proxy. All but the first is verified by its SHA-256 before this returns it, and nothing runs before it was: these programs judge, and one that says the
 * right version says nothing about what it is.
 * @throws UserError `tool-unknown`, `tool-path-invalid`, `tool-mirror-invalid`
 * @throws InfrastructureError `tool-platform-unsupported`, `tool-cache-unwritable`, and those of the last source tried, with what each source said
 */
export async function findTool(name: string, options: FindToolOptions): Promise<FoundTool> {
  const search = startSearch(name, options);
  const { tool, target } = search;
  if (options.given !== undefined) return useGiven(search, options.given);
  const rejected: RejectedSource[] = [];
  const inPath = await inspectPath(search);
  if ("found" in inPath) return inPath.found;
  rejected.push({ source: "path", reason: inPath.reason });
  options.ports.log.debug(inPath.reason);
  if (search.accepted.length === 0) throw unsupported(search, rejected);
  // Two callers in this process don't get the same tool twice; two processes may, and the later one's rename changes nothing.
  return obtainTurn(target, async () => {
    options.signal?.throwIfAborted();
    const cached = await inspectCache(search);
    if ("found" in cached) return cached.found;
    rejected.push({ source: "cache", reason: cached.reason });
    if (cached.corrupt === true) {
      options.ports.log.warning(`${cached.reason}. It was not run; it is removed and ${tool.name} is got again.`);
      await rm(target, { force: true });
    }
    return obtain(search, rejected);
  });
}

/** Finds several tools at once: downloads run beside each other and beside a build, builds one after another. The first failure stops the rest. */
export async function prefetchTools(names: readonly string[], options: Omit<FindToolOptions, "given">): Promise<FoundTool[]> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  let first: unknown;
  const results = await Promise.all(
    [...new Set(names)].map((name) =>
      findTool(name, { ...options, signal }).catch((error: unknown) => {
        if (!stop.signal.aborted) first = error;
        stop.abort();
        return undefined;
      }),
    ),
  );
  if (stop.signal.aborted) throw first;
  return results.filter((found) => found !== undefined);
}

/** The plan for each of the named tools of the lock, in that order. */
export async function planTools(names: readonly string[], options: FindToolOptions): Promise<ToolPlan[]> {
  const plans: ToolPlan[] = [];
  for (const name of names) plans.push(await planTool(startSearch(name, options)));
  return plans;
}

/** The plan for every tool of the lock. */
export function listTools(options: FindToolOptions): Promise<ToolPlan[]> {
  return planTools(
    (options.lock ?? productionTools).map((tool) => tool.name),
    options,
  );
}

function startSearch(name: string, options: FindToolOptions): Search {
  const lock = options.lock ?? productionTools;
  const tool = lock.find((entry) => entry.name === name);
  if (tool === undefined) {
    throw new UserError(`'${name}' is not a tool of the lock: expected ${lock.map((entry) => entry.name).join(", ")}`, {
      code: "tool-unknown",
    });
  }
  const platform = options.platform ?? toolPlatform();
  const cacheDirectory = toolCacheDirectory(options.env);
  return {
    tool,
    options,
    platform,
    accepted: acceptedSha256s(tool, platform),
    cacheDirectory,
    target: cachedToolPath(cacheDirectory, tool, platform),
  };
}

async function useGiven({ tool, options, accepted }: Search, given: string): Promise<FoundTool> {
  if (!(await isProgram(resolve(given)))) {
    throw new UserError(`'${given}', given for ${tool.name}, is not a program that this user may run`, { code: "tool-path-invalid" });
  }
  const { path, sha256 } = await hashWhatIsRun(resolve(given), options);
  let version: string | undefined = tool.version;
  if (sha256 === undefined || !accepted.includes(sha256)) version = await readToolVersion(tool, path, options.env, options.signal);
  if (version !== tool.version) {
    options.ports.log.warning(
      `${tool.name} at '${given}' is ${version === undefined ? "of an unknown version" : `version ${version}`}; tested is ${tool.version}.`,
    );
  }
  return found(tool, path, "given", sha256, version ?? "unknown");
}

/** The file to run for `path`, and its hash: of a copy that nobody else can change, where there is a private folder for one. */
async function hashWhatIsRun(path: string, { privateDirectory }: FindToolOptions): Promise<{ path: string; sha256: string | undefined }> {
  if (privateDirectory === undefined) return { path, sha256: await sha256OfFile(path) };
  const copy = await copyToPrivate(path, privateDirectory);
  return { path: copy ?? path, sha256: copy === undefined ? undefined : await sha256OfFile(copy) };
}

/** {@link hashWhatIsRun} for what must have a hash of the lock; a copy that has another is not kept. */
async function verifyWhatIsRun(
  path: string,
  { options, accepted }: Search,
): Promise<{ path: string; sha256: string | undefined; isAccepted: boolean }> {
  const run = await hashWhatIsRun(path, options);
  const isAccepted = run.sha256 !== undefined && accepted.includes(run.sha256);
  if (!isAccepted && run.path !== path) await rm(run.path, { force: true });
  return { ...run, isAccepted };
}

async function inspectPath(search: Search): Promise<Inspection> {
  const { tool, options, accepted } = search;
  const path = await findInPath(tool.name, options.env);
  if (path === undefined) return { reason: `no ${tool.name} in PATH` };
  const run = await verifyWhatIsRun(path, search).catch((error: unknown) => describeError(error));
  if (typeof run === "string") return { reason: run };
  if (run.isAccepted) return { found: found(tool, run.path, "path", run.sha256) };
  return {
    reason: `${path} is not ${tool.name} ${tool.version} byte for byte: its SHA-256 is ${run.sha256}, expected ${accepted.join(" or ") || "one that the lock does not have for this platform"}`,
  };
}

async function inspectCache(search: Search): Promise<Inspection> {
  const { tool, accepted, target } = search;
  const run = await verifyWhatIsRun(target, search);
  if (run.sha256 === undefined) return { reason: `not in the cache (${target})` };
  if (!run.isAccepted) {
    return { reason: `${target} was changed: its SHA-256 is ${run.sha256}, expected ${accepted.join(" or ")}`, corrupt: true };
  }
  return { found: found(tool, run.path, "cache", run.sha256) };
}

async function obtain(search: Search, rejected: RejectedSource[]): Promise<FoundTool> {
  const { tool, options, target, accepted } = search;
  const download = (location: ToolLocation, sha256s: readonly string[]) => (partial: string) =>
    downloadTool(location, partial, { ...options, label: `${tool.name} ${tool.version}`, sha256s });
  const ways: { source: ToolSource; make?: (partial: string) => Promise<void>; reason?: string }[] = [];
  const { mirror, release } = remoteSources(search);
  ways.push(mirror === undefined ? { source: "mirror", reason: noMirror } : { source: "mirror", make: download(mirror, accepted) });
  ways.push(
    release === undefined ? { source: "release", reason: noRelease } : { source: "release", make: download(release, [release.sha256]) },
  );
  ways.push(
    tool.builds[search.platform] === undefined
      ? { source: "build", reason: noBuild(search) }
      : { source: "build", make: (partial) => buildTool(tool, partial, { ...options, ...search }) },
  );
  let last: unknown;
  for (const { source, make, reason } of ways) {
    if (make === undefined) {
      rejected.push({ source, reason: reason ?? "" });
      continue;
    }
    try {
      await storeTool(target, make);
      const run = await verifyWhatIsRun(target, search);
      if (run.isAccepted) return found(tool, run.path, source, run.sha256);
      // Verified before it was put there, so somebody else writes there as well.
      throw new InfrastructureError(`${target} was changed as soon as it was there: its SHA-256 is ${run.sha256 ?? "gone"}`, {
        code: "tool-changed",
        wayOut: "Set GOLDENPATH_TOOL_CACHE to a directory that nobody else writes to.",
        safeToRetry: false,
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isKnownError(error) || error instanceof UserError || error.code === "tool-cache-unwritable") throw error;
      last = error;
      rejected.push({ source, reason: error.message });
      // The next source is verified by the same hashes, so going on is safe; that one is broken or changed should be seen all the same.
      if (source !== "build") options.ports.log.warning(`${tool.name} from the ${source}: ${describeError(error)}`);
    }
  }
  const known = isKnownError(last) ? last : undefined;
  throw new InfrastructureError(`${tool.name} ${tool.version} can't be had:\n${renderRejected(rejected)}`, {
    code: known?.code ?? "tool-unavailable",
    ...(known?.wayOut === undefined ? {} : { wayOut: known.wayOut }),
    ...(known instanceof InfrastructureError ? { attempts: known.attempts, safeToRetry: known.safeToRetry } : {}),
    cause: last,
  });
}

const noMirror = "GOLDENPATH_TOOL_MIRROR is not set";
const noRelease = "the lock knows no release file for this platform";

function noBuild({ tool, platform }: Search): string {
  return `the lock has no SHA-256 of ${tool.name} ${tool.version} for ${platform}, so nothing could be verified`;
}

function remoteSources({ tool, platform, options }: Search): { mirror?: ToolLocation; release?: ToolLocation & { sha256: string } } {
  const mirror = locateOnMirror(tool, platform, options.env, options.ports.mask);
  const release = tool.releases?.[platform];
  return { ...(mirror === undefined ? {} : { mirror }), ...(release === undefined ? {} : { release }) };
}

async function planTool(search: Search): Promise<ToolPlan> {
  const { tool, options } = search;
  const rejected: RejectedSource[] = [];
  const plan = { name: tool.name, version: tool.version, rejected };
  for (const [source, inspect] of [["path", inspectPath] as const, ["cache", inspectCache] as const]) {
    if (source === "cache" && search.accepted.length === 0) {
      rejected.push({ source, reason: noBuild(search) });
      continue;
    }
    const inspection = await inspect(search);
    if ("found" in inspection) return { ...plan, source, path: inspection.found.path };
    rejected.push({ source, reason: inspection.reason });
  }
  const { mirror, release } = remoteSources(search);
  if (search.accepted.length > 0 && mirror !== undefined) return { ...plan, source: "mirror", origin: mirror.url };
  rejected.push({ source: "mirror", reason: mirror === undefined ? noMirror : noBuild(search) });
  if (release !== undefined) return { ...plan, source: "release", origin: release.url };
  rejected.push({ source: "release", reason: noRelease });
  const go = await findInPath("go", options.env);
  if (tool.builds[search.platform] === undefined) rejected.push({ source: "build", reason: noBuild(search) });
  else if (go === undefined) rejected.push({ source: "build", reason: "no go in PATH" });
  else return { ...plan, source: "build", origin: `${tool.module.path}@${tool.module.version}` };
  return plan;
}

function unsupported(search: Search, rejected: readonly RejectedSource[]): InfrastructureError {
  const { tool } = search;
  return new InfrastructureError(
    `${tool.name} ${tool.version} can't be had:\n${renderRejected([...rejected, { source: "build", reason: noBuild(search) }])}`,
    {
      code: "tool-platform-unsupported",
      wayOut: `Run this on a platform that the lock has a SHA-256 for: ${Object.keys(tool.builds).join(", ") || "none yet"}.`,
      safeToRetry: false,
    },
  );
}

function renderRejected(rejected: readonly RejectedSource[]): string {
  return rejected.map(({ source, reason }) => `  ${source}: ${reason}`).join("\n");
}

function found(tool: LockedTool, path: string, source: ToolSource, sha256: string | undefined, version = tool.version): FoundTool {
  return { name: tool.name, version, path, source, ...(sha256 === undefined ? {} : { sha256 }) };
}
