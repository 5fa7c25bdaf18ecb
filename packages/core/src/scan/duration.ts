/** Milliseconds in the largest of days, hours and minutes that they fill, rounded down. */
export function formatDuration(milliseconds: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
  ] as const;
  const [size, unit] = units.find(([length]) => milliseconds >= length) ?? [60_000, "min"];
  return `${Math.floor(milliseconds / size)} ${unit}`;
}
