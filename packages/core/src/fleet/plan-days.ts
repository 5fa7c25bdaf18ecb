import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { type RescanRules, rescannedEvery } from "../policy/scan-section.ts";
import type { ListedViolation } from "../result.ts";
import { findingSeverities } from "../scan/finding.ts";
import type { ToldFinding, ToldScan } from "../scan/told-findings.ts";
import { identifyFindings } from "./same-finding.ts";

/** A scan that was signed before. */
export interface EarlierScan {
  told: Pick<ToldScan, "findings" | "finishedOn">;
  /** Of a rescan: since when each violation is known, by {@link violationKey}. */
  since?: Readonly<Record<string, Date>>;
  /** Its signer's word does not count, or no more: what it has told is known, and no days begin with it. */
  provesNothing?: true;
}

export interface RescanFacts {
  /** Those that count: without exceptions. */
  violations: readonly ListedViolation[];
  findings: readonly ToldFinding[];
  earlier: readonly EarlierScan[];
  /** A scan before is there and can't be read: it may have told all of it. */
  isUnreadable?: boolean;
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
 * under whichever name, which the policy, an exception or a fix has become against since; nor what is no
 * vulnerability's, but for others' words about the image, which become missing or wrong while it stays the same. A thing that is mended and comes back has no days again. At the gates of environments a finding
 * counts by the same days.
 *
 * What was signed before lies in a registry, whose owner can take it away. So the days begin no later than the policy's
 * `scan.rescan.every` after the newest scan that is there: the fewer there are, the earlier. Without any, or beside one
 * that can't be read, there are no days.
 */
export function planDays(facts: RescanFacts): RescanDays {
  const { violations, findings, earlier, now } = facts;
  const toldBefore = indexEarlier(facts);
  const start = findStart(facts);
  const planned = findings.map((finding) => {
    const before = toldBefore(finding);
    return { finding, before, from: planFinding(finding, before, start, facts) };
  });
  const since: Record<string, Date> = {};
  const days = violations.map((violation) => {
    const key = violationKey(violation);
    const own = planned.filter(({ finding }) => isOf(violation, finding));
    const before = own.flatMap((each) => each.before).flatMap(({ finding, scan }) => listTimes(finding, scan));
    const known = earliest([now, ...before, ...earlier.flatMap((scan) => scan.since?.[key] ?? [])]);
    since[key] = known;
    // As violations name it; of several findings the one that waits least counts.
    const waits = own.map(({ finding, from }) => (from === undefined ? 0 : graceByRules(finding, facts.rules)));
    if (isOthersWord(violation)) waits.push(facts.rules?.others ?? 0);
    if (start === undefined || waits.length === 0) return known;
    const longest = earliest([known, start]).getTime() + Math.min(...waits);
    return earliest([new Date(longest), ...own.flatMap(({ from }) => from ?? [])]);
  });
  const first = days.length === 0 ? undefined : earliest(days);
  return {
    ...{ since, days },
    ...(first === undefined || first.getTime() <= now.getTime() ? {} : { countsFrom: first }),
    findings: planned.map(({ finding: { countsFrom: _own, ...plain }, from }) =>
      from === undefined ? plain : { ...plain, countsFrom: from.toISOString() },
    ),
  };
}

/** What one scan before has told of a finding. */
interface ToldBefore {
  finding: ToldFinding;
  scan: EarlierScan;
}

function indexEarlier({ findings, earlier }: RescanFacts): (finding: ToldFinding) => ToldBefore[] {
  const identify = identifyFindings([...findings, ...earlier.flatMap(({ told }) => told.findings)]);
  const known = new Map<string, ToldBefore[]>();
  for (const scan of earlier) {
    for (const finding of scan.told.findings) {
      for (const identity of identify(finding)) {
        const same = known.get(identity);
        if (same === undefined) known.set(identity, [{ finding, scan }]);
        else same.push({ finding, scan });
      }
    }
  }
  return (finding) => [...new Set([...identify(finding)].flatMap((identity) => known.get(identity) ?? []))];
}

/** When the days of what is new begin; undefined where nothing has any. */
function findStart({ earlier, isUnreadable, rules, now }: RescanFacts): Date | undefined {
  const times = earlier
    .filter(({ provesNothing }) => provesNothing !== true)
    .map(({ told }) => told.finishedOn.getTime());
  if (isUnreadable === true || rules === undefined || times.length === 0) return undefined;
  return earliest([now, new Date(Math.max(...times) + (rules.every ?? rescannedEvery))]);
}

function isOf({ rule, thing, platform }: ListedViolation, finding: ToldFinding): boolean {
  const { id, package: of } = finding;
  return (
    rule !== "scan.malicious" &&
    thing === `${id} in ${of.name} ${of.version}` &&
    (platform === undefined || platform === finding.platform)
  );
}

/** A report or VEX of somebody else. */
function isOthersWord({ rule }: ListedViolation): boolean {
  return rule === "scan.report" || rule === "scan.vex";
}

/** Since when a scan before knew what it refused for this finding, under whichever rule. */
function listTimes({ id, package: of, platform }: ToldFinding, { since = {} }: EarlierScan): Date[] {
  const thing = `${id} in ${of.name} ${of.version}`;
  const ends = ["", platform].map((on) => violationKey({ rule: "", thing, platform: on }).replace('[""', ""));
  return Object.entries(since).flatMap(([key, time]) => (ends.some((end) => key.endsWith(end)) ? [time] : []));
}

/** True where what was told is no less grave. */
function isNoLess({ severity: told }: ToldFinding, { severity }: ToldFinding): boolean {
  return findingSeverities.indexOf(told) <= findingSeverities.indexOf(severity);
}

/** How long it waits, in milliseconds: what is known to be exploited by its own rule, and what does harm not at all. */
function graceByRules({ kev, malicious }: ToldFinding, rules: RescanRules | undefined): number {
  if (malicious === true) return 0;
  return (kev === true ? rules?.kev : rules?.others) ?? 0;
}

/**
 * From when on it counts; undefined: at once. A scan before that has told it as no less grave has said so already: by the
 * day that it told, or without one.
 */
function planFinding(
  finding: ToldFinding,
  before: readonly ToldBefore[],
  start: Date | undefined,
  { rules, now }: RescanFacts,
): Date | undefined {
  if (start === undefined) return undefined;
  const told = before.filter((each) => isNoLess(each.finding, finding)).map((each) => each.finding.countsFrom);
  const days = told.map((day) => new Date(day ?? 0));
  const from = earliest([new Date(start.getTime() + graceByRules(finding, rules)), ...days]);
  return from.getTime() <= now.getTime() ? undefined : from;
}

/** A time that can't be read is of before all others. */
function earliest(times: readonly Date[]): Date {
  return new Date(Math.min(...times.map((time) => (Number.isNaN(time.getTime()) ? 0 : time.getTime()))));
}

const rescanSchema = z.looseObject({
  scanner: z.looseObject({
    result: z.looseObject({
      goldenpath: z.looseObject({
        rescan: z
          .looseObject({
            since: z.record(
              z.string(),
              z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
            ),
          })
          .optional(),
      }),
    }),
  }),
});

/** A scan's predicate → since when its violations are known, where it is one of a rescan; or why that can't be told. */
export function readSince(predicate: Record<string, unknown>): Pick<EarlierScan, "since"> | { problem: string } {
  const parsed = rescanSchema.safeParse(predicate);
  return parsed.success
    ? (parsed.data.scanner.result.goldenpath.rescan ?? {})
    : { problem: describeIssues(parsed.error) };
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
