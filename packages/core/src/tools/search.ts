import { UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { toolCacheDirectory, toolFolder } from "./cache.ts";
import type { Sleep } from "./fetch.ts";
import {
  acceptedSha256s,
  type LockedFile,
  type LockedTool,
  lockedFiles,
  productionTools,
  type ToolPlatform,
  toolPlatform,
} from "./lock.ts";
import { ownReleases } from "./own-release.ts";

export type ToolSource = "given" | "path" | "cache" | "mirror" | "own-release" | "release" | "build";

export interface FoundTool {
  name: string;
  /** The lock's, but for a given program of another version: then what that says it is, or `unknown`. */
  version: string;
  /** Absolute; below `privateDirectory` where one was given. */
  path: string;
  source: ToolSource;
  /** Of the program, hex. */
  sha256?: string;
}

export interface FindToolOptions {
  ports: Ports;
  /**
   * Read: PATH, HOME, XDG_CACHE_HOME, RUNNER_TOOL_CACHE, GOLDENPATH_TOOL_CACHE, GOLDENPATH_TOOL_MIRROR, the proxy
   * variables, Docker's and Go's own.
   */
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  /**
   * A folder that only this invocation writes to. The program is copied there first, and the copy is what is hashed and
   * run: what is in PATH or in the cache can be changed between the look and the use by whoever may write there.
   */
  privateDirectory?: string;
  /** A path that the user named for this tool; it is used whatever its version, with a warning. */
  given?: string;
  lock?: readonly LockedTool[];
  /**
   * Where our own release of builds is: by default `ownReleases` for the production lock's rows, and nowhere for
   * another tool.
   */
  ownReleases?: string;
  platform?: ToolPlatform;
  sleep?: Sleep;
}

export interface RejectedSource {
  source: ToolSource;
  reason: string;
}

/** One tool that is looked for. */
export interface Search {
  tool: LockedTool;
  options: FindToolOptions;
  platform: ToolPlatform;
  /** SHA-256 values of the program. */
  accepted: readonly string[];
  /** What can be verified. */
  files: readonly LockedFile[];
  cacheDirectory: string;
  /** The tool's folder in the cache. */
  folder: string;
  ownReleases?: string;
}

/** @throws UserError `tool-unknown` */
export function startSearch(name: string, options: FindToolOptions): Search {
  const lock = options.lock ?? productionTools;
  const tool = lock.find((entry) => entry.name === name);
  if (tool === undefined) {
    throw new UserError(`'${name}' is not a tool of the lock: expected ${lock.map((entry) => entry.name).join(", ")}`, {
      code: "tool-unknown",
    });
  }
  const platform = options.platform ?? toolPlatform();
  const cacheDirectory = toolCacheDirectory(options.env);
  const own = options.ownReleases ?? (productionTools.includes(tool) ? ownReleases : undefined);
  return {
    tool,
    options,
    platform,
    accepted: acceptedSha256s(tool, platform),
    files: lockedFiles(tool, platform),
    cacheDirectory,
    folder: toolFolder(cacheDirectory, tool, platform),
    ...(own === undefined ? {} : { ownReleases: own }),
  };
}

export function labelOf({ tool }: Pick<Search, "tool">): string {
  return `${tool.name} ${tool.version}`;
}

export function describeFound(
  tool: LockedTool,
  path: string,
  source: ToolSource,
  sha256: string | undefined,
  version = tool.version,
): FoundTool {
  return { name: tool.name, version, path, source, ...(sha256 === undefined ? {} : { sha256 }) };
}
