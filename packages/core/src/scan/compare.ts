import type { RefusalGate } from "../policy/scan-section.ts";
import type { ComparisonReport } from "../result.ts";
import { parsePackageUrl } from "./components.ts";
import { type Finding, type FindingSeverity, findingSeverities, sortFindings } from "./finding.ts";
import { findMetGates } from "./gates.ts";
import type { ToldFinding, ToldScan } from "./told-findings.ts";

/**
 * `new`: the other image does not have it. `worse`: it has, and there it was rated lower, or not known to be exploited,
 * or not known for malicious; which counts as new. `unchanged`: all else that both have.
 */
export type FindingChange = "new" | "worse" | "unchanged";

/** The findings of one platform's image beside those of another image on the same platform. */
export interface FindingComparison {
  changeOf(finding: Finding): FindingChange;
  /** True where the other image's scan had it set aside by an exception or VEX, which speak for that image alone. */
  isByException(finding: Finding): boolean;
  /** True where one of them there met a gate when it was scanned. */
  metBefore(finding: Finding, gate: RefusalGate): boolean;
  /** What only the other image has, the worst first. */
  fixed: ToldFinding[];
}

/**
 * Compares by package and vulnerability, whatever the package's version is: who updates a package from one vulnerable
 * version to another has not brought the vulnerability. Of several of them in the other image the worst counts.
 * @param platform `linux/amd64`: what the other image has not, is new there in whole
 */
export function compareFindings(
  findings: readonly Finding[],
  other: Pick<ToldScan, "findings" | "finishedOn">,
  platform: string,
): FindingComparison {
  const known = new Map<string, ToldFinding[]>();
  const there = other.findings.filter((told) => told.platform === platform);
  for (const told of there) {
    for (const key of keysOf(told)) {
      const same = known.get(key);
      if (same === undefined) known.set(key, [told]);
      else same.push(told);
    }
  }
  const here = new Set(findings.flatMap(keysOf));
  const matching = (finding: Finding): ToldFinding[] => keysOf(finding).flatMap((key) => known.get(key) ?? []);
  return {
    changeOf: (finding) => judgeChange(finding, matching(finding)),
    isByException: (finding) => matching(finding).some(({ excepted, vex }) => excepted === true || vex !== undefined),
    metBefore: (finding, gate) =>
      matching(finding).some((told) => findMetGates(told, [gate], other.finishedOn).length > 0),
    fixed: sortTold(there.filter((told) => !keysOf(told).some((key) => here.has(key)))),
  };
}

function judgeChange(finding: Finding, known: readonly ToldFinding[]): FindingChange {
  if (known.length === 0) return "new";
  const rank = ({ severity }: { severity: FindingSeverity }): number => findingSeverities.indexOf(severity);
  const isRatedHigher = known.every((told) => rank(finding) < rank(told));
  const isNowExploited = finding.kev === true && !known.some(({ kev }) => kev === true);
  const isNowMalicious = finding.malicious === true && !known.some(({ malicious }) => malicious === true);
  return isRatedHigher || isNowExploited || isNowMalicious ? "worse" : "unchanged";
}

type Compared = Pick<ToldFinding, "id" | "aliases" | "package">;

/** One for each name of the vulnerability: scanners differ in which of them is its id. */
function keysOf({ id, aliases, package: of }: Compared): string[] {
  return [...new Set([id, ...aliases])].map((name) => JSON.stringify([name, ...nameOf(of)]));
}

/** Whose package it is: by its URL without version and qualifiers, else by its kind and name. */
function nameOf({ type, name, purl }: Compared["package"]): [string, string] {
  const url = parsePackageUrl(purl);
  return url === undefined ? [type, name] : ["purl", JSON.stringify([url.type, url.namespace, url.name])];
}

function sortTold(told: readonly ToldFinding[]): ToldFinding[] {
  const byKey = new Map(told.map((each) => [keysOf(each)[0] as string, each]));
  return [...byKey.values()].toSorted(
    (a, b) =>
      findingSeverities.indexOf(a.severity) - findingSeverities.indexOf(b.severity) ||
      (a.package.name < b.package.name ? -1 : a.package.name > b.package.name ? 1 : a.id < b.id ? -1 : 1),
  );
}

type ComparedFinding = ComparisonReport["new"][number];

/** Of each platform's image its findings, and how they compare. */
export interface ComparedChild {
  findings: readonly Finding[];
  comparison: FindingComparison;
  /** Set for an index only. */
  platform?: string;
}

/**
 * How all platforms compare, in numbers and as lists.
 * @param told what is known of the other image; without a comparison that is all
 * @param locate where in the checkout a finding is mended; undefined where it has no such place
 */
export function reportComparison(
  told: Omit<ComparisonReport, "counts" | "new" | "fixed">,
  children: readonly ComparedChild[],
  locate?: (finding: Finding) => ComparedFinding["place"],
): ComparisonReport {
  if (children.length === 0) return { ...told, new: [], fixed: [] };
  const counts = { new: 0, worse: 0, fixed: 0, unchanged: 0 };
  const added: ComparedFinding[] = [];
  const fixed: ComparedFinding[] = [];
  for (const { findings, comparison, platform } of children) {
    const platformOf = platform === undefined ? {} : { platform };
    for (const finding of sortFindings(findings)) {
      const change = comparison.changeOf(finding);
      counts[change] += 1;
      if (change === "unchanged") continue;
      const where = locate?.(finding);
      added.push({ ...tellOne(finding), change, ...platformOf, ...(where === undefined ? {} : { place: where }) });
    }
    for (const gone of comparison.fixed) {
      counts.fixed += 1;
      fixed.push({ ...tellOne(gone), change: "fixed", ...platformOf });
    }
  }
  return { ...told, counts, new: added, fixed };
}

function tellOne({
  id,
  severity,
  fixedVersions,
  suggestedVersion,
  origin,
  package: { name, version },
}: Pick<ToldFinding, "id" | "severity" | "fixedVersions" | "suggestedVersion" | "origin" | "package">): Omit<
  ComparedFinding,
  "change"
> {
  const suggested = suggestedVersion === undefined ? {} : { suggestedVersion };
  return { id, package: name, version, severity, fixedVersions, ...suggested, origin };
}
