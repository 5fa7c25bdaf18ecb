import type { ScannerFinding } from "../finding.ts";

/** What somebody else's scanner found in an image, in whichever format it was written. */
export interface ImportedReport {
  format: "SARIF" | "CycloneDX";
  /** As it calls itself, with its version where it says one: `Snyk Container 1.1295`. */
  tool: string;
  /** When it was made, as it says. */
  time?: Date;
  /** Digests of the images that it says it is of. */
  digests: string[];
  findings: ReportedFinding[];
}

/** A report that counts for nothing, and why: a clause. */
export interface UnfitReport {
  problem: string;
  time?: Date;
}

/** A report that counts. */
export interface UsedReport {
  reporter: string;
  report: ImportedReport;
  signer?: string;
  digest: string;
}

/** A finding before it is known which package of the image is meant. */
export interface ReportedFinding extends Omit<ScannerFinding, "package" | "layers" | "paths"> {
  /** As the report names it: by a package URL, or by name and version; empty where it names none. */
  package: { purl?: string; name?: string; version?: string };
}

/** Far more than scanners write of one image. Bytes. */
export const maxReportBytes = 64 * 1024 * 1024;

/** A text of a report → its time; undefined where it is none. */
export function readReportTime(text: unknown): Date | undefined {
  const time = typeof text === "string" ? new Date(text) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}

/** Digests that stand alone in a text, or behind the name of an image. */
export function listDigests(texts: readonly unknown[]): string[] {
  return [
    ...new Set(
      texts.flatMap((text) =>
        typeof text === "string"
          ? [
              ...text
                .replaceAll(/%40/gi, "@")
                .replaceAll(/%3a/gi, ":")
                .matchAll(/(?:^|@)(sha256:[0-9a-f]{64})(?![0-9a-f])/g),
            ].map(([, digest = ""]) => digest)
          : [],
      ),
    ),
  ];
}

/**
 * The one name of what was found: the CVE where its record names one, else an advisory of GitHub's, else the tool's own.
 * Never two: by a second name whoever writes a report could make a finding of another scanner one with a vulnerability
 * that an exception or VEX sets aside. A record of several CVEs keeps its own name, and covers them.
 * @param id of the tool
 * @param others texts that may name the vulnerability
 */
export function readIds(id: string, others: readonly string[]): Pick<ScannerFinding, "id" | "aliases" | "covers"> {
  const own = listNames(id);
  const all = [...new Set([...own, ...others.flatMap(listNames)])];
  const cves = all.filter(isCve);
  const [cve] = own.some(isCve) ? own.filter(isCve) : cves;
  if (cves.length > 1) return { id: own[0] ?? id, aliases: [], covers: cves.filter((name) => name !== own[0]) };
  return { id: cve ?? all[0] ?? id, aliases: [] };
}

function isCve(name: string): boolean {
  return name.startsWith("CVE-");
}

function listNames(text: string): string[] {
  return text.match(/\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3})\b/g) ?? [];
}
