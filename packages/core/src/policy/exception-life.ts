import type { Rule } from "@goldenpath/foundation/rules";
import type { AppliedException, StageResult } from "../result.ts";
import type { ResultStage } from "../stages.ts";
import { isDayOver } from "./day.ts";
import { canonicalThing, packageOf, thingOf } from "./exceptions.ts";
import { antipatternRules } from "./images-section.ts";
import type { Exception, Policy } from "./schema.ts";

const dayLength = 86_400_000;

/** What became of one exception of the policy. */
export interface ExceptionLife {
  exception: Exception;
  /** Its place in the policy's list, from 0. */
  index: number;
  /** `lapsing`: it ends within the days asked about. */
  state: "lapsed" | "lapsing" | "holds";
  /** Full days after today on which it still holds; 0 on its last day, below 0 afterwards. */
  daysLeft: number;
  /** The place of another one for the same, which ends no sooner, so that this one does nothing. */
  overtakenBy?: number;
  /**
   * In how many violations of the given results it was applied, or, where it is over, would have been, and of how many
   * images. Undefined where no result of a stage that knows its rule was given, or where an environment's gate, which
   * lists nothing of it, may need it: then nobody can say.
   */
  use?: { violations: number; images: number };
}

/** The stages that know the rules which can be set aside. */
const stagesOfRule: Record<Exception["rule"], readonly ResultStage[]> = {
  "base.approved": ["base"],
  "base.root-user": ["base"],
  "base.secret": ["base"],
  "base.credential": ["base"],
  "base.package-cache": ["base"],
  "base.committed": ["base"],
  "base.missing": ["base"],
  "base.rule": ["base"],
  "scan.rule": ["scan"],
  "scan.severity": ["scan"],
  "scan.gate": ["scan"],
  "scan.malicious": ["scan"],
  "scan.package": ["scan"],
  "scan.license": ["scan"],
};

/** Rules of the base stage that environments' gates apply the policy's exceptions of as well. */
function listGateRules(environments: Policy["environments"]): ReadonlySet<Rule> {
  const kinds = Object.values(environments).flatMap(({ images }) => images?.refuse ?? []);
  return new Set(kinds.map((kind) => antipatternRules[kind]));
}

/**
 * Each exception of a policy, in its order: until when it holds, and whether the results that are given needed it.
 * @param results of stages, by this policy or one before it; each image's newest ones say most
 * @param within days: what ends in them is `lapsing`
 */
export function tellExceptionLives(
  { exceptions, environments }: Pick<Policy, "exceptions" | "environments">,
  results: readonly StageResult[],
  now: Date,
  within: number,
): ExceptionLife[] {
  const gateRules = listGateRules(environments);
  const uses = exceptions.map((exception) => {
    const use = countUse(exception, results);
    return use?.violations === 0 && gateRules.has(exception.rule) ? undefined : use;
  });
  return exceptions.map((exception, index) => {
    const overtakenBy = findOvertaking(exceptions, index);
    const use = addUses(
      uses[index],
      exceptions.map((_, at) => (leadsTo(exceptions, at, index) ? uses[at] : undefined)),
    );
    const daysLeft = countDaysLeft(exception.expires, now);
    return {
      ...{ exception, index, daysLeft },
      state: isDayOver(exception.expires, now) ? "lapsed" : daysLeft <= within ? "lapsing" : "holds",
      ...(overtakenBy === undefined ? {} : { overtakenBy }),
      ...(use === undefined ? {} : { use }),
    };
  });
}

/**
 * True for an exception that does nothing: over and no more asked for, overtaken by another, or needed by none of the
 * results.
 */
export function isDead({ state, use, overtakenBy }: ExceptionLife): boolean {
  if (overtakenBy !== undefined) return true;
  return use === undefined ? state === "lapsed" : use.violations === 0;
}

/** True where one exception is overtaken by another, be it by way of a third. Each ends later or stands before. */
function leadsTo(exceptions: readonly Exception[], from: number, to: number): boolean {
  let next = findOvertaking(exceptions, from);
  while (next !== undefined && next !== to) next = findOvertaking(exceptions, next);
  return next === to;
}

/** With what those were applied for that it overtakes: results of before may name them. */
function addUses(own: ExceptionLife["use"], others: readonly ExceptionLife["use"][]): ExceptionLife["use"] {
  if (own === undefined) return undefined;
  return others.reduce<NonNullable<ExceptionLife["use"]>>(
    (sum, use) => ({ violations: sum.violations + (use?.violations ?? 0), images: sum.images + (use?.images ?? 0) }),
    own,
  );
}

/** Full UTC days after today on which what ends on a day still holds; NaN where that is no day. */
export function countDaysLeft(expires: string, now: Date): number {
  const today = Math.floor(now.getTime() / dayLength);
  return Date.parse(`${expires}T00:00:00Z`) / dayLength - today;
}

/** One that matches wherever this one does and ends no sooner; of two that are alike the first counts. */
function findOvertaking(exceptions: readonly Exception[], index: number): number | undefined {
  const own = exceptions[index] as Exception;
  const found = exceptions.findIndex((other, at) => {
    if (other.rule !== own.rule) return false;
    if (canonicalThing(other.rule, thingOf(other)) !== canonicalThing(own.rule, thingOf(own))) return false;
    if (![undefined, packageOf(own)].includes(packageOf(other))) return false;
    if (other.gate !== undefined && other.gate !== own.gate) return false;
    if (other.file !== own.file) return false;
    // Of those that end on one day the first is applied.
    return other.expires > own.expires || (other.expires === own.expires && at < index);
  });
  return found === -1 ? undefined : found;
}

function countUse(exception: Exception, results: readonly StageResult[]): ExceptionLife["use"] {
  const ofStage = results.filter(
    ({ stage, verdict }) => stagesOfRule[exception.rule].includes(stage) && verdict !== "error",
  );
  if (ofStage.length === 0) return undefined;
  const images = new Set<string>();
  let violations = 0;
  for (const { subject, violations: listed } of ofStage) {
    const using = listed.filter(
      ({ rule, exception: applied, lapsed }) =>
        rule === exception.rule && (isSame(applied, exception) || isSame(lapsed, exception)),
    );
    violations += using.length;
    if (using.length > 0) images.add(`${subject?.repository}@${subject?.digest}`);
  }
  return { violations, images: images.size };
}

/** By what it is for, and not by its words or days, which a newer version of the policy may have in another way. */
function isSame(told: AppliedException | undefined, exception: Exception): boolean {
  const { rule, gate, file } = exception;
  if (told?.thing === undefined || told.package !== packageOf(exception) || told.gate !== gate || told.file !== file)
    return false;
  return canonicalThing(rule, told.thing) === canonicalThing(rule, thingOf(exception));
}

/** Days on which several exceptions that still hold end at once, the first of them first. */
export function listBusyDays(lives: readonly ExceptionLife[]): { day: string; count: number }[] {
  const days = Map.groupBy(
    lives.filter(({ state }) => state !== "lapsed"),
    ({ exception }) => exception.expires,
  );
  return [...days]
    .filter(([, ending]) => ending.length > 1)
    .map(([day, ending]) => ({ day, count: ending.length }))
    .toSorted((a, b) => (a.day < b.day ? -1 : 1));
}
