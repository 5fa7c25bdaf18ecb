import { constants, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { FoundTool } from "../../tools/find.ts";
import { findPrivateTool } from "../../tools/private.ts";
import { describeTool } from "../../tools/run-tool.ts";
import type { System } from "../blind-spots.ts";
import { parseSbom, readSight } from "../catalog.ts";
import { listComponents } from "../components.ts";
import { type DatabaseKind, type DatabasePlace, placeDatabase } from "../database.ts";
import { describeLeftOut, type ProgramEnd, pickNetworkEnvironment, requireDone, startProgram } from "./program.ts";
import type { Scanner, ScannerRun } from "./scanner.ts";
import { fetchTrivyData, unpackTrivyData } from "./trivy-artifact.ts";
import { listTrivySources, readTrivyFacts, trivyFiles } from "./trivy-data.ts";
import {
  describeTrivySystem,
  parseTrivyReport,
  readTrivyFindings,
  renderTrivyEvidence,
  type TrivyReport,
} from "./trivy-report.ts";
import { renderTrivyInput, systemBucket, type TrivyInput } from "./trivy-sbom.ts";

/** Aqua's trivy, with its own data. */
export const trivy: Scanner = {
  name: "trivy",
  tools: ["trivy"],
  prepare: placeTrivyData,
  scan: (sbomFile, database, context) => runTrivy(sbomFile, database, context),
  knowsSystem,
  data: {
    publisher: "oci://ghcr.io/aquasecurity/trivy-db:2",
    fetchNewest: fetchTrivyData,
    unpack: (file, directory, { signal }) => unpackTrivyData(file, directory, signal),
  },
  describe: {
    formatUri: (version) => `pkg:github/aquasecurity/trivy@v${version}`,
    updateCommand: "trivy image --download-db-only",
    renderEvidence: renderTrivyEvidence,
  },
};

const trivyDatabase: DatabaseKind = {
  scanner: "trivy",
  files: trivyFiles,
  whichDirectory: "Give the directory that has the folder `db`: what TRIVY_CACHE_DIR is for trivy.",
  variables: { directory: "TRIVY_CACHE_DIR", mirror: "TRIVY_DB_REPOSITORY" },
};

const trivyEnd: ProgramEnd = {
  done: [0],
  data: {
    says: /vulnerability DB|database|--skip-db-update/i,
    wayOut:
      "Let trivy reach mirror.gcr.io or ghcr.io (or a mirror, TRIVY_DB_REPOSITORY), or give a directory with its data in the input 'database'.",
  },
};

/** trivy opens its data for writing, and removes a file that it takes for broken: it gets a copy of what is given. */
async function placeTrivyData(given: string | undefined, context: Context): Promise<DatabasePlace> {
  const place = await placeDatabase(trivyDatabase, given, context);
  if (place.update) return place;
  const directory = join(context.temporaryDirectory, "trivy-data");
  await mkdir(join(directory, "db"), { recursive: true, mode: 0o700 });
  for (const file of trivyFiles)
    await copyFile(join(place.directory, file), join(directory, file), constants.COPYFILE_FICLONE);
  return { directory, update: false };
}

/**
 * Matches an SBOM file (CycloneDX JSON) against trivy's data, in a home of its own, so that no `trivy.yaml` and no
 * `.trivyignore` of the checkout can set findings aside.
 * @param given the program, where it was found before
 * @throws InfrastructureError `scanner-failed`, `scanner-report-invalid`, and those of finding and running the tool
 */
export async function runTrivy(
  sbomFile: string,
  database: DatabasePlace,
  context: Context,
  given?: FoundTool,
): Promise<ScannerRun> {
  const tool = given ?? (await findPrivateTool("trivy", context));
  const sbom = parseSbom(await readFile(sbomFile, "utf8"), "the SBOM");
  const [system] = readSight(sbom).systems;
  const input = renderTrivyInput(listComponents(sbom), system);
  const report = await startTrivy(tool, input, database, context);
  await requireSources(input, database);
  return {
    findings: readTrivyFindings(report, input),
    database: await readTrivyFacts(database.directory),
    parameters: ["sbom", ...listOptions(database)],
    tool: describeTool(tool),
    notes: [...describeLeftOut("trivy", input.leftOut), ...describeTrivySystem(report)],
    report,
  };
}

async function startTrivy(
  tool: FoundTool,
  input: TrivyInput,
  database: DatabasePlace,
  context: Context,
): Promise<TrivyReport> {
  const folder = join(context.temporaryDirectory, "trivy-sbom");
  await mkdir(folder, { recursive: true });
  const file = join(folder, "bom.cdx.json");
  await writeFile(file, JSON.stringify(input.document));
  const args = ["sbom", ...listOptions(database), `--cache-dir=${database.directory}`, file];
  const ended = await startProgram(tool, args, context, (home) => ({
    ...pickNetworkEnvironment(context.env),
    HOME: home,
    XDG_CONFIG_HOME: home,
    TMPDIR: home,
    NO_COLOR: "1",
    TRIVY_DB_REPOSITORY: context.env["TRIVY_DB_REPOSITORY"],
  }));
  return parseTrivyReport(requireDone(tool, ended, trivyEnd).stdout, input);
}

function listOptions({ update }: DatabasePlace): string[] {
  return [
    ...(update ? [] : ["--skip-db-update"]),
    ...["--format=json", "--list-all-pkgs", "--scanners=vuln", "--offline-scan", "--skip-java-db-update"],
    ...["--skip-vex-repo-update", "--skip-version-check", "--disable-telemetry", "--no-progress", "--timeout=15m"],
  ];
}

/** Of a language without a source trivy says that nothing was found. A system without one is a blind spot. */
async function requireSources({ languages }: TrivyInput, { directory }: DatabasePlace): Promise<void> {
  const sources = [...(await listTrivySources(directory))];
  const missing = [...languages].filter((prefix) => !sources.some((source) => source.startsWith(prefix)));
  if (missing.length === 0) return;
  throw new InfrastructureError(
    `trivy's data has nothing of ${missing.map((prefix) => prefix.slice(0, -2)).join(", ")}, of which the image has packages`,
    { code: "scanner-failed", wayOut: "Give data that is whole: `trivy image --download-db-only` fetches it." },
  );
}

async function knowsSystem(system: System, { directory }: DatabasePlace): Promise<boolean> {
  const bucket = systemBucket(system);
  return bucket !== undefined && (await listTrivySources(directory)).has(bucket);
}
