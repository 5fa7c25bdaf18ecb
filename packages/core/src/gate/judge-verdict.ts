import type { VerifiedStatement } from "../signing/types.ts";
import {
  readVerificationSummary,
  summaryVerifierId,
  type VerificationSummary,
} from "../signing/verification-summary.ts";
import { stageLevel, stageVerifierId } from "../stages.ts";
import { type Deferral, judgeDeferral } from "./deferral.ts";
import type { Problem, StageDecision, StageScope } from "./facts.ts";
import {
  explainAbsence,
  isByAllowedSigner,
  judgeExceptions,
  judgePlace,
  judgePolicy,
  judgeTimes,
  malformed,
  someCount,
  wayToRunAgain,
} from "./problems.ts";
import { collectFindings, isOfEnvironment, isOfLevel, type JudgedVerdict } from "./verdict-findings.ts";

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
  const deferral = judgeDeferral(scope, newestFirst, past);
  const problems = [...judgeSummary(scope, newest, deferral), ...judgeLapsed(scope, newest.summary, past)];
  if (someCount(scope, problems)) return refuse(...problems);
  const rested = collectFindings(scope, newest);
  const all = [...problems, ...rested.problems];
  if (someCount(scope, all)) return refuse(...all);
  // The pass that a deferred failure is as good as counts with it.
  return { accepted: [newest.signed, ...rested.accepted, ...(deferral?.restsOn ?? [])], problems: all };
}

function readVerdicts(scope: StageScope, verdicts: readonly VerifiedStatement[]): JudgedVerdict[] | Problem {
  const what = `a verdict of ${scope.stage}`;
  const judged: JudgedVerdict[] = [];
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
function judgeLapsed(scope: StageScope, newest: VerificationSummary, past: readonly JudgedVerdict[]): Problem[] {
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

/** Of two verdicts of the same time the failure counts. */
function rank(result: VerificationSummary["result"]): number {
  return result === "FAILED" ? 0 : 1;
}

function judgeSummary(
  scope: StageScope,
  { summary, signed }: JudgedVerdict,
  deferral: Deferral | undefined,
): Problem[] {
  const { stage } = scope;
  const signedAt = signed.time;
  const isDeferred = deferral?.restsOn !== undefined;
  if (summary.result === "FAILED" && !isDeferred) {
    const because = deferral?.because === undefined ? "" : `; ${deferral.because}`;
    return [
      {
        rule: "gate.failed",
        problem: `the newest verdict of ${stage}, of ${summary.timeVerified.toISOString()}, is FAILED${because}`,
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
    ...judgePlace(scope, `the newest verdict of ${stage}`, signed),
  ];
}
