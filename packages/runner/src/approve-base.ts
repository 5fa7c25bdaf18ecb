import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import { renderCardMarkdown } from "@goldenpath/core/base/score/render";
import type { StandingImage } from "@goldenpath/core/base/standing";
import { code } from "@goldenpath/core/report/markdown";
import { type ApprovedOutcome, approveBaseImage, approveInputs } from "@goldenpath/core/verbs/approve-base";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import { surviveClosedPipes } from "@goldenpath/foundation/exec/closed-pipes";
import { runFactsFromGitHub } from "@goldenpath/foundation/run-facts";
import { cleanText } from "@goldenpath/foundation/text/clean";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { cleanAnnotation, cleanLog } from "@goldenpath/foundation/text/log";
import { createRunnerPorts } from "./ports.ts";
import { abortOnTermination } from "./run-action.ts";

/** Rows of what is behind in a summary; the output has all of them. */
const maxRows = 200;

/** The whole life of the action `approve-base`, which is no stage's: what it signs is an approval, and no result. */
export async function runApproveBase(): Promise<void> {
  surviveClosedPipes();
  const temporaryRoot = process.env["RUNNER_TEMP"] || tmpdir();
  try {
    const given = Object.keys(approveInputs.shape).map((name) => [name, core.getInput(name)] as const);
    const outcome = await approveBaseImage(parseInputs(approveInputs, Object.fromEntries(given)), {
      ports: createRunnerPorts(),
      run: runFactsFromGitHub(process.env),
      workingDirectory: process.env["GITHUB_WORKSPACE"] || process.cwd(),
      temporaryRoot,
      defaultResultDirectory: join(temporaryRoot, "goldenpath"),
      env: { ...process.env },
      signal: abortOnTermination(),
    });
    core.setOutput("verdict", outcome.verdict);
    core.setOutput("image", outcome.approval === undefined ? "" : outcome.image);
    core.setOutput("tags", cleanText(stringifyJson(outcome.tags)));
    core.setOutput("behind", cleanText(stringifyJson(listBehind(outcome))));
    if (process.env["GITHUB_STEP_SUMMARY"]) await core.summary.addRaw(cleanText(renderSummary(outcome)), true).write();
    report(outcome);
  } catch (error) {
    core.setOutput("verdict", "error");
    fail(error);
  }
}

/** What has to be built anew, for what it stands on and for what it was built with. */
const listBehind = ({ behind, builtBefore }: ApprovedOutcome): object[] => [
  ...(behind?.images ?? []).map(describeBehind),
  ...(builtBefore?.images ?? []),
];

/** Short, since a job's outputs hold 1 MiB. */
function describeBehind({ image, asked, platform, standing, base, versionsBehind }: StandingImage): object {
  const on = base === undefined ? {} : { base: `${base.image}@${base.digest}` };
  return { image, asked, platform, standing, ...on, ...(versionsBehind === undefined ? {} : { versionsBehind }) };
}

function fail(error: unknown): void {
  if (!isKnownError(error) && error instanceof Error && error.stack !== undefined) core.info(cleanLog(error.stack));
  core.setFailed(`approve-base: ${cleanAnnotation(describeError(error))}`);
}

function report({ image, verdict, approval, refused, tags, behind, builtBefore, failures }: ApprovedOutcome): void {
  for (const each of refused) core.error(cleanAnnotation(each));
  if (approval !== undefined)
    core.info(
      cleanLog(`${image}: ${approval.isNew ? "approved" : "was approved before"}, until ${approval.endOfLife}`),
    );
  for (const { tag, digest, isMoved } of tags)
    core.info(cleanLog(`${tag}: ${isMoved ? "is now" : "was already"} ${digest}`));
  for (const { asked, problem } of [...(behind?.unread ?? []), ...(builtBefore?.unread ?? [])])
    core.error(cleanAnnotation(`${asked} could not be looked at, and may be behind: ${problem}`));
  for (const each of failures) fail(each);
  if (verdict !== "pass" && failures.length === 0)
    core.setFailed(
      `approve-base: ${verdict === "fail" ? `${refused.length} things are against it` : "not all of it could be done"}`,
    );
}

function renderSummary({
  image,
  verdict,
  scores,
  refused,
  approval,
  tags,
  behind,
  builtBefore,
}: ApprovedOutcome): string {
  const state =
    approval === undefined ? `not approved (${verdict})` : `approved until ${approval.endOfLife}, ${approval.role}`;
  const parts = [`### Golden base\n\n${code(image)}: ${state}`];
  if (refused.length > 0) parts.push(["Against it:", "", ...refused.map((each) => `- ${code(each)}`)].join("\n"));
  if (tags.length > 0) parts.push(tags.map(({ tag, digest }) => `- ${code(tag)} is ${code(digest)}`).join("\n"));
  if (behind !== undefined) {
    const rows = behind.images.map(
      ({ asked, platform, standing, base, versionsBehind }) =>
        `| ${code(asked)} | ${code(platform)} | ${standing} | ${code(base?.digest ?? "")} | ${versionsBehind ?? ""} |`,
    );
    const more = rows.length > maxRows ? [`\n… and ${rows.length - maxRows} more: the output has all of them.`] : [];
    const head = ["| Image | Platform | Stands | On | Versions behind |", "| --- | --- | --- | --- | --- |"];
    parts.push(`#### To be built anew: ${rows.length}, and ${behind.unread.length} could not be looked at`);
    if (rows.length > 0) parts.push([...head, ...rows.slice(0, maxRows), ...more].join("\n"));
  }
  if (builtBefore !== undefined) {
    const { images, unread } = builtBefore;
    parts.push(
      `#### To be built anew: ${images.length}, and of ${unread.length} it can't be told with what they were built`,
    );
    const rows = images
      .slice(0, maxRows)
      .map(({ image: built, builders }) => `- ${code(built)} was built with ${code(builders.join(" "))}`);
    if (rows.length > 0) parts.push(rows.join("\n"));
  }
  return `${[...parts, ...scores.map(renderCardMarkdown)].join("\n\n")}\n`;
}
