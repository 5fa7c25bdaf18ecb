import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import { code } from "../report/markdown.ts";
import { formatStageResult, isCounted, type StageResult, type Verdict, verdicts } from "../result.ts";
import { buildErrorResult } from "./outcome.ts";
import type { PromotionJob } from "./promote-jobs.ts";
import type { VerbOutcome } from "./verb.ts";

/** Promotions at the same time; the client bounds the requests to each host besides. */
const concurrency = 8;

/** One line of `promotions.json`. */
interface PromotionEntry {
  image: string;
  to: string;
  tags: readonly string[];
  verdict: Verdict;
  /** Files. */
  result: string;
  plan?: string;
}

/**
 * Several promotions in one run, each for itself: one that fails stops no other, and the worst verdict is the run's.
 * Each leaves its result and its plan in `promotions/` of the directory, and `promotions.json` lists them in the order
 * of the input.
 */
export async function promoteMany(
  jobs: readonly PromotionJob[],
  directory: string,
  context: Context,
  promote: (job: PromotionJob, planFile: string) => Promise<VerbOutcome>,
): Promise<VerbOutcome> {
  const { log } = context.ports;
  const files = join(directory, "promotions");
  await mkdir(files, { recursive: true });
  const width = String(jobs.length).length;
  let done = 0;
  const outcomes = await mapConcurrently(concurrency, jobs, async (job, index) => {
    const startedAt = context.now();
    const name = String(index + 1).padStart(width, "0");
    const outcome = await promote(job, join(files, `${name}-plan.json`)).catch((error: unknown): VerbOutcome => {
      const result = buildErrorResult(context, "promote", startedAt, error);
      log.error(`${formatReference(job.image)}: ${describeError(error)}`);
      return { verdict: result.verdict, result, outputs: {}, summary: "" };
    });
    const subject = outcome.result.subject;
    const file = join(
      files,
      `${name}${subject === undefined ? "" : `-${digestHex(subject.digest).slice(0, 12)}`}.json`,
    );
    await writeFile(file, formatStageResult(outcome.result));
    log.info(
      `${++done} of ${jobs.length}: ${outcome.verdict} ${formatReference(job.image)} → ${formatRepository(job.to)}`,
    );
    return { job, outcome, file };
  });
  const entries = outcomes.map(({ job, outcome, file }): PromotionEntry => {
    const { plan } = outcome.outputs;
    const places = { image: formatReference(job.image), to: formatRepository(job.to), tags: job.tags };
    return { ...places, verdict: outcome.verdict, result: file, ...(plan === undefined ? {} : { plan }) };
  });
  const list = join(directory, "promotions.json");
  await writeFile(list, `${stringifyJson(entries, 2)}\n`);
  const [worst] = outcomes.toSorted(
    (a, b) => verdicts.indexOf(b.outcome.verdict) - verdicts.indexOf(a.outcome.verdict),
  );
  if (worst === undefined) throw new TypeError("a run of no promotions");
  const { verdict, result } = worst.outcome;
  return {
    verdict,
    result,
    outputs: { results: list },
    summary: renderMany(outcomes.map(({ job, outcome }) => ({ job, outcome }))),
  };
}

function renderMany(promotions: readonly { job: PromotionJob; outcome: VerbOutcome }[]): string {
  const count = (verdict: Verdict): number => promotions.filter(({ outcome }) => outcome.verdict === verdict).length;
  const rows = promotions.map(({ job, outcome }) => {
    const tags = job.tags.map((tag) => code(tag)).join(" ");
    return `| ${signs[outcome.verdict]} ${outcome.verdict} | ${code(formatReference(job.image))} | ${code(formatRepository(job.to))} | ${tags} | ${explain(outcome.result)} |`;
  });
  return [
    `### promote: ${count("pass")} passed, ${count("fail")} refused, ${count("error")} in error`,
    "",
    "| | Image | To | Tags | |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

const signs: Readonly<Record<Verdict, string>> = { pass: "✅", fail: "❌", error: "⚠️" };

/** The first thing against it: the result file has them all. */
function explain({ verdict, violations, error }: StageResult): string {
  if (verdict === "error") return code(error?.message ?? "");
  const counted = violations.filter(isCounted);
  const [first] = counted;
  if (first === undefined) return "";
  return `${code(first.rule)}: ${code(`${first.thing}: ${first.problem}`)}${counted.length > 1 ? ` and ${counted.length - 1} more` : ""}`;
}
