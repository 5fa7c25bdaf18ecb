import { type Severity, severities } from "../policy/schema.ts";

/** The policy's five, and what a source that does not say leaves. */
export type FindingSeverity = Severity | "unknown";

/** From the worst down; `unknown` stands where the gate puts it, beside `high`. */
export const findingSeverities = [
  "critical",
  "high",
  "unknown",
  "medium",
  "low",
  "negligible",
] as const satisfies FindingSeverity[];

/**
 * Where the package sits: in the base's layers, above them, or nobody can say. It words the way out and never decides.
 */
type FindingOrigin = "base" | "application" | "unknown";

interface FindingPackage {
  name: string;
  version: string;
  /** The cataloger's word for its kind, as the SBOM has it: `npm`, `deb`, `go-module`, … */
  type: string;
  purl?: string;
}

/** One vulnerability in one package, as a scanner says it. */
export interface ScannerFinding {
  /** As the scanner calls it: `GHSA-…`, `CVE-…`. */
  id: string;
  /** The same vulnerability's other names. */
  aliases: string[];
  severity: FindingSeverity;
  package: FindingPackage;
  /** Versions that do not have it, as the advisory lists them. */
  fixedVersions: string[];
  /** That of them which the scanner recommends for the version found: the nearest one. */
  suggestedVersion?: string;
  fixState: "fixed" | "not-fixed" | "wont-fix" | "unknown";
  /** diffIDs of the layers that the package was seen in. Empty where the scanner does not say. */
  layers: string[];
  /** Where in the image the package was seen. */
  paths: string[];
  urls: string[];
  description?: string;
  /** The highest base score that the scanner gives, 0 to 10. */
  cvss?: number;
  /** The highest probability of exploitation in the next 30 days (FIRST's EPSS), 0 to 1. */
  epss?: number;
  /** In CISA's catalogue of vulnerabilities known to be exploited. */
  kev?: boolean;
}

/** One vulnerability in one package of one image, whichever scanner found it. */
export interface Finding extends ScannerFinding {
  origin: FindingOrigin;
  /** Set where only the base's own view has it: why it counts although the image's does not show it. One sentence. */
  hidden?: string;
  /** The scanner's name. */
  source: string;
}

/**
 * The severity that the gate compares. Fresh CVEs have none for days: an unknown severity counts as `high`, so that
 * what nobody rated yet is neither waved through nor stops an organisation that refuses only critical ones.
 */
export function gateSeverity(finding: Pick<Finding, "severity">): Severity {
  return finding.severity === "unknown" ? "high" : finding.severity;
}

/** True where a severity is at or above a threshold. */
export function isAtLeast(severity: Severity, threshold: Severity): boolean {
  return severities.indexOf(severity) >= severities.indexOf(threshold);
}

/** Findings from the worst down, then by package and id: the same findings are always in the same order. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const rank = (finding: Finding): number => severities.length - severities.indexOf(gateSeverity(finding));
  const name = (finding: Finding): string => `${finding.package.name}\0${finding.package.version}\0${finding.id}`;
  return findings.toSorted((a, b) => rank(a) - rank(b) || (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0));
}

/** The version to go to, or the versions where the scanner recommends none; undefined where none is known. */
export function fixTarget(finding: Finding): string | undefined {
  return (
    finding.suggestedVersion ?? (finding.fixedVersions.length === 0 ? undefined : finding.fixedVersions.join(" or "))
  );
}

/**
 * What makes two findings the same one, in whichever path or platform. A name is not a package: the package URL says
 * whose it is (two Maven artifacts of one name, a package of another distribution). Only the architecture in it is left
 * out, as it says no more than the platform.
 */
export function findingKey({ id, package: { type, name, version, purl } }: Finding): string {
  return JSON.stringify([id, type, name, version, purl === undefined ? "" : withoutArchitecture(purl)]);
}

function withoutArchitecture(purl: string): string {
  const [path = "", query = ""] = purl.split("?", 2);
  const qualifiers = query.split("&").filter((each) => each !== "" && !each.startsWith("arch="));
  return qualifiers.length === 0 ? path : `${path}?${qualifiers.toSorted().join("&")}`;
}

