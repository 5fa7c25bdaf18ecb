import { mkdir } from "node:fs/promises";
import { type ProcessResult, runProcess } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import type { StageResult } from "../result.ts";
import type { FoundTool } from "./search.ts";

export interface ToolRun {
  /**
   * Of its own, and its working directory: no configuration of the checkout may leave things out or set findings aside.
   */
  home: string;
  /** All that the program gets to see besides its home. */
  env: Readonly<Record<string, string | undefined>>;
  timeoutMs: number;
  maxOutputBytes: number;
}

/**
 * Runs a tool to its end; what it says on standard error is for a log with debugging on.
 * @throws InfrastructureError as `runProcess`; an exit code is the caller's to judge
 */
export async function runTool(
  tool: FoundTool,
  args: readonly string[],
  run: ToolRun,
  context: Context,
): Promise<ProcessResult> {
  const { home, env, timeoutMs, maxOutputBytes } = run;
  await mkdir(home, { recursive: true });
  return runProcess(tool.path, args, {
    env: { ...env, HOME: home, XDG_CONFIG_HOME: home, TMPDIR: home },
    cwd: home,
    signal: context.signal,
    timeoutMs,
    maxOutputBytes,
    onLine: (line, stream) => {
      if (stream === "stderr" && line.trim() !== "") context.ports.log.debug(`${tool.name}: ${line}`);
    },
  });
}

/**
 * What a tool that failed is told by: `syft 1.2.3 ended with exit code 1: …`, with its last words, and how to see more.
 */
export function describeToolFailure(
  { name, version }: FoundTool,
  { exitCode, stderr }: ProcessResult,
): { message: string; wayOut: string } {
  const lines = stderr.trim().split(/\r?\n/).slice(-5).join("\n");
  return {
    message: `${name} ${version} ended with exit code ${exitCode}: ${lines === "" ? "it said nothing" : lines}`,
    wayOut: `Run the step again with debug logging on to see all that ${name} says.`,
  };
}

/** As a result names it. */
export type ToolUse = StageResult["tools"][number];

export function describeTool({ name, version, sha256 }: FoundTool): ToolUse {
  return { name, version, ...(sha256 === undefined ? {} : { sha256 }) };
}
