import { z } from "zod";
import type { CvssScore, FindingSeverity, ScannerFinding } from "../finding.ts";
import { rateScore } from "../severity.ts";
import { type OsvInput, osvKey } from "./osv-sbom.ts";
import { parseReport, reportInvalid } from "./program.ts";
import { evidenceDetailLimit, type ReportedChild, type ScannerEvidence } from "./scanner.ts";

// osv-schema 1.7, as far as a finding needs it; the rest is kept as it is.
const packageName = z.looseObject({ ecosystem: z.string(), name: z.string() });
const affectedSchema = z.looseObject({
  package: packageName.optional(),
  ranges: z
    .array(z.looseObject({ events: z.array(z.looseObject({ fixed: z.string().optional() })).nullish() }))
    .nullish(),
  ecosystem_specific: z.looseObject({ urgency: z.unknown() }).nullish(),
});
const recordSchema = z.looseObject({
  id: z.string().min(1),
  withdrawn: z.string().optional(),
  aliases: z.array(z.string()).nullish(),
  upstream: z.array(z.string()).nullish(),
  summary: z.string().optional(),
  details: z.string().optional(),
  severity: z.array(z.looseObject({ type: z.string(), score: z.string() })).nullish(),
  affected: z.array(affectedSchema).nullish(),
  references: z.array(z.looseObject({ url: z.string() })).nullish(),
  database_specific: z.looseObject({ severity: z.unknown() }).nullish(),
});
type OsvRecord = z.infer<typeof recordSchema>;

const foundSchema = z.looseObject({
  package: z.looseObject({ name: z.string().min(1), version: z.string(), ecosystem: z.string() }),
  vulnerabilities: z.array(recordSchema).nullish(),
  groups: z.array(z.looseObject({ ids: z.array(z.string()), max_severity: z.string().nullish() })).nullish(),
});

/** What goldenpath reads of `osv-scanner --format json --all-packages` (2.5). */
const reportSchema = z.looseObject({
  results: z.array(z.looseObject({ packages: z.array(foundSchema) })),
});
export type OsvReport = z.infer<typeof reportSchema>;

/**
 * The text of a report → the report.
 * @param input all of its packages have to be in the report: one that is not was not looked up
 * @throws InfrastructureError `scanner-report-invalid`: empty, cut off, or not of these packages
 */
export function parseOsvReport(text: string, { components }: OsvInput): OsvReport {
  const report = parseReport(text, "osv-scanner", reportSchema);
  const told = new Set(
    foundIn(report).map(({ package: { ecosystem, name, version } }) => osvKey(ecosystem, name, version)),
  );
  const missing = [...components.keys()].filter((key) => !told.has(key));
  if (missing.length > 0) {
    throw reportInvalid(
      "osv-scanner",
      `it has no word of ${missing.length} of ${components.size} packages (${missing.slice(0, 3).join(", ")})`,
    );
  }
  return report;
}

export function foundIn({ results }: OsvReport): z.infer<typeof foundSchema>[] {
  return results.flatMap(({ packages }) => packages);
}

/** A report's findings: a record of OSV for each package of the image that is meant. */
export function readOsvFindings(report: OsvReport, { components }: OsvInput, now: Date): ScannerFinding[] {
  return foundIn(report).flatMap((found) => {
    const { ecosystem, name, version } = found.package;
    const meant = components.get(osvKey(ecosystem, name, version));
    if (meant === undefined) throw reportInvalid("osv-scanner", `it has ${name} ${version}, which nobody asked for`);
    return (found.vulnerabilities ?? []).flatMap((record) => {
      const said = readRecord(record, found, now);
      return meant.map(({ package: pkg, layers, paths }) => ({ ...said, package: pkg, layers, paths }));
    });
  });
}

