import { parseJson } from "@goldenpath/foundation/text/json";
import { readCycloneDxReport } from "./cyclonedx.ts";
import { type ImportedReport, readReportTime, type UnfitReport } from "./report.ts";
import { readSarif } from "./sarif.ts";

/**
 * A document → what these tools found, by what it says of its format itself; undefined for one of other tools, and for
 * one that is no report.
 */
export function readReport(json: unknown, tools: readonly string[]): ImportedReport | UnfitReport | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const document = json as Readonly<Record<string, unknown>>;
  if (document["bomFormat"] === "CycloneDX" && "vulnerabilities" in document)
    return readCycloneDxReport(document, tools);
  if ("runs" in document) return readSarif(document, tools);
  return undefined;
}

/** A file's text → the same, but that what is no report is a problem. */
export function readReportText(text: string, tools: readonly string[]): ImportedReport | UnfitReport {
  if (text.trim() === "") return { problem: "it is empty" };
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return { problem: text.trimEnd().endsWith("}") ? "it is not JSON" : "it ends in the middle" };
  }
  const names = tools.map((tool) => `'${tool}'`).join(" or ");
  return (
    readReport(json, tools) ?? {
      problem: `it is neither SARIF nor a CycloneDX document with vulnerabilities, of a tool that calls itself ${names}`,
    }
  );
}

/**
 * The predicate of a signed statement → the same. cosign's `custom` has the document as a text, beside the time at which
 * that was signed.
 */
export function readReportPredicate(
  predicate: Readonly<Record<string, unknown>>,
  tools: readonly string[],
): ImportedReport | UnfitReport | undefined {
  const { Data: data, Timestamp: timestamp } = predicate;
  if (typeof data !== "string") return readReport(predicate, tools);
  let json: unknown;
  try {
    json = parseJson(data);
  } catch {
    // Anybody's text: nothing says that it was meant for a report.
    return undefined;
  }
  const read = readReport(json, tools);
  const time = readReportTime(timestamp);
  return read === undefined || read.time !== undefined || time === undefined ? read : { ...read, time };
}
