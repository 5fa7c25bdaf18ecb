import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { System } from "@goldenpath/core/scan/blind-spots";
import { type DatabaseKind, type DatabasePlace, placeDatabase } from "@goldenpath/core/scan/database";
import type { FindingSeverity, ScannerFinding } from "@goldenpath/core/scan/finding";
import { parseReport, programFailed, startProgram } from "@goldenpath/core/scan/scanners/program";
import type { ReportedChild, Scanner, ScannerEvidence, ScannerRun } from "@goldenpath/core/scan/scanners/scanner";
import { type LockedTool, toolPlatform } from "@goldenpath/core/tools/lock";
import { findPrivateTool } from "@goldenpath/core/tools/private";
import { describeTool } from "@goldenpath/core/tools/run-tool";
import type { ProcessResult } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import { z } from "zod";

/** The folder that has the program: for PATH. */
export const shelfFolder = join(import.meta.dirname, "shelf");

const program: LockedTool = {
  name: "shelf-scan",
  version: "1.0.0",
  module: { path: "shelf.example/shelf-scan", version: "v1.0.0", sum: "h1:there-is-none=" },
  toolchain: "go1.0.0",
  package: ".",
  ldflags: "",
  builds: {},
  releases: {
    [toolPlatform()]: {
      // Nobody serves it: it comes from PATH, by its bytes, or not at all.
      url: "http://127.0.0.1:9/shelf-scan",
      sha256: createHash("sha256")
        .update(readFileSync(join(shelfFolder, "shelf-scan")))
        .digest("hex"),
    },
  },
};

const list: DatabaseKind = {
  scanner: "shelf",
  files: ["list.json"],
  whichDirectory: "Give the directory that has list.json.",
  variables: { directory: "SHELF_FOLDER", update: "SHELF_UPDATE", mirror: "SHELF_URL" },
};

/** A scanner that the project does not have: for the tests, and as what docs/extending.md tells of. */
export const shelf: Scanner = {
  name: "shelf",
  tools: [program],
  prepare: (given, context) => placeDatabase(list, given, context),
  scan: runShelf,
  knowsSystem: askShelf,
  describe: { formatUri: (version) => `pkg:generic/shelf@${version}`, renderEvidence: renderShelfEvidence },
};

const reportSchema = z.strictObject({
  program: z.literal("shelf-scan"),
  asOf: z.iso.date(),
  hits: z.array(
    z.strictObject({
      id: z.string().min(1),
      stars: z.number(),
      mendedIn: z.string(),
      shelf: z.string(),
      name: z.string().min(1),
      version: z.string(),
      purl: z.string(),
      layers: z.array(z.string()),
      paths: z.array(z.string()),
    }),
  ),
});
type ShelfReport = z.infer<typeof reportSchema>;

async function runShelf(sbomFile: string, database: DatabasePlace, context: Context): Promise<ScannerRun> {
  const tool = await findPrivateTool(program, context);
  const ended = await start(database, [sbomFile], context);
  if (ended.exitCode !== 0) throw programFailed(tool, ended);
  const report = parseReport(ended.stdout, "shelf", reportSchema);
  return {
    findings: report.hits.map(readHit),
    database: { built: new Date(report.asOf), schema: "1" },
    parameters: ["LIST", "SBOM"],
    tool: describeTool(tool),
    notes: [],
    report,
  };
}

/** The program's own word for a kind of package stays here: what a package is, its URL says. */
function readHit({
  id,
  stars,
  mendedIn,
  shelf: type,
  name,
  version,
  purl,
  layers,
  paths,
}: ShelfReport["hits"][number]): ScannerFinding {
  return {
    ...{ id, aliases: [], severity: readStars(stars), package: { name, version, type, purl } },
    ...{ fixedVersions: [mendedIn], fixState: "fixed", layers, paths, urls: [] },
  };
}

/**
 * What it does not rate, or rates by a scale that it did not have when this was written, is unknown, and so counts as
 * high.
 */
function readStars(stars: number): FindingSeverity {
  return ([undefined, "low", "medium", "high", "critical"] as const)[stars] ?? "unknown";
}

async function askShelf({ name, version }: System, database: DatabasePlace, context: Context): Promise<boolean> {
  const ended = await start(database, ["--system", name, version], context);
  if (ended.exitCode !== 0) throw programFailed(await findPrivateTool(program, context), ended);
  return ended.stdout.trim() === "yes";
}

async function start({ directory }: DatabasePlace, args: readonly string[], context: Context): Promise<ProcessResult> {
  const tool = await findPrivateTool(program, context);
  return startProgram(tool, [directory, ...args], context, () => ({ PATH: dirname(process.execPath) }));
}

function renderShelfEvidence(children: readonly ReportedChild[]): ScannerEvidence {
  const hits = children.flatMap(({ digest, platform, report }) =>
    (report as ShelfReport).hits.map((hit) => (children.length === 1 ? hit : { ...hit, child: digest, platform })),
  );
  return { report: { hits }, dropped: ["asOf"], hasMatches: false };
}
