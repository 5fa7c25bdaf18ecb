import { posix } from "node:path";
import { isKnownError, PolicyViolation } from "@goldenpath/foundation/errors";
import { type ContextRules, judgeContext } from "../base/context/judge.ts";
import type { FileMentions } from "../base/context/mention.ts";
import type { Application } from "../build/applications.ts";
import {
  type BuildRules,
  type Detection,
  detectApplication,
  planStrategy,
  type StrategyRequest,
} from "../build/plan-strategy.ts";
import type { SurveyedTree } from "../build/survey/survey.ts";
import type { AdoptApplication, AdoptProblem, AdoptRow } from "./facts.ts";

/** What was seen of a repository. */
export interface RepositoryFacts {
  tree: SurveyedTree;
  found: FileMentions;
  hasCodeowners: boolean;
  /** Those in place of files that would have been read. */
  links: readonly string[];
}

export type JudgedRepository = Pick<AdoptRow, "verdict" | "applications" | "bases" | "problems" | "missing">;

/**
 * What the policy would say of a repository as it is today: how each of its applications would be built, and which
 * images its files name. What is missing is no refusal.
 */
export function judgeRepository(
  { tree, found, hasCodeowners, links }: RepositoryFacts,
  rules: BuildRules,
  images: ContextRules,
): JudgedRepository {
  const request: Omit<StrategyRequest, "module"> = { strategy: "auto", builder: undefined, tree, context: "." };
  const whole = detectApplication({ ...request, module: undefined });
  const several = whole.applications.map((application) => {
    const module = posix.join(application.folder, application.module);
    return planOne(rules, { ...request, module }, application);
  });
  const isNothing = several.length === 0 && whole.candidates.length === 0;
  const planned =
    several.length > 0
      ? several
      : isNothing
        ? []
        : [planOne(rules, { ...request, module: undefined }, undefined, whole)];
  const problems: AdoptProblem[] = [
    ...planned.flatMap((each) => each.problems),
    ...links.map(refuseLink),
    // What can't be read may be what says how it is built.
    ...(isNothing ? tree.top.unread.map(refuseUnread) : []),
    ...judgeContext(found, images).map(({ fix: _fix, ...each }) => each),
  ];
  const isRefused = problems.some(({ level }) => level === "refused");
  return {
    verdict: isRefused ? "refused" : isNothing ? "nothing" : "ready",
    applications: planned.map(({ application }) => application),
    bases: found.mentions.flatMap(({ use, file, line, name }) => (use === "base" ? [{ file, line, name }] : [])),
    problems,
    missing: [
      ...(isNothing ? ["nothing in it says how an image of it would be built"] : []),
      ...planned.flatMap((each) => each.missing),
      ...(hasCodeowners ? [] : ["it has no CODEOWNERS: nobody is asked to review a change of its path"]),
    ],
  };
}

interface Planned {
  application: AdoptApplication;
  problems: AdoptProblem[];
  missing: string[];
}

function planOne(
  rules: BuildRules,
  request: StrategyRequest,
  application: Application | undefined,
  whole?: Detection,
): Planned {
  const detection = whole ?? detectApplication(request);
  const place = { folder: application?.folder ?? ".", module: application?.module ?? "" };
  const asked = detection.candidates.map(({ strategy, reasons }) => `${strategy}: ${reasons.join(", ")}`).join("; ");
  try {
    const { choice, missing } = planStrategy(rules, request, detection);
    const { strategy, reason } = choice;
    return { application: { ...place, strategy, reason }, problems: [], missing };
  } catch (error) {
    if (!isKnownError(error)) throw error;
    const [first] = detection.candidates.flatMap(({ places }) => places);
    const where =
      error instanceof PolicyViolation && first !== undefined ? { file: first.file, line: first.line ?? 1 } : {};
    const wayOut = error.wayOut ?? "Name a strategy by the input 'strategy'.";
    return {
      application: { ...place, strategy: undefined, reason: asked },
      problems: [{ ...where, level: "refused", problem: error.message, wayOut }],
      missing: [],
    };
  }
}

/** A checkout has what such a link leads to, which was not looked at. */
function refuseLink(file: string): AdoptProblem {
  return {
    ...{ file, line: 1, level: "refused" },
    problem: "it is a link, and what it leads to is not looked at",
    wayOut: "Put the file itself there, or look at it in a checkout, by goldenpath base check.",
  };
}

function refuseUnread({ file, line, message }: SurveyedTree["top"]["unread"][number]): AdoptProblem {
  return { file, line: line ?? 1, level: "refused", problem: message, wayOut: "Mend the file." };
}
