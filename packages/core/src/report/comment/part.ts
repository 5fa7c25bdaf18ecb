import { cleanLine, cut } from "@goldenpath/foundation/text/clean";
import { z } from "zod";
import { countDaysLeft } from "../../policy/exception-life.ts";
import { formatPlace, isCounted, type ListedViolation, type StageResult, tellDay, verdicts } from "../../result.ts";
import { resultStages, rowOfStage, stageEvidence, stages } from "../../stages.ts";
import type { Chain } from "../chain.ts";
import type { ToldExceptions } from "../exceptions.ts";
import { comparedSchema, describeCompared } from "./compared.ts";
import { describePolicyExceptions, exceptedSchema, policyExceptionsSchema } from "./exceptions.ts";
import { count, line } from "./fields.ts";

/**
 * One image's part of a pull request's comment: what the comment shows of it, and no more. A comment keeps its parts, so
 * that several jobs can each tell theirs; whoever reads them back takes them for a stranger's.
 */
const stageName = z.enum(resultStages);

const partSchema = z.object({
  /** What tells it from the other parts. */
  key: line,
  /** Of the pull request's head that was judged: 40 hex digits, or 64. */
  commit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/),
  run: z.object({
    id: z.string().regex(/^\d{1,20}$/),
    attempt: z.number().int().positive(),
    url: z
      .string()
      .regex(/^https:\/\/[\w.:/-]{1,300}$/)
      .optional(),
  }),
  /** `HOST/NAME@sha256:…` */
  image: line.optional(),
  /** A run told it that no signer speaks for: that of a fork's pull request. */
  claimed: z.boolean().optional(),
  stages: z
    .array(
      z.object({
        stage: stageName,
        state: z.enum([...verdicts, "attested", "missing"]),
        facts: z.array(line).default([]),
      }),
    )
    .max(20),
  errors: z.array(z.object({ stage: stageName, code: line, message: line, wayOut: line.optional() })).max(20),
  violations: z.array(z.object({ stage: stageName, rule: line, thing: line, problem: line, wayOut: line })).max(200),
  /** How many count, whether or not they are listed. */
  counted: count,
  exceptions: z.array(exceptedSchema).max(200),
  excepted: count,
  policyExceptions: policyExceptionsSchema.optional(),
  /** Where the scan was asked to compare. */
  compared: comparedSchema.optional(),
});
export type Part = z.infer<typeof partSchema>;
export type PartStage = Part["stages"][number];

export const partsSchema = z.array(partSchema).max(300);

/** What a part says of its run. */
export type PartSource = Pick<Part, "key" | "commit" | "run" | "claimed">;

/** What is to be said of the policy's exceptions, and when. */
export interface PartExceptions {
  told: ToldExceptions;
  now: Date;
}

/**
 * Stages' results of one image → its part.
 * @param exceptions undefined where nobody reads of them
 */
export function describeResults(
  results: readonly StageResult[],
  source: PartSource,
  exceptions?: PartExceptions,
): Part {
  const sorted = results.toSorted((a, b) => resultStages.indexOf(a.stage) - resultStages.indexOf(b.stage));
  const subject = sorted.find((result) => result.subject !== undefined)?.subject;
  const listed = sorted.flatMap(({ stage, violations }) => violations.map((violation) => ({ stage, violation })));
  const compared = describeCompared(sorted);
  return {
    ...source,
    ...(subject === undefined ? {} : { image: `${subject.repository}@${subject.digest}` }),
    stages: sorted.map((result) => ({
      stage: result.stage,
      state: result.verdict,
      facts: [...tellResult(result), ...tellWaiting(result)],
    })),
    errors: sorted.flatMap(({ stage, error }) => (error === undefined ? [] : [{ stage, ...error }])),
    ...listViolations(listed, exceptions?.now),
    ...(exceptions === undefined ? {} : { policyExceptions: describePolicyExceptions(exceptions.told) }),
    ...(compared === undefined ? {} : { compared }),
  };
}

/**
 * The chains of an image and of what runs of it → the image's part. A stage is as its worst chain has it.
 * @param violations what the chains have against them
 */
export function describeChains(
  chains: readonly Chain[],
  violations: readonly ListedViolation[],
  source: PartSource,
): Part {
  const [first] = chains;
  const order = ["fail", "missing", "attested", "pass"] as const;
  return {
    ...source,
    ...(first === undefined ? {} : { image: `${first.repository}@${first.digest}` }),
    stages: stages.map((stage) => {
      const states = chains.flatMap((chain) => chain.stages.filter((each) => each.stage === stage));
      const state = order.find((each) => states.some((one) => one.state === each)) ?? "missing";
      return { stage, state, facts: [...new Set(states.flatMap(({ facts }) => facts))] };
    }),
    errors: [],
    ...listViolations(
      violations.map((violation) => ({
        stage: stages.find((stage) => violation.thing === `stage ${stage}`) ?? "report",
        violation,
      })),
    ),
  };
}

