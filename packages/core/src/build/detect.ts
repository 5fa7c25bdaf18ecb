import type { SourcePlace } from "@goldenpath/foundation/errors";
import { buildpacks } from "./strategies/buildpacks.ts";
import { buildsHere, type StrategyName } from "./strategies/find.ts";
import { strategies } from "./strategies/strategies.ts";
import { type BuildStrategy, type Evidence, evidenceOrder } from "./strategies/strategy.ts";
import { detectEcosystems } from "./survey/ecosystems.ts";
import type { Survey } from "./survey/survey.ts";

export interface StrategyCandidate {
  strategy: string;
  /** What speaks for it, one clause each: `package.json (Node.js) with package-lock.json`. */
  reasons: string[];
  evidence: Evidence;
  /** Where in the application's files it says so. */
  places: SourcePlace[];
}

export interface StrategyChoice {
  strategy: StrategyName;
  /** One sentence: why this one. */
  reason: string;
  /** What the application's files also ask for, and why it isn't taken. */
  notTaken: string[];
}

/** What is in an application's folder → the strategies that it speaks for, what tells most first. */
export function detectStrategies(survey: Survey): StrategyCandidate[] {
  const all: readonly BuildStrategy[] = strategies;
  return all
    .map(({ name, evidence, detect }) => ({ name, evidence, reasons: detect(survey) }))
    .map(({ name, evidence, reasons }) => ({
      strategy: name,
      reasons,
      places: findPlaces(reasons, name, survey),
      evidence: name === buildpacks.name ? evidenceOfBuildpacks(survey) : evidence,
    }))
    .filter(({ reasons }) => reasons.length > 0)
    .sort((one, other) => rankOf(one) - rankOf(other));
}

function rankOf({ evidence }: Pick<StrategyCandidate, "evidence">): number {
  return evidenceOrder.indexOf(evidence);
}

/**
 * project.toml is the buildpacks' own descriptor: whoever wrote one means them. Pages alone may belong to anything that
 * serves them.
 */
function evidenceOfBuildpacks(survey: Survey): Evidence {
  if (survey.files.includes("project.toml")) return "descriptor";
  return detectEcosystems(survey).every(({ language }) => language === "static") ? "pages" : buildpacks.evidence;
}

/** A clause begins with the file that it is about, and may have its line: `pom.xml:42 (jib-maven-plugin)`. */
function findPlaces(reasons: readonly string[], strategy: string, { path, files }: Survey): SourcePlace[] {
  return reasons.flatMap((reason) => {
    const name = files.find((each) => reason === each || [" ", ":"].some((mark) => reason.startsWith(each + mark)));
    if (name === undefined) return [];
    const line = /^:(\d+)/.exec(reason.slice(name.length))?.[1];
    const file = path === "" ? name : `${path}/${name}`;
    return [{ file, line: Number(line ?? 1), message: `asks for the strategy ${strategy}` }];
  });
}

/** Who has a say before the application's files have theirs. */
export interface Wishes {
  /** The input `strategy`. */
  asked: "auto" | StrategyName;
  /** The strategy of the builder that the input `builder` names. */
  ofBuilder: StrategyName | undefined;
  /** The strategy that reads what the input `file` names. */
  ofFile?: StrategyName | undefined;
  /** By the policy. */
  allowed: readonly StrategyName[];
  /** Those that the policy takes before others wherever anything speaks for them. */
  preferred: readonly StrategyName[];
}

/** Why there is no choice. */
export interface NoChoice {
  /** `not-allowed`: the policy has not what was asked for; `only-others`: the files ask for what it has not. */
  kind: "not-allowed" | "only-others";
  strategies: string[];
  /** What asks for it. */
  places: SourcePlace[];
}

/**
 * Which strategy builds the application. Nothing standard says which wins where several fit, so this says it, and why:
 * what the caller names, what the policy prefers, project.toml, a build plugin that makes images, the language, a
 * Dockerfile; the policy's order among equals. A strategy for which no file speaks can still be taken: the buildpacks'
 * own detection has the last word. But where the files ask for nothing else than what the policy does not allow, that
 * is the answer.
 */
export function chooseStrategy(
  { asked, ofBuilder, ofFile, allowed, preferred }: Wishes,
  candidates: readonly StrategyCandidate[],
): StrategyChoice | NoChoice {
  const named = asked === "auto" ? (ofBuilder ?? ofFile) : asked;
  if (named !== undefined && !allowed.includes(named)) return { kind: "not-allowed", strategies: [named], places: [] };
  const possible = allowed.flatMap((name) => candidates.filter(({ strategy }) => strategy === name));
  const byPolicy = preferred.flatMap((name) => possible.filter(({ strategy }) => strategy === name));
  const byFiles = possible.toSorted((one, other) => rankOf(one) - rankOf(other));
  const [first] = named === undefined ? [...byPolicy, ...byFiles] : possible.filter((each) => each.strategy === named);
  if (named === undefined && first === undefined && candidates.length > 0) return onlyOthers(candidates);
  const strategy = named ?? allowed.find((name) => name === first?.strategy) ?? allowed.find(buildsHere) ?? allowed[0];
  if (strategy === undefined) return { kind: "not-allowed", strategies: [], places: [] };
  const found =
    first === undefined ? "no file of the application speaks for a strategy" : `there is ${first.reasons.join(", ")}`;
  const why =
    asked !== "auto"
      ? `asked for by the input 'strategy'; ${found}`
      : ofBuilder !== undefined
        ? `the builder that the input 'builder' names is for it; ${found}`
        : ofFile !== undefined
          ? `it reads what the input 'file' names; ${found}`
          : `${found}, and the policy ${first !== undefined && byPolicy[0] === first ? `prefers ${strategy}` : `allows ${allowed.join(", ")}`}`;
  const rest = candidates.filter((candidate) => candidate.strategy !== strategy);
  const isNamed = named !== undefined;
  return {
    strategy,
    reason: why,
    notTaken: rest.map((each) => explainNotTaken(each, strategy, first, allowed, isNamed)),
  };
}

function explainNotTaken(
  { strategy: name, reasons, evidence }: StrategyCandidate,
  strategy: StrategyName,
  chosen: StrategyCandidate | undefined,
  allowed: readonly StrategyName[],
  isNamed: boolean,
): string {
  const isAllowed = (allowed as readonly string[]).includes(name);
  const why = !isAllowed
    ? `the policy does not allow the strategy ${name}`
    : isNamed
      ? `${strategy} was asked for`
      : chosen !== undefined && rankOf(chosen) < evidenceOrder.indexOf(evidence)
        ? `${evidenceWords[chosen.evidence]} goes before ${evidenceWords[evidence]}`
        : `the policy prefers ${strategy}`;
  return `${reasons.join(", ")}: not used, ${why}`;
}

const evidenceWords: Readonly<Record<Evidence, string>> = {
  descriptor: "project.toml",
  plugin: "a build plugin that makes images",
  language: "the language",
  dockerfile: "a Dockerfile",
  pages: "a folder of pages",
};

function onlyOthers(candidates: readonly StrategyCandidate[]): NoChoice {
  return {
    kind: "only-others",
    strategies: candidates.map(({ strategy }) => strategy),
    places: candidates.flatMap(({ places }) =>
      places.map((place) => ({ ...place, message: `${place.message}, which the policy does not allow` })),
    ),
  };
}
