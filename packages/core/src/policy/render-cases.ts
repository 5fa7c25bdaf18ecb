import type { Rule } from "@goldenpath/foundation/rules";
import { tellDay } from "../result.ts";
import type { CaseAnswer } from "./judge-cases.ts";

/** An answer, with the case that it is of. */
export interface PlacedAnswer extends CaseAnswer {
  /** `policy.cases.yaml:12` */
  place: string;
  name: string;
}

/** For a terminal: what differs, with why; and how many hold. */
export function renderCases(answers: readonly PlacedAnswer[]): string {
  const differing = answers.filter(({ holds }) => !holds);
  const lines = differing.flatMap(({ place, name, of, expected, found, problems }) => [
    `${place}: ${name}: ${of}: expected ${tellRules(expected)}, and it is ${tellRules(found)}`,
    ...problems.map(
      ({ rule, problem, from }) => `    ${from === undefined ? "" : `${tellDay(from)}: `}${rule}: ${problem}`,
    ),
  ]);
  const waiting = answers.flatMap(({ place, name, of, warned }) =>
    warned.map((each) => `${place}: ${name}: ${of}: only warns: ${each.replace(" ", ", which will fail from ")}`),
  );
  const cases = new Set(answers.map(({ place }) => place)).size;
  const count = `${answers.length - differing.length} of ${answers.length} expectations of ${cases} ${cases === 1 ? "case" : "cases"} hold.`;
  const told = [...lines, ...waiting];
  return `${told.length === 0 ? "" : `${told.join("\n")}\n\n`}${count}\n`;
}

function tellRules(rules: readonly Rule[]): string {
  return rules.length === 0 ? "a pass" : `refused by ${rules.join(", ")}`;
}
