import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { describeError, UserError } from "@goldenpath/foundation/errors";
import type { Context, Ports, RunFacts } from "@goldenpath/foundation/ports";
import { z } from "zod";
import type { Identity } from "../identities/identity.ts";
import { openIdentities } from "../identities/open.ts";
import { renderResultMarkdown } from "../report/markdown.ts";
import { formatStageResult, nameResultFile, type StageResult } from "../result.ts";
import { type ResultStage, rowOfVerb } from "../stages.ts";
import { keepJobsApart } from "./jobs-apart.ts";
import { buildErrorResult } from "./outcome.ts";
import { type Answer, flag, inputsThatAre, parseInputs, type Verb, type VerbOutcome } from "./verb.ts";

/** What a door knows before it calls a verb. */
export interface Surroundings {
  ports: Ports;
  run: RunFacts;
  workingDirectory: string;
  /** See {@link Context.checkout}. */
  checkout?: string | undefined;
  /** Where the private directory of this invocation is made. */
  temporaryRoot: string;
  /** Where results go when `result-dir` is not given. */
  defaultResultDirectory: string;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  now?: () => Date;
}

export interface Execution {
  outcome: VerbOutcome;
  /** The result file's absolute path; empty where not even that could be written. */
  resultFile: string;
  /** The error behind verdict `error`, with its stack. */
  error?: unknown;
}

/**
 * Runs a verb for a door: raw inputs in, an outcome with a written result file out. Never throws for what a verb does:
 * an error becomes verdict `error`, and a `PolicyViolation` verdict `fail`, so that no door can mistake either for a
 * pass.
 */
export async function executeVerb(
  verb: Verb,
  raw: Readonly<Record<string, string | undefined>>,
  surroundings: Surroundings,
): Promise<Execution> {
  const now = surroundings.now ?? (() => new Date());
  const startedAt = now();
  const stage = rowOfVerb(verb.name).name;
  maskSecrets(verb, raw, surroundings.ports);
  let temporaryDirectory = "";
  let context = contextOf(surroundings, surroundings.temporaryRoot, now);
  let directory = surroundings.defaultResultDirectory;
  try {
    const given = raw["result-dir"]?.trim();
    if (given !== undefined && given !== "")
      directory = isAbsolute(given) ? given : resolve(surroundings.workingDirectory, given);
    await mkdir(surroundings.temporaryRoot, { recursive: true });
    await keepJobsApart(verb.name, surroundings.env);
    temporaryDirectory = await mkdtemp(join(surroundings.temporaryRoot, `goldenpath-${verb.command}-`));
    context = contextOf(surroundings, temporaryDirectory, now);
    await mkdir(directory, { recursive: true }).catch((error: unknown) => {
      throw new UserError(`input 'result-dir' is '${directory}': it cannot be made (${describeError(error)})`, {
        code: "input-invalid",
        cause: error,
      });
    });
    const inputs = parseInputs(verb.inputs, { ...raw, "result-dir": directory });
    context = withIdentities(verb, inputs, context);
    const outcome = await verb.run(inputs, context);
    return { outcome, resultFile: await writeResult(outcome.result, stage, directory) };
  } catch (error) {
    const result = buildErrorResult(context, stage, startedAt, error);
    const outcome: VerbOutcome = {
      verdict: result.verdict,
      result,
      outputs: {},
      summary: renderResultMarkdown(result, verb.name),
    };
    const resultFile = await writeResult(result, stage, directory).catch(() => "");
    return { outcome, resultFile, error };
  } finally {
    if (temporaryDirectory !== "") await rm(temporaryDirectory, { recursive: true, force: true });
  }
}

/**
 * What a verb says where an input asks for no more; undefined where none does. Never throws for what a verb does: the
 * answer then has nothing but the error.
 */
export async function executeQuestion(
  { question }: Verb,
  raw: Readonly<Record<string, string | undefined>>,
  surroundings: Surroundings,
): Promise<Answer | undefined> {
  if (question === undefined) return undefined;
  const { input, inputs, ask } = question;
  const context = contextOf(surroundings, surroundings.temporaryRoot, surroundings.now ?? (() => new Date()));
  try {
    const asked = parseInputs(z.object({ [input]: flag(false) }), raw);
    return asked[input] === true ? await ask(parseInputs(inputs, raw), context) : undefined;
  } catch (error) {
    return { outputs: {}, summary: "", lines: [], document: {}, error };
  }
}

function contextOf(surroundings: Surroundings, temporaryDirectory: string, now: () => Date): Context {
  const { ports, run, workingDirectory, checkout, env, signal } = surroundings;
  return {
    ports,
    run,
    workingDirectory,
    ...(checkout === undefined ? {} : { checkout }),
    temporaryDirectory,
    env,
    signal,
    now,
  };
}

/** With logins of the job's own, where the verb takes identities and some are given. */
function withIdentities(verb: Verb, inputs: Readonly<Record<string, unknown>>, context: Context): Context {
  const given = inputs["registry-identities"] as Identity[] | undefined;
  if (given === undefined || given.length === 0) return context;
  return { ...context, identities: openIdentities(given, context, { isSealed: verb.sealsIdentities === true }) };
}

/** Written under another name first: a result file is whole or not there. */
async function writeResult(result: StageResult, stage: ResultStage, directory: string): Promise<string> {
  const file = join(directory, nameResultFile(stage, result.subject?.digest));
  await mkdir(directory, { recursive: true });
  await writeFile(`${file}.${process.pid}.tmp`, formatStageResult(result));
  await rename(`${file}.${process.pid}.tmp`, file);
  return file;
}

/** Inputs whose schema says that they are secret: their values are masked before anything can print them. */
function maskSecrets({ inputs }: Verb, raw: Readonly<Record<string, string | undefined>>, ports: Ports): void {
  for (const name of inputsThatAre("secret", inputs)) {
    for (const line of (raw[name] ?? "").split(/\r?\n/)) {
      // PEM armour and short or path-like words are no secrets, and masking them would black out half the log.
      if (line.length >= 8 && !line.startsWith("-----") && !line.startsWith("env://") && !/^[./~]/.test(line))
        ports.mask(line);
    }
  }
  // Whatever length it has: its owner calls it one.
  for (const name of inputsThatAre("pairs", inputs)) {
    for (const line of (raw[name] ?? "").split(/\r?\n/)) {
      const value = line.slice(line.indexOf("=") + 1).trim();
      if (value !== "" && !value.startsWith("env://")) ports.mask(value);
    }
  }
}
