import { predicateTypes } from "../signing/predicates.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { VerificationSummary } from "../signing/verification-summary.ts";
import { stageEvidence, stageLevel } from "../stages.ts";
import type { StageDecision, StageScope } from "./facts.ts";
import { judgeSignedAntipatterns } from "./judge-antipatterns.ts";
import { judgeSignedApprovals } from "./judge-approvals.ts";
import { judgeSignedFindings } from "./judge-findings.ts";
import { judgeFindingLayers } from "./layers.ts";
import { explainAbsence, isByAllowedSigner, wayToRunAgain } from "./problems.ts";

/** A verdict by who speaks for its stage. */
export interface JudgedVerdict {
  signed: VerifiedStatement;
  summary: VerificationSummary;
}

/** A promotion into one environment says nothing about another, where the policy names the one that it wants. */
export function isOfEnvironment(scope: StageScope, summary: VerificationSummary): boolean {
  return scope.requirement.environment === undefined || summary.environment === scope.requirement.environment;
}

export function isOfLevel(stage: StageScope["stage"], { levels }: VerificationSummary): boolean {
  return levels.includes(stageLevel(stage));
}

/**
 * What the verdict rests on: of each kind of finding, one that is there, by an allowed signer, and named among the
 * verdict's inputs.
 */
export function collectFindings(scope: StageScope, { summary }: JudgedVerdict): StageDecision {
  const { stage, evidence } = scope;
  const isInput = (signed: VerifiedStatement): boolean =>
    summary.inputs.some((input) => isDigestIn(input, signed.bundle.digest));
  const { findings: types, layersIn } = stageEvidence(stage);
  if (types.length === 0) {
    // A stage without findings of its own answers for others': the evidence that it accepted must still be there.
    const rests = evidence.statements.some(isInput);
    const problem = `the verdict of ${stage} rests on nothing that is there`;
    return {
      accepted: [],
      problems: rests ? [] : [{ rule: "gate.incomplete", problem, wayOut: wayToRunAgain(scope) }],
    };
  }
  const decision: StageDecision = { accepted: [], problems: [] };
  for (const type of types) {
    const findings = evidence.statements.filter((signed) => signed.statement.predicateType === type);
    const allowed = findings.filter((signed) => isByAllowedSigner(scope, signed));
    const named = allowed.filter(isInput);
    decision.accepted.push(...named);
    if (type === layersIn) decision.problems.push(...named.flatMap((signed) => judgeFindingLayers(scope, signed)));
    if (type === predicateTypes.base)
      decision.problems.push(...judgeSignedAntipatterns(scope, named), ...judgeSignedApprovals(scope, named));
    if (type === predicateTypes.vulnerabilities) decision.problems.push(...judgeSignedFindings(scope, named));
    if (named.length > 0) continue;
    if (allowed.length > 0) {
      const problem = `the verdict of ${stage} rests on another finding than the ones that are there (${type})`;
      decision.problems.push({ rule: "gate.incomplete", problem, wayOut: wayToRunAgain(scope) });
    } else {
      const what = `what ${stage} found (${type})`;
      decision.problems.push(
        explainAbsence(scope, what, findings, (each) => each.claimedPredicateType === type, "gate.incomplete"),
      );
    }
  }
  return decision;
}
