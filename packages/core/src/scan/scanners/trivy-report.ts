import { z } from "zod";
import type { CvssScore, FindingSeverity, ScannerFinding } from "../finding.ts";
import { parseReport, reportInvalid } from "./program.ts";
import { evidenceDetailLimit, type ReportedChild, type ScannerEvidence } from "./scanner.ts";
import type { TrivyInput } from "./trivy-sbom.ts";

const identifier = z.looseObject({ BOMRef: z.string().min(1) });
const score = z.number().optional();

const foundSchema = z.looseObject({
  VulnerabilityID: z.string().min(1),
  VendorIDs: z.array(z.string()).nullish(),
  PkgName: z.string(),
  PkgIdentifier: identifier,
  InstalledVersion: z.string().optional(),
  FixedVersion: z.string().optional(),
  Status: z.string().optional(),
  SeveritySource: z.string().optional(),
  PrimaryURL: z.string().optional(),
  DataSource: z.looseObject({ ID: z.string().optional(), BaseID: z.string().optional() }).nullish(),
  Title: z.string().optional(),
  Description: z.string().optional(),
  Severity: z.string().optional(),
  CVSS: z
    .record(
      z.string(),
      z.looseObject({
        ...{ V2Vector: z.string().optional(), V2Score: score, V3Vector: z.string().optional(), V3Score: score },
        ...{ V40Vector: z.string().optional(), V40Score: score },
      }),
    )
    .nullish(),
  References: z.array(z.string()).nullish(),
});
type Found = z.infer<typeof foundSchema>;

const resultSchema = z.looseObject({
  Class: z.string(),
  Type: z.string(),
  Packages: z.array(z.looseObject({ Name: z.string(), Identifier: identifier })).nullish(),
  Vulnerabilities: z.array(foundSchema).nullish(),
});

/** What goldenpath reads of `trivy sbom --format json --list-all-pkgs` (trivy 0.66, schema 2). */
const reportSchema = z.looseObject({
  SchemaVersion: z.literal(2),
  ArtifactType: z.literal("cyclonedx"),
  Metadata: z.looseObject({ OS: z.looseObject({ EOSL: z.boolean().optional() }).nullish() }).nullish(),
  Results: z.array(resultSchema).nullish(),
});
export type TrivyReport = z.infer<typeof reportSchema>;

/**
 * The text of a report → the report.
 * @param input all of its packages have to be in the report: one that is not was not looked up, and trivy says nothing
 * @throws InfrastructureError `scanner-report-invalid`: empty, cut off, or not of these packages
 */
export function parseTrivyReport(text: string, { components }: Pick<TrivyInput, "components">): TrivyReport {
  const report = parseReport(text, "trivy", reportSchema);
  const told = new Set(
    resultsIn(report).flatMap(({ Packages }) => (Packages ?? []).map(({ Identifier }) => Identifier.BOMRef)),
  );
  const missing = [...components].filter(([reference]) => !told.has(reference)).map(([, each]) => each.package);
  if (missing.length > 0) {
    const some = missing.slice(0, 3).map(({ name, version }) => `${name} ${version}`);
    throw reportInvalid(
      "trivy",
      `it has no word of ${missing.length} of ${components.size} packages (${some.join(", ")})`,
    );
  }
  return report;
}

function resultsIn({ Results }: TrivyReport): z.infer<typeof resultSchema>[] {
  return Results ?? [];
}

/** A report's findings, each of the package of the image that is meant. */
export function readTrivyFindings(
  report: TrivyReport,
  { components }: Pick<TrivyInput, "components">,
): ScannerFinding[] {
  return resultsIn(report).flatMap(({ Class, Vulnerabilities }) =>
    (Vulnerabilities ?? []).map((found) => {
      const component = components.get(found.PkgIdentifier.BOMRef);
      if (component === undefined) throw reportInvalid("trivy", `it has ${found.PkgName}, which nobody asked for`);
      const { package: pkg, layers, paths } = component;
      return { ...readFound(found, Class === "os-pkgs"), package: pkg, layers, paths };
    }),
  );
}

