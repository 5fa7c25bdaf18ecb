import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { describeError, InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import { isProgram } from "@goldenpath/foundation/exec/find-in-path";
import { copyToPrivate, sha256OfFile } from "./cache.ts";
import { cachedPath, type Inspection, inspectCached, useCached } from "./cached.ts";
import { isRefusedDownload, isTransient } from "./fetch.ts";
import type { LockedFile } from "./lock.ts";
import { inspectPath, readToolVersion } from "./path.ts";
import {
  describeFound,
  type FindToolOptions,
  type FoundTool,
  type RejectedSource,
  type Search,
  startSearch,
} from "./search.ts";
import { listSources, nothingKnown, type Offer } from "./sources.ts";
import { createKeyedTurns } from "./turns.ts";

export type { FindToolOptions, FoundTool } from "./search.ts";

const obtainTurn = createKeyedTurns();
/** Of an archive in the cache that is the lock's byte for byte: another source may have the program itself. */
const unusable: readonly ErrorCode[] = ["tool-archive-invalid", "tool-mismatch"];

/**
 * The program for a tool of the lock. In this order: the path given, PATH, the tool cache, the mirror, our own release,
 * the publisher's release, a build from the Go module proxy. All but the first is verified by its SHA-256, or by that
 * of the archive it came in, before this returns it, and nothing runs before it was: these programs judge, and one that
 * says the right version says nothing about what it is.
 * @throws UserError `tool-unknown`, `tool-path-invalid`, `tool-mirror-invalid`
 * @throws InfrastructureError `tool-platform-unsupported`, `tool-cache-unwritable`, and those of the last source tried,
 *   with what each source said
 */
export async function findTool(name: string, options: FindToolOptions): Promise<FoundTool> {
  const search = startSearch(name, options);
  const { tool } = search;
  if (options.given !== undefined) return useGiven(search, options.given);
  const rejected: RejectedSource[] = [];
  const inPath = await inspectPath(search);
  if ("path" in inPath) return describeFound(tool, inPath.path, "path", inPath.sha256);
  rejected.push({ source: "path", reason: inPath.reason });
  options.ports.log.debug(inPath.reason);
  if (search.files.length === 0) throw unsupported(search, rejected);
  return inTurn(search, async () => (await takeFromCache(search, rejected)) ?? (await obtainAndUse(search, rejected)));
}

/** A file that the lock knows, in the cache. */
export interface CachedFile {
  file: LockedFile;
  path: string;
  /** Hex; one of the file's. */
  sha256: string;
}

/**
 * What can be verified of a tool, in the cache: got where it is not there, and not unpacked, copied or run. For other
 * platforms than this machine's, too.
 * @throws as {@link findTool}
 */
export async function cacheTool(name: string, options: FindToolOptions): Promise<CachedFile> {
  const search = startSearch(name, options);
  const rejected: RejectedSource[] = [];
  if (search.files.length === 0) throw unsupported(search, rejected);
  const look = async (file: LockedFile): Promise<CachedFile | undefined> => {
    const inspected = await inspectCached(search, file);
    return "path" in inspected ? { file, path: inspected.path, sha256: inspected.sha256 } : undefined;
  };
  return inTurn(search, async () => {
    for (const file of search.files) {
      const there = await look(file);
      if (there !== undefined) return there;
    }
    return obtain(
      search,
      rejected,
      async (_offer, file) => (await look(file)) ?? Promise.reject(changed(search, file, undefined)),
    );
  });
}

/**
 * Finds several tools at once: downloads run beside each other and beside a build, builds one after another. The first
 * failure stops the rest.
 */
export async function prefetchTools(
  names: readonly string[],
  options: Omit<FindToolOptions, "given">,
): Promise<FoundTool[]> {
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

/**
 * Two callers in this process don't get the same tool twice; two processes may, and the later one's rename changes
 * nothing.
 */
function inTurn<T>({ folder, options }: Search, body: () => Promise<T>): Promise<T> {
  return obtainTurn(folder, () => {
    options.signal?.throwIfAborted();
    return body();
  });
}

async function useGiven({ tool, options, accepted }: Search, given: string): Promise<FoundTool> {
  if (!(await isProgram(resolve(given)))) {
    throw new UserError(`'${given}', given for ${tool.name}, is not a program that this user may run`, {
      code: "tool-path-invalid",
    });
  }
  const { path, sha256 } = await hashWhatIsRun(resolve(given), options);
  let version: string | undefined = tool.version;
  if (sha256 === undefined || !accepted.includes(sha256))
    version = await readToolVersion(tool, path, options.env, options.signal);
  if (version !== tool.version) {
    options.ports.log.warning(
      `${tool.name} at '${given}' is ${version === undefined ? "of an unknown version" : `version ${version}`}; tested is ${tool.version}.`,
    );
  }
  return describeFound(tool, path, "given", sha256, version ?? "unknown");
}

/**
 * The file to run for `path`, and its hash: of a copy that nobody else can change, where there is a private folder for
 * one.
 */
async function hashWhatIsRun(
  path: string,
  { privateDirectory }: FindToolOptions,
): Promise<{ path: string; sha256: string | undefined }> {
  if (privateDirectory === undefined) return { path, sha256: await sha256OfFile(path) };
  const copy = await copyToPrivate(path, privateDirectory);
  return { path: copy ?? path, sha256: copy === undefined ? undefined : await sha256OfFile(copy) };
}

async function takeFromCache(search: Search, rejected: RejectedSource[]): Promise<FoundTool | undefined> {
  const { tool, options } = search;
  const reasons: string[] = [];
  for (const file of search.files) {
    const cached: Inspection = await useCached(search, file).catch((error: unknown) => {
      if (error instanceof InfrastructureError && unusable.includes(error.code)) return { reason: error.message };
      throw error;
    });
    if ("path" in cached) return describeFound(tool, cached.path, "cache", cached.sha256);
    reasons.push(cached.reason);
    if (cached.corrupt !== true) continue;
    options.ports.log.warning(`${cached.reason}. It was not run; it is removed and ${tool.name} is got again.`);
    await rm(cachedPath(search, file), { force: true });
  }
  rejected.push({ source: "cache", reason: reasons.join("; ") });
  return undefined;
}

function obtainAndUse(search: Search, rejected: RejectedSource[]): Promise<FoundTool> {
  return obtain(search, rejected, async ({ source }, file) => {
    const used = await useCached(search, file);
    if ("path" in used) return describeFound(search.tool, used.path, source, used.sha256);
    throw changed(search, file, used.sha256);
  });
}

/** It was verified before it was put there, so somebody else writes there as well. */
function changed(search: Search, file: LockedFile, sha256: string | undefined): InfrastructureError {
  return new InfrastructureError(
    `${cachedPath(search, file)} was changed as soon as it was there: its SHA-256 is ${sha256 ?? "gone"}`,
    {
      code: "tool-changed",
      wayOut: "Set GOLDENPATH_TOOL_CACHE to a directory that nobody else writes to.",
      safeToRetry: false,
    },
  );
}

async function obtain<T>(
  search: Search,
  rejected: RejectedSource[],
  use: (offer: Offer, stored: LockedFile) => Promise<T>,
): Promise<T> {
  const { tool, options } = search;
  const silent = new Set<string>();
  let last: unknown;
  for (const offer of listSources(search)) {
    const host = "reason" in offer ? undefined : hostOf(offer);
    if ("reason" in offer || (host !== undefined && silent.has(host))) {
      rejected.push(
        "reason" in offer ? offer : { source: offer.source, reason: `${host} did not answer a moment ago` },
      );
      continue;
    }
    try {
      return await use(offer, await offer.store());
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isKnownError(error) || error instanceof UserError || error.code === "tool-cache-unwritable") throw error;
      last = error;
      rejected.push({ source: offer.source, reason: error.message });
      if (host !== undefined && isTransient(error)) silent.add(host);
      tell(search, offer, error);
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

/**
 * The next source is verified by the same hashes, so going on is safe; that one is broken or changed should be seen all
 * the same.
 */
function tell({ tool, options: { ports } }: Search, { source }: Offer, error: Error): void {
  if (source === "build") return;
  const text = `${tool.name} from ${source === "own-release" ? "our own release" : `the ${source}`}: ${describeError(error)}`;
  // A version that was not published is nothing to worry about: the publisher's is as good.
  if (source === "own-release" && isRefusedDownload(error)) ports.log.info(text);
  else ports.log.warning(text);
}

/** A machine behind a wall waits for a server's silence once, and not for each of its files. */
function hostOf({ origin }: Offer): string | undefined {
  return URL.parse(origin)?.host;
}

function unsupported(search: Search, rejected: readonly RejectedSource[]): InfrastructureError {
  const { tool } = search;
  const platforms = [...new Set([...Object.keys(tool.builds), ...Object.keys(tool.releases ?? {})])];
  return new InfrastructureError(
    `${tool.name} ${tool.version} can't be had:\n${renderRejected([...rejected, { source: "build", reason: nothingKnown(search) }])}`,
    {
      code: "tool-platform-unsupported",
      wayOut: `Run this on a platform that the lock has a SHA-256 for: ${platforms.join(", ") || "none yet"}.`,
      safeToRetry: false,
    },
  );
}

function renderRejected(rejected: readonly RejectedSource[]): string {
  return rejected.map(({ source, reason }) => `  ${source}: ${reason}`).join("\n");
}
