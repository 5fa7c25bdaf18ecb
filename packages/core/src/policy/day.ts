/**
 * True once the UTC day `YYYY-MM-DD`, which counts to its end, has passed. What is not a day is over: it can't keep
 * anything open.
 */
export function isDayOver(day: string, now: Date): boolean {
  const start = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  return !(now.getTime() < start + 86_400_000);
}
