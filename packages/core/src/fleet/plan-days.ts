import { z } from "zod";
import type { RescanRules } from "../policy/scan-section.ts";
import type { ListedViolation } from "../result.ts";
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
 * once without such a rule. A thing that is mended and comes back has no days again. A finding that is new to a rescan
 * counts at the gates of environments by the same days; one that a scan before has told counts already.
 */
export function planDays({ violations, findings, earlier, rules, now }: RescanFacts): RescanDays {
  const graces = graceOf(findings, rules);
  const since: Record<string, Date> = {};
  const days = violations.map((violation) => {
    const key = violationKey(violation);
    since[key] = earliest([now, ...earlier.flatMap((scan) => scan.since?.[key] ?? [])]);
    return new Date(since[key].getTime() + graces.ofViolation(violation));
  });
  const first = days.length === 0 ? undefined : earliest(days);
  return {
    ...{ since, days },
    ...(first === undefined || first.getTime() <= now.getTime() ? {} : { countsFrom: first }),
    findings: planFindings({ findings, earlier, now }, graces.ofFinding),
  };
}

function planFindings(
  { findings, earlier, now }: Pick<RescanFacts, "findings" | "earlier" | "now">,
  graceOfFinding: (finding: ToldFinding) => number,
): ToldFinding[] {
  const known = Map.groupBy(
    earlier.flatMap(({ told }) => told.findings),
    findingKey,
  );
  return findings.map((finding) => {
    const told = known.get(findingKey(finding)) ?? [];
    const { countsFrom: _own, ...plain } = finding;
    if (told.some(({ countsFrom }) => countsFrom === undefined)) return plain;
    const first = new Date(now.getTime() + graceOfFinding(finding));
    const from = earliest([first, ...told.map(({ countsFrom }) => new Date(countsFrom ?? Number.NaN))]);
    return from.getTime() <= now.getTime() ? plain : { ...plain, countsFrom: from.toISOString() };
  });
}

/** How long each waits, in milliseconds: what is known to be exploited by its own rule, and what does harm not at all. */
function graceOf(findings: readonly ToldFinding[], rules: RescanRules | undefined) {
  const ofFinding = ({ kev, malicious }: Pick<ToldFinding, "kev" | "malicious">): number =>
    malicious === true ? 0 : ((kev === true ? rules?.kev : rules?.others) ?? 0);
  const graces = new Map<string, number>();
  for (const finding of findings) {
    // As violations name it; of several findings the one that waits least counts.
    const thing = `${finding.id} in ${finding.package.name} ${finding.package.version}`;
    graces.set(thing, Math.min(graces.get(thing) ?? Number.POSITIVE_INFINITY, ofFinding(finding)));
  }
  const ofViolation = ({ rule, thing }: ListedViolation): number =>
    rule === "scan.malicious" ? 0 : (graces.get(thing) ?? rules?.others ?? 0);
  return { ofFinding, ofViolation };
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
