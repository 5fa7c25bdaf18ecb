import type { Provenance } from "../signing/provenance.ts";
import type { WorkflowIdentity } from "../signing/workflow-identity.ts";
import type { Problem } from "./facts.ts";

/** What a provenance says of the run that made it. */
type Told = Pick<Provenance, "builderId" | "sourceRepository" | "sourceRef" | "sourceCommit" | "callerId" | "event">;

/**
 * Where a provenance says something else of its run than the certificate that it is signed by: the builder writes the
 * one, and the server that the run was on vouches for the other. What only one of them says is a difference.
 */
export function findDifferences(told: Told, identity: WorkflowIdentity): string[] {
  const pairs: readonly (readonly [what: string, told: string | undefined, certified: string])[] = [
    ["its builder", told.builderId, identity.buildSignerUri],
    ["its source", told.sourceRepository, identity.sourceRepository],
    ["its ref", told.sourceRef, identity.sourceRef],
    ["its commit", told.sourceCommit, identity.sourceDigest],
    ["its workflow", told.callerId, identity.buildConfigUri],
    ["its event", told.event, identity.buildTrigger],
  ];
  return pairs
    .filter(([, said, certified]) => said !== certified)
    .map(([what, said, certified]) => `${what} is ${said ?? "unknown"}, and by its certificate ${certified}`);
}

/** The same as what the gate refuses; nothing where the evidence has no certificate. */
export function judgeRun(told: Told, identity: WorkflowIdentity | undefined, wayOut: string): Problem[] {
  const differences = identity === undefined ? [] : findDifferences(told, identity);
  if (differences.length === 0) return [];
  return [
    {
      rule: "gate.source",
      problem: `the provenance is not of the run that signed it: ${differences.join("; ")}`,
      wayOut,
    },
  ];
}
