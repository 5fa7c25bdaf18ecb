/** Times of other machines may be ahead of ours by so much. Milliseconds. */
export const clockSkew = 5 * 60_000;

/**
 * True once the UTC day `YYYY-MM-DD` has begun. What is not a day has begun: nothing can wait for it.
 */
export function isDayReached(day: string, now: Date): boolean {
  return !(now.getTime() < startOf(day));
}

/** `YYYY-MM-DD` → the day before, in the same form. */
export function dayBefore(day: string): string {
  return new Date(startOf(day) - 86_400_000).toISOString().slice(0, 10);
}

/** Whether it is a day of the calendar, `YYYY-MM-DD`. */
export function isDay(text: string): boolean {
  return !Number.isNaN(startOf(text));
}

/** Milliseconds; NaN of what is not a day. JavaScript takes the 30th of February for the 2nd of March. */
function startOf(day: string): number {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day) ? time : Number.NaN;
}

/**
 * True once the UTC day `YYYY-MM-DD`, which counts to its end, has passed. What is not a day is over: it can't keep
 * anything open.
 */
export function isDayOver(day: string, now: Date): boolean {
  return !(now.getTime() < startOf(day) + 86_400_000);
}
