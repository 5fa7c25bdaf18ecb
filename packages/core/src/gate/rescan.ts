import type { RescanRules } from "../policy/scan-section.ts";
import type { VerificationSummary } from "../signing/verification-summary.ts";

/** When something was found by a rescan, and from when on its signer lets it count. */
interface Deferred {
  /** The rescan's. */
  at: Date;
  countsFrom?: Date | undefined;
}

/**
 * Whether what a rescan has signed counts later than now: never later than the policy of now allows, whatever is signed.
 * Without the policy's `scan.rescan` all of it counts at once.
 */
export function countsLater({ at, countsFrom }: Deferred, rules: RescanRules | undefined, now: Date): boolean {
  if (countsFrom === undefined || rules === undefined) return false;
  const longest = at.getTime() + Math.max(rules.kev ?? 0, rules.others ?? 0);
  // A time that can't be read is none: a comparison with it is false, and then it counts.
  return Math.min(countsFrom.getTime(), longest) > now.getTime();
}

/** A failure that {@link countsLater}. */
export function isNotYetCounting(
  { result, timeVerified, countsFrom }: Pick<VerificationSummary, "result" | "timeVerified" | "countsFrom">,
  rules: RescanRules | undefined,
  now: Date,
): boolean {
  return result === "FAILED" && countsLater({ at: timeVerified, countsFrom }, rules, now);
}
