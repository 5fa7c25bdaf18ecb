import type { WorkflowIdentity } from "./workflow-identity.ts";

/** What a provenance says of the run that made it. */
export interface ToldRun {
  builderId: string;
  sourceRepository: string;
  sourceRef?: string | undefined;
  sourceCommit: string | undefined;
  callerId?: string | undefined;
  event?: string | undefined;
}

/**
 * Where a provenance says something else of its run than the certificate that it is signed by: the builder writes the
 * one, and the server that the run was on vouches for the other. What only one of them says is a difference.
 * @param isElsewhere the run has built nothing: of the source others vouch, and of this run there is its builder alone
 */
export function findDifferences(told: ToldRun, identity: WorkflowIdentity, isElsewhere = false): string[] {
  const pairs: readonly (readonly [what: string, told: string | undefined, certified: string])[] = [
    ["its builder", told.builderId, identity.buildSignerUri],
    ...(isElsewhere ? [] : listBuilt(told, identity)),
  ];
  return pairs
    .filter(([, said, certified]) => said !== certified)
    .map(([what, said, certified]) => `${what} is ${said ?? "unknown"}, and by its certificate ${certified}`);
}

function listBuilt(
  told: ToldRun,
  identity: WorkflowIdentity,
): [what: string, told: string | undefined, certified: string][] {
  return [
    ["its source", told.sourceRepository, identity.sourceRepository],
    ["its ref", told.sourceRef, identity.sourceRef],
    ["its commit", told.sourceCommit, identity.sourceDigest],
    ["its workflow", told.callerId, identity.buildConfigUri],
    ["its event", told.event, identity.buildTrigger],
  ];
}
