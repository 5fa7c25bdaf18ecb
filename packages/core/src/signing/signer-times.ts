import { z } from "zod";

const time = (what: string) =>
  z.iso
    .datetime("expected a time in UTC, such as 2026-11-03T00:00:00Z")
    .transform((text) => new Date(text))
    .optional()
    .describe(what);

/** Fields of every signer of a policy, of whatever kind. */
export const signerTimes = {
  from: time("From when its word counts: what is signed earlier does not."),
  until: time(
    "Until when its word counts: what is signed then or later does not. Where nobody but the signer says when that was, nothing of it counts from then on.",
  ),
};

/** When a signer's word counts: from `from`, and before `until`. */
export interface SignerTimes {
  from?: Date | undefined;
  until?: Date | undefined;
}

/**
 * Why a signature counts for nothing at the time that it is of; undefined where it counts. `signedAt` is the latest
 * that it can be of, by the word of somebody else than the signer. Where there is none, that is now: a signer's own
 * clock can be set back, so that whoever has a stolen key could sign for any day.
 */
export function judgeSignerTime(
  name: string,
  { from, until }: SignerTimes,
  signedAt: Date | undefined,
  now: Date,
): string | undefined {
  const time = signedAt ?? now;
  const told =
    signedAt === undefined ? "and nobody else says when it was signed" : `and it was signed at ${formatTime(signedAt)}`;
  // An invalid date is neither before nor after any.
  if (until !== undefined && !(time < until))
    return `it is signed by '${name}', whose word counts until ${formatTime(until)}, ${told}`;
  if (from !== undefined && !(time >= from))
    return `it is signed by '${name}', whose word counts from ${formatTime(from)}, ${told}`;
  return undefined;
}

function formatTime(time: Date): string {
  return Number.isNaN(time.getTime()) ? "a time that can't be read" : time.toISOString().replace(/\.000Z$/, "Z");
}