function listViolations(
  listed: readonly { stage: StageResult["stage"]; violation: ListedViolation }[],
  now?: Date,
): Pick<Part, "violations" | "counted" | "exceptions" | "excepted"> {
  const counted = listed.filter(({ violation }) => isCounted(violation));
  const excepted = listed
    .flatMap(({ violation: { rule, thing, exception } }) => {
      if (exception === undefined) return [];
      const { expires, owner, reason } = exception;
      const daysLeft = now === undefined ? Number.NaN : countDaysLeft(expires, now);
      return [{ rule, thing, expires, owner, reason, ...(Number.isNaN(daysLeft) ? {} : { daysLeft }) }];
    })
    .toSorted((a, b) => (a.expires < b.expires ? -1 : a.expires > b.expires ? 1 : 0));
  return {
    violations: counted.map(({ stage, violation: { rule, thing, problem, wayOut, platform, place } }) => ({
      ...{ stage, rule, problem, wayOut },
      thing: `${thing}${platform === undefined ? "" : ` (${platform})`}${place === undefined ? "" : ` at ${formatPlace(place)}`}`,
    })),
    counted: counted.length,
    exceptions: excepted,
    excepted: excepted.length,
  };
}

/** What only warns until a day: how much of which rule, and the day. */
function tellWaiting({ violations }: StageResult): string[] {
  const waiting = violations.flatMap(({ rule, enforcedFrom }) =>
    enforcedFrom === undefined ? [] : [`${rule} ${tellDay(enforcedFrom)}`],
  );
  return [...Map.groupBy(waiting, (each) => each)].map(
    ([told, each]) => `${each.length} ${each.length === 1 ? "warning" : "warnings"}: ${told}`,
  );
}

function tellResult({ stage, predicateType, predicate }: StageResult): string[] {
  const row = rowOfStage(stage);
  if (!("evidence" in row)) return [];
  return stageEvidence(row.name).tell({
    finding: (type) => (type === predicateType ? predicate : undefined),
    verdict: {},
  });
}

/** How much of a part is kept. */
export interface Measure {
  /** Violations that count; how many, and of exceptions and of a stage's facts the same. */
  violations: number;
  exceptions: number;
  facts: number;
  /** Of what is new since the image that it was compared with. */
  added: number;
  /** Characters (UTF-16 units) of any text. */
  text: number;
}

/** As much of it as the measure has; what it counts stays. */
export function cutPart(part: Part, measure: Measure): Part {
  const short = (text: string): string => cut(cleanLine(text), measure.text);
  const all = <T extends Record<string, unknown>>(entry: T): T =>
    Object.fromEntries(
      Object.entries(entry).map(([name, value]) => [name, typeof value === "string" ? short(value) : value]),
    ) as T;
  const cutCompared = (compared: NonNullable<Part["compared"]>): NonNullable<Part["compared"]> => ({
    ...all(compared),
    ...(compared.with === undefined ? {} : { with: cut(cleanLine(compared.with), Math.max(measure.text, 160)) }),
    added: compared.added.slice(0, measure.added).map(all),
  });
  const cutIdle = (told: NonNullable<Part["policyExceptions"]>): NonNullable<Part["policyExceptions"]> => ({
    ...told,
    days: told.days.slice(0, measure.exceptions).map(all),
    idle: told.idle.slice(0, measure.exceptions).map(all),
  });
  return {
    ...part,
    key: short(part.key),
    ...(part.image === undefined ? {} : { image: cut(cleanLine(part.image), Math.max(measure.text, 160)) }),
    stages: part.stages.map((each) => ({ ...each, facts: each.facts.slice(0, measure.facts).map(short) })),
    errors: part.errors.slice(0, 20).map(all),
    violations: part.violations.slice(0, measure.violations).map(all),
    exceptions: part.exceptions.slice(0, measure.exceptions).map(all),
    ...(part.compared === undefined ? {} : { compared: cutCompared(part.compared) }),
    ...(part.policyExceptions === undefined ? {} : { policyExceptions: cutIdle(part.policyExceptions) }),
  };
}

/** The worst of its stages: an error before a failure, as everywhere; what is missing before promotion is a failure. */
export function verdictOfPart(part: Part): "pass" | "fail" | "error" {
  if (part.stages.some(({ state }) => state === "error")) return "error";
  return part.counted > 0 || part.stages.some(({ state }) => state === "fail") ? "fail" : "pass";
}

/** True where a reader has something to do. */
export function asksForWork(part: Part): boolean {
  return verdictOfPart(part) !== "pass";
}

/**
 * The parts of a comment with one more: of each key the newest run's, and of no other commit than the new part's.
 */
export function addPart(known: readonly Part[], part: Part): Part[] {
  const others = known.filter(({ key, commit }) => key !== part.key && commit === part.commit);
  const same = known.find(({ key, commit }) => key === part.key && commit === part.commit);
  return [...others, same !== undefined && isNewer(same.run, part.run) ? same : part].toSorted((a, b) =>
    a.key < b.key ? -1 : 1,
  );
}

/** Runs are numbered as they are started. */
export function isNewer(a: Part["run"], b: Part["run"]): boolean {
  const [left, right] = [BigInt(a.id), BigInt(b.id)];
  return left === right ? a.attempt > b.attempt : left > right;
}
