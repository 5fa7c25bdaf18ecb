import type { Context } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { StageResult } from "../../result.ts";
import type { WantedTool } from "../../tools/private.ts";
import type { System } from "../blind-spots.ts";
import type { DatabasePlace } from "../database.ts";
import type { ScannerFinding } from "../finding.ts";
import type { DatabaseFacts } from "../gate.ts";

/**
 * What finds vulnerabilities in an SBOM. Each is a file of this folder and a line in `table.ts`; all else of the scan
 * knows them by this alone.
 */
export interface Scanner {
  /** In the input `scanner`, and in each of its findings. */
  name: string;
  /**
   * The programs that it runs, by their names in the tools' lock, or with an entry of their own. They are there before
   * an image is catalogued.
   */
  tools: readonly WantedTool[];
  /**
   * Where its vulnerability data lies in this run, told before anything is fetched.
   * @param given the input `database`, absolute: the workflow's own word, used as it is
   * @throws UserError `input-invalid`, `database-unsafe`
   */
  prepare(given: string | undefined, context: Context): Promise<DatabasePlace>;
  /**
   * Matches an SBOM (a file of CycloneDX JSON) against its data. A program that failed, and a report that is not whole,
   * is an error and never an empty list.
   * @throws InfrastructureError `scanner-failed`, `scanner-report-invalid`, and those of finding and running its tools
   */
  scan(sbomFile: string, database: DatabasePlace, context: Context): Promise<ScannerRun>;
  /**
   * `scan` for SBOMs of several images in one run, for a scanner that takes long to start: in their order, each as if it
   * had been scanned alone.
   * @throws as `scan`, of all of them together
   */
  scanTogether?(sbomFiles: readonly string[], database: DatabasePlace, context: Context): Promise<ScannerRun[]>;
  /**
   * Whether its data has a system in a version; asked after `scan`, or beside it where the data is there already, and
   * then not heard where `scan` fails. What it does not have is matched against nothing,
   * in silence. One that can't say says false: then the policy's owners decide.
   */
  knowsSystem(system: System, database: DatabasePlace, context: Context): Promise<boolean>;
  /** For a scanner whose data can be kept in a registry, as one file. */
  data?: ScannerData;
  describe: ScannerDescription;
}

/** What is mirrored into a registry under a name: a scanner's data, or a list that findings are held to. */
export type PublishedData = Pick<Scanner, "name"> & { data: ScannerData };

/** A scanner's data as one file: how it comes from its publisher, and becomes what `scan` takes. */
export interface ScannerData {
  /** Where the publisher has it: a URL that `fetchNewest` begins with, unless told another. */
  publisher: string;
  /** What the data can be had in parts of, such as ecosystems; absent where there is only the whole. */
  parts?: { what: string };
  /**
   * The publisher's newest, checked as far as the publisher lets it be.
   * @throws InfrastructureError `data-unavailable`; UserError `input-invalid` for parts that can be none
   */
  fetchNewest(request: DataRequest, context: DataContext): Promise<FetchedData>;
  /**
   * The file, whose bytes are known to be right, into an empty directory.
   * @throws InfrastructureError `data-untrusted`, `scanner-failed`
   */
  unpack(file: string, directory: string, context: Context): Promise<void>;
}

export type DataContext = Pick<Context, "ports" | "env" | "signal" | "temporaryDirectory">;

export interface DataRequest {
  /** Instead of the publisher's. */
  source: string;
  parts: readonly string[];
  /** Empty, and for this alone. */
  directory: string;
}

export interface FetchedData {
  /** The file's path; its last component is what it will be called. */
  path: string;
  built: Date;
  schema: string;
  /** The URL that was read. */
  source: string;
}

/** One SBOM, scanned. */
export interface ScannerRun {
  findings: ScannerFinding[];
  database: DatabaseFacts;
  /** The program's arguments, without paths of this machine. */
  parameters: string[];
  tool: StageResult["tools"][number];
  /** What a reader should know of how it was scanned, one sentence each. */
  notes: string[];
  /** What the program wrote: only `describe.renderEvidence` of the same scanner reads it. */
  report: ScannerReport;
}

export type ScannerReport = Readonly<Record<string, unknown>>;

/** How a scanner's runs are told to people and in evidence. */
export interface ScannerDescription {
  /** The program in a version, as a package URL or another URI whose last component is its name. */
  formatUri(version: string): string;
  /** The command that brings its data up to date, for a way out. */
  updateCommand?: string;
  /** The reports of all children as one, for the predicate. Nothing of this machine may be in it. */
  renderEvidence(children: readonly ReportedChild[]): ScannerEvidence;
}

export interface ReportedChild {
  digest: Digest;
  /** `linux/amd64` */
  platform: string;
  report: ScannerReport;
}

export interface ScannerEvidence {
  /** Becomes the predicate's `scanner.result`. For an index each match carries the child and platform that it is of. */
  report: Record<string, unknown>;
  /** Paths in the report of what was left out. */
  dropped: string[];
  /**
   * True where the report has `matches[].vulnerability.severity`, which readers count. Otherwise the counts are written
   * beside it.
   */
  hasMatches: boolean;
}

/**
 * Above this much JSON of what was found, a scanner leaves out of its evidence what explains it; each finding stays.
 * Bytes.
 */
export const evidenceDetailLimit = 1024 * 1024;
