import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import { describeDue, listDue, type RolloutReport } from "@goldenpath/core/fleet/rollout/facts";
import { renderRollout } from "@goldenpath/core/fleet/rollout/render";
import { code } from "@goldenpath/core/report/markdown";
import { rebaseImages, rebaseInputs } from "@goldenpath/core/verbs/rebase-images";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import { surviveClosedPipes } from "@goldenpath/foundation/exec/closed-pipes";
import { cleanText } from "@goldenpath/foundation/text/clean";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { cleanAnnotation, cleanLog } from "@goldenpath/foundation/text/log";
import { createRunnerPorts } from "./ports.ts";
import { abortOnTermination } from "./run-action.ts";

/** The whole life of the action `rebase`, which is no stage's: what it makes has no evidence. */
export async function runRebase(): Promise<void> {
  surviveClosedPipes();
  const temporaryDirectory = await mkdtemp(join(process.env["RUNNER_TEMP"] || tmpdir(), "goldenpath-rebase-"));
  try {
    const given = Object.keys(rebaseInputs.shape).map((name) => [name, core.getInput(name)] as const);
    const outcome = await rebaseImages(parseInputs(rebaseInputs, Object.fromEntries(given)), {
      ports: createRunnerPorts(),
      workingDirectory: process.env["GITHUB_WORKSPACE"] || process.cwd(),
      temporaryDirectory,
      env: { ...process.env },
      signal: abortOnTermination(),
      now: () => new Date(),
    });
    if ("report" in outcome) await tellPlan(outcome.report);
    else {
      core.setOutput("image", outcome.image);
      core.setOutput("digest", outcome.image.split("@")[1] ?? "");
      core.info(cleanLog(`rebased: ${outcome.image}`));
    }
  } catch (error) {
    if (!isKnownError(error) && error instanceof Error && error.stack !== undefined) core.info(cleanLog(error.stack));
    core.setFailed(`rebase: ${cleanAnnotation(describeError(error))}`);
  } finally {
    await rm(temporaryDirectory, { recursive: true, force: true });
  }
}

/** What is stopped, and what could not be looked at, hinders no other wave: it is told, and counted for whoever calls. */
async function tellPlan(report: RolloutReport): Promise<void> {
  const { failures, rollouts } = report;
  core.setOutput("due", cleanText(stringifyJson(listDue(report).map(describeDue))));
  const stopped = rollouts.filter((each) => each.stopped !== undefined);
  core.setOutput("against", String(failures.length + stopped.length));
  const text = renderRollout(report);
  core.info(cleanLog(text));
  if (process.env["GITHUB_STEP_SUMMARY"]) {
    const lines = text.split("\n").filter((line) => line !== "");
    const list = lines.map((line) => `${/^ */.exec(line)?.[0] ?? ""}- ${code(line.trim())}`);
    await core.summary.addRaw(cleanText(["### Rebases", "", ...list].join("\n")), true).write();
  }
  for (const { what, problem } of failures)
    core.error(cleanAnnotation(`${what} could not be looked at, and may be behind: ${problem}`));
  for (const { target, stopped: why } of stopped) core.error(cleanAnnotation(`${target.base}: stopped: ${why}`));
}
