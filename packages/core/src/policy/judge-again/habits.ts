import { findStartUser, type ImageHabits } from "../../base/habits/config.ts";
import { judgeHabits } from "../../base/habits/judge.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { settleViolation } from "../exceptions.ts";
import { type Antipattern, antipatternRules, nameThing, type RequiredThing } from "../images-section.ts";
import {
  type AgainFacts,
  hasLostException,
  type JudgedAgain,
  listExceptions,
  listRepositories,
  withoutExcepted,
} from "./facts.ts";

interface HabitsSeen {
  habits: ImageHabits;
  labels: Readonly<Record<string, string>>;
  /** How many layers lie above the base; undefined where nobody can tell. */
  ownLayers: number | undefined;
  /** HOST/NAME@sha256:… */
  image: string;
  statement: VerifiedStatement["statement"];
}

type Wanted = { refuse: Antipattern } | { mustHave: RequiredThing };

/**
 * What a policy's `images` says of a config, entry by entry. What is refused of that is; what only files would tell is
 * unknown, but for an entry that the older policy has as well, with the same exceptions: of that the signed verdict has told.
 */
export function judgeHabitsAgain(seen: HabitsSeen, facts: AgainFacts): JudgedAgain[] {
  const before = new Set((facts.older === undefined ? [] : listWanted(facts.older.images)).map(tellAsked));
  const settled = { exceptions: listExceptions(facts, seen.statement), enforceFrom: facts.policy.enforceFrom };
  return listWanted(facts.policy.images).flatMap((wanted): JudgedAgain[] => {
    const asks = tellAsked(wanted);
    const thing = seen.image;
    const found = judge(wanted, seen);
    if (found === "unknown") {
      const rule = "refuse" in wanted ? antipatternRules[wanted.refuse] : "base.missing";
      const problem = `\`images\` asks for ${nameOf(wanted)}, which only its files tell`;
      if (!before.has(asks)) return [{ rule, thing, problem, asks, isUnknown: true }];
      const lost = `${problem}, and an exception of ${rule} that it may have needed is gone`;
      return hasLostException({ rule }, facts, seen.statement)
        ? [{ rule, thing, problem: lost, asks, isUnknown: true }]
        : [];
    }
    const violations = found.map(({ own, file, ...each }) =>
      settleViolation(
        { ...each, thing },
        { rule: each.rule, things: listRepositories(seen.statement), own, file },
        { ...settled, now: facts.now },
      ),
    );
    return withoutExcepted(violations.map((each) => ({ ...each, asks })));
  });
}

const listWanted = ({ refuse, mustHave }: AgainFacts["policy"]["images"]): Wanted[] => [
  ...[...new Set(refuse)].map((each) => ({ refuse: each })),
  ...mustHave.map((each) => ({ mustHave: each })),
];

/** Whatever its day is. */
const tellAsked = (wanted: Wanted): string =>
  "refuse" in wanted ? JSON.stringify(wanted) : JSON.stringify({ ...wanted.mustHave, enforceFrom: undefined });

function nameOf(wanted: Wanted): string {
  if ("refuse" in wanted) return `no \`${wanted.refuse}\``;
  return nameThing(wanted.mustHave);
}

type Found = ReturnType<typeof judgeHabits>;

function judge(wanted: Wanted, { habits, labels, ownLayers }: HabitsSeen): Found | "unknown" {
  const ask = (refuse: Antipattern[], mustHave: RequiredThing[] = []): Found =>
    judgeHabits({ habits, labels, ownLayers: ownLayers ?? 0, leftovers: [] }, { refuse, mustHave });
  if ("mustHave" in wanted) return "label" in wanted.mustHave ? ask([], [wanted.mustHave]) : "unknown";
  const told = ask([wanted.refuse]);
  switch (wanted.refuse) {
    case "root-user":
      return findStartUser(habits.config?.User, undefined) === "unknown" ? "unknown" : told;
    case "committed":
      return ownLayers === undefined ? "unknown" : told;
    default:
      // That its config has none says nothing of its files.
      return told.length > 0 ? told : "unknown";
  }
}
