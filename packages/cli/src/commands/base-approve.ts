import { tmpdir } from "node:os";
import { renderCard } from "@goldenpath/core/base/score/render";
import { type ApprovedOutcome, approveBaseImage, approveInputs } from "@goldenpath/core/verbs/approve-base";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { describeError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { gatherRunFacts } from "../facts.ts";
import { exitCodes, type Output, reportError } from "../output.ts";
import { renderStandings } from "./base-of.ts";
import { describeMoved } from "./base-tag.ts";
import { openContext } from "./context.ts";

interface ApproveOptions {
  require?: string[] | undefined;
  images?: string[] | undefined;
  tag?: boolean | undefined;
  json?: boolean | undefined;
  [input: string]: string | string[] | boolean | undefined;
}

/**
 * `goldenpath base approve IMAGE --policy POLICY --end-of-life DAY --role ROLE …`: scans and scores the image, looks for
 * what the policy's `images` refuses, and signs the approval. Exits 1, and signs nothing, where one of them refuses.
 */
export async function approveBase(image: string, given: ApproveOptions, output: Output): Promise<number> {
  const { require = [], images = [], tag = false, json = false, ...same } = given;
  const texts = Object.entries(same).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : []));
  const lists = { require: require.join("\n"), images: images.join("\n"), tag: String(tag) };
  const inputs = parseInputs(approveInputs, { ...Object.fromEntries(texts), ...lists, image });
  const context = openContext();
  const outcome = await approveBaseImage(inputs, {
    ...context,
    run: await gatherRunFacts(context.workingDirectory, context.env),
    temporaryRoot: tmpdir(),
    defaultResultDirectory: tmpdir(),
  });
  output.out(
    json
      ? `${stringifyJson({ ...outcome, failures: outcome.failures.map(describeError) }, 2)}\n`
      : renderApproved(outcome),
  );
  for (const each of outcome.failures) reportError(each, output);
  return exitCodes[outcome.verdict];
}

function renderApproved({
  image,
  scores,
  scan,
  refused,
  approval,
  tags,
  behind,
  builtBefore,
}: ApprovedOutcome): string {
  const lines = [...scores.map(renderCard), `scan: ${scan.verdict}\n`, ...refused.map((each) => `refused: ${each}\n`)];
  if (approval !== undefined) {
    const { isNew, role, endOfLife } = approval;
    lines.push(`${image}: ${isNew ? "approved" : "was approved before"}, ${role}, until ${endOfLife}\n`);
  }
  lines.push(...tags.map((each) => `${describeMoved(each, false)}\n`));
  if (behind !== undefined) lines.push("to be built anew:\n", renderStandings(behind));
  for (const { image: built, tags: own, builders } of builtBefore?.images ?? [])
    lines.push(`to be built anew: ${built} (${own.join(", ")}), which was built with ${builders.join(", ")}\n`);
  for (const { asked, problem } of builtBefore?.unread ?? []) lines.push(`unread: ${asked}: ${problem}\n`);
  return lines.join("");
}
