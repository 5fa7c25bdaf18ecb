import type { Digest } from "../oci/digest.ts";
import { type Policy, type Stage, stages } from "../policy/schema.ts";
import { hasVerdict, predicateTypes, stageFindings, stageVerifierId } from "../signing/predicates.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { summaryExtension, summaryVerifierId } from "../signing/verification-summary.ts";

/** The path of one image as its evidence tells it, for people. It decides nothing: the gate does. */
export interface Chain {
  repository: string;
  digest: Digest;
  stages: ChainStage[];
  /** Referrers that count for nothing, with the reason. */
  rejected: { digest: Digest; reason: string }[];
}

export interface ChainStage {
  stage: Stage;
  /** `attested` is build's: signed facts, and no verdict of its own. */
  state: "pass" | "fail" | "attested" | "missing";
  signers: string[];
  /** ISO 8601, by the signer's clock. */
  time?: string;
  /** What was found, a line each. */
  facts: string[];
  policySerial?: number;
}

/** Whose word counts for a stage in any environment of the policy. */
export function stageSigners(policy: Pick<Policy, "environments">): Record<Stage, ReadonlySet<string>> {
  const signers: Record<Stage, Set<string>> = { build: new Set(), base: new Set(), scan: new Set(), promote: new Set() };
  for (const environment of Object.values(policy.environments)) {
    signers.promote.add(environment.promoter);
    for (const requirement of environment.requires) for (const name of requirement.signers) signers[requirement.stage].add(name);
  }
  return signers;
}

/**
 * Evidence of one digest → its chain. Of each stage the newest statement by somebody who may speak for it is shown, as the gate takes the newest; what others
 * signed is listed with what counts for nothing.
 */
export function deriveChain(repository: string, digest: Digest, evidence: CollectedEvidence, policy: Pick<Policy, "environments">): Chain {
  const signers = stageSigners(policy);
  const shown: VerifiedStatement[] = [];
  const rejected = evidence.rejected.map(({ referrer, reason }) => ({ digest: referrer, reason }));
  for (const entry of evidence.statements) {
    const stage = stageOf(entry);
    if (stage === undefined || entry.signers.some((name) => signers[stage].has(name))) shown.push(entry);
    else
      rejected.push({
        digest: entry.referrer.digest,
        reason: `it is signed by '${entry.signers.join("', '")}', who does not speak for ${stage}`,
      });
  }
  return { repository, digest, stages: stages.map((stage) => describeStage(stage, shown)), rejected };
}

/** The stage that a statement speaks for; undefined for a predicate that is no stage's. */
function stageOf({ statement }: VerifiedStatement): Stage | undefined {
  if (statement.predicateType === predicateTypes.verificationSummary) {
    const id = summaryVerifierId(statement);
    return stages.find((stage) => stageVerifierId(stage) === id);
  }
  return stages.find((stage) => stageFindings[stage].includes(statement.predicateType));
}

function describeStage(stage: Stage, statements: readonly VerifiedStatement[]): ChainStage {
  const facts = findingsOf(stage, statements);
  if (!hasVerdict(stage)) {
    const provenance = newest(statements, predicateTypes.provenance);
    if (provenance === undefined) return { stage, state: "missing", signers: [], facts: [] };
    return { stage, state: "attested", signers: provenance.signers, facts, ...timed(timeOf(provenance)) };
  }
  const summary = newest(
    statements.filter((statement) => text(record(statement.statement.predicate["verifier"])["id"]) === stageVerifierId(stage)),
    predicateTypes.verificationSummary,
  );
  if (summary === undefined) return { stage, state: "missing", signers: [], facts: [] };
  const { predicate } = summary.statement;
  const serial = policySerialOf(predicate);
  return {
    stage,
    state: predicate["verificationResult"] === "PASSED" ? "pass" : "fail",
    signers: summary.signers,
    facts: stage === "promote" ? [promoteFact(predicate)] : facts,
    ...timed(timeOf(summary)),
    ...(serial === undefined ? {} : { policySerial: serial }),
  };
}

function findingsOf(stage: Stage, statements: readonly VerifiedStatement[]): string[] {
  switch (stage) {
    case "build":
      return [
        ...provenanceFacts(newest(statements, predicateTypes.provenance)),
        ...sbomFacts(newest(statements, predicateTypes.cyclonedx)),
      ];
    case "base":
      return baseFacts(newest(statements, predicateTypes.base));
    case "scan":
      return scanFacts(newest(statements, predicateTypes.vulnerabilities));
    case "promote":
      return [];
  }
}

