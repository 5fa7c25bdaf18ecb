import { CertificateProblem } from "../extensions.ts";
import type { ValidityWindow } from "../schemes/scheme.ts";
import type { OpenedEnvelope } from "./envelope.ts";

/** When a signature was made, by a timestamp, where the policy wants one; and when it holds. */
export interface Held {
  time?: Date;
  holds: ValidityWindow;
}

interface Validity {
  from: Date;
  until: Date;
}

/** Nobody knows when it was made: it holds while its certificates do, or until it says itself, if that is earlier. */
export function judgeUndated({ from, until }: Validity, expires: Date | undefined): Held {
  return { holds: { from, until: expires !== undefined && expires < until ? expires : until } };
}

/**
 * It was made at a verified time, at which its certificates held; and holds for as long as it says itself.
 * @throws CertificateProblem
 */
export function judgeDated({ from, until }: Validity, expires: Date | undefined, time: Date): Held {
  // An invalid time is neither before nor after any.
  if (!(time >= from && time <= until)) {
    const told = Number.isNaN(time.getTime()) ? "a time that can't be read" : time.toISOString();
    throw new CertificateProblem(`its certificates did not hold when it was signed, at ${told}`);
  }
  return { time, holds: expires === undefined ? {} : { until: expires } };
}

/** For how long a signature may hold at most, counted from its verified time, where it has one, or from its own. */
export function exceedsValidity(
  { signedAt, expires }: Pick<OpenedEnvelope, "signedAt" | "expires">,
  longest: number,
  time?: Date,
): string | undefined {
  if (expires === undefined) return "it does not expire, and the policy has signatures of this signer expire";
  const since = time ?? signedAt;
  // What a signer's clock and an authority's may differ by.
  const slack = time === undefined ? 0 : 5 * 60_000;
  if (expires.getTime() - Math.min(since.getTime(), signedAt.getTime()) <= longest + slack) return undefined;
  return `it holds until ${expires.toISOString()}, longer than the policy has signatures of this signer hold`;
}
