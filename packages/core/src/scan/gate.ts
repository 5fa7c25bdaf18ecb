import type { NewerVersions } from "../base/standing.ts";
import { type Enforcement, findOwnDay } from "../policy/enforcement.ts";
import { type ExceptionQuery, settleViolation } from "../policy/exceptions.ts";
import type { RefusalGate } from "../policy/scan-section.ts";
import type { Exception, Policy } from "../policy/schema.ts";
import { isCounted, type Violation } from "../result.ts";
import { formatDuration } from "./duration.ts";
import { type Finding, fixTarget, gateSeverity, isAtLeast, sortFindings } from "./finding.ts";
import { findMetGates, hasFix, type MetGate } from "./gates.ts";

export interface ScanGateFacts {
  findings: readonly Finding[];
  policy: Pick<Policy["scan"], "failOn" | "onlyFixed" | "refuse">;
  exceptions: readonly Exception[];
  /** Days of the policy until which rules warn. */
  enforceFrom?: Enforcement | undefined;
  now: Date;
  /** True of a finding that is let pass because it is not new: the policy says `failOnlyOn: new`. */
  isKnown?: ((finding: Finding) => boolean) | undefined;
  /** True where the other image's finding met a gate as well when that was scanned: what it meets only since counts. */
  metBefore?: ((finding: Finding, gate: RefusalGate) => boolean) | undefined;
  /** True of a finding that counts for nothing by the word of those whose VEX the policy takes. */
  isClosed?: ((finding: Finding) => boolean) | undefined;
  /** What the base is called, for the way out of what comes with it. */
  base?: string;
  /** What is newer of it, where somebody knows: whether the application's owners can mend it by building again. */
  newerBase?: NewerVersions;
  /** Set where this is one platform of an index. */
  platform?: string;
}

export interface RefusedFinding {
  finding: Finding;
  violation: Violation;
}

/**
 * The findings that the policy refuses, the worst first; those that an exception sets aside carry it and do not count.
 * Everything else stays a finding: it is reported, and breaks no rule. What breaks several is told by the first of them
 * that counts, with those before it that an exception or a day sets aside: known as malicious, by its severity, by a gate.
 */
export function judgeFindings(facts: ScanGateFacts): RefusedFinding[] {
  return sortFindings(facts.findings)
    .filter((finding) => facts.isClosed?.(finding) !== true)
    .flatMap((finding) => {
      const refused: RefusedFinding[] = [];
      const isOld = isLetPass(finding, facts);
      for (const { violation, gate } of listRefusals(finding, facts)) {
        if (isOld && (gate === undefined || facts.metBefore?.(finding, gate) === true)) continue;
        const things = [finding.id, ...finding.aliases];
        const own = gate === undefined ? undefined : findOwnDay(gate.name, gate);
        const named = { package: finding.package.name, gate: gate?.name, own };
        const query: ExceptionQuery = { rule: violation.rule, things, ...named };
        const settled = settleViolation(violation, query, facts);
        refused.push({ finding, violation: settled });
        // What waits must not hide what refuses already.
        if (isCounted(settled)) break;
      }
      return refused;
    });
}

/**
 * True where a finding is at or above the policy's threshold and, where the policy asks for that, can be fixed. One
 * whose advisory was taken back by all who said it is none.
 */
export function isRefused(finding: Finding, policy: Pick<ScanGateFacts["policy"], "failOn" | "onlyFixed">): boolean {
  if (finding.withdrawn !== undefined) return false;
  return isAtLeast(gateSeverity(finding), policy.failOn) && (!policy.onlyFixed || hasFix(finding));
}

/** What is known to be exploited, or was made to do harm, never becomes something to live with. */
export function isLetPass(finding: Finding, { isKnown }: Pick<ScanGateFacts, "isKnown">): boolean {
  return finding.kev !== true && finding.malicious !== true && isKnown?.(finding) === true;
}

