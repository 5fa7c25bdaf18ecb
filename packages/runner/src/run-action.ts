import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import { planAnnotations } from "@goldenpath/core/report/annotations";
import { isCounted, type ListedViolation, tellDay } from "@goldenpath/core/result";
import { rowOfVerb } from "@goldenpath/core/stages";
import { type Execution, executeQuestion, executeVerb, type Surroundings } from "@goldenpath/core/verbs/execute";
import { builtVariable, identifyJob } from "@goldenpath/core/verbs/jobs-apart";
import type { Answer, Verb } from "@goldenpath/core/verbs/verb";
import { describeError, isKnownError, PolicyViolation } from "@goldenpath/foundation/errors";
import { surviveClosedPipes } from "@goldenpath/foundation/exec/closed-pipes";
import { runFactsFromGitHub } from "@goldenpath/foundation/run-facts";
import { cleanLine, cleanText } from "@goldenpath/foundation/text/clean";
import { cleanAnnotation, cleanLog } from "@goldenpath/foundation/text/log";
import { declareImage } from "./artifacts.ts";
import { guardCommandFiles } from "./command-files.ts";
import { readDefaultBranch } from "./event.ts";
import { createRunnerPorts } from "./ports.ts";

/** Annotations that a step may leave; GitHub shows ten of each kind and drops the rest without a word. */
const maxAnnotations = 9;
/** A job summary holds 1 MiB a step; GitHub refuses the whole of a longer one. */
const maxSummaryBytes = 1024 * 1024 - 1024;

/**
 * An action's whole life: inputs from the environment, one verb, outputs and result by file, summary, annotations, exit
 * code.
 */
export async function runAction(verb: Verb): Promise<void> {
  surviveClosedPipes();
  const temporaryRoot = process.env["RUNNER_TEMP"] || tmpdir();
  const guarded = rowOfVerb(verb.name).job === "builds" ? guardCommandFiles(verb, process.env) : verb;
  const surroundings: Surroundings = {
    ports: createRunnerPorts(),
    run: { ...runFactsFromGitHub(process.env), ...(await readEvent()) },
    workingDirectory: process.env["GITHUB_WORKSPACE"] || process.cwd(),
    checkout: process.env["GITHUB_WORKSPACE"] || undefined,
    temporaryRoot,
    defaultResultDirectory: join(temporaryRoot, "goldenpath"),
    env: { ...process.env },
    signal: abortOnTermination(),
  };
  const answer = await executeQuestion(verb, readInputs(verb), surroundings);
  if (answer !== undefined) return reportAnswer(verb, answer);
  const execution = await executeVerb(guarded, readInputs(verb), surroundings);
  markJob(verb);
  writeOutputs(verb, execution);
  if (rowOfVerb(verb.name).job === "builds") await declareImage(execution.outcome.outputs["image"] ?? "", process.env);
  await writeSummary(execution.outcome.summary);
  reportVerdict(verb, execution);
}

async function readEvent(): Promise<{ defaultBranch?: string }> {
  const defaultBranch = await readDefaultBranch(process.env);
  return defaultBranch === undefined ? {} : { defaultBranch };
}

/** Nothing was done, so there is no result; a question that can't be answered fails the step as the work itself would. */
async function reportAnswer(verb: Verb, { lines, outputs, summary, error }: Answer): Promise<void> {
  for (const line of lines) core.info(cleanLog(line));
  core.setOutput("verdict", error === undefined ? "pass" : error instanceof PolicyViolation ? "fail" : "error");
  for (const name of verb.outputs) core.setOutput(name, cleanText(outputs[name] ?? ""));
  await writeSummary(summary);
  if (error === undefined) return;
  annotatePlaces(error);
  if (!isKnownError(error) && error instanceof Error && error.stack !== undefined) core.info(cleanLog(error.stack));
  core.setFailed(`${verb.name}: ${cleanAnnotation(describeError(error))}`);
}

function readInputs(verb: Verb): Record<string, string> {
  return Object.fromEntries(Object.keys(verb.inputs.shape).map((name) => [name, core.getInput(name)]));
}

