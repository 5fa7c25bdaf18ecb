import { cleanLine } from "@goldenpath/foundation/text/clean";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RecordEntry } from "./record-facts.ts";

const columns = ["time", "event", "what", "tags", "by", "approvedBy", "serial", "detail"] as const;

const cellOf = (entry: RecordEntry, column: (typeof columns)[number]): string => {
  const value = column === "approvedBy" ? entry.approvedBy.map(nameApproval) : (entry[column] ?? "");
  return cleanLine(Array.isArray(value) ? value.join(" ") : String(value));
};

/** `ada (staging, vetted)`. Whoever names an environment can't thereby make one approval look like two. */
function nameApproval({ by, environments }: RecordEntry["approvedBy"][number]): string {
  const names = environments.map((name) => (/^[\w./-]+$/.test(name) ? name : stringifyJson(name)));
  return names.length === 0 ? by : `${by} (${names.join(", ")})`;
}

/** RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe, which it takes for text. */
export function renderRecordCsv(entries: readonly RecordEntry[]): string {
  const quote = (text: string): string => `"${(/^[=+\-@]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = entries.map((entry) => columns.map((column) => quote(cellOf(entry, column))).join(","));
  return [columns.join(","), ...rows, ""].join("\r\n");
}

/** For a terminal: as wide as what is in it. */
export function renderRecordTable(entries: readonly RecordEntry[]): string {
  const rows = [[...columns], ...entries.map((entry) => columns.map((column) => cellOf(entry, column)))];
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
