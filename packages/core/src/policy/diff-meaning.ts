/** What a change does to what is let through; `unknown`: nobody can say, which is no narrowing. */
export type Direction = "widening" | "narrowing" | "neither" | "unknown";

/**
 * What a change of one key means. `says` is a clause that holds for the value at `{}`. Directions are of what the policy
 * lets through: widening lets in what was shut out.
 */
export type Meaning =
  /** Each entry lets something in; `absent`: what holds without the key. */
  | { as: "grants"; says: string; absent?: "all" | "none"; covers?: (wide: string, narrow: string) => boolean }
  /** Each entry shuts something out. */
  | { as: "demands"; says: string; absent?: "all" | "none" }
  /** Another value lets in another, and shuts out the one before. Without the key, `absent`. */
  | { as: "identity"; says: string; absent?: "all" | "none"; same?: readonly string[] }
  /** A number, a duration or a time of which more lets in more (`most`), or less (`least`). */
  | { as: "most" | "least"; says: string; absent?: number; unit?: "duration" | "day" }
  /** Words, from what lets in least to what lets in most. */
  | { as: "scale"; says: string; values: readonly (string | boolean | undefined)[] }
  /** Lets nothing in and shuts nothing out. */
  | { as: "told"; says: string }
  /** Another value may let in more or less: nobody can say. `more`: the direction of its being there at all. */
  | { as: "unclear"; says: string; more?: Direction }
  /** A map that may be missing; `more`: the direction of its being there. */
  | { as: "section"; says: string; more: Direction }
  /** Days by rule, from which each refuses; without one at once. */
  | { as: "days" }
  /** Maps by name. `isOpen`: one that is missing is one without anything in it. */
  | { as: "names"; says: string; more: Direction; isOpen?: boolean }
  /** Maps in a list, told apart by some of their keys. */
  | { as: "list"; says: string; more: Direction; by: readonly [string, ...string[]] };

export type Meanings = Readonly<Record<string, Meaning>>;

export const grants = (says: string, more: Partial<Extract<Meaning, { as: "grants" }>> = {}): Meaning => ({
  as: "grants",
  says,
  ...more,
});
export const identity = (says: string, more: Partial<Extract<Meaning, { as: "identity" }>> = {}): Meaning => ({
  as: "identity",
  says,
  ...more,
});
export const unclear = (says: string, more: { more?: Direction } = {}): Meaning => ({ as: "unclear", says, ...more });
export const told = (says: string): Meaning => ({ as: "told", says });
/** A time for which something is let pass: without it none. */
export const later = (says: string): Meaning => ({ as: "most", says, unit: "duration", absent: 0 });
export const atMost = (says: string): Meaning => ({
  as: "most",
  says,
  unit: "duration",
  absent: Number.POSITIVE_INFINITY,
});
export const until = (says: string): Meaning => ({ as: "most", says, absent: Number.POSITIVE_INFINITY });
export const day = (says: string): Meaning => ({
  as: "most",
  says: `${says} only warns until it refuses from {} on`,
  absent: 0,
  unit: "day",
});
export const scale = (says: string, ...values: readonly (string | boolean | undefined)[]): Meaning => ({
  as: "scale",
  says,
  values,
});
