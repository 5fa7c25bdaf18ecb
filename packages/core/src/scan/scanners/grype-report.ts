import { z } from "zod";
import type { CvssScore, FindingSeverity, ScannerFinding } from "../finding.ts";
import type { MergedSboms } from "./merge-sboms.ts";
import { parseReport, reportInvalid } from "./program.ts";
import { evidenceDetailLimit, type ReportedChild, type ScannerEvidence } from "./scanner.ts";

const cvssSchema = z.looseObject({
  source: z.string().optional(),
  version: z.string().optional(),
  vector: z.string().optional(),
  metrics: z.looseObject({ baseScore: z.number().optional() }).optional(),
});
const related = z.looseObject({ id: z.string().min(1) });

const matchSchema = z.looseObject({
  vulnerability: z.looseObject({
    id: z.string().min(1),
    dataSource: z.string().optional(),
    namespace: z.string().optional(),
    severity: z.string().nullish(),
    urls: z.array(z.string()).nullish(),
    description: z.string().optional(),
    cvss: z.array(cvssSchema).nullish(),
    fix: z
      .looseObject({
        versions: z.array(z.string()).nullish(),
        state: z.string().nullish(),
        available: z.array(z.looseObject({ version: z.string(), date: z.string() })).nullish(),
      })
      .nullish(),
    epss: z.array(z.looseObject({ epss: z.number() })).nullish(),
    knownExploited: z.array(z.unknown()).nullish(),
  }),
  relatedVulnerabilities: z.array(related).nullish(),
  matchDetails: z
    .array(z.looseObject({ fix: z.looseObject({ suggestedVersion: z.string().nullish() }).nullish() }))
    .nullish(),
  artifact: z.looseObject({
    id: z.string().optional(),
    name: z.string().min(1),
    version: z.string(),
    type: z.string(),
    purl: z.string().optional(),
    locations: z.array(z.looseObject({ path: z.string().optional(), layerID: z.string().optional() })).nullish(),
  }),
});

/**
 * What goldenpath reads of `grype -o json` (grype 0.121; the fields are stable since 0.80). The rest is kept as it is.
 */
const reportSchema = z.looseObject({
  matches: z.array(matchSchema),
  ignoredMatches: z
    .array(
      z.looseObject({
        artifact: z.looseObject({ id: z.string().optional() }),
        appliedIgnoreRules: z
          .array(z.looseObject({ reason: z.string().optional(), "match-type": z.string().optional() }))
          .nullish(),
      }),
    )
    .nullish(),
  descriptor: z.looseObject({
    name: z.literal("grype"),
    version: z.string().min(1),
    db: z
      .looseObject({
        status: z
          .looseObject({
            schemaVersion: z.string().optional(),
            built: z.string().optional(),
            path: z.string().optional(),
            from: z.string().optional(),
            valid: z.boolean().optional(),
            error: z.string().nullish(),
          })
          .optional(),
        providers: z.record(z.string(), z.unknown()).nullish(),
      })
      .optional(),
    configuration: z.looseObject({ "include-matcher-suppressions": z.boolean().optional() }).optional(),
  }),
});
export type GrypeReport = z.infer<typeof reportSchema>;

/**
 * The text of a report → the report.
 * @throws InfrastructureError `scanner-report-invalid`: empty, cut off, or not grype's
 */
export function parseGrypeReport(text: string): GrypeReport {
  const report = parseReport(text, "grype", reportSchema);
  const status = report.descriptor.db?.status;
  if (status?.valid === false || (status?.error ?? "") !== "")
    throw reportInvalid("grype", `its database is not valid (${status?.error ?? "no reason"})`);
  return report;
}

/**
 * The report of several SBOMs in one document → each one's own, by its place in their list, and who has to be scanned
 * alone. grype names a package as the document does (`artifact.id` is its `bom-ref`).
 *
 * By what it knows of one package, grype sets matches of others aside: those of the same type, name and version, where
 * its data has the one for not affected (its matcher/internal/language.go, constructIgnoreFilters). In one run that could
 * be a package of another image. Asked to (`include-matcher-suppressions`), it tells each of them, with a reason; who has
 * one is not judged by this run.
 * @throws InfrastructureError `scanner-report-invalid`: a match is in a package that the document does not have, or it was
 *   not asked to tell what it set aside
 */
