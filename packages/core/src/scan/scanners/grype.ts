import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import type { ProcessResult } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import type { FoundTool } from "../../tools/find.ts";
import { findPrivateTool } from "../../tools/private.ts";
import { describeTool } from "../../tools/run-tool.ts";
import type { System } from "../blind-spots.ts";
import { parseSbom } from "../catalog.ts";
import { type DatabaseKind, type DatabasePlace, placeDatabase } from "../database.ts";
import type { DatabaseFacts } from "../gate.ts";
import { fetchGrypeData } from "./grype-data.ts";
import {
  type GrypeReport,
  parseGrypeReport,
  readGrypeFindings,
  renderGrypeEvidence,
  splitGrypeReport,
} from "./grype-report.ts";
import { mergeSboms } from "./merge-sboms.ts";
import { type ProgramEnd, pickNetworkEnvironment, requireDone, startProgram } from "./program.ts";
import type { Scanner, ScannerRun } from "./scanner.ts";

export const grype: Scanner = {
  name: "grype",
  tools: ["grype"],
  prepare: (given, context) => placeDatabase(grypeDatabase, given, context),
  scan: (sbomFile, database, context) => runGrype(sbomFile, context, database),
  scanTogether: (sbomFiles, database, context) => runGrypeOnMany(sbomFiles, context, database),
  knowsSystem: (system, database, context) => isDistributionKnown(system, context, database),
  data: { publisher: "https://grype.anchore.io/databases", fetchNewest: fetchGrypeData, unpack: importDatabase },
  describe: {
    formatUri: (version) => `pkg:github/anchore/grype@v${version}`,
    updateCommand: "grype db update",
    renderEvidence: renderGrypeEvidence,
  },
};

export const grypeDatabase: DatabaseKind = {
  scanner: "grype",
  files: ["6/vulnerability.db", "6/import.json"],
  whichDirectory: "Give the directory that has the folder `6`: what GRYPE_DB_CACHE_DIR is for grype.",
  variables: { directory: "GRYPE_DB_CACHE_DIR", update: "GRYPE_DB_AUTO_UPDATE", mirror: "GRYPE_DB_UPDATE_URL" },
};

/** No --fail-on is passed, so every other exit code means that it did not do its work. */
const grypeEnd: ProgramEnd = {
  done: [0],
  data: {
    says: /vulnerability db/i,
    wayOut:
      "Let grype reach its database's server (or a mirror, GRYPE_DB_UPDATE_URL), or give a directory with a database in the input 'database'.",
  },
};

/**
 * Matches an SBOM file (CycloneDX JSON) against grype's database. Private home and working directory, so that no
 * `.grype.yaml` of the checkout can add ignore rules, and an explicit environment, so that no `GRYPE_*` variable can.
 * @param given the program, where it was found before; else it is looked for, and its bytes are held to the lock's
 * @throws InfrastructureError `scanner-failed`, `scanner-report-invalid`, and those of finding and running the tool
 */
export async function runGrype(
  sbomFile: string,
  context: Context,
  database: DatabasePlace,
  given?: FoundTool,
): Promise<ScannerRun> {
  const tool = given ?? (await findPrivateTool("grype", context));
  return tellRun(await matchSbom(tool, sbomFile, context, database), tool);
}

/**
 * {@link runGrype} for several images' SBOMs: grype takes longer to start, and to check its database, than to match, and
 * what many images have is matched once. Who can't be told from such a run is scanned alone.
 */
async function runGrypeOnMany(
  sbomFiles: readonly string[],
  context: Context,
  database: DatabasePlace,
): Promise<ScannerRun[]> {
  const tool = await findPrivateTool("grype", context);
  const sboms = await Promise.all(sbomFiles.map(async (file) => parseSbom(await readFile(file, "utf8"), file)));
  const runs = new Array<ScannerRun>(sboms.length);
  const { together, alone } = mergeSboms(sboms);
  const scanAlone = async (members: readonly number[]): Promise<void> => {
    for (const member of members)
      runs[member] = await tellRun(await matchSbom(tool, sbomFiles[member] ?? "", context, database), tool);
  };
  await scanAlone(alone);
  for (const merged of together) {
    if (merged.members.length === 1) {
      await scanAlone(merged.members);
      continue;
    }
    const file = join(context.temporaryDirectory, "grype-several.cdx.json");
    await writeFile(file, JSON.stringify(merged.document));
    const report = await matchSbom(tool, file, context, database, { tellsSuppressed: true });
    const { own, again } = splitGrypeReport(report, merged);
    for (const [member, its] of own) runs[member] = await tellRun(its, tool);
    await scanAlone(again);
  }
  return runs;
}

const parameters = ["--output", "json"];

async function matchSbom(
  tool: FoundTool,
  sbomFile: string,
  context: Context,
  database: DatabasePlace,
  more: GrypeSettings = {},
): Promise<GrypeReport> {
  const ended = await startGrype(tool, [`sbom:${sbomFile}`, ...parameters], context, database, more);
  return parseGrypeReport(requireDone(tool, ended, grypeEnd).stdout);
}

async function tellRun(report: GrypeReport, tool: FoundTool): Promise<ScannerRun> {
  const ignored = report.ignoredMatches?.length ?? 0;
  return {
    findings: readGrypeFindings(report),
    database: await readDatabaseFacts(report),
    parameters: ["sbom:CycloneDX", ...parameters],
    tool: describeTool(tool),
    notes: ignored === 0 ? [] : [`grype's built-in rules set ${ignored} matches aside (kernel headers and the like).`],
    report,
  };
}