function readRecord(
  record: OsvRecord,
  { package: { ecosystem, name }, groups }: z.infer<typeof foundSchema>,
  now: Date,
): Omit<ScannerFinding, "package" | "layers" | "paths"> {
  const affected = (record.affected ?? []).filter(
    (each) => each.package?.name === name && each.package.ecosystem === ecosystem,
  );
  const fixed = affected.flatMap(({ ranges }) =>
    (ranges ?? []).flatMap(({ events }) => (events ?? []).flatMap((event) => event.fixed || [])),
  );
  const isDistributions = distributionIds.test(record.id);
  const own = rateByOwner(record, affected);
  const score = readGroupScore(record, groups ?? []);
  const urls = (record.references ?? []).map(({ url }) => url).filter((url) => /^https?:\/\//.test(url));
  const description = record.summary || record.details;
  const noFix = isDistributions ? "not-fixed" : "unknown";
  return {
    id: record.id,
    ...readNames(record, isDistributions),
    severity: own ?? (score === undefined ? "unknown" : rateScore(score)),
    fixedVersions: [...new Set(fixed)],
    fixState: fixed.length > 0 ? "fixed" : noFix,
    urls: [`https://osv.dev/vulnerability/${encodeURIComponent(record.id)}`, ...new Set(urls)],
    ...(description === undefined || description === "" ? {} : { description }),
    ...(score === undefined ? {} : { cvss: score }),
    scores: (record.severity ?? []).flatMap(readVector),
    ...(record.withdrawn !== undefined && Date.parse(record.withdrawn) <= now.getTime()
      ? { withdrawn: record.withdrawn }
      : {}),
    advisory: {
      by: /^[A-Za-z]+/.exec(record.id)?.[0] ?? record.id,
      ...(isDistributions ? { isDistributions } : {}),
      ...(isDistributions && own === undefined ? { ratedElsewhere: true as const } : {}),
    },
  };
}

/** Of Debian, Ubuntu, Alpine, Wolfi and Chainguard (osv-schema, "Database prefixes"). */
const distributionIds = /^(?:DEBIAN|DSA|DLA|DTSA|UBUNTU|USN|LSN|ALPINE|CGA)-/;

/**
 * A distribution's record about one CVE, which it has `upstream`, is that CVE under a name of its own; a record of
 * several, whoever's it is, is a name of none of them.
 */
function readNames(
  { id, aliases, upstream }: OsvRecord,
  isDistributions: boolean,
): Pick<ScannerFinding, "aliases" | "covers"> {
  const said = new Set((aliases ?? []).filter((name) => name !== id));
  const about = isDistributions ? [...new Set(upstream ?? [])].filter((name) => name !== id) : [];
  const cves = new Set([...about, ...said].filter((name) => name.startsWith("CVE-")));
  if (cves.size + (id.startsWith("CVE-") ? 1 : 0) > 1)
    return { aliases: [], covers: [...new Set([...about, ...said])] };
  return { aliases: [...new Set([...said, ...about])] };
}

const words: Readonly<Record<string, FindingSeverity>> = {
  ...{ critical: "critical", high: "high", moderate: "medium", medium: "medium", low: "low" },
  ...{ negligible: "negligible", unimportant: "negligible" },
};

/** The word of whoever keeps the record: GitHub's severity, Debian's urgency, Ubuntu's priority. */
function rateByOwner(
  { database_specific: own, severity }: OsvRecord,
  affected: readonly z.infer<typeof affectedSchema>[],
): FindingSeverity | undefined {
  const said = [
    own?.severity,
    ...affected.map((each) => each.ecosystem_specific?.urgency),
    ...(severity ?? []).filter(({ type }) => type === "Ubuntu").map(({ score }) => score),
  ];
  for (const word of said) {
    // Debian marks with asterisks what it took from elsewhere.
    const plain = typeof word === "string" ? word.toLowerCase().replace(/\**$/, "") : "";
    if (Object.hasOwn(words, plain)) return words[plain];
  }
  return undefined;
}

/** osv-scanner works the score out of the vectors, for all records of one vulnerability together. */
function readGroupScore(
  { id, severity }: OsvRecord,
  groups: readonly { ids: string[]; max_severity?: string | null | undefined }[],
): number | undefined {
  if (!(severity ?? []).some(({ type }) => type.startsWith("CVSS_"))) return undefined;
  const text = groups.find(({ ids }) => ids.includes(id))?.max_severity ?? "";
  const score = Number(text);
  return text === "" || Number.isNaN(score) || score < 0 || score > 10 ? undefined : score;
}

function readVector({ type, score }: { type: string; score: string }): CvssScore[] {
  const [, declared] = /^CVSS:(\d+\.\d+)\//.exec(score) ?? [];
  if (type === "CVSS_V2") return [{ version: "2.0", vector: score }];
  return type.startsWith("CVSS_") ? [{ version: declared ?? "", vector: score }] : [];
}

/** osv-scanner's report of what was found, without this machine's paths; where it is large, without what explains. */
export function renderOsvEvidence(children: readonly ReportedChild[]): ScannerEvidence {
  const packages = children.flatMap(({ digest, platform, report }) =>
    foundIn(report as OsvReport)
      .filter(({ vulnerabilities }) => (vulnerabilities ?? []).length > 0)
      .map((found) => (children.length === 1 ? found : { ...found, child: digest, platform })),
  );
  const large = Buffer.byteLength(JSON.stringify(packages)) > evidenceDetailLimit;
  return {
    report: { packages: large ? packages.map(withoutDetails) : packages },
    dropped: [
      "results[].source",
      "packages without findings",
      ...(large ? ["packages[].vulnerabilities[] but for id, modified, aliases, upstream and severity"] : []),
    ],
    hasMatches: false,
  };
}

function withoutDetails(found: z.infer<typeof foundSchema>): Record<string, unknown> {
  return {
    ...found,
    vulnerabilities: (found.vulnerabilities ?? []).map(({ id, modified, aliases, upstream, severity }) => ({
      ...{ id, modified },
      ...(aliases ? { aliases } : {}),
      ...(upstream ? { upstream } : {}),
      ...(severity ? { severity } : {}),
    })),
  };
}
