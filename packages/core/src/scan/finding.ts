import { type Severity, severities } from "../policy/schema.ts";

/** The policy's five, and what a source that does not say leaves. */
export type FindingSeverity = Severity | "unknown";

/** From the worst down; `unknown` stands where the gate puts it, beside `high`. */
export const findingSeverities = ["critical", "high", "unknown", "medium", "low", "negligible"] as const satisfies FindingSeverity[];

/** Where the package sits: in the base's layers, above them, or nobody can say. It words the way out and never decides. */
type FindingOrigin = "base" | "application" | "unknown";

interface FindingPackage {
  name: string;
  version: string;
  /** The scanner's word for the ecosystem: `npm`, `deb`, `go-module`, … */
  type: string;
  purl?: string;
}

/** One vulnerability in one package of one image, whichever scanner found it. */
export interface Finding {
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
  origin: FindingOrigin;
  urls: string[];
  description?: string;
  /** The highest base score that the scanner gives, 0 to 10. */
  cvss?: number;
  /** The highest probability of exploitation in the next 30 days (FIRST's EPSS), 0 to 1. */
  epss?: number;
  /** In CISA's catalogue of vulnerabilities known to be exploited. */
  kev?: boolean;
  /** The scanner. */
  source: "grype";
}

/**
 * The severity that the gate compares. Fresh CVEs have none for days: an unknown severity counts as `high`, so that what nobody rated yet is neither waved
 * through nor stops an organisation that refuses only critical ones.
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
  return finding.suggestedVersion ?? (finding.fixedVersions.length === 0 ? undefined : finding.fixedVersions.join(" or "));
}

/** What makes two findings the same one, in whichever path or platform. */
export function findingKey(finding: Finding): string {
  return JSON.stringify([finding.id, finding.package.type, finding.package.name, finding.package.version]);
}

export type FindingCounts = Record<FindingSeverity, number>;

/** How many different findings there are of each severity; one seen on several platforms counts once. */
export function countFindings(findings: readonly Finding[]): FindingCounts {
  const counts: FindingCounts = { critical: 0, high: 0, unknown: 0, medium: 0, low: 0, negligible: 0 };
  for (const finding of new Map(findings.map((entry) => [findingKey(entry), entry])).values()) counts[finding.severity] += 1;
  return counts;
}

/** Where a package comes from, by its layers: the base's only when all of them are the base's. Without layers, or without knowing the base, nobody can say. */
export function originOf(layers: readonly string[], baseDiffIds: readonly string[] | undefined): FindingOrigin {
  if (layers.length === 0 || baseDiffIds === undefined) return "unknown";
  return layers.every((layer) => baseDiffIds.includes(layer)) ? "base" : "application";
}
