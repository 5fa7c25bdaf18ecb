import type { Direction } from "./diff-meaning.ts";

/** One change, as `diffPolicies` tells it. */
interface DayChange {
  direction: Direction;
  key: string;
  path: readonly PropertyKey[];
  says: string;
}

const sayDay = (day: unknown): string | undefined => (typeof day === "string" ? day : undefined);

/** Days from which rules refuse: one that comes later lets in more, and a rule without one refuses at once. */
export function diffEnforcement(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  { key, path }: Pick<DayChange, "key" | "path">,
): DayChange[] {
  const [older, newer] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...newer.keys(), ...older.keys()])].flatMap((rule): DayChange[] => {
    const [then, now] = [older, newer].map((days) => days.get(rule)).map(sayDay);
    if (then === now) return [];
    const at = { key: `${key}.${rule}`, path: [...path, rule] };
    if (now === undefined)
      return [{ ...at, direction: "narrowing", says: `${rule} refuses at once (before: from ${then} on)` }];
    const isLater = then === undefined || now > then;
    const was = then === undefined ? "at once" : `from ${then} on`;
    const says = `${rule} only warns until it refuses from ${now} on (before: ${was})`;
    return [{ ...at, direction: isLater ? "widening" : "narrowing", says }];
  });
}
