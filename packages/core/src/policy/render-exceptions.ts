import { cleanLine } from "@goldenpath/foundation/text/clean";
import { type ExceptionLife, isDead, listBusyDays } from "./exception-life.ts";
import { packageOf, thingOf } from "./exceptions.ts";

/** How the lives of a policy's exceptions are told: where each stands, and what is asked of its owner. */
interface LivesFacts {
  lives: readonly ExceptionLife[];
  /** `FILE:LINE` of each. */
  places: readonly string[];
  /** Days: what ends in them is told as lapsing. */
  within: number;
  /** How many results were looked at. */
  results: number;
}

/** The exceptions as lines for a terminal: those that end first come first, then days on which several end. */
export function renderLives({ lives, places, within, results }: LivesFacts): string {
  if (lives.length === 0) return "The policy has no exceptions.\n";
  const sorted = lives.toSorted((a, b) => a.daysLeft - b.daysLeft || a.index - b.index);
  const lines = sorted.flatMap((life) => {
    const { rule, owner, reason } = life.exception;
    return [
      cleanLine(
        `${places[life.index] ?? ""}: ${tellState(life)}: ${rule} for ${tellWhat(life.exception)}, by ${owner}: ${reason}`,
      ),
      ...tellUse(life, places).map((note) => `    ${cleanLine(note)}`),
    ];
  });
  const busy = listBusyDays(lives).map(({ day, count }) => `${count} exceptions end on ${day}, all at once.`);
  const count = (state: ExceptionLife["state"]): number => lives.filter((life) => life.state === state).length;
  const dead = lives.filter(isDead).length;
  return `${[
    ...lines,
    "",
    ...busy,
    `${count("lapsed")} over, ${count("lapsing")} within ${within} days, ${count("holds")} later; ${dead} that do nothing${
      results === 0 ? " as far as the policy itself tells: no results were given" : `, by ${results} results`
    }.`,
  ].join("\n")}\n`;
}

/** What it is for: `CVE-2026-1234 in lodash`. */
export function tellWhat(exception: ExceptionLife["exception"]): string {
  const [within, { gate, file }] = [packageOf(exception), exception];
  return `${thingOf(exception)}${within === undefined ? "" : ` in ${within}`}${gate === undefined ? "" : ` at gate ${gate}`}${file === undefined ? "" : ` at ${file}`}`;
}

export function tellState({ state, daysLeft, exception: { expires } }: ExceptionLife): string {
  if (state === "lapsed") return `over since ${expires}`;
  if (daysLeft === 0) return `ends today, ${expires}`;
  return `until ${expires}, ${daysLeft} ${daysLeft === 1 ? "day" : "days"}`;
}

/** Notes on what it does; `places` are those of the policy's exceptions. */
export function tellUse({ use, overtakenBy, state }: ExceptionLife, places: readonly string[]): string[] {
  if (overtakenBy !== undefined)
    return [`does nothing: ${places[overtakenBy] ?? "another"} is for the same, and ends no sooner`];
  if (use === undefined) return [];
  if (use.violations === 0) return ["matches nothing of the results"];
  const of = `${use.violations} ${use.violations === 1 ? "violation" : "violations"} of ${use.images} ${use.images === 1 ? "image" : "images"}`;
  return [state === "lapsed" ? `would be for ${of}, which count: mend them, or have it renewed` : `sets aside ${of}`];
}

/** The same for programs: `daysLeft` in full UTC days, `use` where results were given. */
export function describeLives({ lives, places, within, results }: LivesFacts): Record<string, unknown> {
  return {
    ...{ within, results },
    exceptions: lives.map((life) => {
      const { exception, index, overtakenBy, ...rest } = life;
      const overtaking = overtakenBy === undefined ? {} : { overtakenBy: places[overtakenBy] };
      return { ...exception, place: places[index], ...rest, ...overtaking, dead: isDead(life) };
    }),
    days: listBusyDays(lives),
  };
}
