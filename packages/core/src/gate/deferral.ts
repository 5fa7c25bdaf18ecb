import { type RescanRules, rescannedEvery } from "../policy/scan-section.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { VerificationSummary } from "../signing/verification-summary.ts";
import type { StageScope } from "./facts.ts";
import { judgeExceptions, judgePlace, judgePolicy, judgeTimes } from "./problems.ts";
import { countsLater, isNotYetCounting } from "./rescan.ts";
import { collectFindings, isOfLevel, type JudgedVerdict } from "./verdict-findings.ts";

/** Whether the newest failure counts later: what that rests on, or why it counts now. */
export type Deferral = { restsOn: VerifiedStatement[]; because?: never } | { restsOn?: never; because: string };

/**
 * A rescan's failure that does not count yet is as good as what it overtook, where that is a pass that would count but for
 * its age: with the findings that it rests on, all of it there. An image that never passed, whose pass the policy of now
 * does not take, or which was failed in between, gets nothing from being scanned again. Nor does one whose rescans were
 * taken away: however late the failure that is left was signed, its days begin no later than `scan.rescan.every` after
 * that pass. Undefined where the newest verdict says nothing of the kind.
 * @param newestFirst verdicts that count
 * @param past verdicts whose signers' word, or whose signatures, have ended: a failure of theirs was said all the same
 */
export function judgeDeferral(
  scope: StageScope,
  newestFirst: readonly JudgedVerdict[],
  past: readonly JudgedVerdict[],
): Deferral | undefined {
  const { stage, facts } = scope;
  const rules = stage === "scan" ? facts.policy.policy.scan.rescan : undefined;
  const [newest] = newestFirst;
  if (newest?.summary.countsFrom === undefined || newest.summary.result !== "FAILED") return undefined;
  const isLater = ({ summary }: JudgedVerdict): boolean => isNotYetCounting(summary, rules, facts.now);
  if (!isLater(newest)) return { because: "by the policy in force it counts now" };
  const overtaken = newestFirst.find((each) => !isLater(each));
  if (overtaken === undefined) return { because: "there is no pass that it overtook" };
  const { summary, signed } = overtaken;
  const time = summary.timeVerified;
  const what = `the verdict before it, of ${time.toISOString()}`;
  if (summary.result !== "PASSED") return { because: `${what}, is FAILED as well, and counts` };
  const failed = past.find((each) => isFailureSince(each, time) && !isLater(each));
  if (failed !== undefined)
    return { because: `one of ${failed.summary.timeVerified.toISOString()}, after the last pass, is FAILED as well` };
  if (!countsLater({ ...newest.summary, at: latestStart(newest.summary, time, rules) }, rules, facts.now))
    return { because: `${what}, is too long before it: what was signed in between is not there` };
  const rested = isOfLevel(stage, summary) ? collectFindings(scope, overtaken) : undefined;
  const problems = [
    ...judgePolicy(scope, what, { ...summary, time: signed.time ?? time }),
    ...judgeTimes({ ...scope, requirement: ageless(scope) }, what, time, signed.time),
    ...judgeExceptions(scope, what, summary.exceptions),
    ...judgePlace(scope, what, signed),
    ...(rested?.problems ?? []),
  ];
  const [problem] = problems.map((each) => each.problem);
  if (rested === undefined) return { because: `${what}, is no pass of ${stage}` };
  return problem === undefined
    ? { restsOn: [signed, ...rested.accepted] }
    : { because: `it would count later, but for what it overtook: ${problem}` };
}

function isFailureSince({ summary }: JudgedVerdict, time: Date): boolean {
  return summary.result !== "PASSED" && summary.timeVerified >= time;
}

/** The failure's own time, or so long after the pass as an image is scanned again, if that was before. */
function latestStart({ timeVerified }: VerificationSummary, passed: Date, rules: RescanRules | undefined): Date {
  return new Date(Math.min(timeVerified.getTime(), passed.getTime() + (rules?.every ?? rescannedEvery)));
}

/** Old it may be: the newer failure is the fresh one. */
function ageless({ requirement: { maxAge: _own, ...others } }: StageScope): StageScope["requirement"] {
  return others;
}
