import { findDifferences, type ToldRun } from "../signing/run-differences.ts";
import type { WorkflowIdentity } from "../signing/workflow-identity.ts";
import type { Problem } from "./facts.ts";

/**
 * Where a provenance contradicts the certificate that it is signed by, as the gate refuses it; nothing where the evidence
 * has no certificate. `isElsewhere`: as of {@link findDifferences}.
 */
export function judgeRun(
  told: ToldRun,
  identity: WorkflowIdentity | undefined,
  wayOut: string,
  isElsewhere = false,
): Problem[] {
  const differences = identity === undefined ? [] : findDifferences(told, identity, isElsewhere);
  if (differences.length === 0) return [];
  return [
    {
      rule: "gate.source",
      problem: `the provenance is not of the run that signed it: ${differences.join("; ")}`,
      wayOut,
    },
  ];
}
