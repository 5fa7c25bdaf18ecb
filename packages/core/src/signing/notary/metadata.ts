import { UserError } from "@goldenpath/foundation/errors";
import { type Stage, stageEvidence, stages, stageVerifierId } from "../../stages.ts";
import { CertificateProblem } from "../extensions.ts";
import { parseStatement } from "../statement.ts";
import type { Statement } from "../types.ts";
import { summaryVerifierId } from "../verification-summary.ts";

/** What a signature says of an image besides, in the signed user metadata. */
export const metadata = {
  /** The digest of the statement's bytes. */
  statement: "goldenpath.statement",
  predicateType: "goldenpath.predicateType",
  /** Whose statement it is, where it is a stage's. */
  stage: "goldenpath.stage",
} as const;

/** In words what a statement is, by its own bytes. */
export function describeStatement(statement: Statement): Record<string, string> {
  const stage = stageOf(statement);
  return {
    [metadata.predicateType]: statement.predicateType,
    ...(stage === undefined ? {} : { [metadata.stage]: stage }),
  };
}

function stageOf(statement: Statement): Stage | undefined {
  const verifier = summaryVerifierId(statement);
  if (verifier !== undefined) return stages.find((stage) => stageVerifierId(stage) === verifier);
  return stages.find((stage) => stageEvidence(stage).findings.includes(statement.predicateType));
}

/**
 * What a signature says in words is what the statement is: who reads the one must not be told another.
 * @throws CertificateProblem
 */
export function assertDescribed(said: Readonly<Record<string, string>>, payload: Uint8Array): void {
  const described = describeBytes(payload);
  for (const name of [metadata.predicateType, metadata.stage]) {
    if (said[name] !== undefined && said[name] !== described[name])
      throw new CertificateProblem(
        `its ${name} is ${said[name]}, and that of the statement ${described[name] ?? "none"}`,
      );
  }
}

function describeBytes(payload: Uint8Array): Record<string, string> {
  try {
    return describeStatement(parseStatement(payload));
  } catch (error) {
    if (error instanceof UserError) throw new CertificateProblem(error.message);
    throw error;
  }
}