export function splitGrypeReport(
  report: GrypeReport,
  { members, owners }: Pick<MergedSboms, "members" | "owners">,
): { own: Map<number, GrypeReport>; again: number[] } {
  if (report.descriptor.configuration?.["include-matcher-suppressions"] !== true)
    throw reportInvalid("grype", "it does not tell which matches it set aside");
  const matches = splitByOwner(report.matches, owners);
  const ignored = splitByOwner(report.ignoredMatches ?? [], owners);
  const own = new Map<number, GrypeReport>();
  const again: number[] = [];
  for (const member of members) {
    const aside = ignored.get(member) ?? [];
    if (aside.some(({ appliedIgnoreRules }) => !(appliedIgnoreRules ?? []).every(isOfItself))) {
      again.push(member);
      continue;
    }
    // What its list of false positives drops is told here alone.
    const told = aside.filter(({ appliedIgnoreRules }) => appliedIgnoreRules?.some(isConfigured));
    const { ignoredMatches: _all, ...rest } = report;
    const split = { ...rest, matches: matches.get(member) ?? [] };
    own.set(member, told.length === 0 ? split : { ...split, ignoredMatches: told });
  }
  return { own, again };
}

type IgnoreRule = NonNullable<NonNullable<GrypeReport["ignoredMatches"]>[number]["appliedIgnoreRules"]>[number];

/** grype gives a reason with a rule that one package has against others, and with no other rule. */
const isOfItself = ({ reason }: IgnoreRule): boolean => (reason ?? "") === "";

/** Of the rules that it comes with (kernel headers): they name the kind of match. */
const isConfigured = (rule: IgnoreRule): boolean => (rule["match-type"] ?? "") !== "";

function splitByOwner<T extends { artifact: { id?: string | undefined } }>(
  matches: readonly T[],
  owners: MergedSboms["owners"],
): Map<number, T[]> {
  const split = new Map<number, T[]>();
  for (const match of matches) {
    const { id = "" } = match.artifact;
    const whose = owners.get(id);
    if (whose === undefined) throw reportInvalid("grype", `it has a match in a package '${id}' that it was not given`);
    for (const { member, ref, location } of whose) {
      const own = split.get(member) ?? [];
      // As grype writes it.
      const locations = location === undefined ? {} : { locations: [{ ...location, accessPath: "" }] };
      own.push({ ...match, artifact: { ...match.artifact, id: ref, ...locations } });
      split.set(member, own);
    }
  }
  return split;
}

/** A report's findings, match by match. */
export function readGrypeFindings(report: GrypeReport): ScannerFinding[] {
  // What the data was made of: only where EPSS and KEV were among it, their silence says something.
  const providers = Object.keys(report.descriptor.db?.providers ?? {});
  return report.matches.map((match) => readMatch(match, providers));
}

function readMatch(match: GrypeReport["matches"][number], providers: readonly string[]): ScannerFinding {
  const { vulnerability, relatedVulnerabilities, matchDetails, artifact } = match;
  const locations = artifact.locations ?? [];
  const suggested = (matchDetails ?? [])
    .map(({ fix }) => fix?.suggestedVersion || undefined)
    .find((version) => version !== undefined);
  const urls = [vulnerability.dataSource, ...(vulnerability.urls ?? [])].filter(
    (url) => url !== undefined && /^https?:\/\//.test(url),
  );
  return {
    id: vulnerability.id,
    ...readNames(vulnerability.id, unique((relatedVulnerabilities ?? []).map(({ id }) => id))),
    severity: readSeverity(vulnerability.severity),
    package: {
      name: artifact.name,
      version: artifact.version,
      type: artifact.type,
      ...(artifact.purl === undefined || artifact.purl === "" ? {} : { purl: artifact.purl }),
    },
    fixedVersions: unique(vulnerability.fix?.versions ?? []).filter((version) => version !== ""),
    ...(suggested === undefined ? {} : { suggestedVersion: suggested }),
    fixState: readFixState(vulnerability.fix?.state),
    layers: unique(locations.flatMap(({ layerID }) => layerID || [])),
    paths: unique(locations.flatMap(({ path }) => path || [])),
    urls: unique(urls as string[]),
    ...(vulnerability.description ? { description: vulnerability.description } : {}),
    ...readRatings(vulnerability, providers),
    ...readAdvisory(vulnerability.namespace),
  };
}

/** A distribution's advisory may be about several vulnerabilities, which grype calls related all the same. */
function readNames(id: string, related: readonly string[]): Pick<ScannerFinding, "aliases" | "covers"> {
  const others = related.filter((name) => name !== id);
  const isBundle = others.filter((name) => name.startsWith("CVE-")).length > 1;
  return isBundle ? { aliases: [], covers: others } : { aliases: others };
}

