import type { RunFacts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Finding } from "./finding.ts";
import type { DatabaseFacts } from "./gate.ts";
import type { GrypeReport, GrypeScan } from "./grype.ts";

/** Above this much JSON, what explains a match is left out; every match stays. Bytes. */
const detailLimit = 1024 * 1024;

export interface ScannedChild {
  digest: Digest;
  /** `linux/amd64` */
  platform: string;
  scan: Pick<GrypeScan, "report">;
  /** Findings of the base that the image as a whole does not show, and which count. */
  hidden?: readonly Finding[];
}

interface VulnerabilityPredicateFacts {
  /** One for a single image; each of an index. */
  children: readonly ScannedChild[];
  scan: Pick<GrypeScan, "database" | "parameters" | "tool">;
  run: RunFacts;
  startedAt: Date;
  finishedAt: Date;
}

/**
 * The predicate of `https://cosign.sigstore.dev/attestation/vuln/v1`, by cosign's specs/COSIGN_VULN_ATTESTATION_SPEC.md and the fields that cosign itself
 * writes (one `scanner`; the document's older `scanners` never were). `scanner.result` is grype's report without what tells of the machine; `result.goldenpath`
 * says what was left out, and for an index each match carries the child and platform that it is of.
 */
export function buildVulnerabilityPredicate(facts: VulnerabilityPredicateFacts): Record<string, unknown> {
  const { run, scan } = facts;
  return {
    invocation: {
      parameters: scan.parameters,
      uri: run.runUrl ?? "",
      event_id: run.runId ?? "",
      "builder.id": run.builderId,
    },
    scanner: {
      uri: `pkg:github/anchore/grype@v${scan.tool.version}`,
      version: scan.tool.version,
      db: describeDatabase(scan.database),
      result: buildResultField(facts.children),
    },
    metadata: { scanStartedOn: facts.startedAt.toISOString(), scanFinishedOn: facts.finishedAt.toISOString() },
  };
}

function describeDatabase(database: DatabaseFacts): Record<string, string> {
  const version = database.schema ?? "";
  return {
    uri:
      database.from ?? `pkg:generic/grype-db@${version || "unknown"}${database.digest === undefined ? "" : `?checksum=${database.digest}`}`,
    version,
    ...(database.built === undefined ? {} : { lastUpdate: database.built.toISOString() }),
  };
}

function buildResultField(children: readonly ScannedChild[]): Record<string, unknown> {
  const [first] = children;
  if (first === undefined) throw new Error("a scan has no image");
  const matches =
    children.length === 1
      ? first.scan.report.matches
      : children.flatMap(({ digest, platform, scan }) => scan.report.matches.map((match) => ({ ...match, child: digest, platform })));
  const large = Buffer.byteLength(JSON.stringify(matches)) > detailLimit;
  const { matches: _matches, descriptor, source: _source, ...rest } = first.scan.report;
  return {
    ...rest,
    matches: large ? matches.map(withoutDetails) : matches,
    descriptor: withoutMachine(descriptor),
    goldenpath: {
      ...(children.length === 1 ? {} : { children: children.map(({ digest, platform }) => ({ digest, platform })) }),
      ...describeHidden(children),
      dropped: ["source", "descriptor.configuration", "descriptor.db.status.path", ...(large ? droppedDetails : [])],
    },
  };
}

/** What the report of the whole image has no match for. */
function describeHidden(children: readonly ScannedChild[]): Record<string, unknown> {
  const hidden = children.flatMap((child) =>
    (child.hidden ?? []).map(({ id, severity, package: { name, version, type, purl }, hidden: why }) => ({
      ...(children.length === 1 ? {} : { child: child.digest, platform: child.platform }),
      ...{ id, severity, package: { name, version, type, ...(purl === undefined ? {} : { purl }) }, why },
    })),
  );
  return hidden.length === 0 ? {} : { hidden };
}

/** The configuration and the database's path are of the machine that scanned; the source is an SBOM file there. */
function withoutMachine(descriptor: GrypeReport["descriptor"]): Record<string, unknown> {
  const { configuration: _configuration, db, ...rest } = descriptor;
  const { path: _path, ...status } = db?.status ?? {};
  return { ...rest, ...(db === undefined ? {} : { db: { ...db, status } }) };
}

const droppedDetails = [
  "matches[].matchDetails",
  "matches[].vulnerability.description",
  "matches[].artifact.cpes",
  "matches[].artifact.licenses",
  "matches[].relatedVulnerabilities[] but for id",
];

function withoutDetails(match: GrypeReport["matches"][number]): Record<string, unknown> {
  const { matchDetails: _details, vulnerability, relatedVulnerabilities, artifact, ...rest } = match;
  const { description: _description, ...found } = vulnerability;
  const { cpes: _cpes, licenses: _licenses, ...pkg } = artifact;
  return { ...rest, vulnerability: found, relatedVulnerabilities: (relatedVulnerabilities ?? []).map(({ id }) => ({ id })), artifact: pkg };
}
