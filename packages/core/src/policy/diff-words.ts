import { cleanLine } from "@goldenpath/foundation/text/clean";

/** A clause with a value at its `{}`. */
export function fill(says: string, value: unknown): string {
  return says.replace("{}", () => show(value));
}

const maxShown = 160;

/** A value as a sentence has it; of a key or a certificate its end, as they all begin alike. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(show).join(", ");
  if (typeof value === "object") return cleanLine(JSON.stringify(value), maxShown);
  const text = String(value).trim();
  const [, body] = /^-----BEGIN [^-]+-----([^-]+)-----END/.exec(text) ?? [];
  return body === undefined ? cleanLine(text, maxShown) : `that ends in …${body.replaceAll(/\s+/g, "").slice(-16)}`;
}

/** Milliseconds in the largest unit that they are a whole number of. */
export function showDuration(milliseconds: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
  ] as const;
  const [unit, size] = units.find(([, each]) => milliseconds % each === 0) ?? ["m", 60_000];
  return `${milliseconds / size}${unit}`;
}
