import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { FoundTool } from "../../tools/find.ts";
import { findPrivateTool } from "../../tools/private.ts";
import { describeTool } from "../../tools/run-tool.ts";
import type { System } from "../blind-spots.ts";
import { parseSbom } from "../catalog.ts";
import { listComponents } from "../components.ts";
import { type DatabaseKind, type DatabasePlace, placeDatabase } from "../database.ts";
import type { DatabaseFacts } from "../gate.ts";
import { fetchOsvData, hasEcosystem, listArchives, osvFolder, readOsvFacts, unpackOsvData } from "./osv-data.ts";
import { foundIn, type OsvReport, parseOsvReport, readOsvFindings, renderOsvEvidence } from "./osv-report.ts";
import { type OsvInput, renderOsvInput, systemEcosystem } from "./osv-sbom.ts";
import {
  describeLeftOut,
  type ProgramEnd,
  pickNetworkEnvironment,
  reportInvalid,
  requireDone,
  startProgram,
} from "./program.ts";
import type { Scanner, ScannerRun } from "./scanner.ts";

/** Google's osv-scanner, with OSV's exported data: nothing of the image is told to a server. */
export const osvScanner: Scanner = {
  name: "osv-scanner",
  tools: ["osv-scanner"],
  prepare: (given, context) => placeDatabase(osvDatabase, given, context),
  scan: (sbomFile, database, context) => runOsvScanner(sbomFile, database, context),
  knowsSystem,
  data: {
    publisher: "https://osv-vulnerabilities.storage.googleapis.com",
    parts: { what: "ecosystem" },
    fetchNewest: fetchOsvData,
    unpack: (file, directory, { signal }) => unpackOsvData(file, directory, signal),
  },
  describe: {
    formatUri: (version) => `pkg:github/google/osv-scanner@v${version}`,
    renderEvidence: renderOsvEvidence,
  },
};

const osvDatabase: DatabaseKind = {
  scanner: "osv-scanner",
  files: [osvFolder],
  listMore: listArchives,
  whichDirectory: `Give the directory that has the folder \`${osvFolder}\`, and in that \`ECOSYSTEM/all.zip\` as OSV exports it.`,
  variables: { directory: "OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY" },
};

/** 1 is that there are findings. */
const osvEnd: ProgramEnd = {
  done: [0, 1],
  data: {
    says: /OSV database/i,
    wayOut:
      "Let osv-scanner reach osv-vulnerabilities.storage.googleapis.com, or give a directory with OSV's data in the input 'database'.",
  },
};

/**
 * Matches an SBOM file (CycloneDX JSON) against OSV's data. The document that the program reads is of its own folder,
 * so that no `osv-scanner.toml` of the checkout can set findings aside.
 * @param given the program, where it was found before
 * @throws InfrastructureError `scanner-failed`, `scanner-report-invalid`, and those of finding and running the tool
 */
export async function runOsvScanner(
  sbomFile: string,
  database: DatabasePlace,
  context: Context,
  given?: FoundTool,
): Promise<ScannerRun> {
  const tool = given ?? (await findPrivateTool("osv-scanner", context));
  const sbom = parseSbom(await readFile(sbomFile, "utf8"), "the SBOM");
  const input = renderOsvInput(listComponents(sbom));
  // Without a package that it knows the program has nothing to do, and says so by an error.
  const report = input.components.size === 0 ? { results: [] } : await startOsv(tool, input, database, context);
  const families = listFamilies(report);
  return {
    findings: readOsvFindings(report, input, context.now()),
    database: await tellData(database, families, context),
    parameters: ["scan", "source", ...listOptions(database), "--lockfile=CycloneDX"],
    tool: describeTool(tool),
    notes: describeLeftOut("osv-scanner", input.leftOut),
    report,
  };
}

async function startOsv(
  tool: FoundTool,
  input: OsvInput,
  database: DatabasePlace,
  context: Context,
): Promise<OsvReport> {
  const folder = join(context.temporaryDirectory, "osv-scanner-sbom");
  await mkdir(folder, { recursive: true });
  const file = join(folder, "bom.cdx.json");
  await writeFile(file, JSON.stringify(input.document));
  const place = [`--local-db-path=${database.directory}`, `--lockfile=${file}`];
  const ended = await startProgram(tool, ["scan", "source", ...listOptions(database), ...place], context, (home) => ({
    ...pickNetworkEnvironment(context.env),
    HOME: home,
    XDG_CONFIG_HOME: home,
    TMPDIR: home,
    NO_COLOR: "1",
  }));
  const report = parseOsvReport(requireDone(tool, ended, osvEnd).stdout, input);
  // In some of its modes it asks no data at all, and says that nothing was found.
  for (const family of listFamilies(report)) {
    if (!ended.stderr.includes(`Loaded ${family} local db from `))
      throw reportInvalid("osv-scanner", `it does not say that it looked into the data of ${family}`);
  }
  return report;
}

function listOptions({ update }: DatabasePlace): string[] {
  return [
    ...(update ? ["--offline-vulnerabilities", "--download-offline-databases"] : ["--offline"]),
    ...["--format=json", "--all-packages", "--all-vulns"],
  ];
}

function listFamilies(report: OsvReport): string[] {
  return [...new Set(foundIn(report).map(({ package: { ecosystem } }) => ecosystem.split(":")[0] ?? ""))];
}

/** What was fetched for this run from OSV is as of now; what a directory has is as old as it says. */
async function tellData(
  database: DatabasePlace,
  families: readonly string[],
  context: Context,
): Promise<DatabaseFacts> {
  // Without a package that it looks up, no data counts, and none is too old.
  if (families.length === 0) return { built: context.now(), schema: "osv" };
  const facts = await readOsvFacts(database.directory, families);
  return database.update ? { ...facts, built: context.now() } : facts;
}

async function knowsSystem({ name, version }: System, { directory }: DatabasePlace): Promise<boolean> {
  const ecosystem = systemEcosystem(name, version);
  if (ecosystem === undefined) return false;
  try {
    return await hasEcosystem(directory, ecosystem.family, ecosystem.suffix);
  } catch (error) {
    // Nothing of that distribution was there to be looked up.
    if (error instanceof InfrastructureError && (error.cause as NodeJS.ErrnoException)?.code === "ENOENT") return false;
    throw error;
  }
}
