import { z } from "zod";
import type { RescanRules } from "../policy/scan-section.ts";
import type { ListedViolation } from "../result.ts";
import { findingSeverities } from "../scan/finding.ts";
import type { ToldFinding, ToldScan } from "../scan/told-findings.ts";

/** A scan that was signed before. */
export interface EarlierScan {
  told: Pick<ToldScan, "findings">;
  /** Of a rescan: since when each violation is known, by {@link violationKey}. */
  since?: Readonly<Record<string, Date>>;
}

export interface RescanFacts {
  /** Those that count: without exceptions. */
  violations: readonly ListedViolation[];
  findings: readonly ToldFinding[];
  earlier: readonly EarlierScan[];
  rules: RescanRules | undefined;
  now: Date;
}

export interface RescanDays {
  /** Since when each violation is known. */
  since: Record<string, Date>;
  /** From when on each violation counts, in their order. */
  days: Date[];
  /** The first of them; undefined where the failure counts at once, or there is none. */
  countsFrom?: Date;
  /** With the time from which on each counts that is new and does not at once. */
  findings: ToldFinding[];
}

/** What makes two violations the same one from one rescan to the next. */
export function violationKey({ rule, thing, platform }: Pick<ListedViolation, "rule" | "thing" | "platform">): string {
  return JSON.stringify([rule, thing, platform ?? ""]);
}

/**
 * From when on what a rescan refuses counts: so long after a rescan first refused it as the policy lets it be, and at
 * once without such a rule. Only what a rescan finds anew has days: not what a scan before has told as no less grave,
 * which the policy, an exception or a fix has become against since; nor what is no vulnerability's. A thing that is mended
 * and comes back has no days again. At the gates of environments a finding counts by the same days.
 */
export function planDays({ violations, findings, earlier, rules, now }: RescanFacts): RescanDays {
  const known = Map.groupBy(
    earlier.flatMap(({ told }) => told.findings),
    findingKey,
  );
  const graceOf = (finding: ToldFinding): number =>
    isKnown(finding, known.get(findingKey(finding)) ?? []) ? 0 : graceByRules(finding, rules);
  const since: Record<string, Date> = {};
  const days = violations.map((violation) => {
    const key = violationKey(violation);
    since[key] = earliest([now, ...earlier.flatMap((scan) => scan.since?.[key] ?? [])]);
    // As violations name it; of several findings the one that waits least counts.
    const own = findings.filter((each) => isOf(violation, each)).map(graceOf);
    return new Date(since[key].getTime() + (own.length === 0 ? 0 : Math.min(...own)));
  });
  const first = days.length === 0 ? undefined : earliest(days);
  return {
    ...{ since, days },
    ...(first === undefined || first.getTime() <= now.getTime() ? {} : { countsFrom: first }),
    findings: findings.map((finding) => planFinding(finding, known.get(findingKey(finding)) ?? [], rules, now)),
  };
}

function isOf({ rule, thing, platform }: ListedViolation, finding: ToldFinding): boolean {
  const { id, package: of } = finding;
  return (
    rule !== "scan.malicious" &&
    thing === `${id} in ${of.name} ${of.version}` &&
    (platform === undefined || platform === finding.platform)
  );
}

/** A scan before has told it, as no less grave, and without a day from which on it would have counted. */
function isKnown({ severity }: ToldFinding, told: readonly ToldFinding[]): boolean {
  const rank = (of: ToldFinding["severity"]): number => findingSeverities.indexOf(of);
  return told.some((each) => each.countsFrom === undefined && rank(each.severity) <= rank(severity));
}

/** How long it waits, in milliseconds: what is known to be exploited by its own rule, and what does harm not at all. */
function graceByRules({ kev, malicious }: ToldFinding, rules: RescanRules | undefined): number {
  if (malicious === true) return 0;
  return (kev === true ? rules?.kev : rules?.others) ?? 0;
}

function planFinding(
  finding: ToldFinding,
  told: readonly ToldFinding[],
  rules: RescanRules | undefined,
  now: Date,
): ToldFinding {
  const { countsFrom: _own, ...plain } = finding;
  if (isKnown(finding, told)) return plain;
  const days = told.flatMap(({ countsFrom }) => (countsFrom === undefined ? [] : [new Date(countsFrom)]));
  const from = earliest([new Date(now.getTime() + graceByRules(finding, rules)), ...days]);
  return from.getTime() <= now.getTime() ? plain : { ...plain, countsFrom: from.toISOString() };
}

function findingKey({ child, platform, id, package: of }: ToldFinding): string {
  return JSON.stringify([child ?? "", platform, id, of.type, of.name, of.version, of.purl ?? ""]);
}

/** A time that can't be read is of before all others. */
function earliest(times: readonly Date[]): Date {
  return new Date(Math.min(...times.map((time) => (Number.isNaN(time.getTime()) ? 0 : time.getTime()))));
}

const rescanSchema = z.looseObject({
  scanner: z.looseObject({
    result: z.looseObject({
      goldenpath: z.looseObject({
        rescan: z.looseObject({
          since: z.record(
            z.string(),
            z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
          ),
        }),
      }),
    }),
  }),
});

/** A scan's predicate → since when its violations are known; undefined where it is none of a rescan. */
export function readSince(predicate: Record<string, unknown>): Record<string, Date> | undefined {
  return rescanSchema.safeParse(predicate).data?.scanner.result.goldenpath.rescan.since;
}

/** The predicate of a scan, as that of a rescan: with the days in it. */
export function tellDays(predicate: Record<string, unknown>, { since, findings }: RescanDays): Record<string, unknown> {
  const scanner = predicate["scanner"] as { result: Record<string, unknown> & { goldenpath: object } };
  const told = Object.fromEntries(Object.entries(since).map(([key, time]) => [key, time.toISOString()]));
  return {
    ...predicate,
    scanner: {
      ...scanner,
      result: {
        ...scanner.result,
        goldenpath: { ...scanner.result.goldenpath, findings, rescan: { since: told } },
      },
    },
  };
}
