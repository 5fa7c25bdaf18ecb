import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Policy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { summaryExtension, summaryVerifierId } from "../signing/verification-summary.ts";
import { record, text } from "../stage-facts.ts";
import { type Stage, stageEvidence, stages, stageVerifierId } from "../stages.ts";

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
  const signers = Object.fromEntries(stages.map((stage) => [stage, new Set<string>()])) as Record<Stage, Set<string>>;
  for (const environment of Object.values(policy.environments)) {
    signers.promote.add(environment.promoter);
    for (const requirement of environment.requires)
      for (const name of requirement.signers) signers[requirement.stage].add(name);
  }
  return signers;
}

/**
 * Evidence of one digest → its chain. Of each stage the newest statement by somebody who may speak for it is shown, as
 * the gate takes the newest; what others signed is listed with what counts for nothing.
 */
export function deriveChain(
  repository: string,
  digest: Digest,
  evidence: CollectedEvidence,
  policy: Pick<Policy, "environments">,
): Chain {
  const { shown, others } = sortEvidence(evidence, policy);
  const rejected = [
    ...evidence.rejected.map(({ referrer, reason }) => ({ digest: referrer, reason })),
    ...others.map(({ entry, stage }) => ({
      digest: entry.referrer.digest,
      reason: `it is signed by '${entry.signers.join("', '")}', who does not speak for ${stage}`,
    })),
  ];
  return { repository, digest, stages: stages.map((stage) => describeStage(stage, shown)), rejected };
}

/** The statements that a chain is told from, and those of a stage by somebody who does not speak for it. */
export function sortEvidence(
  evidence: Pick<CollectedEvidence, "statements" | "lapsed">,
  policy: Pick<Policy, "environments">,
): { shown: VerifiedStatement[]; others: { entry: VerifiedStatement; stage: Stage }[] } {
  const signers = stageSigners(policy);
  const speaks = (entry: VerifiedStatement, stage: Stage): boolean =>
    entry.signers.some((name) => signers[stage].has(name));
  // A failure out of its signer's time still refuses what it is newer than; nothing else of that kind tells anything.
  const shown = evidence.lapsed.filter((entry) => {
    const stage = stageOf(entry);
    return entry.statement.predicate["verificationResult"] === "FAILED" && stage !== undefined && speaks(entry, stage);
  });
  const others: { entry: VerifiedStatement; stage: Stage }[] = [];
  for (const entry of evidence.statements) {
    const stage = stageOf(entry);
    if (stage === undefined || speaks(entry, stage)) shown.push(entry);
    else others.push({ entry, stage });
  }
  return { shown, others };
}

/** The stage that a statement speaks for; undefined for a predicate that is no stage's. */
export function stageOf({ statement }: VerifiedStatement): Stage | undefined {
  if (statement.predicateType === predicateTypes.verificationSummary) {
    const id = summaryVerifierId(statement);
    return stages.find((stage) => stageVerifierId(stage) === id);
  }
  return stages.find((stage) => stageEvidence(stage).findings.includes(statement.predicateType));
}

function describeStage(stage: Stage, statements: readonly VerifiedStatement[]): ChainStage {
  const { judge, findings, tell } = stageEvidence(stage);
  const finding = (type: string): Record<string, unknown> | undefined => newest(statements, type)?.statement.predicate;
  if (judge === "gate") {
    const judged = newest(statements, findings[0] ?? "");
    if (judged === undefined) return { stage, state: "missing", signers: [], facts: [] };
    return {
      stage,
      state: "attested",
      signers: judged.signers,
      facts: tell({ finding, verdict: {} }),
      ...timed(timeOf(judged)),
    };
  }
  const summary = newest(
    statements.filter(
      (statement) => text(record(statement.statement.predicate["verifier"])["id"]) === stageVerifierId(stage),
    ),
    predicateTypes.verificationSummary,
  );
  if (summary === undefined) return { stage, state: "missing", signers: [], facts: [] };
  const { predicate } = summary.statement;
  const serial = policySerialOf(predicate);
  return {
    stage,
    state: predicate["verificationResult"] === "PASSED" ? "pass" : "fail",
    signers: summary.signers,
    facts: tell({ finding, verdict: predicate }),
    ...timed(timeOf(summary)),
    ...(serial === undefined ? {} : { policySerial: serial }),
  };
}

function policySerialOf(predicate: Record<string, unknown>): number | undefined {
  const serial = record(predicate[summaryExtension])["policySerial"];
  return typeof serial === "number" ? serial : undefined;
}

/** When a stage did its work, by its own clock. */
export function timeOf(found: VerifiedStatement): string | undefined {
  const { predicate } = found.statement;
  return (
    text(predicate["timeVerified"]) ??
    text(record(record(predicate["runDetails"])["metadata"])["finishedOn"]) ??
    text(record(predicate["metadata"])["scanFinishedOn"])
  );
}

/** Of a type the one whose stage worked last. */
export function newest(statements: readonly VerifiedStatement[], predicateType: string): VerifiedStatement | undefined {
  return statements
    .filter((entry) => entry.statement.predicateType === predicateType)
    .sort((a, b) => Date.parse(timeOf(b) ?? "") - Date.parse(timeOf(a) ?? "") || 0)
    .at(0);
}

const timed = (time: string | undefined): { time?: string } => (time === undefined ? {} : { time });