function readRatings(
  { cvss, epss, knownExploited, fix }: GrypeReport["matches"][number]["vulnerability"],
  providers: readonly string[],
): Pick<ScannerFinding, "cvss" | "scores" | "epss" | "kev" | "fixReleases"> {
  const numbers = (cvss ?? []).flatMap(({ metrics }) => metrics?.baseScore ?? []);
  const probabilities = (epss ?? []).map((each) => each.epss);
  const releases = (fix?.available ?? []).filter(({ date }) => !Number.isNaN(Date.parse(date)));
  const isExploited = (knownExploited ?? []).length > 0;
  return {
    ...(numbers.length === 0 ? {} : { cvss: Math.max(...numbers) }),
    ...(cvss === undefined || cvss === null ? {} : { scores: cvss.map(readScore) }),
    ...(probabilities.length > 0 ? { epss: Math.max(...probabilities) } : {}),
    ...(probabilities.length === 0 && providers.includes("epss") ? { epss: "none" } : {}),
    ...(isExploited || providers.includes("kev") ? { kev: isExploited } : {}),
    ...(releases.length === 0 ? {} : { fixReleases: releases.map(({ version, date }) => ({ version, on: date })) }),
  };
}

function readScore({ source, version, vector, metrics }: z.infer<typeof cvssSchema>): CvssScore {
  return {
    version: version ?? "",
    ...(vector === undefined || vector === "" ? {} : { vector }),
    ...(metrics?.baseScore === undefined ? {} : { score: metrics.baseScore }),
    ...(source === undefined || source === "" ? {} : { by: source }),
  };
}

/** grype's namespaces: `debian:distro:debian:12`, `github:language:javascript`, `nvd:cpe`. */
function readAdvisory(namespace: string | undefined): Pick<ScannerFinding, "advisory"> {
  if (namespace === undefined || namespace === "") return {};
  return {
    advisory: { by: namespace, ...(namespace.split(":")[1] === "distro" ? { isDistributions: true as const } : {}) },
  };
}

/** grype writes `High`, `Unknown`, or nothing; a word that it did not have when this was written is unknown as well. */
function readSeverity(text: string | null | undefined): FindingSeverity {
  const word = text?.trim().toLowerCase();
  switch (word) {
    case "critical":
    case "high":
    case "medium":
    case "low":
    case "negligible":
      return word;
    default:
      return "unknown";
  }
}

function readFixState(text: string | null | undefined): ScannerFinding["fixState"] {
  return text === "fixed" || text === "not-fixed" || text === "wont-fix" ? text : "unknown";
}

/** grype's report as it is, without what tells of the machine; where it is large, without what explains a match. */
export function renderGrypeEvidence(children: readonly ReportedChild[]): ScannerEvidence {
  // What this scanner's runs left: `report` is what parseGrypeReport gave.
  const scanned = children.map((child) => ({ ...child, report: child.report as GrypeReport }));
  const [first] = scanned;
  if (first === undefined) throw new TypeError("a scan has no image");
  const matches =
    scanned.length === 1
      ? first.report.matches
      : scanned.flatMap(({ digest, platform, report }) =>
          report.matches.map((match) => ({ ...match, child: digest, platform })),
        );
  const large = Buffer.byteLength(JSON.stringify(matches)) > evidenceDetailLimit;
  const { matches: _matches, descriptor, source: _source, ...rest } = first.report;
  return {
    report: { ...rest, matches: large ? matches.map(withoutDetails) : matches, descriptor: withoutMachine(descriptor) },
    dropped: ["source", "descriptor.configuration", "descriptor.db.status.path", ...(large ? droppedDetails : [])],
    hasMatches: true,
  };
}

/** The configuration and the database's path are of the machine that scanned; the source is an SBOM file there. */
function withoutMachine(descriptor: GrypeReport["descriptor"]): Record<string, unknown> {
  const { configuration: _configuration, db, ...rest } = descriptor;
  const { path: _path, ...status } = db?.status ?? {};
  return { ...rest, ...(db === undefined ? {} : { db: { ...db, status } }) };
}

const droppedDetails = [
  "matches[].matchDetails",
  "matches[].vulnerability.description",
  "matches[].artifact.cpes",
  "matches[].artifact.licenses",
  "matches[].relatedVulnerabilities[] but for id",
];

function withoutDetails(match: GrypeReport["matches"][number]): Record<string, unknown> {
  const { matchDetails: _details, vulnerability, relatedVulnerabilities, artifact, ...rest } = match;
  const { description: _description, ...found } = vulnerability;
  const { cpes: _cpes, licenses: _licenses, ...pkg } = artifact;
  return {
    ...rest,
    vulnerability: found,
    relatedVulnerabilities: (relatedVulnerabilities ?? []).map(({ id }) => ({ id })),
    artifact: pkg,
  };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
