import { type ExceptionLife, isDead, listBusyDays } from "../policy/exception-life.ts";
import { tellState, tellUse, tellWhat } from "../policy/render-exceptions.ts";
import { code, escapeMarkdown } from "./markdown.ts";

/** Days before its end from which a report says that an exception lapses: time enough to mend what it covers. */
export const soonDays = 14;

/** Exceptions that a summary lists, those that end first. */
const maxRows = 50;

/** One of the policy's exceptions as a report tells it; the words are the policy's. */
export interface ToldException {
  rule: string;
  what: string;
  owner: string;
  reason: string;
  /** `until 2026-12-01, 8 days` */
  state: string;
  /** What it does here: `sets aside 2 violations of 1 image`. */
  use: string;
  isSoon: boolean;
  isDead: boolean;
}

export interface ToldExceptions {
  /** Those that the report's results need, and those that do nothing; what ends first comes first. */
  told: ToldException[];
  /** Days on which several end that are needed here. */
  days: { day: string; count: number }[];
}

/** The lives of a policy's exceptions, as far as a report has something to say of them. */
export function tellExceptions(lives: readonly ExceptionLife[]): ToldExceptions {
  const places = lives.map((_, at) => `exceptions[${at}]`);
  const needed = lives.filter(({ use }) => (use?.violations ?? 0) > 0);
  const told = lives
    .filter((life) => needed.includes(life) || isDead(life))
    .toSorted((a, b) => a.daysLeft - b.daysLeft || a.index - b.index);
  return {
    told: told.map((life) => {
      const { rule, owner, reason } = life.exception;
      const use = tellUse(life, places).join("; ");
      return {
        ...{ rule, what: tellWhat(life.exception), owner, reason, state: tellState(life) },
        // An image that is not told of here may need it.
        use: use === "matches nothing of the results" ? "matches nothing here" : use,
        ...{ isSoon: life.state === "lapsing", isDead: isDead(life) },
      };
    }),
    days: listBusyDays(needed),
  };
}

/** `in 8 days`, on its last day `today`; empty where nobody says how many are left. */
export function tellDaysLeft(daysLeft: number | undefined): string {
  if (daysLeft === undefined) return "";
  if (daysLeft < 0) return "over";
  if (daysLeft === 0) return "today";
  return daysLeft === 1 ? "in 1 day" : `in ${daysLeft} days`;
}

export const tellBusyDay = ({ day, count }: ToldExceptions["days"][number]): string =>
  `${count} exceptions end on ${day}, all at once.`;

/** As a section of the job's summary; empty where there is nothing to say. */
export function renderExceptions({ told, days }: ToldExceptions): string {
  if (told.length === 0) return "";
  const rows = told
    .slice(0, maxRows)
    .map(
      ({ rule, what, owner, reason, state, use, isSoon }) =>
        `| ${isSoon ? "⏳ " : ""}${escapeMarkdown(state)} | ${code(rule)} | ${escapeMarkdown(what)} | ${escapeMarkdown(use)} | ${escapeMarkdown(owner)} | ${escapeMarkdown(reason)} |`,
    );
  const dead = told.filter(({ isDead }) => isDead).length;
  const left = told.length - rows.length;
  return [
    "### Exceptions of the policy",
    "",
    ...days.flatMap((day) => [escapeMarkdown(tellBusyDay(day)), ""]),
    ...(dead === 0 ? [] : [`${dead} of them ${dead === 1 ? "does" : "do"} nothing here.`, ""]),
    "| Until | Rule | For | What it does | Owner | Reason |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
    ...(left === 0 ? [] : ["", `… and ${left} more: \`goldenpath policy exceptions\` lists them.`]),
    "",
  ].join("\n");
}
