import type { ListedViolation } from "../result.ts";

/** What GitHub shows at a line of the change, or of the run where it has none. */
export interface Annotation {
  title: string;
  message: string;
  file?: string;
  /** From 1. */
  line?: number;
}

/** Things that a message names; the rest is counted. */
const maxThings = 3;

/**
 * The most useful annotations, at most `most`, since GitHub shows ten of a step and drops the others without a word.
 * What one change mends is one of them. First come those with a place that somebody can go to, then those of which one
 * change mends most; else they stay in the order of the result, which has the worst first.
 * @param violations those that count
 */
export function planAnnotations(violations: readonly ListedViolation[], most: number): Annotation[] {
  const groups = [
    ...Map.groupBy(violations, ({ rule, wayOut, place }) =>
      JSON.stringify([rule, wayOut, place?.file, place?.line]),
    ).values(),
  ];
  const rank = (group: readonly ListedViolation[]): number =>
    group[0]?.place?.line !== undefined ? 0 : group[0]?.place !== undefined ? 1 : 2;
  return groups
    .toSorted((a, b) => rank(a) - rank(b) || b.length - a.length)
    .slice(0, most)
    .flatMap((group) => describe(group));
}

function describe([first, ...others]: readonly ListedViolation[]): Annotation[] {
  if (first === undefined) return [];
  const { rule, thing, problem, wayOut, place } = first;
  const things = [...new Set(others.map((each) => each.thing))].filter((each) => each !== thing);
  const named = things.slice(0, maxThings - 1);
  const rest = things.length - named.length;
  const also = things.length === 0 ? "" : `\nAlso: ${named.join("; ")}${rest === 0 ? "" : ` and ${rest} more`}.`;
  return [
    {
      title: rule,
      message: `${thing}: ${problem}${also}\n→ ${wayOut}`,
      ...(place === undefined ? {} : { file: place.file }),
      ...(place?.line === undefined ? {} : { line: place.line }),
    },
  ];
}
