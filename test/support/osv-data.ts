import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zip } from "./zip.ts";

/** A record of OSV in short: what is not given, it does not have. */
export interface OsvEntry {
  id: string;
  /** `npm`, `Debian:12`. */
  ecosystem: string;
  package: string;
  fixed?: string;
  aliases?: string[];
  upstream?: string[];
  /** The database's word. */
  severity?: string;
  /** Debian's word. */
  urgency?: string;
  withdrawn?: string;
}

/** OSV's export of these records, as osv-scanner keeps it, in a directory. @param modified of the newest record */
export async function writeOsvData(directory: string, entries: readonly OsvEntry[], modified: Date): Promise<void> {
  const families = Map.groupBy(entries, ({ ecosystem }) => ecosystem.split(":")[0] ?? "");
  for (const [family, ofFamily] of families) {
    const folder = join(directory, "osv-scalibr", family);
    await mkdir(folder, { recursive: true });
    const files = ofFamily.map((entry) => ({
      name: `${entry.id}.json`,
      content: JSON.stringify(renderRecord(entry, modified)),
      modified,
    }));
    await writeFile(join(folder, "all.zip"), zip(files));
  }
}

/** By osv-schema 1.7. */
function renderRecord(entry: OsvEntry, modified: Date): Record<string, unknown> {
  const { id, ecosystem, aliases, upstream, severity, urgency, withdrawn, fixed } = entry;
  const type = ecosystem === "npm" || ecosystem === "Go" ? "SEMVER" : "ECOSYSTEM";
  const events = [{ introduced: "0" }, ...(fixed === undefined ? [] : [{ fixed }])];
  return {
    schema_version: "1.7.0",
    id,
    modified: modified.toISOString(),
    published: "2020-01-01T00:00:00Z",
    ...(withdrawn === undefined ? {} : { withdrawn }),
    ...(aliases === undefined ? {} : { aliases }),
    ...(upstream === undefined ? {} : { upstream }),
    summary: `about ${entry.package}`,
    affected: [
      {
        package: { ecosystem, name: entry.package },
        ranges: [{ type, events }],
        ...(urgency === undefined ? {} : { ecosystem_specific: { urgency } }),
      },
    ],
    ...(severity === undefined ? {} : { database_specific: { severity } }),
  };
}
