export interface Inconsistency {
  path: readonly PropertyKey[];
  message: string;
}

/** A name that nobody has, and those that there are. */
export function unknown(path: PropertyKey[], value: string, what: string, known: readonly string[]): Inconsistency {
  return { path, message: `'${value}' is no ${what} of this policy (there is: ${known.join(", ") || "none"})` };
}
