import type { Direction } from "./diff-meaning.ts";
import { listEntries } from "./own-days.ts";
import type { Policy } from "./schema.ts";

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

/**
 * What loses or gets a day of its own, where its rule has a later one: without its own it does not refuse at once, as the
 * key alone would say, but waits for that.
 */
export function diffOwnDays(before: Partial<Policy>, after: Partial<Policy>): DayChange[] {
  const [older, newer] = [listEntries(before), listEntries(after)];
  return [...newer].flatMap(([name, { rule, from: now }]): DayChange[] => {
    const then = older.get(name)?.from;
    if (!older.has(name) || (now === undefined) === (then === undefined)) return [];
    const isLost = now === undefined;
    const day = (isLost ? after : before).enforceFrom?.[rule];
    const own = now ?? then ?? "";
    if (day === undefined || day <= own) return [];
    const at = { key: `enforceFrom.${rule}`, path: ["enforceFrom", rule] };
    const says = `${name} only warns until it refuses from ${isLost ? day : own} on (before: from ${isLost ? own : day} on)`;
    return [{ ...at, direction: isLost ? "widening" : "narrowing", says }];
  });
}