/**
 * A publisher's archive into a directory, by grype itself, which checks that it is a database and makes its indexes.
 * @throws InfrastructureError `scanner-failed`, and those of finding and running the tool
 */
async function importDatabase(file: string, directory: string, context: Context): Promise<void> {
  const tool = await findPrivateTool("grype", context);
  const ended = await startGrype(tool, ["db", "import", file], context, { directory, update: false });
  requireDone(tool, ended, {
    done: [0],
    data: { says: /./, wayOut: "Mirror the data again: goldenpath data mirror." },
  });
}

/**
 * Whether grype's data has a distribution in a version, by its own way of finding it (aliases, rolling releases): what
 * it does not have is matched against nothing, in silence. The database must be there already: after {@link runGrype}.
 * @throws InfrastructureError `scanner-failed`, and those of finding and running the tool
 */
async function isDistributionKnown(
  { name, version }: System,
  context: Context,
  database: DatabasePlace,
): Promise<boolean> {
  // What os-release may hold by os-release(5); a colon is grype's own.
  if (!/^[A-Za-z0-9._-]+$/.test(name) || !/^[A-Za-z0-9._+~-]*$/.test(version)) return false;
  if (version === "" && !rollingDistributions.has(name)) return false;
  const tool = await findPrivateTool("grype", context);
  // A package is asked for that there is nowhere: the answer is an empty list, or that the data has no such system.
  // Three numbers (Alpine's) it takes for an error there, and looks at two of them when it matches.
  const release = /^\d+\.\d+(?=\.\d)/.exec(version)?.[0] ?? version;
  const distro = release === "" ? name : `${name}:${release}`;
  const args = [
    "db",
    "search",
    `--distro=${distro}`,
    "--pkg=goldenpath-asks-for-the-distribution-alone",
    "--output=json",
  ];
  // Its bytes were held to their checksum when it was scanned with.
  const ended = await startGrype(tool, args, context, { ...database, update: false }, { isChecked: true });
  if (ended.exitCode !== 0 && /\b(?:OS not present|invalid distro version)\b/i.test(ended.stderr)) return false;
  requireDone(tool, ended, grypeEnd);
  return true;
}

/**
 * Of which os-release need not name a version: grype's own table of them (its database's
 * `operating_system_specifier_overrides`, marked as rolling).
 */
const rollingDistributions = new Set([
  "arch",
  "archlinux",
  "chainguard",
  "echo",
  "hummingbird",
  "minimos",
  "secureos",
  "wolfi",
]);

interface GrypeSettings {
  /** The database's bytes were held to their checksum by an earlier run. */
  isChecked?: boolean;
  /** Matches that it sets aside by what it knows of another package are in the report. */
  tellsSuppressed?: boolean;
}

function startGrype(
  tool: FoundTool,
  args: readonly string[],
  context: Context,
  database: DatabasePlace,
  { isChecked = false, tellsSuppressed = false }: GrypeSettings = {},
): Promise<ProcessResult> {
  return startProgram(tool, args, context, (home) => ({
    ...grypeEnvironment(context.env, home, database),
    ...(isChecked ? { GRYPE_DB_VALIDATE_BY_HASH_ON_START: "false" } : {}),
    ...(tellsSuppressed ? { GRYPE_INCLUDE_MATCHER_SUPPRESSIONS: "true" } : {}),
  }));
}

/**
 * What grype gets to see: the database's place and how to reach its server, its own judgement of age off (the policy
 * judges it), and nothing else.
 */
export function grypeEnvironment(
  env: Context["env"],
  home: string,
  database: DatabasePlace,
): Record<string, string | undefined> {
  return {
    ...pickNetworkEnvironment(env),
    HOME: home,
    XDG_CONFIG_HOME: home,
    TMPDIR: home,
    NO_COLOR: "1",
    GRYPE_CHECK_FOR_APP_UPDATE: "false",
    GRYPE_DB_VALIDATE_AGE: "false",
    GRYPE_DB_VALIDATE_BY_HASH_ON_START: "true",
    GRYPE_DB_CACHE_DIR: database.directory,
    GRYPE_DB_AUTO_UPDATE: String(database.update),
    GRYPE_DB_UPDATE_URL: env["GRYPE_DB_UPDATE_URL"],
    GRYPE_DB_CA_CERT: env["GRYPE_DB_CA_CERT"],
  };
}

async function readDatabaseFacts(report: GrypeReport): Promise<DatabaseFacts> {
  const status = report.descriptor.db?.status;
  if (status === undefined) return {};
  const built = status.built === undefined ? undefined : new Date(status.built);
  const digest = status.path === undefined ? undefined : await readImportDigest(dirname(status.path));
  return {
    ...(built === undefined || Number.isNaN(built.getTime()) ? {} : { built }),
    ...(status.schemaVersion === undefined ? {} : { schema: status.schemaVersion }),
    ...(status.from === undefined ? {} : { from: status.from }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The checksum beside the database, which grype has compared with the file before it scanned. */
async function readImportDigest(directory: string): Promise<string | undefined> {
  try {
    const parsed = z.looseObject({ digest: z.string().regex(/^xxh64:[0-9a-f]{1,16}$/) });
    return parsed.parse(parseJson(await readFile(join(directory, "import.json"), "utf8"))).digest;
  } catch (error) {
    throw new InfrastructureError(`the checksum of grype's database can't be read: ${describeError(error)}`, {
      code: "scanner-report-invalid",
      cause: error,
    });
  }
}
