import { predicateTypes } from "../signing/predicates.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import {
  readVerificationSummary,
  summaryVerifierId,
  type VerificationSummary,
} from "../signing/verification-summary.ts";
import { stageEvidence, stageLevel, stageVerifierId } from "../stages.ts";
import type { Problem, StageDecision, StageScope } from "./facts.ts";
import { judgeSignedFindings } from "./judge-findings.ts";
import { judgeFindingLayers } from "./layers.ts";
import {
  explainAbsence,
  isByAllowedSigner,
  judgeExceptions,
  judgePolicy,
  judgeTimes,
  malformed,
  wayToRunAgain,
} from "./problems.ts";
import { isNotYetCounting } from "./rescan.ts";

interface Judged {
  signed: VerifiedStatement;
  summary: VerificationSummary;
}

/**
 * A stage that judges: its newest verification summary by an allowed signer decides, and it must rest on a finding that
 * is there, by an allowed signer too. Newest of all, whatever policy it was made under: an older pass never outweighs a
 * newer failure.
 */
export function decideVerdictStage(scope: StageScope): StageDecision {
  const { stage, evidence } = scope;
  const verifierId = stageVerifierId(stage);
  const isVerdict = (signed: VerifiedStatement): boolean => summaryVerifierId(signed.statement) === verifierId;
  const summaries = evidence.statements.filter(isVerdict);
  const allowed = summaries.filter((signed) => isByAllowedSigner(scope, signed));
  const lapsed = evidence.lapsed.filter((signed) => isVerdict(signed) && isByAllowedSigner(scope, signed));
  const refuse = (...problems: Problem[]): StageDecision => ({ accepted: [], problems });
  if (allowed.length === 0) {
    return refuse(
      explainAbsence(
        scope,
        `the verdict of ${stage}`,
        summaries,
        (each) => each.claimedVerifierId === verifierId,
        "gate.missing",
      ),
    );
  }
  const judged = readVerdicts(scope, allowed);
  if ("problem" in judged) return refuse(judged);
  const past = readVerdicts(scope, lapsed);
  if ("problem" in past) return refuse(past);
  const relevant = judged.filter(({ summary }) => isOfEnvironment(scope, summary));
  if (relevant.length === 0) {
    const others = [...new Set(judged.map(({ summary }) => summary.environment ?? "none that it names"))].join(", ");
    const problem = `the verdict of ${stage} for environment '${scope.requirement.environment}' is not there (there is: for ${others})`;
    return refuse({ rule: "gate.environment", problem, wayOut: wayToRunAgain(scope) });
  }
  const newestFirst = relevant.toSorted(
    (a, b) =>
      b.summary.timeVerified.getTime() - a.summary.timeVerified.getTime() ||
      rank(a.summary.result) - rank(b.summary.result),
  );
  const [newest] = newestFirst;
  if (newest === undefined) throw new TypeError("no newest of some");
  const isDeferred = isFailureDeferred(scope, newestFirst);
  const problems = [
    ...judgeSummary(scope, newest.summary, newest.signed.time, isDeferred),
    ...judgeLapsed(scope, newest.summary, past),
  ];
  if (problems.length > 0) return refuse(...problems);
  const rested = collectFindings(scope, newest);
  return rested.problems.length > 0
    ? refuse(...rested.problems)
    : { accepted: [newest.signed, ...rested.accepted], problems: [] };
}

function readVerdicts(scope: StageScope, verdicts: readonly VerifiedStatement[]): Judged[] | Problem {
  const what = `a verdict of ${scope.stage}`;
  const judged: Judged[] = [];
  for (const signed of verdicts) {
    const summary = readVerificationSummary(signed.statement);
    // Its time cannot be told, so it may be the newest, and a failure.
    if ("problem" in summary) return malformed(scope, what, summary.problem);
    if (Number.isNaN(summary.timeVerified.getTime())) return malformed(scope, what, "its time cannot be read");
    judged.push({ signed, summary });
  }
  return judged;
}

