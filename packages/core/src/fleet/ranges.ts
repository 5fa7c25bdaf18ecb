import { compareApkVersions, compareDpkgVersions, type VersionOrder } from "../base/versions.ts";

interface Condition {
  operator: "<" | "<=" | ">" | ">=" | "=" | "!=";
  version: string;
}

/** Groups of which one holds; of each group all conditions do. One group without conditions has every version. */
export type VersionRange = readonly (readonly Condition[])[];

/** `>=1.0,<1.4||2.0.0`, `*` → the range; undefined for what is none. */
export function parseRange(text: string): VersionRange | undefined {
  if (text.trim() === "*") return [[]];
  const groups = text.split("||").map((group) => group.split(",").map((each) => parseCondition(each.trim())));
  return groups.every((group) => group.every((each) => each !== undefined))
    ? groups.map((group) => group.flatMap((each) => each ?? []))
    : undefined;
}

function parseCondition(text: string): Condition | undefined {
  const [, operator = "=", version] = /^(<=|>=|!=|<|>|=)?\s*([A-Za-z0-9][^\s<>=!,|*]*)$/.exec(text) ?? [];
  return version === undefined ? undefined : { operator: operator as Condition["operator"], version };
}

/**
 * Whether a version is in a range, by the order of its package's kind; undefined where nobody can tell, as of a version
 * that has no number in it.
 * @param type of the package URL: `deb`, `npm`, …
 */
export function isInRange(version: string, range: VersionRange, type: string): boolean | undefined {
  const each = range.map((group) => allHold(group.map((condition) => holds(version, condition, type))));
  return each.includes(true) ? true : each.includes(undefined) ? undefined : false;
}

function allHold(results: readonly (boolean | undefined)[]): boolean | undefined {
  return results.includes(false) ? false : results.includes(undefined) ? undefined : true;
}

function holds(version: string, { operator, version: bound }: Condition, type: string): boolean | undefined {
  const found = version === bound ? "same" : compareVersions(version, bound, type);
  if (found === undefined) return undefined;
  switch (operator) {
    case "<":
      return found === "older";
    case "<=":
      return found !== "newer";
    case ">":
      return found === "newer";
    case ">=":
      return found !== "older";
    case "=":
      return found === "same";
    case "!=":
      return found !== "same";
  }
}

/** What `version` is, seen from `than`; undefined where that can't be told. */
function compareVersions(version: string, than: string, type: string): VersionOrder | undefined {
  if (type === "deb") return compareDpkgVersions(version, than);
  if (type === "apk") return compareApkVersions(version, than);
  return compareSegments(version, than);
}

/** Words of a version that is before the one of its numbers, in the order in which they come. */
const before = ["dev", "snapshot", "a", "alpha", "b", "beta", "m", "milestone", "pre", "preview", "c", "cr", "rc"];
/** Words that say nothing: the version is that of its numbers. */
const plain = ["final", "ga", "release"];

/**
 * The order of most kinds of packages (semantic versions, Maven's, Python's), as far as they agree: numbers by their
 * value, missing ones are 0, a version with a word that is before comes before the one without, and other words after
 * it. What is built (`+…`) has no part in it.
 */
function compareSegments(a: string, b: string): VersionOrder | undefined {
  const [first, second] = [splitVersion(a), splitVersion(b)];
  if (first === undefined || second === undefined) return undefined;
  for (let at = 0; at < Math.max(first.length, second.length); at++) {
    const difference = compareSegment(first[at], second[at]);
    if (difference !== 0) return difference < 0 ? "older" : "newer";
  }
  return "same";
}

type Segment = bigint | string;

function splitVersion(text: string): Segment[] | undefined {
  const [epoch, rest] = /^\d+[:!]/.test(text) ? text.split(/[:!]/, 2) : ["0", text];
  const own = (rest ?? "")
    .replace(/^v(?=\d)/i, "")
    .replace(/\+.*$/, "")
    .toLowerCase();
  if (!/^\d/.test(own)) return undefined;
  const parts = own.match(/\d+|[a-z]+/g) ?? [];
  const segments = parts
    .filter((part) => !plain.includes(part))
    .map((part) => (/^\d/.test(part) ? BigInt(part) : part));
  return [BigInt(epoch ?? "0"), ...segments];
}

/** A word that is before < nothing, which is 0 < a number; other words are after nothing. */
function compareSegment(a: Segment | undefined, b: Segment | undefined): number {
  const rank = (segment: Segment | undefined): number => {
    if (segment === undefined) return 0;
    if (typeof segment === "bigint") return segment === 0n ? 0 : 2;
    return before.includes(segment) ? -1 : 1;
  };
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (typeof a !== "string" || typeof b !== "string") return 0;
  const [first, second] = [before.indexOf(a), before.indexOf(b)];
  if (first !== -1 && second !== -1) return first - second;
  return a < b ? -1 : a > b ? 1 : 0;
}
