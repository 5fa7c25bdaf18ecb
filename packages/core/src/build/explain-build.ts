import { isKnownError } from "@goldenpath/foundation/errors";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import type { Application } from "./applications.ts";
import {
  type BuildRules,
  type ChosenStrategy,
  type Detection,
  descriptorOf,
  detectApplication,
  planStrategy,
  renderRemarks,
  type StrategyRequest,
} from "./plan-strategy.ts";
import { emptyProject, type Project } from "./project.ts";
import { type BuildpacksBuilder, buildpacks } from "./strategies/buildpacks.ts";
import { kindOf } from "./strategies/find.ts";
import { type ExplainedBuildpack, explainOwnBuildpacks } from "./strategies/own-buildpacks.ts";
import type { Builder } from "./strategies/strategy.ts";
import { detectEcosystems } from "./survey/ecosystems.ts";
import { dockerfileName } from "./survey/markers.ts";
import type { Survey } from "./survey/survey.ts";

/** What is said of how an application is built, before anything of it is. All of it is clean text. */
export interface Explanation {
  context: string;
  module?: string;
  /** What was found in the folder, a file or a plugin each. */
  found: string[];
  /** What applies, what tells most first. */
  strategies: { strategy: string; isAllowed: boolean; reasons: string[] }[];
  /** Missing, where none can be taken: `problem` says why. */
  chosen?: { strategy: string; reason: string; builder?: string; base?: string };
  notTaken: string[];
  /** What project.toml brings, where the strategy goes by it, and what is against each. */
  buildpacks: ExplainedBuildpack[];
  /** Sentences: what the application has not that its image would need. */
  missing: string[];
  /** Where the folder is no application itself: those below it, each what a job of a matrix is given. */
  applications: Application[];
  /** What was not read, or is no part of what was looked at. */
  remarks: string[];
  problem?: { code: string; message: string; wayOut?: string };
}

/** An explanation, and the error with which a build would end where it can't begin. */
export interface Explained {
  explanation: Explanation;
  error: unknown;
}

/**
 * Says how an application would be built under a policy, or under none (`rules` then allow everything and have no
 * builders).
 * @param project what the application's project.toml says
 */
export function explainBuild(rules: BuildRules, request: StrategyRequest, project: Project = emptyProject): Explained {
  const detection = detectApplication(request);
  let chosen: ChosenStrategy | undefined;
  let error: unknown;
  try {
    chosen = planStrategy(rules, request, detection);
    planOwn(chosen, project, request);
  } catch (thrown) {
    error = thrown;
  }
  const explanation = describe(rules, request, detection, chosen, error);
  return { explanation: { ...explanation, buildpacks: explainOwn(chosen, project, request) }, error };
}

function isOfBuildpacks(builder: Builder): builder is BuildpacksBuilder {
  return kindOf(builder) === buildpacks.name;
}

/** @throws PolicyViolation, as a build would, at the first that its builder does not allow */
function planOwn({ builder }: ChosenStrategy, project: Project, request: StrategyRequest): void {
  if (builder === undefined || !isOfBuildpacks(builder)) return;
  buildpacks.plan(builder, [], { project, file: descriptorOf(request) });
}

function explainOwn(
  chosen: ChosenStrategy | undefined,
  { buildpacks: declared = [] }: Project,
  request: StrategyRequest,
): ExplainedBuildpack[] {
  if (chosen?.choice.strategy !== buildpacks.name) return [];
  const allowance = chosen.builder !== undefined && isOfBuildpacks(chosen.builder) ? chosen.builder : undefined;
  return explainOwnBuildpacks(declared, allowance, { file: descriptorOf(request) }).map((each) => ({
    ...each,
    buildpack: cleanLine(each.buildpack),
    ...(each.problem === undefined ? {} : { problem: cleanLine(each.problem) }),
  }));
}

function describe(
  rules: BuildRules,
  { context, module }: StrategyRequest,
  { survey, candidates, applications }: Detection,
  chosen: ChosenStrategy | undefined,
  error: unknown,
): Omit<Explanation, "buildpacks"> {
  return {
    context: cleanLine(context),
    ...(module === undefined ? {} : { module: cleanLine(module) }),
    found: listFound(survey).map((each) => cleanLine(each)),
    strategies: candidates.map(({ strategy, reasons }) => ({
      strategy,
      isAllowed: (rules.build.strategies as readonly string[]).includes(strategy),
      reasons: reasons.map((each) => cleanLine(each)),
    })),
    ...(chosen === undefined ? {} : { chosen: describeChoice(chosen) }),
    notTaken: (chosen?.choice.notTaken ?? []).map((each) => cleanLine(each)),
    missing: (chosen?.missing ?? []).map((each) => cleanLine(each)),
    applications: applications.map((each) => cleanApplication(each)),
    remarks: renderRemarks(survey, context),
    ...(isKnownError(error) ? { problem: describeProblem(error) } : {}),
  };
}

