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
  const overtaking = listOvertaking(exceptions);
  const sums = sumUses(exceptions, uses, overtaking);
  return exceptions.map((exception, index) => {
    const overtakenBy = overtaking[index];
    const use = uses[index] === undefined ? undefined : sums[index];
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

type Use = NonNullable<ExceptionLife["use"]>;

/** With what those were applied for that it overtakes, be it by way of a third: results of before may name them. */
function sumUses(
  exceptions: readonly Exception[],
  uses: readonly ExceptionLife["use"][],
  overtaking: readonly (number | undefined)[],
): Use[] {
  const sums = uses.map((use) => ({ violations: 0, images: 0, ...use }));
  // Whoever overtakes one ends later or stands before it: by then it has got all that is its own.
  const inOrder = exceptions
    .map(({ expires }, at) => ({ expires, at }))
    .toSorted((a, b) => Date.parse(a.expires) - Date.parse(b.expires) || b.at - a.at);
  for (const { at } of inOrder) {
    const by = overtaking[at];
    if (by === undefined) continue;
    const [sum, to] = [sums[at], sums[by]] as [Use, Use];
    to.violations += sum.violations;
    to.images += sum.images;
  }
  return sums;
}

/** Full UTC days after today on which what ends on a day still holds; NaN where that is no day. */
export function countDaysLeft(expires: string, now: Date): number {
  const today = Math.floor(now.getTime() / dayLength);
  return Date.parse(`${expires}T00:00:00Z`) / dayLength - today;
}

/** Of each the place of one that matches wherever it does and ends no sooner; of two that are alike the first counts. */
function listOvertaking(exceptions: readonly Exception[]): (number | undefined)[] {
  const places = exceptions.map((exception, at) => ({ exception, at }));
  const alike = Map.groupBy(places, ({ exception }) =>
    JSON.stringify([exception.rule, canonicalThing(exception.rule, thingOf(exception)), exception.file]),
  );
  const overtaking = exceptions.map((): number | undefined => undefined);
  for (const group of alike.values())
    for (const { exception: own, at: index } of group) {
      const found = group.find(({ exception: other, at }) => {
        if (![undefined, packageOf(own)].includes(packageOf(other))) return false;
        if (other.gate !== undefined && other.gate !== own.gate) return false;
        // Of those that end on one day the first is applied.
        return other.expires > own.expires || (other.expires === own.expires && at < index);
      });
      overtaking[index] = found?.at;
    }
  return overtaking;
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