function provenanceFacts(found: VerifiedStatement | undefined): string[] {
  const definition = record(found?.statement.predicate["buildDefinition"]);
  const source = record(record(definition["externalParameters"])["source"]);
  const internal = record(definition["internalParameters"]);
  const details = record(found?.statement.predicate["runDetails"]);
  const commit = list(definition["resolvedDependencies"])
    .map((dependency) => text(record(record(dependency)["digest"])["gitCommit"]))
    .find((value) => value !== undefined);
  return [
    line("source", text(source["repository"]), commit === undefined ? undefined : `at ${commit.slice(0, 12)}`),
    line("builder", text(record(details["builder"])["id"])),
    line("built", builtWith(internal), environmentOf(internal)),
  ].filter((entry) => entry !== undefined);
}

function builtWith(internal: Record<string, unknown>): string | undefined {
  const builders = list(internal["builders"]).filter((name) => typeof name === "string");
  return builders.length === 0 ? undefined : `with builder ${builders.join(" or ")}`;
}

function environmentOf(internal: Record<string, unknown>): string | undefined {
  const environment = text(internal["buildEnvironment"]);
  return environment === undefined ? undefined : `(build environment: ${environment})`;
}

function sbomFacts(found: VerifiedStatement | undefined): string[] {
  const components = found?.statement.predicate["components"];
  // syft lists files as components, too; a package is what has a package URL.
  return Array.isArray(components)
    ? [`SBOM      ${components.filter((component) => text(record(component)["purl"])).length} packages (CycloneDX)`]
    : [];
}

function baseFacts(found: VerifiedStatement | undefined): string[] {
  return list(found?.statement.predicate["children"]).map((entry) => {
    const child = record(entry);
    const base = record(child["base"]);
    const name = text(base["name"]);
    if (name === undefined) return "base      none that is approved";
    const digest = text(base["digest"]);
    return `base      ${name}, ${text(base["image"]) ?? ""}@${digest === undefined ? "?" : shortDigest(digest)}: ${child["matchedLayers"]} of ${child["totalLayers"]} layers are its`;
  });
}

function scanFacts(found: VerifiedStatement | undefined): string[] {
  const scanner = record(found?.statement.predicate["scanner"]);
  if (found === undefined) return [];
  const matches = list(record(scanner["result"])["matches"]);
  const counts = new Map<string, number>();
  for (const match of matches) {
    const severity = (text(record(record(match)["vulnerability"])["severity"]) ?? "unknown").toLowerCase();
    counts.set(severity, (counts.get(severity) ?? 0) + 1);
  }
  const counted = ["critical", "high", "medium", "low", "negligible", "unknown"].filter((severity) => counts.has(severity));
  const worded =
    counted.length === 0 ? "no known vulnerabilities" : counted.map((severity) => `${counts.get(severity)} ${severity}`).join(", ");
  return [`findings  ${worded}`, ...[line("scanner", scannerName(scanner))].filter((entry) => entry !== undefined)];
}

/** `pkg:github/anchore/grype@v0.121.2` → `grype 0.121.2`. */
function scannerName(scanner: Record<string, unknown>): string | undefined {
  const uri = text(scanner["uri"]);
  const version = text(scanner["version"]);
  if (uri === undefined) return version;
  const name = /([^/@]+)(?:@[^/]*)?$/.exec(uri)?.[1] ?? uri;
  return version === undefined ? name : `${name} ${version}`;
}

function promoteFact(predicate: Record<string, unknown>): string {
  return `gate      ${list(predicate["inputAttestations"]).length} statements accepted`;
}

function policySerialOf(predicate: Record<string, unknown>): number | undefined {
  const serial = record(predicate[summaryExtension])["policySerial"];
  return typeof serial === "number" ? serial : undefined;
}

function timeOf(found: VerifiedStatement): string | undefined {
  const { predicate } = found.statement;
  return (
    text(predicate["timeVerified"]) ??
    text(record(record(predicate["runDetails"])["metadata"])["finishedOn"]) ??
    text(record(predicate["metadata"])["scanFinishedOn"])
  );
}

function newest(statements: readonly VerifiedStatement[], predicateType: string): VerifiedStatement | undefined {
  return statements
    .filter((entry) => entry.statement.predicateType === predicateType)
    .sort((a, b) => Date.parse(timeOf(b) ?? "") - Date.parse(timeOf(a) ?? "") || 0)
    .at(0);
}

export function shortDigest(digest: string): string {
  const colon = digest.indexOf(":");
  return colon === -1 ? digest : digest.slice(0, colon + 13);
}

const timed = (time: string | undefined): { time?: string } => (time === undefined ? {} : { time });
const line = (label: string, ...parts: (string | undefined)[]): string | undefined => {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : `${label.padEnd(9)} ${known.join(" ")}`;
};
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
