import { type Severity, severities } from "../policy/scan-section.ts";

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

export interface FindingPackage {
  name: string;
  version: string;
  /** The cataloger's word for its kind, as the SBOM has it: `npm`, `deb`, `go-module`, … */
  type: string;
  purl?: string;
  /**
   * What it is there for, where the SBOM says so: `optional` may be left out, `development` runs nowhere but where the
   * application is made. Undefined: nobody said, which is not that it runs.
   */
  scope?: "runtime" | "optional" | "development";
}

/** One rating by the Common Vulnerability Scoring System. */
export interface CvssScore {
  /** `2.0`, `3.0`, `3.1`, `4.0`; empty where the source does not say. */
  version: string;
  /** `CVSS:3.1/AV:N/…` */
  vector?: string;
  /** The base score, 0 to 10. */
  score?: number;
  /** Who rated, in the scanner's own word: `nvd@nist.gov`, `redhat`. */
  by?: string;
}

/** When a version that does not have the vulnerability came to be. */
export interface FixRelease {
  version: string;
  /** A day (`2026-11-26`) or a time, by ISO 8601. */
  on: string;
}

/**
 * One vulnerability in one package, as a scanner says it. What is optional and missing is unknown: the scanner or its
 * data does not tell. That there is none is said: by `false`, by `"none"`, by an empty list.
 */
export interface ScannerFinding {
  /** As the scanner calls it: `GHSA-…`, `CVE-…`. */
  id: string;
  /** The same vulnerability's other names. */
  aliases: string[];
  /**
   * The vulnerabilities that the advisory is about, where those are several, as of `RHSA-…`. They are not names of one:
   * what is said of one of them is not said of the others.
   */
  covers?: string[];
  severity: FindingSeverity;
  package: FindingPackage;
  /** Versions that do not have it, as the advisory lists them. */
  fixedVersions: string[];
  /** That of them which the scanner recommends for the version found: the nearest one. */
  suggestedVersion?: string;
  fixState: "fixed" | "not-fixed" | "wont-fix" | "unknown";
  /** When fixed versions came to be. */
  fixReleases?: FixRelease[];
  /** diffIDs of the layers that the package was seen in. Empty where the scanner does not say. */
  layers: string[];
  /** Where in the image the package was seen. */
  paths: string[];
  urls: string[];
  description?: string;
  /** The highest base score that the scanner gives, 0 to 10. */
  cvss?: number;
  /** All ratings that the scanner gives. */
  scores?: CvssScore[];
  /** The highest probability of exploitation in the next 30 days (FIRST's EPSS), 0 to 1. */
  epss?: number | "none";
  /** In CISA's catalogue of vulnerabilities known to be exploited. */
  kev?: boolean;
  /** The package was made to do harm (OSV's `MAL-…`). */
  malicious?: boolean;
  /** When the advisory was taken back, by ISO 8601. */
  withdrawn?: string;
  /** The advisory that it rests on. */
  advisory?: {
    /** Whose it is, in the scanner's own word: `debian:distro:debian:12`, `github:language:javascript`. */
    by: string;
    /** It is that of the distribution which the package is of. */
    isDistributions?: true;
    /** The distribution's advisory does not rate: the severity is somebody else's. */
    ratedElsewhere?: true;
  };
}

/** What one source says of a finding, as it says it. */
export interface Saying
  extends Pick<
    ScannerFinding,
    "id" | "severity" | "fixState" | "fixedVersions" | "cvss" | "paths" | "withdrawn" | "advisory"
  > {
  /** The scanner's name, or that of an imported report. */
  source: string;
}

/** One vulnerability in one package of one image, whoever found it. */
export interface Finding extends ScannerFinding {
  origin: FindingOrigin;
  /** Set where only the base's own view has it: why it counts although the image's does not show it. One sentence. */
  hidden?: string;
  /** Who says what of it; never empty. `severity`, `fixState` and `fixedVersions` are what counts of these. */
  saidBy: Saying[];
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
export function fixTarget(finding: Pick<Finding, "suggestedVersion" | "fixedVersions">): string | undefined {
  return (
    finding.suggestedVersion ?? (finding.fixedVersions.length === 0 ? undefined : finding.fixedVersions.join(" or "))
  );
}

/**
 * What makes two findings the same one, in whichever path or platform. A name is not a package: the package URL says
 * whose it is (two Maven artifacts of one name, a package of another distribution). Only the architecture in it is left
 * out, as it says no more than the platform.
 */
export function findingKey(finding: Pick<ScannerFinding, "id" | "package">): string {
  return JSON.stringify([finding.id, packageKey(finding.package)]);
}

/** What makes two packages the same one, wherever they lie. */
export function packageKey({ type, name, version, purl }: FindingPackage): string {
  return JSON.stringify([type, name, version, purl === undefined ? "" : withoutArchitecture(purl)]);
}

/** All names of the vulnerability; two findings that share one are of the same. */
export function namesOf({ id, aliases }: Pick<ScannerFinding, "id" | "aliases">): string[] {
  return [...new Set([id, ...aliases])];
}

/** True where the package is an operating system's, by its distribution's package manager. */
export function isSystemPackage({ type }: FindingPackage): boolean {
  return type === "deb" || type === "rpm" || type === "apk" || type === "alpm";
}

function withoutArchitecture(purl: string): string {
  const [path = "", query = ""] = purl.split("?", 2);
  const qualifiers = query.split("&").filter((each) => each !== "" && !each.startsWith("arch="));
  return qualifiers.length === 0 ? path : `${path}?${qualifiers.toSorted().join("&")}`;
}

export type FindingCounts = Record<FindingSeverity, number>;

/**
 * Where a package comes from, by its layers: the base's only when all of them are the base's. Without layers, or
 * without knowing the base, nobody can say.
 */
export function originOf(layers: readonly string[], baseDiffIds: readonly string[] | undefined): FindingOrigin {
  if (layers.length === 0 || baseDiffIds === undefined) return "unknown";
  return layers.every((layer) => baseDiffIds.includes(layer)) ? "base" : "application";
}

/**
 * Who rates a finding how, where they differ: `grype says low (the distribution's own), osv-scanner critical`. Empty
 * where all say the same.
 */
export function describeDifference({ saidBy }: Pick<Finding, "saidBy">): string {
  const rated = new Map<string, string>();
  for (const { source, severity, advisory } of saidBy) {
    const isOwn = advisory?.isDistributions === true && advisory.ratedElsewhere !== true;
    rated.set(`${source} ${severity}`, isOwn ? " (the distribution's own)" : "");
  }
  if (new Set(saidBy.map(({ severity }) => severity)).size < 2) return "";
  const [first = "", ...others] = [...rated].map(([said, whose]) => `${said}${whose}`);
  return [first.replace(" ", " says "), ...others].join(", ");
}
