import { createHash } from "node:crypto";
import { cleanStrings } from "@goldenpath/foundation/text/clean";
import type { Severity } from "../policy/scan-section.ts";
import { describeDifference, type Finding, fixTarget, gateSeverity, sortFindings } from "./finding.ts";

/** GitHub keeps so many results of a run and shows no more (docs: SARIF support for code scanning). */
const maxResults = 5_000;

interface SarifFacts {
  findings: readonly Finding[];
  /** The first one names the tool, so that alerts stay the same ones where another is asked as well. */
  scanners: readonly { name: string; version: string }[];
  /** HOST/NAME: alerts of two images don't close each other's. */
  repository: string;
  /**
   * Where a reader changes the thing: a path in the checkout, with slashes. GitHub drops results whose location is not
   * in it.
   */
  locate(finding: Finding): { file: string; line?: number };
  /** Why a finding is not open, one sentence; undefined where it is. */
  suppression(finding: Finding): string | undefined;
}

/**
 * The findings as SARIF 2.1.0 for GitHub code scanning: one run, one rule for each vulnerability, the worst first.
 * Locations are files of the checkout and never `image:` URIs; the package and its place in the image are the logical
 * location.
 */
export function buildSarif(facts: SarifFacts): Record<string, unknown> {
  const [scanner, ...others] = facts.scanners;
  if (scanner === undefined) throw new TypeError("a scan has no scanner");
  const findings = sortFindings(facts.findings).slice(0, maxResults);
  const rules = new Map<string, { index: number; findings: Finding[] }>();
  for (const finding of findings) {
    const rule = rules.get(finding.id);
    if (rule === undefined) rules.set(finding.id, { index: rules.size, findings: [finding] });
    else rule.findings.push(finding);
  }
  return cleanStrings({
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: `${scanner.name} through goldenpath`,
            version: scanner.version,
            informationUri: "https://github.com/goldenpath-ci/goldenpath",
            rules: [...rules.values()].map(({ findings: ofRule }) => buildRule(ofRule)),
          },
          ...(others.length === 0 ? {} : { extensions: others.map(({ name, version }) => ({ name, version })) }),
        },
        automationDetails: { id: `goldenpath-scan/${facts.repository}/` },
        results: findings.map((finding) => buildSarifResult(finding, rules.get(finding.id)?.index ?? 0, facts)),
        ...(facts.findings.length > maxResults
          ? { properties: { omitted: `${facts.findings.length - maxResults} findings of the lowest severities` } }
          : {}),
      },
    ],
  });
}

/** `ofRule` is never empty, and has the worst one first. */
function buildRule(ofRule: readonly Finding[]): Record<string, unknown> {
  const finding = ofRule[0] as Finding;
  const text = finding.description ?? `${finding.id} in ${finding.package.name}`;
  return {
    id: finding.id,
    shortDescription: {
      text: cut(`${finding.id} in ${[...new Set(ofRule.map((entry) => entry.package.name))].join(", ")}`, 1_000),
    },
    fullDescription: { text: cut(text, 1_000) },
    help: {
      text: cut([text, ...finding.aliases.map((alias) => `Also ${alias}.`), ...finding.urls].join("\n"), 10_000),
    },
    ...(finding.urls[0] === undefined ? {} : { helpUri: finding.urls[0] }),
    properties: {
      "security-severity": securitySeverity(finding),
      tags: ["security", "vulnerability", ...new Set(ofRule.map((entry) => entry.package.type))],
    },
  };
}

function buildSarifResult(finding: Finding, ruleIndex: number, facts: SarifFacts): Record<string, unknown> {
  const { package: pkg } = finding;
  const target = fixTarget(finding);
  const fixed = target === undefined ? "no fixed version is known" : `fixed in ${target}`;
  const differing = describeDifference(finding);
  const heard = differing === "" ? "" : ` Sources differ: ${differing}.`;
  const justification = facts.suppression(finding);
  const { file, line = 1 } = facts.locate(finding);
  return {
    ruleId: finding.id,
    ruleIndex,
    level: levels[gateSeverity(finding)],
    message: {
      text: `${pkg.name} ${pkg.version} (${pkg.type}) has ${finding.id}, severity ${finding.severity}: ${fixed}.${heard}`,
    },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: encodeURI(file.toWellFormed()) },
          region: { startLine: line },
        },
        logicalLocations: [
          { name: pkg.name, fullyQualifiedName: pkg.purl ?? `${pkg.type}:${pkg.name}@${pkg.version}`, kind: "package" },
        ],
      },
    ],
    // GitHub tells alerts apart by this; without it, it hashes the line, which is the same for all of them.
    partialFingerprints: {
      primaryLocationLineHash: createHash("sha256")
        .update(`${facts.repository}\0${finding.id}\0${pkg.type}\0${nameOf(pkg)}`)
        .digest("hex"),
    },
    properties: { origin: finding.origin, paths: finding.paths.slice(0, 20) },
    ...(justification === undefined ? {} : { suppressions: [{ kind: "external", status: "accepted", justification }] }),
  };
}

/**
 * Whose package it is, whatever its version is: `group/name` of a Maven artifact. An alert stays the same one when its
 * package is updated.
 */
function nameOf({ name, purl }: Finding["package"]): string {
  const [, group] = /^pkg:maven\/([^/@?#]+)\//.exec(purl ?? "") ?? [];
  return group === undefined ? name : `${decodeURIComponent(group)}/${name}`;
}

const levels: Record<Severity, "error" | "warning" | "note"> = {
  critical: "error",
  high: "error",
  medium: "warning",
  low: "note",
  negligible: "note",
};

/**
 * GitHub's bands: above 9 critical, above 7 high, above 4 medium, the rest low; 0 would be none. Each from, up to and
 * not with, and what stands for it.
 */
const scores: Record<Severity, readonly [number, number, string]> = {
  critical: [9, 10.1, "9.5"],
  high: [7, 9, "8.0"],
  medium: [4, 7, "5.5"],
  low: [0.1, 4, "2.0"],
  negligible: [0.1, 4, "0.1"],
};

/**
 * The score where it is in the band of the severity that the gate goes by, else one that is: code scanning and the gate
 * are not to contradict each other.
 */
function securitySeverity(finding: Finding): string {
  const [from, to, representative] = scores[gateSeverity(finding)];
  return finding.cvss !== undefined && finding.cvss >= from && finding.cvss < to
    ? finding.cvss.toFixed(1)
    : representative;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
