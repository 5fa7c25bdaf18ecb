import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { type ProcessResult, runProcess } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import type { StageResult } from "../result.ts";
import type { FoundTool } from "../tools/find.ts";
import { findPrivateTool } from "../tools/private.ts";
import type { System } from "./blind-spots.ts";
import type { DatabasePlace } from "./database.ts";
import { type Finding, type FindingSeverity, mergeFindings, originOf, sortFindings } from "./finding.ts";
import type { DatabaseFacts } from "./gate.ts";

/** Milliseconds: the first run of a machine downloads a database of hundreds of megabytes. */
const timeout = 15 * 60 * 1000;
const maxReportBytes = 256 * 1024 * 1024;

const cvssSchema = z.looseObject({ metrics: z.looseObject({ baseScore: z.number().optional() }).optional() });
const related = z.looseObject({ id: z.string().min(1) });

const matchSchema = z.looseObject({
  vulnerability: z.looseObject({
    id: z.string().min(1),
    dataSource: z.string().optional(),
    severity: z.string().nullish(),
    urls: z.array(z.string()).nullish(),
    description: z.string().optional(),
    cvss: z.array(cvssSchema).nullish(),
    fix: z.looseObject({ versions: z.array(z.string()).nullish(), state: z.string().nullish() }).nullish(),
    epss: z.array(z.looseObject({ epss: z.number() })).nullish(),
    knownExploited: z.array(z.unknown()).nullish(),
  }),
  relatedVulnerabilities: z.array(related).nullish(),
  matchDetails: z.array(z.looseObject({ fix: z.looseObject({ suggestedVersion: z.string().nullish() }).nullish() })).nullish(),
  artifact: z.looseObject({
    name: z.string().min(1),
    version: z.string(),
    type: z.string(),
    purl: z.string().optional(),
    locations: z.array(z.looseObject({ path: z.string().optional(), layerID: z.string().optional() })).nullish(),
  }),
});

/** What goldenpath reads of `grype -o json` (grype 0.121; the fields are stable since 0.80). The rest is kept as it is. */
const reportSchema = z.looseObject({
  matches: z.array(matchSchema),
  ignoredMatches: z.array(z.unknown()).nullish(),
  descriptor: z.looseObject({
    name: z.literal("grype"),
    version: z.string().min(1),
    db: z
      .looseObject({
        status: z
          .looseObject({
            schemaVersion: z.string().optional(),
            built: z.string().optional(),
            path: z.string().optional(),
            from: z.string().optional(),
            valid: z.boolean().optional(),
            error: z.string().nullish(),
          })
          .optional(),
      })
      .optional(),
  }),
});
export type GrypeReport = z.infer<typeof reportSchema>;

export interface GrypeScan {
  report: GrypeReport;
  database: DatabaseFacts;
  /** grype's arguments, without paths of this machine. */
  parameters: string[];
  tool: StageResult["tools"][number];
}

/**
 * Matches an SBOM file (CycloneDX JSON) against grype's database. Private home and working directory, so that no `.grype.yaml` of the checkout can add ignore
 * rules, and an explicit environment, so that no `GRYPE_*` variable can.
 * @param given the program, where it was found before; else it is looked for, and its bytes are held to the lock's
 * @throws InfrastructureError `scanner-failed`, `scanner-report-invalid`, and those of finding and running the tool
 */
export async function runGrype(sbomFile: string, context: Context, database: DatabasePlace, given?: FoundTool): Promise<GrypeScan> {
  const tool = given ?? (await findPrivateTool("grype", context));
  const parameters = ["--output", "json"];
  const { exitCode, stdout, stderr } = await startGrype(tool, [`sbom:${sbomFile}`, ...parameters], context, database);
  // No --fail-on is passed, so every other exit code means that grype did not do its work.
  if (exitCode !== 0) throw failed(tool, exitCode, stderr);
  const report = parseGrypeReport(stdout);
  return {
    report,
    database: await readDatabaseFacts(report),
    parameters: ["sbom:CycloneDX", ...parameters],
    tool: { name: tool.name, version: tool.version, ...(tool.sha256 === undefined ? {} : { sha256: tool.sha256 }) },
  };
}

/**
 * Whether grype's data has a distribution in a version, by its own way of finding it (aliases, rolling releases): what it does not have is matched against nothing,
 * in silence. The database must be there already: after {@link runGrype}.
 * @throws InfrastructureError `scanner-failed`, and those of finding and running the tool
 */
export async function isDistributionKnown({ name, version }: System, context: Context, database: DatabasePlace): Promise<boolean> {
  // What os-release may hold by os-release(5); a colon is grype's own.
  if (!/^[A-Za-z0-9._-]+$/.test(name) || !/^[A-Za-z0-9._+~-]*$/.test(version)) return false;
  if (version === "" && !rollingDistributions.has(name)) return false;
  const tool = await findPrivateTool("grype", context);
  // A package is asked for that there is nowhere: the answer is an empty list, or that the data has no such system.
  // Three numbers (Alpine's) it takes for an error there, and looks at two of them when it matches.
  const release = /^\d+\.\d+(?=\.\d)/.exec(version)?.[0] ?? version;
  const distro = release === "" ? name : `${name}:${release}`;
  const args = ["db", "search", `--distro=${distro}`, "--pkg=goldenpath-asks-for-the-distribution-alone", "--output=json"];
  const { exitCode, stderr } = await startGrype(tool, args, context, { ...database, update: false });
  if (exitCode === 0) return true;
  if (/\b(?:OS not present|invalid distro version)\b/i.test(stderr)) return false;
  throw failed(tool, exitCode, stderr);
}

