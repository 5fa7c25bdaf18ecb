import type { PolicyChange } from "./diff.ts";
import type { Direction } from "./diff-meaning.ts";

const directions: readonly Direction[] = ["widening", "unknown", "narrowing", "neither"];

/** A change, and where it stands in the newer file: `policy.yaml:12`. */
export interface PlacedChange extends Omit<PolicyChange, "path"> {
  place: string;
}

/** For a terminal: what lets in more first, and within that in the order of the file. */
export function renderPolicyDiff(changes: readonly PlacedChange[]): string {
  if (changes.length === 0) return "Nothing changes in what the policy says.\n";
  const lines = directions.flatMap((direction) =>
    changes
      .filter((change) => change.direction === direction)
      .map(({ place, key, says }) => `${place}: ${direction}: ${key}: ${says}`),
  );
  const counts = countDirections(changes);
  const unknown = counts.unknown === 0 ? "" : `, ${counts.unknown} that nobody can read here`;
  return `${lines.join("\n")}\n\n${counts.widening} widening, ${counts.narrowing} narrowing, ${counts.neither} neither${unknown}.\n`;
}

export function countDirections(changes: readonly Pick<PolicyChange, "direction">[]): Record<Direction, number> {
  const count = (direction: Direction): number => changes.filter((each) => each.direction === direction).length;
  return {
    widening: count("widening"),
    narrowing: count("narrowing"),
    neither: count("neither"),
    unknown: count("unknown"),
  };
}
