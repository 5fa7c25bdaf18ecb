import { describeIssues } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import type { ScannerFinding } from "../finding.ts";
import { readToldScan, type ToldFinding, type ToldScan } from "../told-findings.ts";
import type { UsedReport } from "./report.ts";

const toldSchema = z.object({
  child: z.string().optional(),
  reporter: z.string().min(1),
  format: z.enum(["SARIF", "CycloneDX"]),
  tool: z.string(),
  digest: z.string(),
  time: z.iso.datetime({ offset: true }).optional(),
  signer: z.string().optional(),
  scannedOn: z.iso.datetime({ offset: true }).optional(),
});

/** One report that a scan has judged, as its predicate tells it. */
type ToldReport = z.infer<typeof toldSchema>;

const predicateSchema = z.looseObject({
  scanner: z.looseObject({
    result: z.looseObject({ goldenpath: z.looseObject({ reports: z.array(toldSchema).default([]) }) }),
  }),
});

/** A scan of the image before, with the reports that it judged. */
export interface JudgedScan {
  told: ToldScan;
  reports: readonly ToldReport[];
}

/** The predicate of a scan → what it found, and whose reports were in that; or why that can't be told. */
export function readJudgedScan(predicate: Record<string, unknown>): JudgedScan | { problem: string } {
  const told = readToldScan(predicate);
  if ("problem" in told) return told;
  const parsed = predicateSchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  return { told, reports: parsed.data.scanner.result.goldenpath.reports };
}

/** A report that is not there any more, by the scan that judged it. */
export interface CarriedReport extends Omit<ToldReport, "child"> {
  /** When the scan was made that had the report itself: ISO 8601. */
  scannedOn: string;
  findings: ScannerFinding[];
}

/**
 * What a reporter said of one platform's image by the newest scan before that judged a report of it: a file that a job
 * gave is nowhere else, and a signed report may have been taken away. What is there itself, and a signed one that a
 * newer signed one overtook, is not carried.
 * @param child the image's digest; of an index the predicate names it
 * @param used the reporter's that are there now
 * @param before scans of the image by whom the policy names, in any order
 */
export function carryReports(
  reporter: string,
  child: Digest,
  used: readonly UsedReport[],
  before: readonly JudgedScan[],
): CarriedReport[] {
  const isOf = (of: string | undefined): boolean => of === undefined || of === child;
  const judged = before
    .map(({ told, reports }) => ({
      told,
      reports: reports.filter((each) => each.reporter === reporter && isOf(each.child)),
    }))
    .filter(({ reports }) => reports.length > 0)
    .toSorted((a, b) => b.told.finishedOn.getTime() - a.told.finishedOn.getTime());
  const [newest] = judged;
  if (newest === undefined) return [];
  const left = newest.reports.filter((told) => !used.some((own) => isThere(told, own)));
  const findings = newest.told.findings.filter((told) => isOf(told.child)).flatMap((told) => tellAgain(told, reporter));
  // Which of several said a finding is not told: it is carried once.
  return left.map(({ child: _child, ...told }, index) => ({
    ...told,
    scannedOn: told.scannedOn ?? newest.told.finishedOn.toISOString(),
    findings: index === 0 ? findings : [],
  }));
}

function isThere({ digest, signer, time }: ToldReport, own: UsedReport): boolean {
  if (own.digest === digest) return true;
  const isNewer = time !== undefined && own.report.time !== undefined && own.report.time >= new Date(time);
  return signer !== undefined && own.signer !== undefined && isNewer;
}

/** What the reporter said of a finding. Of ratings the worst of all who said so is told, and so that is carried. */
function tellAgain(told: ToldFinding, reporter: string): ScannerFinding[] {
  const said = (told.saidBy ?? []).filter(({ source }) => source === reporter);
  const isItsAlone = said.length === told.saidBy?.length;
  const { package: pkg, layers = [], paths = [], urls = [], covers, cvss, kev, malicious } = told;
  return said.map(({ id, severity, fixedVersions, isDistributions }) => ({
    ...{ id, aliases: [], severity, package: pkg, fixedVersions, layers, paths, urls },
    fixState: isItsAlone ? told.fixState : fixedVersions.length > 0 ? "fixed" : "unknown",
    ...(covers === undefined || id !== told.id ? {} : { covers }),
    ...(cvss === undefined ? {} : { cvss }),
    ...(kev === true ? { kev } : {}),
    ...(malicious === true ? { malicious } : {}),
    ...(isDistributions === true ? { advisory: { by: reporter, isDistributions } } : {}),
    ...(isItsAlone && told.withdrawn !== undefined ? { withdrawn: told.withdrawn } : {}),
    ...(isItsAlone && told.epss !== undefined ? { epss: told.epss } : {}),
    ...(isItsAlone && told.fixReleases !== undefined ? { fixReleases: told.fixReleases } : {}),
  }));
}
