import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { type Inspection, verifyWhatIsRun } from "./cached.ts";
import type { LockedTool } from "./lock.ts";
import type { Search } from "./search.ts";

type Env = Readonly<Record<string, string | undefined>>;

const versionTimeout = 20_000;

/** The tool in PATH, where that is the lock's byte for byte. */
export async function inspectPath({ tool, options, accepted }: Search): Promise<Inspection> {
  const path = await findInPath(tool.name, options.env);
  if (path === undefined) return { reason: `no ${tool.name} in PATH` };
  const inspected = await verifyWhatIsRun(path, accepted, options.privateDirectory).catch((error: unknown) =>
    describeError(error),
  );
  if (typeof inspected === "string") return { reason: inspected };
  if ("path" in inspected) return inspected;
  return {
    reason: `${path} is not ${tool.name} ${tool.version} byte for byte: its SHA-256 is ${inspected.sha256 ?? "gone"}, expected ${accepted.join(" or ") || "one that the lock does not have for this platform"}`,
  };
}

/**
 * What the program at `path` says its version is; undefined where it has no way to say so, or says nothing that can be
 * read.
 */
export async function readToolVersion(
  tool: LockedTool,
  path: string,
  env: Env,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (tool.versionCommand === undefined) return undefined;
  const { args, pattern, env: own } = tool.versionCommand;
  try {
    const result = await runProcess(path, args, {
      // Nothing of the run's environment, which may hold credentials, is needed to print a version.
      env: { PATH: env["PATH"], HOME: env["HOME"], ...own },
      timeoutMs: versionTimeout,
      maxOutputBytes: 64 * 1024,
      ...(signal === undefined ? {} : { signal }),
    });
    return result.exitCode === 0 ? new RegExp(pattern, "m").exec(result.stdout)?.[1] : undefined;
  } catch (error) {
    if (isKnownError(error) && error.code !== "process-aborted") return undefined;
    throw error;
  }
}
