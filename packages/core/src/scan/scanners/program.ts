import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { ProcessResult } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import type { z } from "zod";
import type { FoundTool } from "../../tools/find.ts";
import { describeToolFailure, runTool } from "../../tools/run-tool.ts";

// What running a program and reading what it wrote is like for every scanner.

/** Milliseconds: the first run of a machine downloads a database of hundreds of megabytes. */
const timeout = 15 * 60 * 1000;
const maxReportBytes = 256 * 1024 * 1024;

/**
 * Runs a scanner's program in a private home and working directory, so that no configuration of the checkout can set
 * findings aside.
 * @param environment all that the program gets to see, for that home
 */
export function startProgram(
  tool: FoundTool,
  args: readonly string[],
  context: Context,
  environment: (home: string) => Record<string, string | undefined>,
): Promise<ProcessResult> {
  const home = join(context.temporaryDirectory, `${tool.name}-home`);
  return runTool(
    tool,
    args,
    { home, env: environment(home), timeoutMs: timeout, maxOutputBytes: maxReportBytes },
    context,
  );
}

/** What a program needs of the environment to reach a server. */
export function pickNetworkEnvironment(env: Context["env"]): Record<string, string | undefined> {
  const passed = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
  ];
  return Object.fromEntries(passed.map((name) => [name, env[name]]));
}

/** How a program ends that has done its work, and how where it has no data to look into. */
export interface ProgramEnd {
  /** Exit codes that say so: whatever else it ends with says nothing of the packages. */
  done: readonly number[];
  /** What it says on standard error where its data is what is missing, and the way out of that. */
  data: { says: RegExp; wayOut: string };
}

/** @throws InfrastructureError `scanner-failed`: it ended with another exit code */
export function requireDone(tool: FoundTool, ended: ProcessResult, { done, data }: ProgramEnd): ProcessResult {
  if (done.includes(ended.exitCode)) return ended;
  throw programFailed(tool, ended, data.says.test(ended.stderr) ? data.wayOut : undefined);
}

export function programFailed(tool: FoundTool, ended: ProcessResult, wayOut?: string): InfrastructureError {
  const failure = describeToolFailure(tool, ended);
  return new InfrastructureError(failure.message, { code: "scanner-failed", wayOut: wayOut ?? failure.wayOut });
}

/**
 * The text of a scanner's JSON report → the report, by the scanner's schema of it.
 * @throws InfrastructureError `scanner-report-invalid`: empty, cut off, or not that scanner's
 */
export function parseReport<T>(text: string, name: string, schema: z.ZodType<T>): T {
  if (text.trim() === "") throw reportInvalid(name, "it is empty");
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw reportInvalid(name, text.trimEnd().endsWith("}") ? "it is not JSON" : "it ends in the middle", error);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw reportInvalid(name, describeIssues(parsed.error));
  return parsed.data;
}

export function reportInvalid(name: string, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`${name}'s report can't be read: ${why}`, { code: "scanner-report-invalid", cause });
}

/** A note on the packages that a scanner is not given, since it would answer nothing. @param leftOut by their type */
export function describeLeftOut(scanner: string, leftOut: ReadonlyMap<string, number>): string[] {
  const total = [...leftOut.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return [];
  const types = [...leftOut].map(([type, count]) => `${count} of type ${type}`).join(", ");
  return [`${scanner} does not look up ${total} ${total === 1 ? "package" : "packages"} of the image: ${types}.`];
}