function describeChoice({ choice, builder }: ChosenStrategy): NonNullable<Explanation["chosen"]> {
  return {
    strategy: choice.strategy,
    reason: cleanLine(choice.reason),
    ...(builder === undefined ? {} : { builder: builder.name }),
    ...(builder?.runImage === undefined ? {} : { base: builder.runImage }),
  };
}

function cleanApplication(application: Application): Application {
  return { ...application, reason: cleanLine(application.reason) };
}

/** What stands against a build, as an explanation has it. */
export function describeProblem(error: {
  code: string;
  message: string;
  wayOut: string | undefined;
}): NonNullable<Explanation["problem"]> {
  return { code: error.code, message: error.message, ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }) };
}

function listFound(survey: Survey): string[] {
  const { files, maven, gradle, node, go, processes } = survey;
  return [
    ...(files.includes("project.toml") ? ["project.toml"] : []),
    ...detectEcosystems(survey).map(
      ({ file, title, lock }) => `${file} (${title})${lock === undefined ? "" : ` with ${lock}`}`,
    ),
    ...(maven?.outerParent === undefined ? [] : [`pom.xml: parent ${maven.outerParent}`]),
    ...(maven?.plugins ?? []).map(
      ({ artifactId, version, profile, isManaged, skipped, place }) =>
        `${place.file}:${place.line}: plugin ${artifactId}${version === undefined ? "" : ` ${version}`}${isManaged ? ", managed" : ""}${profile === undefined ? "" : `, in the profile ${profile}`}${skipped === undefined ? "" : `, told to skip its work at ${skipped.file}:${skipped.line}`}`,
    ),
    ...(maven?.modules ?? []).map((module) => `pom.xml: module ${module}`),
    ...(gradle?.plugins ?? []).map(
      ({ id, version, place }) =>
        `${place.file}:${place.line}: plugin ${id}${version === undefined ? "" : ` ${version}`}`,
    ),
    ...(gradle?.modules ?? []).map((module) => `${gradle?.file}: project ${module}`),
    ...(node?.workspaces ?? []).map((pattern) => `package.json: workspaces ${pattern}`),
    ...(go?.programs ?? []).map((folder) => `go.mod: a program in ${folder === "" ? "the folder itself" : folder}`),
    ...(processes ?? []).map((process) => `Procfile: process ${process}`),
    ...files.filter((name) => dockerfileName.test(name)),
  ];
}

/** For a log, a line each. */
export function renderExplanation(explanation: Explanation): string[] {
  const { context, module, found, strategies, chosen, notTaken, missing, applications, remarks } = explanation;
  const title = `${context === "." ? "the folder" : context}${module === undefined ? "" : `, module ${module}`}`;
  return [
    `${title}: ${found.length === 0 ? "nothing that says how it is built" : "found"}`,
    ...found.map((each) => `  ${each}`),
    ...(strategies.length === 0 ? [] : ["strategies that apply, what tells most first"]),
    ...strategies.map(
      ({ strategy, isAllowed, reasons }) =>
        `  ${strategy}${isAllowed ? "" : " (not allowed by the policy)"}: ${reasons.join(", ")}`,
    ),
    ...(chosen === undefined ? [] : [`chosen: ${chosen.strategy}`, `  ${chosen.reason}`]),
    ...(chosen?.builder === undefined
      ? []
      : [`  builder ${chosen.builder}${chosen.base === undefined ? "" : `, on base ${chosen.base}`}`]),
    ...notTaken.map((each) => `  ${each}`),
    ...(explanation.buildpacks.length === 0 ? [] : ["buildpacks that project.toml brings"]),
    ...explanation.buildpacks.map((each) => `  ${renderBuildpack(each, chosen?.builder)}`),
    ...missing.map((each) => `missing: ${each}`),
    ...(applications.length === 0 ? [] : [`applications below it: ${applications.length}`]),
    ...applications.map(
      ({ context: folder, module: inner, strategy, reason }) =>
        `  ${folder}${inner === "" ? "" : ` (module ${inner})`}: ${strategy}, ${reason}`,
    ),
    ...remarks.map((each) => `noted: ${each}`),
  ];
}

function renderBuildpack({ buildpack, file, line, problem }: ExplainedBuildpack, builder: string | undefined): string {
  if (problem !== undefined) return `refused: ${problem}`;
  const where = line === undefined ? file : `${file}:${line}`;
  return `${where}: ${buildpack}, ${builder === undefined ? "which needs a builder that allows it" : `which builder ${builder} allows`}`;
}