/** Each reason for which the policy refuses a finding, whatever its exceptions say. */
function listRefusals(
  finding: Finding,
  { policy, base, newerBase, platform, now }: Pick<ScanGateFacts, "policy" | "base" | "newerBase" | "platform" | "now">,
): { violation: Violation; gate?: RefusalGate }[] {
  const exploited = finding.kev === true ? " It is known to be exploited." : "";
  const hidden = finding.hidden === undefined ? "" : ` ${finding.hidden}`;
  const refuse = (told: Pick<Violation, "rule" | "problem"> & { wayOut?: string }): Violation => ({
    wayOut: describeWayOut(finding, base, newerBase),
    ...told,
    thing: `${finding.id} in ${finding.package.name} ${finding.package.version}`,
    problem: `${told.problem}${exploited}${hidden}`,
    ...(platform === undefined ? {} : { platform }),
  });
  const refusals: { violation: Violation; gate?: RefusalGate }[] = [];
  if (finding.malicious === true && finding.withdrawn === undefined) {
    const wayOut = `Take ${finding.package.name} out, and treat machines and secrets that it ran beside as taken over.`;
    refusals.push({
      violation: refuse({ rule: "scan.malicious", problem: "The package is known to be malicious.", wayOut }),
    });
  }
  if (isRefused(finding, policy)) {
    const severity =
      finding.severity === "unknown" ? "unknown severity, which counts as high" : `severity ${finding.severity}`;
    const problem = `It is a vulnerability of ${severity}; the policy refuses ${policy.failOn} and above.`;
    refusals.push({ violation: refuse({ rule: "scan.severity", problem }) });
  }
  for (const met of findMetGates(finding, policy.refuse, now))
    refusals.push({ violation: refuse({ rule: "scan.gate", problem: describeMet(met) }), gate: met.gate });
  return refusals;
}

/** True where the policy refuses a finding, be it known already or set aside by an exception. */
export function isAgainstPolicy(finding: Finding, policy: ScanGateFacts["policy"], now: Date): boolean {
  return listRefusals(finding, { policy, now }).length > 0;
}

function describeMet({ gate, because }: MetGate): string {
  return `The policy's gate '${gate.name}' refuses it: ${because.join("; ")}.`;
}

function describeWayOut(finding: Finding, base?: string, newer?: NewerVersions): string {
  const { name, type } = finding.package;
  if (!hasFix(finding)) {
    const state = finding.fixState === "wont-fix" ? "The publisher does not fix it" : "There is no fixed version yet";
    const except = "ask for an exception in the policy, with an owner and an end date";
    return finding.origin === "base"
      ? `${state}, and it comes with the base image${base === undefined ? "" : ` ${base}`}: ${except}.`
      : `${state}: do without ${name}, or ${except}.`;
  }
  const target = fixTarget(finding) ?? "a fixed version";
  if (finding.origin === "base") {
    const comes = `It comes with the base image${base === undefined ? "" : ` ${base}`}`;
    if (newer === undefined) return `${comes}: take the base's next version, with ${name} ${target}.`;
    if (newer.count === 0)
      return `${comes}, and this is its newest version: whoever keeps the base has to bring one with ${name} ${target}.`;
    const since = newer.since === undefined ? "" : ` (since ${newer.since.toISOString().slice(0, 10)})`;
    return `${comes}, of which there is a newer version${since}: build on its newest one. It needs ${name} ${target}; where that lacks it, whoever keeps the base has to bring it.`;
  }
  return `Update ${name} to ${target} (${type}).`;
}

/** Facts about the vulnerability data, as the scanner states them. */
export interface DatabaseFacts {
  /** When the data was put together. */
  built?: Date;
  schema?: string;
  /** Of the database's file, as the scanner checks it (`xxh64:…`). */
  digest?: string;
  /** Where the scanner got it from. */
  from?: string;
}

/** A clock may be behind that of the machine that built the data. */
const clockSkew = 60 * 60 * 1000;

/**
 * The violations of the data's own age. Data that does not say when it was made is as old as it could be; data from the
 * future says nothing true.
 * @param tell whose data it is, where there are several, and the command that brings it up to date, for the way out
 */
export function judgeDatabase(
  database: DatabaseFacts,
  maxAge: number | "unlimited",
  now: Date,
  { of, update }: { of?: string; update?: string } = {},
): Violation[] {
  if (maxAge === "unlimited") return [];
  const violation = (problem: string): Violation[] => [
    {
      rule: "scan.database-age",
      thing: `the vulnerability data${of === undefined ? "" : ` of ${of}`}`,
      problem,
      wayOut: `Update the database (${update === undefined ? "" : `\`${update}\`, or `}a newer one in the input 'database') and scan again.`,
    },
  ];
  const built = database.built?.getTime();
  const limit = `the policy accepts ${formatDuration(maxAge)}`;
  if (built === undefined || Number.isNaN(built)) return violation(`It does not say when it was made, and ${limit}.`);
  const age = now.getTime() - built;
  if (age < -clockSkew)
    return violation(`It says that it was made in the future, on ${new Date(built).toISOString()}.`);
  if (age > maxAge)
    return violation(`It is of ${new Date(built).toISOString()}, ${formatDuration(age)} old, and ${limit}.`);
  return [];
}
