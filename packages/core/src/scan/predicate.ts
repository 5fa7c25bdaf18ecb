import type { RunFacts } from "@goldenpath/foundation/ports";
import type { ComparisonReport } from "../result.ts";
import type { ExploitedList } from "./exploited.ts";
import type { Finding } from "./finding.ts";
import type { DatabaseFacts } from "./gate.ts";
import { countFindings } from "./merge.ts";
import type { CarriedReport } from "./reports/carried.ts";
import type { UsedReport } from "./reports/report.ts";
import type { ReportedChild, Scanner, ScannerRun } from "./scanners/scanner.ts";
import { tellFindings } from "./told-findings.ts";
import type { VexAnswer } from "./vex/match.ts";

export interface ScannedChild extends Omit<ReportedChild, "report"> {
  /** What each scanner wrote, in their order. */
  reports: readonly ReportedChild["report"][];
  /** Reports of scanners that others ran. */
  imported?: readonly UsedReport[];
  /** Of those, what a scan before had. */
  carried?: readonly CarriedReport[];
  /** All of them: with those of its base that the image as a whole does not show, and which count. */
  findings: readonly Finding[];
  /** True of one that the policy refuses, and an exception sets aside. */
  isExcepted(finding: Finding): boolean;
  /** What VEX says of one that it closes. */
  vexOf?: ((finding: Finding) => VexAnswer | undefined) | undefined;
}

type UsedRun = Pick<ScannerRun, "database" | "parameters" | "tool">;

interface VulnerabilityPredicateFacts {
  /** Never empty; each with one of its runs. The first one's report is where readers of before look for matches. */
  scanners: readonly { scanner: Pick<Scanner, "name" | "describe">; run: UsedRun }[];
  /** One for a single image; each of an index. */
  children: readonly ScannedChild[];
  comparison?: ComparisonReport | undefined;
  /** The list that findings were held to. */
  exploited?: Pick<ExploitedList, "from" | "released"> | undefined;
  run: RunFacts;
  startedAt: Date;
  finishedAt: Date;
}

/**
 * The predicate of `https://cosign.sigstore.dev/attestation/vuln/v1`, by cosign's specs/COSIGN_VULN_ATTESTATION_SPEC.md
 * and the fields that cosign itself writes (one `scanner`; the document's older `scanners` never were).
 * `scanner.result` is the scanner's report as the scanner renders it for evidence; `result.goldenpath` says what was
 * left out of it, what it does not have, and how much was found where readers can't count that themselves; its
 * `findings` are all of them in neutral words, which the next scan compares with (`told-findings.ts`). The format has
 * room for one scanner: further ones, each in the same shape, are in `result.goldenpath.others`.
 */
export function buildVulnerabilityPredicate(facts: VulnerabilityPredicateFacts): Record<string, unknown> {
  const { run, scanners } = facts;
  const [first, ...others] = scanners.map(({ scanner, run: used }, index) => ({
    parameters: used.parameters,
    told: describeScanner(scanner, used),
    evidence: scanner.describe.renderEvidence(
      facts.children.map(({ digest, platform, reports }) => ({ digest, platform, report: reportOf(reports, index) })),
    ),
  }));
  if (first === undefined) throw new TypeError("a scan has no scanner");
  return {
    invocation: {
      parameters: first.parameters,
      uri: run.runUrl ?? "",
      event_id: run.runId ?? "",
      "builder.id": run.builderId,
    },
    scanner: {
      ...first.told,
      result: {
        ...first.evidence.report,
        goldenpath: {
          ...describeChildren(
            facts.children,
            first.evidence.hasMatches && others.length === 0,
            // Where it has no matches, none of its findings is explained by it.
            first.evidence.hasMatches ? (scanners[0]?.scanner.name ?? "") : "",
          ),
          ...(facts.comparison === undefined ? {} : { comparison: withoutLists(facts.comparison) }),
          ...(facts.exploited === undefined
            ? {}
            : { exploited: { uri: facts.exploited.from, lastUpdate: facts.exploited.released.toISOString() } }),
          ...(others.length === 0
            ? {}
            : {
                others: others.map(({ parameters, told, evidence }) => ({
                  parameters,
                  ...told,
                  result: { ...evidence.report, goldenpath: { dropped: evidence.dropped } },
                })),
              }),
          dropped: first.evidence.dropped,
        },
      },
    },
    metadata: { scanStartedOn: facts.startedAt.toISOString(), scanFinishedOn: facts.finishedAt.toISOString() },
  };
}