/**
 * A failure whose signer's word has ended since, or whose signature no longer holds: it was said, and a pass from
 * before it does not count again because of that. A pass of that kind says nothing.
 */
function judgeLapsed(scope: StageScope, newest: VerificationSummary, past: readonly Judged[]): Problem[] {
  const failures = past.filter(
    ({ summary }) =>
      isOfEnvironment(scope, summary) && summary.result !== "PASSED" && summary.timeVerified >= newest.timeVerified,
  );
  return failures.slice(0, 1).map(({ signed, summary }) => ({
    rule: "gate.failed",
    problem: `a verdict of ${scope.stage}, of ${summary.timeVerified.toISOString()}, is FAILED; the word of its signer '${signed.signers.join("', '")}' has ended since, or its signature has, and the newest one that counts, of ${newest.timeVerified.toISOString()}, is not after it`,
    wayOut: `${wayToRunAgain(scope)} A newer pass outweighs it, by a signer whose word counts now.`,
  }));
}

/** A promotion into one environment says nothing about another, where the policy names the one that it wants. */
function isOfEnvironment(scope: StageScope, summary: VerificationSummary): boolean {
  return scope.requirement.environment === undefined || summary.environment === scope.requirement.environment;
}

/** Of two verdicts of the same time the failure counts. */
function rank(result: VerificationSummary["result"]): number {
  return result === "FAILED" ? 0 : 1;
}

/**
 * A rescan's failure that does not count yet is as good as what it overtook, where that is a pass that would count but for
 * its age: an image that never passed, or whose pass the policy of now does not take, gets nothing from being scanned
 * again.
 */
function isFailureDeferred(scope: StageScope, newestFirst: readonly Judged[]): boolean {
  const { stage, facts } = scope;
  const deferring = stage === "scan" ? facts.policy.policy.scan.rescan : undefined;
  const decisive = newestFirst.find(({ summary }) => !isNotYetCounting(summary, deferring, facts.now));
  if (decisive === undefined || decisive === newestFirst[0]) return false;
  const { summary, signed } = decisive;
  const made = { ...summary, time: signed.time ?? summary.timeVerified };
  return (
    summary.result === "PASSED" &&
    isOfLevel(stage, summary) &&
    judgePolicy(scope, "the verdict before a rescan's", made).length === 0 &&
    judgeExceptions(scope, "the verdict before a rescan's", summary.exceptions).length === 0
  );
}

function isOfLevel(stage: StageScope["stage"], { levels }: VerificationSummary): boolean {
  return levels.includes(stageLevel(stage));
}

function judgeSummary(
  scope: StageScope,
  summary: VerificationSummary,
  signedAt: Date | undefined,
  isDeferred: boolean,
): Problem[] {
  const { stage } = scope;
  if (summary.result === "FAILED" && !isDeferred) {
    return [
      {
        rule: "gate.failed",
        problem: `the newest verdict of ${stage}, of ${summary.timeVerified.toISOString()}, is FAILED`,
        wayOut: `Put right what ${stage} found (its result and the report say what), build again, and take the new image along the path.`,
      },
    ];
  }
  if (!isDeferred && !isOfLevel(stage, summary)) {
    return [malformed(scope, `the newest verdict of ${stage}`, `it passes without the level ${stageLevel(stage)}`)];
  }
  return [
    ...judgePolicy(scope, `the newest verdict of ${stage}`, { ...summary, time: signedAt ?? summary.timeVerified }),
    ...judgeTimes(scope, `the newest verdict of ${stage}`, summary.timeVerified, signedAt),
    ...judgeExceptions(scope, `the newest verdict of ${stage}`, summary.exceptions),
  ];
}

/**
 * What the verdict rests on: of each kind of finding, one that is there, by an allowed signer, and named among the
 * verdict's inputs.
 */
function collectFindings(scope: StageScope, newest: Judged): StageDecision {
  const { stage, evidence } = scope;
  const isInput = (signed: VerifiedStatement): boolean =>
    newest.summary.inputs.some((input) => isDigestIn(input, signed.bundle.digest));
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
