import type { Inconsistency } from "./inconsistency.ts";
import { exceptionKeys } from "./scan-section.ts";

type Values = Readonly<Record<string, unknown>>;

/** A policy's data under the names that its keys have now. */
export interface CurrentNames {
  value: Values;
  /** What is written by an old name, each at where it is written. */
  notes: Inconsistency[];
  /** What is there by both its names, each at where the old one is written. */
  problems: Inconsistency[];
  /** Where something is written that is found at a path of `value`. */
  writtenAt(path: readonly PropertyKey[]): readonly PropertyKey[];
}

/**
 * Keys that had other names, `build.environments` and an exception's `thing`, read as those that they have now. A
 * policy that is in force with an old name goes on meaning what it did.
 */
export function readOldNames(written: object): CurrentNames {
  const notes: Inconsistency[] = [];
  const problems: Inconsistency[] = [];
  const renamed = new Map<string, { path: readonly PropertyKey[]; old: string }>();
  const rename = (map: Values, at: readonly PropertyKey[], old: string, now: string): Values => {
    if (!Object.hasOwn(map, old)) return map;
    const path = [...at, old];
    if (Object.hasOwn(map, now)) {
      problems.push({ path, message: `is the old name of \`${now}\`, which is there as well: keep that one` });
      return Object.fromEntries(Object.entries(map).filter(([key]) => key !== old));
    }
    notes.push({ path, message: `is called \`${now}\` now` });
    renamed.set(keyOf([...at, now]), { path: at, old });
    return Object.fromEntries(Object.entries(map).map(([key, value]) => [key === old ? now : key, value]));
  };
  const renameIn = (map: Values, key: string, change: (value: unknown) => unknown): Values =>
    Object.hasOwn(map, key) ? { ...map, [key]: change(map[key]) } : map;
  let value: Values = written as Values;
  value = renameIn(value, "build", (build) =>
    isMap(build) ? rename(build, ["build"], "environments", "isolation") : build,
  );
  value = renameIn(value, "exceptions", (list) =>
    !Array.isArray(list)
      ? list
      : list.map((each: unknown, index) => {
          const now = isMap(each) ? nameOfThing(each["rule"]) : undefined;
          return isMap(each) && now !== undefined ? rename(each, ["exceptions", index], "thing", now) : each;
        }),
  );
  const writtenAt = (path: readonly PropertyKey[]): readonly PropertyKey[] => {
    const place = path.findIndex((_, index) => renamed.has(keyOf(path.slice(0, index + 1))));
    const found = renamed.get(keyOf(path.slice(0, place + 1)));
    return found === undefined ? path : [...found.path, found.old, ...path.slice(place + 1)];
  };
  return { value, notes, problems, writtenAt };
}

function nameOfThing(rule: unknown): string | undefined {
  return typeof rule === "string" && Object.hasOwn(exceptionKeys, rule)
    ? exceptionKeys[rule as keyof typeof exceptionKeys]
    : undefined;
}

const keyOf = (path: readonly PropertyKey[]): string => path.join("\0");

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