function describeDatabase(database: DatabaseFacts, scanner: string): Record<string, string> {
  const version = database.schema ?? "";
  return {
    uri:
      database.from ??
      `pkg:generic/${scanner}-db@${version || "unknown"}${database.digest === undefined ? "" : `?checksum=${database.digest}`}`,
    version,
    ...(database.built === undefined ? {} : { lastUpdate: database.built.toISOString() }),
  };
}

function describeScanner(
  { name, describe }: Pick<Scanner, "name" | "describe">,
  { tool, database }: UsedRun,
): Record<string, unknown> {
  return { uri: describe.formatUri(tool.version), version: tool.version, db: describeDatabase(database, name) };
}

function reportOf(reports: ScannedChild["reports"], index: number): ReportedChild["report"] {
  const report = reports[index];
  if (report === undefined) throw new TypeError("a scanner has no report of an image");
  return report;
}

/**
 * @param hasMatches readers can count what was found themselves
 * @param explainer the scanner whose report says where its findings are
 */
function describeChildren(
  children: readonly ScannedChild[],
  hasMatches: boolean,
  explainer: string,
): Record<string, unknown> {
  return {
    ...(children.length === 1 ? {} : { children: children.map(({ digest, platform }) => ({ digest, platform })) }),
    ...(hasMatches ? {} : { counts: countFindings(children.flatMap(({ findings }) => findings)) }),
    ...describeHidden(children),
    ...describeImported(children),
    ...tellFindings(children, explainer),
  };
}

/** The lists are in the result, and follow from what both scans have signed. */
function withoutLists({ new: _new, fixed: _fixed, ...told }: ComparisonReport): Record<string, unknown> {
  return told;
}

/**
 * Whose reports were judged besides, by whose word: a file that the job gave is what that job said, and one that was not
 * there any more what the scan of `scannedOn` told of it.
 */
function describeImported(children: readonly ScannedChild[]): Record<string, unknown> {
  const placeOf = ({ digest: child, platform }: ScannedChild): object =>
    children.length === 1 ? {} : { child, platform };
  const ofJob = { said: "given in the job that scanned" };
  const carried = children.flatMap((child) =>
    (child.carried ?? []).map(({ findings, signer, ...told }) => ({
      ...{ ...placeOf(child), ...told, findings: findings.length },
      ...(signer === undefined ? ofJob : { signer }),
    })),
  );
  const used = children.flatMap((child) =>
    (child.imported ?? []).map(({ reporter, report: { format, tool, time, findings }, signer, digest }) => ({
      ...placeOf(child),
      ...{ reporter, format, tool, digest, findings: findings.length },
      ...(time === undefined ? {} : { time: time.toISOString() }),
      ...(signer === undefined ? ofJob : { signer }),
    })),
  );
  const reports = [...used, ...carried];
  return reports.length === 0 ? {} : { reports };
}

/** What the report of the whole image has no match for. */
function describeHidden(children: readonly ScannedChild[]): Record<string, unknown> {
  const hidden = children.flatMap((child) =>
    child.findings.filter(isHidden).map(({ id, severity, package: { name, version, type, purl }, hidden: why }) => ({
      ...(children.length === 1 ? {} : { child: child.digest, platform: child.platform }),
      ...{ id, severity, package: { name, version, type, ...(purl === undefined ? {} : { purl }) }, why },
    })),
  );
  return hidden.length === 0 ? {} : { hidden };
}

function isHidden({ hidden }: Finding): boolean {
  return hidden !== undefined;
}