function readFound(found: Found, isSystems: boolean): Omit<ScannerFinding, "package" | "layers" | "paths"> {
  const fixed = (found.FixedVersion ?? "").split(",").flatMap((version) => version.trim() || []);
  const urls = [found.PrimaryURL, ...(found.References ?? [])].filter((url) => /^https?:\/\//.test(url ?? ""));
  const description = found.Title || found.Description;
  return {
    id: found.VulnerabilityID,
    // Of a distribution these are its advisories, each of several vulnerabilities, and a name of none.
    aliases: isSystems ? [] : (found.VendorIDs ?? []).filter((id) => id.startsWith("GHSA-")),
    severity: readSeverity(found.Severity),
    fixedVersions: fixed,
    fixState: fixed.length > 0 ? "fixed" : readFixState(found.Status),
    urls: [...new Set(urls as string[])],
    ...(description === undefined || description === "" ? {} : { description }),
    ...readScores(found),
    ...readAdvisory(found, isSystems),
  };
}

function readSeverity(word: string | undefined): FindingSeverity {
  switch (word) {
    case "CRITICAL":
    case "HIGH":
    case "MEDIUM":
    case "LOW":
      return word.toLowerCase() as FindingSeverity;
    default:
      return "unknown";
  }
}

/** trivy-db's statuses; one put off may be mended yet, and one of a version whose time is over will not be. */
function readFixState(status: string | undefined): ScannerFinding["fixState"] {
  switch (status) {
    case "will_not_fix":
    case "end_of_life":
      return "wont-fix";
    case "affected":
    case "under_investigation":
    case "fix_deferred":
      return "not-fixed";
    default:
      return "unknown";
  }
}

function readScores({ CVSS }: Found): Pick<ScannerFinding, "cvss" | "scores"> {
  if (CVSS === undefined || CVSS === null) return {};
  const scores = Object.entries(CVSS).flatMap(([by, said]) => [
    ...rating("2.0", said.V2Vector, said.V2Score, by),
    ...rating(/^CVSS:(3\.\d)\//.exec(said.V3Vector ?? "")?.[1] ?? "3.0", said.V3Vector, said.V3Score, by),
    ...rating("4.0", said.V40Vector, said.V40Score, by),
  ]);
  const numbers = scores.flatMap((each) => each.score ?? []);
  return { scores, ...(numbers.length === 0 ? {} : { cvss: Math.max(...numbers) }) };
}

function rating(version: string, vector: string | undefined, value: number | undefined, by: string): CvssScore[] {
  if ((vector ?? "") === "" && value === undefined) return [];
  return [{ version, by, ...(vector ? { vector } : {}), ...(value === undefined ? {} : { score: value }) }];
}

/** Whose advisory it is, and whether the severity is that one's: trivy takes another's where the first has none. */
function readAdvisory({ DataSource, SeveritySource }: Found, isSystems: boolean): Pick<ScannerFinding, "advisory"> {
  const by = DataSource?.ID ?? "";
  if (by === "") return {};
  const isOwn = SeveritySource === by || (SeveritySource !== undefined && SeveritySource === DataSource?.BaseID);
  return {
    advisory: {
      by,
      ...(isSystems ? { isDistributions: true as const } : {}),
      ...(isSystems && !isOwn ? { ratedElsewhere: true as const } : {}),
    },
  };
}

/** What a reader should know of the system, which the report says beside the findings. */
export function describeTrivySystem({ Metadata }: TrivyReport): string[] {
  return Metadata?.OS?.EOSL === true
    ? ["trivy says that the distribution's version has reached its end: nothing of it is mended any more."]
    : [];
}

/** trivy's report of what was found, without this machine's names; where it is large, without what explains. */
export function renderTrivyEvidence(children: readonly ReportedChild[]): ScannerEvidence {
  const results = children.flatMap(({ digest, platform, report }) =>
    resultsIn(report as TrivyReport)
      .filter(({ Vulnerabilities }) => (Vulnerabilities ?? []).length > 0)
      .map(({ Target: _target, Packages: _packages, ...result }) =>
        children.length === 1 ? result : { ...result, child: digest, platform },
      ),
  );
  const large = Buffer.byteLength(JSON.stringify(results)) > evidenceDetailLimit;
  return {
    report: { SchemaVersion: 2, Results: large ? results.map(withoutDetails) : results },
    dropped: [
      ...["ArtifactName", "CreatedAt", "Results[].Target", "Results[].Packages", "results without findings"],
      ...(large ? ["Results[].Vulnerabilities[].{Title,Description,References,CweIDs}"] : []),
    ],
    hasMatches: false,
  };
}

function withoutDetails({
  Vulnerabilities,
  ...result
}: Partial<z.infer<typeof resultSchema>>): Record<string, unknown> {
  return {
    ...result,
    Vulnerabilities: (Vulnerabilities ?? []).map(
      ({ Title: _title, Description: _text, References: _references, CweIDs: _weaknesses, ...found }) => found,
    ),
  };
}