/** Fixed first: where any source knows of a fix, the gate asks for it. */
const fixStates = ["fixed", "wont-fix", "not-fixed", "unknown"] as const satisfies Finding["fixState"][];

/**
 * Findings, each once, in the order in which they come first. Where sources, paths or platforms say different things of
 * one, the worst of it holds: severity (nobody's rating counts as the gate counts it), known exploitation, probability,
 * score, and that there is a fix.
 */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>();
  for (const finding of findings) {
    const key = findingKey(finding);
    const same = merged.get(key);
    merged.set(key, same === undefined ? finding : mergeTwo(same, finding));
  }
  return [...merged.values()];
}

function mergeTwo(a: Finding, b: Finding): Finding {
  const { suggestedVersion: _suggested, ...rest } = a;
  const suggested = unique([a.suggestedVersion, b.suggestedVersion]);
  const description = a.description ?? b.description;
  const hidden = a.hidden ?? b.hidden;
  return {
    ...rest,
    aliases: unique([...a.aliases, ...b.aliases]),
    severity: firstOf(findingSeverities, a.severity, b.severity),
    fixedVersions: unique([...a.fixedVersions, ...b.fixedVersions]),
    // Of two recommendations neither is known to mend what the other source means: then all versions are told.
    ...(suggested.length === 1 ? { suggestedVersion: suggested[0] as string } : {}),
    fixState: firstOf(fixStates, a.fixState, b.fixState),
    layers: unique([...a.layers, ...b.layers]),
    paths: unique([...a.paths, ...b.paths]),
    origin: a.origin === b.origin ? a.origin : "unknown",
    urls: unique([...a.urls, ...b.urls]),
    ...(description === undefined ? {} : { description }),
    ...largest("cvss", a, b),
    ...largest("epss", a, b),
    ...(a.kev === true || b.kev === true ? { kev: true } : {}),
    ...(hidden === undefined ? {} : { hidden }),
  };
}

function firstOf<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) <= order.indexOf(b) ? a : b;
}

function largest<K extends "cvss" | "epss">(key: K, a: Finding, b: Finding): Partial<Pick<Finding, K>> {
  const values = [a[key], b[key]].filter((value) => value !== undefined);
  return values.length === 0 ? {} : ({ [key]: Math.max(...values) } as Pick<Finding, K>);
}

function unique<T>(values: readonly (T | undefined)[]): T[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}

export type FindingCounts = Record<FindingSeverity, number>;

/** How many different findings there are of each severity; one seen on several platforms counts once. */
export function countFindings(findings: readonly Finding[]): FindingCounts {
  const counts: FindingCounts = { critical: 0, high: 0, unknown: 0, medium: 0, low: 0, negligible: 0 };
  for (const finding of mergeFindings(findings)) counts[finding.severity] += 1;
  return counts;
}

/**
 * What a scanner found in one image, each vulnerability of a package once, the worst first.
 * @param source the scanner's name
 * @param baseDiffIds of the layers of the base that the image stands on
 */
export function placeFindings(
  found: readonly ScannerFinding[],
  source: string,
  baseDiffIds?: readonly string[],
): Finding[] {
  const findings = found.map(
    (finding): Finding => ({ ...finding, package: nameSystemType(finding.package), origin: "unknown", source }),
  );
  return sortFindings(
    mergeFindings(findings).map((finding) => ({ ...finding, origin: originOf(finding.layers, baseDiffIds) })),
  );
}

/**
 * A system's package has its package URL's type, whatever the scanner calls that: whether layers above a base changed
 * it is judged by its own files, and of a package of another kind by the place where it was seen, which is the whole
 * system's database.
 */
function nameSystemType(found: FindingPackage): FindingPackage {
  const [, type] = /^pkg:(deb|apk|rpm)\//.exec(found.purl ?? "") ?? [];
  return type === undefined || type === found.type ? found : { ...found, type };
}

/**
 * Where a package comes from, by its layers: the base's only when all of them are the base's. Without layers, or
 * without knowing the base, nobody can say.
 */
export function originOf(layers: readonly string[], baseDiffIds: readonly string[] | undefined): FindingOrigin {
  if (layers.length === 0 || baseDiffIds === undefined) return "unknown";
  return layers.every((layer) => baseDiffIds.includes(layer)) ? "base" : "application";
}
