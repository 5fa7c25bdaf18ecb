import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import type { MirroredArtifact } from "@goldenpath/core/scan/data/mirror";
import { describeMirrored, mirrorInputs, mirrorScannerData } from "@goldenpath/core/verbs/mirror-data";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import { surviveClosedPipes } from "@goldenpath/foundation/exec/closed-pipes";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { cleanAnnotation, cleanLog } from "@goldenpath/foundation/text/log";
import { createRunnerPorts } from "./ports.ts";
import { abortOnTermination } from "./run-action.ts";

/** The whole life of the action `mirror-data`, which is no stage's: no verdict, and no result to sign. */
export async function runMirrorData(): Promise<void> {
  surviveClosedPipes();
  const temporaryDirectory = await mkdtemp(join(process.env["RUNNER_TEMP"] || tmpdir(), "goldenpath-mirror-"));
  try {
    const given = Object.keys(mirrorInputs.shape).map((name) => [name, core.getInput(name)] as const);
    const mirrored = await mirrorScannerData(parseInputs(mirrorInputs, Object.fromEntries(given)), {
      ports: createRunnerPorts(),
      workingDirectory: process.env["GITHUB_WORKSPACE"] || process.cwd(),
      temporaryDirectory,
      env: { ...process.env },
      signal: abortOnTermination(),
      now: () => new Date(),
    });
    for (const each of mirrored) core.info(cleanLog(describeMirrored(each)));
    core.setOutput("data", stringifyJson(mirrored));
    if (process.env["GITHUB_STEP_SUMMARY"]) await core.summary.addRaw(renderSummary(mirrored), true).write();
  } catch (error) {
    if (!isKnownError(error) && error instanceof Error && error.stack !== undefined) core.info(cleanLog(error.stack));
    core.setFailed(`mirror-data: ${cleanAnnotation(describeError(error))}`);
  } finally {
    await rm(temporaryDirectory, { recursive: true, force: true });
  }
}

/** References, tags and times are of our own making: nothing in them can be Markdown. */
function renderSummary(mirrored: readonly MirroredArtifact[]): string {
  const rows = mirrored.map(
    ({ scanner, built, reference, isSameData }) =>
      `| ${scanner} | ${built.toISOString()} | \`${reference}\` | ${isSameData ? "no newer, signed again" : "new"} |`,
  );
  return ["### Vulnerability data", "", "| Scanner | Made | Artifact | |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}
