import { z } from "zod";
import { type ToldExceptions, tellBusyDay, tellDaysLeft } from "../exceptions.ts";
import { code, escapeMarkdown } from "../markdown.ts";
import { count, line } from "./fields.ts";

export const exceptedSchema = z.object({
  ...{ rule: line, thing: line, expires: line, owner: line, reason: line },
  /** Full days after the report's on which it still holds. */
  daysLeft: z.number().int().optional(),
});
export type Excepted = z.infer<typeof exceptedSchema>;

/** What a part says of the policy's exceptions besides those of its violations. */
export const policyExceptionsSchema = z.object({
  /** Days on which several end that the report's images need. */
  days: z.array(z.object({ day: line, count })).max(50),
  /** Those that do nothing, as far as the report's results tell. */
  idle: z.array(z.object({ rule: line, what: line, state: line, use: line, owner: line })).max(200),
  idleCount: count,
});
export type PolicyExceptions = z.infer<typeof policyExceptionsSchema>;

const maxKept = 50;
/** Names of a list that somebody reads to its end. */
const maxNamed = 10;

export function describePolicyExceptions({ told, days }: ToldExceptions): PolicyExceptions {
  const idle = told.filter(({ isDead }) => isDead);
  return {
    days: days.slice(0, maxKept),
    idle: idle.slice(0, maxKept).map(({ rule, what, state, use, owner }) => ({ rule, what, state, use, owner })),
    idleCount: idle.length,
  };
}

/** What is set aside in one image, those that end first first, with the days on which several do. */
export function renderExcepted(
  exceptions: readonly Excepted[],
  excepted: number,
  days: PolicyExceptions["days"],
): string[] {
  const rows = exceptions.map(({ rule, thing, expires, daysLeft, owner, reason }) => {
    const left = tellDaysLeft(daysLeft);
    const until = `${escapeMarkdown(expires)}${left === "" ? "" : `, ${left}`}`;
    return `| ${code(rule)} | ${escapeMarkdown(thing)} | ${until} | ${escapeMarkdown(owner)} | ${escapeMarkdown(reason)} |`;
  });
  const left = excepted - rows.length;
  return [
    ...days.slice(0, 3).flatMap((day) => [escapeMarkdown(tellBusyDay(day)), ""]),
    ...(rows.length === 0
      ? []
      : ["| Rule | What | Until | Owner | Reason |", "| --- | --- | --- | --- | --- |", ...rows, ""]),
    ...(left === 0 ? [] : [`${rows.length === 0 ? "" : "… and "}${left} in the job's summary.`]),
  ];
}

/** `the first until 2026-12-01, in 8 days (2 of them)`: they are in the order of their days. Empty where none is. */
export function describeFirstEnd(exceptions: readonly Excepted[]): string {
  const [first] = exceptions;
  if (first === undefined) return "";
  const ending = exceptions.filter(({ expires }) => expires === first.expires).length;
  const left = tellDaysLeft(first.daysLeft);
  const day = `${escapeMarkdown(first.expires)}${left === "" ? "" : `, ${left}`}`;
  if (ending === exceptions.length) return `, until ${day}`;
  return `, the first until ${day}${ending === 1 ? "" : ` (${ending} of them)`}`;
}

/**
 * The policy's exceptions that nothing here needs: of several jobs' images, those that none of them needs.
 * @returns a title and lines; undefined where there are none
 */
export function renderIdle(
  parts: readonly { policyExceptions?: PolicyExceptions | undefined }[],
): { title: string; lines: string[] } | undefined {
  const told = parts.flatMap(({ policyExceptions }) => policyExceptions ?? []);
  const [first, ...others] = told;
  if (first === undefined) return undefined;
  const keyOf = ({ rule, what }: PolicyExceptions["idle"][number]): string => JSON.stringify([rule, what]);
  const elsewhere = others.map(({ idle }) => new Set(idle.map(keyOf)));
  const idle = first.idle.filter((each) => elsewhere.every((keys) => keys.has(keyOf(each))));
  // Lists that were cut have no others in common than these for sure.
  const isCut = told.some((each) => each.idleCount > each.idle.length);
  const total = others.length === 0 ? first.idleCount : idle.length;
  if (total === 0) return undefined;
  const named = idle.slice(0, maxNamed).map(({ rule, what, state, use, owner }) => {
    const details = [state, use].filter((each) => each !== "").join("; ");
    return `- ${code(rule)} for ${escapeMarkdown(what)}, by ${escapeMarkdown(owner)}: ${escapeMarkdown(details)}`;
  });
  const left = total - named.length;
  const many = total === 1 ? "1 exception of the policy does" : `${total} exceptions of the policy do`;
  return {
    title: `${others.length > 0 && isCut ? "At least " : ""}${many} nothing here`,
    lines: [
      ...named,
      ...(left <= 0 ? [] : ["", `${named.length === 0 ? "" : "… and "}${left} more in the job's summary.`]),
    ],
  };
}
