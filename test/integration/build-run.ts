/**
 * Runs the build verb in a process of its own, so that its environment and its user are a test's to choose: reads
 * {@link BuildRunRequest} as JSON from standard input, writes {@link BuildRunAnswer} as the last line of standard
 * output.
 */
import { text } from "node:stream/consumers";
import type { StageResult } from "@goldenpath/core/result";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { isKnownError, type SourcePlace } from "@goldenpath/foundation/errors";
import { type Ports, type RunFacts, silentPorts } from "@goldenpath/foundation/ports";

export interface BuildRunRequest {
  inputs: Record<string, string>;
  workingDirectory: string;
  temporaryRoot: string;
  resultDirectory: string;
  /** Dropped to after all code is loaded: the checkout need not be readable for it. */
  user?: { uid: number; gid: number };
  umask?: number;
  /** Beside `builderId: local`. */
  run?: Partial<RunFacts>;
}

export interface BuildRunAnswer {
  verdict: string;
  outputs: Record<string, string>;
  result: StageResult;
  code: string;
  rule: string;
  places: readonly SourcePlace[];
  log: string[];
  masked: string[];
}

const request: BuildRunRequest = JSON.parse(await text(process.stdin));
if (request.umask !== undefined) process.umask(request.umask);
if (request.user !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(request.user.gid);
  process.setuid?.(request.user.uid);
}
const log: string[] = [];
const masked: string[] = [];
const write = (message: string): void => void log.push(message);
const ports: Ports = {
  ...silentPorts(),
  log: { debug: () => undefined, info: write, notice: write, warning: write, error: write },
  mask: (secret) => void masked.push(secret),
};
const { outcome, error } = await executeVerb(buildVerb, request.inputs, {
  ports,
  run: { builderId: "local", ...request.run },
  workingDirectory: request.workingDirectory,
  temporaryRoot: request.temporaryRoot,
  defaultResultDirectory: request.resultDirectory,
  env: process.env,
  signal: new AbortController().signal,
});
if (error !== undefined && !isKnownError(error))
  log.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
const answer: BuildRunAnswer = {
  verdict: outcome.verdict,
  outputs: outcome.outputs,
  result: outcome.result,
  code: isKnownError(error) ? error.code : error === undefined ? "" : "unexpected",
  rule: isKnownError(error) && "rule" in error ? error.rule : "",
  places: isKnownError(error) ? error.places : [],
  log,
  masked,
};
process.stdout.write(`${JSON.stringify(answer)}\n`);