/** Of which os-release need not name a version: grype's own table of them (its database's `operating_system_specifier_overrides`, marked as rolling). */
const rollingDistributions = new Set(["arch", "archlinux", "chainguard", "echo", "hummingbird", "minimos", "secureos", "wolfi"]);

async function startGrype(tool: FoundTool, args: readonly string[], context: Context, database: DatabasePlace): Promise<ProcessResult> {
  const home = join(context.temporaryDirectory, "grype-home");
  await mkdir(home, { recursive: true });
  return runProcess(tool.path, args, {
    env: grypeEnvironment(context.env, home, database),
    cwd: home,
    signal: context.signal,
    timeoutMs: timeout,
    maxOutputBytes: maxReportBytes,
    onLine: (line, stream) => {
      if (stream === "stderr" && line.trim() !== "") context.ports.log.debug(`grype: ${line}`);
    },
  });
}

function failed(tool: FoundTool, exitCode: number, stderr: string): InfrastructureError {
  return new InfrastructureError(`grype ${tool.version} ended with exit code ${exitCode}: ${lastLines(stderr)}`, {
    code: "scanner-failed",
    wayOut: /vulnerability db/i.test(stderr)
      ? "Let grype reach its database's server (or a mirror, GRYPE_DB_UPDATE_URL), or give a directory with a database in the input 'database'."
      : "Run the step again with debug logging on to see all that grype says.",
  });
}

/** What grype gets to see: the database's place and how to reach its server, its own judgement of age off (the policy judges it), and nothing else. */
export function grypeEnvironment(env: Context["env"], home: string, database: DatabasePlace): Record<string, string | undefined> {
  const passed = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];
  return {
    ...Object.fromEntries(passed.map((name) => [name, env[name]])),
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

/**
 * The text of a report → the report.
 * @throws InfrastructureError `scanner-report-invalid`: empty, cut off, or not grype's
 */
export function parseGrypeReport(text: string): GrypeReport {
  const invalid = (why: string, cause?: unknown): never => {
    throw new InfrastructureError(`grype's report can't be read: ${why}`, { code: "scanner-report-invalid", cause });
  };
  if (text.trim() === "") return invalid("it is empty");
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    return invalid(text.trimEnd().endsWith("}") ? "it is not JSON" : "it ends in the middle", error);
  }
  const parsed = reportSchema.safeParse(json);
  if (!parsed.success) return invalid(describeIssues(parsed.error));
  const status = parsed.data.descriptor.db?.status;
  if (status?.valid === false || (status?.error ?? "") !== "")
    return invalid(`its database is not valid (${status?.error ?? "no reason"})`);
  return parsed.data;
}

/** A report's findings in the one model, each vulnerability of a package once, the worst first. `baseDiffIds` are the diffIDs of the base's layers. */
export function readGrypeFindings(report: GrypeReport, baseDiffIds?: readonly string[]): Finding[] {
  const findings = mergeFindings(report.matches.map(readMatch));
  return sortFindings(findings.map((finding) => ({ ...finding, origin: originOf(finding.layers, baseDiffIds) })));
}

function readMatch({ vulnerability, relatedVulnerabilities, matchDetails, artifact }: GrypeReport["matches"][number]): Finding {
  const locations = artifact.locations ?? [];
  const scores = (vulnerability.cvss ?? []).flatMap(({ metrics }) => metrics?.baseScore ?? []);
  const probabilities = (vulnerability.epss ?? []).map(({ epss }) => epss);
  const suggested = (matchDetails ?? []).map(({ fix }) => fix?.suggestedVersion || undefined).find((version) => version !== undefined);
  const urls = [vulnerability.dataSource, ...(vulnerability.urls ?? [])].filter((url) => url !== undefined && /^https?:\/\//.test(url));
  return {
    id: vulnerability.id,
    aliases: unique((relatedVulnerabilities ?? []).map(({ id }) => id)).filter((id) => id !== vulnerability.id),
    severity: readSeverity(vulnerability.severity),
    package: {
      name: artifact.name,
      version: artifact.version,
      type: artifact.type,
      ...(artifact.purl === undefined || artifact.purl === "" ? {} : { purl: artifact.purl }),
    },
    fixedVersions: unique(vulnerability.fix?.versions ?? []).filter((version) => version !== ""),
    ...(suggested === undefined ? {} : { suggestedVersion: suggested }),
    fixState: readFixState(vulnerability.fix?.state),
    layers: unique(locations.flatMap(({ layerID }) => layerID || [])),
    paths: unique(locations.flatMap(({ path }) => path || [])),
    origin: "unknown",
    urls: unique(urls as string[]),
    ...(vulnerability.description ? { description: vulnerability.description } : {}),
    ...(scores.length === 0 ? {} : { cvss: Math.max(...scores) }),
    ...(probabilities.length === 0 ? {} : { epss: Math.max(...probabilities) }),
    ...((vulnerability.knownExploited ?? []).length === 0 ? {} : { kev: true }),
    source: "grype",
  };
}

/** grype writes `High`, `Unknown`, or nothing; a word that it did not have when this was written is unknown as well. */
function readSeverity(text: string | null | undefined): FindingSeverity {
  const word = text?.trim().toLowerCase();
  switch (word) {
    case "critical":
    case "high":
    case "medium":
    case "low":
    case "negligible":
      return word;
    default:
      return "unknown";
  }
}

function readFixState(text: string | null | undefined): Finding["fixState"] {
  return text === "fixed" || text === "not-fixed" || text === "wont-fix" ? text : "unknown";
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

function lastLines(text: string): string {
  const lines = text.trim().split(/\r?\n/).slice(-5).join("\n");
  return lines === "" ? "it said nothing" : lines;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