/** Beside the mark that the verb's run leaves on the disk: this one the runner itself keeps until the job is over. */
function markJob(verb: Verb): void {
  const job = identifyJob(process.env);
  if (rowOfVerb(verb.name).job === "builds" && job !== undefined && process.env["GITHUB_ENV"])
    core.exportVariable(builtVariable, job.id);
}

/**
 * Each goes to the runner's file between delimiters that nobody can know before (@actions/core makes them by chance),
 * so that no value can end early and begin another.
 */
export function writeOutputs(
  verb: Pick<Verb, "outputs">,
  {
    outcome,
    resultFile,
  }: Pick<Execution, "resultFile"> & { outcome: Pick<Execution["outcome"], "verdict" | "outputs"> },
): void {
  core.setOutput("verdict", outcome.verdict);
  core.setOutput("result", resultFile);
  for (const name of verb.outputs) core.setOutput(name, cleanText(outcome.outputs[name] ?? ""));
}

async function writeSummary(markdown: string): Promise<void> {
  if (!process.env["GITHUB_STEP_SUMMARY"] || markdown === "") return;
  const clean = cleanText(markdown);
  const bytes = Buffer.from(clean, "utf8");
  const cut =
    bytes.length <= maxSummaryBytes
      ? clean
      : `${bytes.subarray(0, maxSummaryBytes).toString("utf8")}\n\n… cut off: the result file has it all.\n`;
  try {
    await core.summary.addRaw(cut, true).write();
  } catch (error) {
    core.warning(cleanAnnotation(`the job summary could not be written: ${describeError(error)}`));
  }
}

function reportVerdict(verb: Verb, { outcome, error }: Execution): void {
  annotatePlaces(error);
  if (outcome.verdict === "error") {
    // A known error says all that helps; anything else is ours to find, by its stack.
    if (!isKnownError(error) && error instanceof Error && error.stack !== undefined) core.info(cleanLog(error.stack));
    // A verb may tell of an error without having had one: the report of a stage that ended so.
    const told = cleanAnnotation(
      error === undefined ? (outcome.result.error?.message ?? "error") : describeError(error),
    );
    if (error === undefined && outcome.enforced === false) core.warning(`${verb.name}: ${told}`);
    else core.setFailed(`${verb.name}: ${told}`);
    return;
  }
  const counted = outcome.result.violations.filter(isCounted);
  const annotate = outcome.verdict === "fail" && outcome.enforced !== false ? core.error : core.warning;
  annotateViolations(counted, annotate);
  // What only warns until a day is told with it, whatever the verdict.
  const waiting = outcome.result.violations.flatMap(({ enforcedFrom, ...each }) =>
    enforcedFrom === undefined ? [] : [{ ...each, problem: `${tellDay(enforcedFrom)}: ${each.problem}` }],
  );
  annotateViolations(waiting, core.warning);
  if (outcome.verdict === "pass") {
    core.info(`${verb.name}: pass`);
    return;
  }
  const count = `${counted.length} ${counted.length === 1 ? "violation" : "violations"} of the policy`;
  if (outcome.enforced === false) core.warning(`${verb.name}: fail, ${count}; not enforced here (mode: audit)`);
  else core.setFailed(`${verb.name}: fail, ${count}`);
}

/** @param annotate `core.error` or `core.warning` */
export function annotateViolations(counted: readonly ListedViolation[], annotate: typeof core.error): void {
  for (const { title, message, file, line } of planAnnotations(counted, maxAnnotations)) {
    annotate(cleanAnnotation(message), {
      title: cleanAnnotation(cleanLine(title)),
      ...(file === undefined ? {} : { file: cleanLine(file) }),
      ...(line === undefined ? {} : { startLine: line }),
    });
  }
}

/** At the lines of the application that an error is about: GitHub shows them in the change. */
function annotatePlaces(error: unknown): void {
  if (!isKnownError(error)) return;
  for (const { file, line, message } of error.places.slice(0, maxAnnotations - 1)) {
    const startLine = line === undefined ? {} : { startLine: line };
    core.error(cleanAnnotation(message), { file: cleanLine(file), ...startLine });
  }
}

/**
 * The runner sends SIGINT, then SIGTERM, and kills 10 s later: enough to stop children and remove what is half done.
 */
export function abortOnTermination(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => controller.abort(new Error(`stopped by ${signal}`)));
  return controller.signal;
}
