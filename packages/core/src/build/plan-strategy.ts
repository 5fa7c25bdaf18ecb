import { posix } from "node:path";
import { PolicyViolation, type SourcePlace, UserError } from "@goldenpath/foundation/errors";
import { cleanLine, trimEnd } from "@goldenpath/foundation/text/clean";
import { type Application, listApplications } from "./applications.ts";
import {
  chooseStrategy,
  detectStrategies,
  type NoChoice,
  type StrategyCandidate,
  type StrategyChoice,
  type Wishes,
} from "./detect.ts";
import { listMissing } from "./missing.ts";
import { findStrategy, kindOf, ownPolicy, type StrategyName, strategyNames } from "./strategies/find.ts";
import type { Builder, BuildStrategy } from "./strategies/strategy.ts";
import { detectEcosystems, type Ecosystem, languageTitles } from "./survey/ecosystems.ts";
import { listDockerfiles } from "./survey/markers.ts";
import type { Survey, SurveyedTree } from "./survey/survey.ts";

/** What of a policy has a say in how an application is built. */
export interface BuildRules {
  name: string;
  build: {
    strategies: readonly StrategyName[];
    prefer?: readonly StrategyName[] | undefined;
    /** Undefined where nobody's policy was given. */
    builders: readonly Builder[] | undefined;
  };
}

/** Without a policy: every strategy, by no builder. */
export const noRules: BuildRules = { name: "none", build: { strategies: strategyNames, builders: undefined } };

/** What a caller says of it. */
export interface StrategyRequest {
  strategy: "auto" | StrategyName;
  builder: string | undefined;
  /** The folder of the application in what was looked at, where that has several. */
  module: string | undefined;
  /** The file that says how it is built, such as a Dockerfile, where it is named. */
  file?: string | undefined;
  tree: SurveyedTree;
  /** That folder, by its path from the root of the checkout: for places in it. */
  context: string;
}

/** What is known of an application before a strategy is taken. */
export interface Detection {
  /** Of the application's own folder. */
  survey: Survey;
  candidates: StrategyCandidate[];
  /** Several, where the folder that was given is not one. */
  applications: Application[];
}

/** How it is built. */
export interface ChosenStrategy {
  choice: StrategyChoice;
  /** Undefined where nobody's policy was given. */
  builder: Builder | undefined;
  /** Sentences: what the application has not that its image would need. */
  missing: string[];
}

/**
 * Looks at what was found.
 * @throws UserError `input-invalid` where there is no such module
 */
export function detectApplication({
  tree,
  module,
  context,
}: Pick<StrategyRequest, "tree" | "module" | "context">): Detection {
  const applications = listApplications(tree, context);
  if (module === undefined) return { survey: tree.top, candidates: detectStrategies(tree.top), applications };
  const folder = trimEnd(module.replace(/^\.\//, ""), "/");
  const survey = tree.below.find(({ path }) => path === folder);
  if (survey !== undefined) return { survey, candidates: detectStrategies(survey), applications: [] };
  throw new UserError(
    `input 'module' is '${module}': there is no application in that folder of '${context}' (there is: ${tree.below.map(({ path }) => path).join(", ") || "none"})`,
    { code: "input-invalid", wayOut: "Give a folder from 'context', without a leading slash, or leave the input out." },
  );
}

/**
 * How the application is built, by what the policy has.
 * @throws UserError `applications-several`, `application-unread`, `builder-unknown`, `builder-language`
 * @throws PolicyViolation of the rule `build.strategy`
 */
export function planStrategy(rules: BuildRules, request: StrategyRequest, detection: Detection): ChosenStrategy {
  const { survey, candidates, applications } = detection;
  // A strategy or a file that is named is about this folder.
  const isMeant = request.strategy !== "auto" || request.file !== undefined;
  if (applications.length > 0 && !isMeant) throw severalApplications(applications, request.context);
  const wishes = readWishes(rules, request);
  const isNamed = wishes.asked !== "auto" || wishes.ofBuilder !== undefined || wishes.ofFile !== undefined;
  const isOpen = !isNamed && wishes.allowed.length > 1;
  if (isOpen && survey.unread.length > 0) throw unreadApplication(survey.unread, request.context);
  const { left, passedOver } = isNamed ? { left: candidates, passedOver: [] } : passOver(rules, candidates, survey);
  const choice = chooseStrategy(wishes, left);
  if ("kind" in choice) throw refuseStrategy(rules, choice, request, survey);
  const strategy = findStrategy(choice.strategy);
  const { builders } = rules.build;
  const builder =
    builders === undefined
      ? undefined
      : findBuilder(
          rules.name,
          ownPolicy({ name: rules.name, build: { builders } }, strategy).builders,
          request,
          survey,
        );
  const missing = strategy.evidence === "language" ? listMissing(survey) : [];
  const notTaken = [...passedOver, ...choice.notTaken];
  return { choice: { ...choice, notTaken }, builder, missing: [...listUnclear(strategy, request, survey), ...missing] };
}

/**
 * A language that no builder of the policy builds gives way to what else the application has and the policy allows: to
 * its Dockerfile, mostly. Where there is nothing else, that is what is missing.
 */
function passOver(
  { build }: BuildRules,
  candidates: readonly StrategyCandidate[],
  survey: Survey,
): { left: readonly StrategyCandidate[]; passedOver: string[] } {
  const { builders, strategies } = build;
  const isAllowed = ({ strategy }: StrategyCandidate): boolean => (strategies as readonly string[]).includes(strategy);
  const ecosystems = detectEcosystems(survey);
  const lacksBuilder = ({ strategy, evidence }: StrategyCandidate): boolean =>
    evidence === "language" &&
    builders !== undefined &&
    findFor(
      builders.filter((builder) => kindOf(builder) === strategy),
      ecosystems,
    ) === undefined;
  const left = candidates.filter((each) => !lacksBuilder(each));
  if (!left.some(isAllowed)) return { left: candidates, passedOver: [] };
  const passedOver = candidates
    .filter((each) => isAllowed(each) && lacksBuilder(each))
    .map(
      ({ reasons }) => `${reasons.join(", ")}: not used, no builder of the policy builds ${nameLanguages(ecosystems)}`,
    );
  return { left, passedOver };
}

function nameLanguages(ecosystems: readonly Ecosystem[]): string {
  return [...new Set(ecosystems.map(({ language }) => languageTitles[language]))].join(" or ");
}

/** What there is more of than the strategy can tell apart, or around it, a sentence each. */
function listUnclear(
  { evidence }: Pick<BuildStrategy, "evidence">,
  { context, file }: StrategyRequest,
  survey: Survey,
): string[] {
  if (evidence === "dockerfile") {
    const [first, ...others] = file === undefined ? listDockerfiles(survey) : [];
    if (others.length === 0) return [];
    const named = cleanLine([first, ...others].join(", "));
    return [`there are several Dockerfiles (${named}): say which by the input 'file'`];
  }
  const { frame } = survey;
  if (frame === undefined) return [];
  const outer = posix.join(context, ...frame.module.split("/").map(() => ".."));
  const [folder, module] = [cleanLine(outer), cleanLine(frame.module)];
  return [
    `this folder is '${module}' of a larger build (${posix.join(folder, frame.file)}), whose lock file, settings and other members are not in context '${cleanLine(context)}': give context '${folder}' and module '${module}' where it needs them`,
  ];
}

function readWishes({ build }: BuildRules, { strategy, builder, file }: StrategyRequest): Wishes {
  const named = build.builders?.find(({ name }) => name === builder);
  const kind = named === undefined ? undefined : kindOf(named);
  return {
    asked: strategy,
    ofBuilder: strategyNames.find((name) => name === kind),
    ofFile: file === undefined ? undefined : findReader(build.strategies),
    allowed: build.strategies,
    preferred: build.prefer ?? [],
  };
}

/** Of the strategies that read a file, the first of the table that the policy allows; where it allows none, the first. */
function findReader(allowed: readonly StrategyName[]): StrategyName | undefined {
  const readers = strategyNames.filter((name) => findStrategy(name).takes.includes("file"));
  return readers.find((name) => allowed.includes(name)) ?? readers[0];
}

function severalApplications(applications: readonly Application[], context: string): UserError {
  const listed = applications.map(
    ({ context: folder, module, strategy, reason }) =>
      `  context: ${folder}${module === "" ? "" : `, module: ${module}`} (${strategy}: ${reason})`,
  );
  const isByFile = applications.some(({ strategy }) => strategy === "dockerfile");
  const ofWhole = isByFile ? ` A Dockerfile that copies from all of '${context}' is named by the input 'file'.` : "";
  const count =
    applications.length === 1 ? "is an application below it" : `are ${applications.length} applications below it`;
  return new UserError(
    `input 'context' is '${context}': that is no application itself, and there ${count}:\n${listed.join("\n")}`,
    {
      code: "applications-several",
      wayOut: `Name one by the inputs 'context' and 'module', or build each in a job of its own: the output 'applications' of a run with 'explain: true' is the list for a matrix.${ofWhole}`,
    },
  );
}

function unreadApplication(unread: readonly SourcePlace[], context: string): UserError {
  const listed = unread.map(({ file, line, message }) => `${file}${line === undefined ? "" : `:${line}`}: ${message}`);
  return new UserError(
    `what the application asks for is not known, since a file of it was not read: ${listed.join("; ")}`,
    {
      code: "application-unread",
      wayOut: "Mend the file, or say by the input 'strategy' how to build.",
      places: unread.map((place) => placeIn(context, place)),
    },
  );
}

/** Where an application's project.toml is, from the checkout's root. */
export function descriptorOf({ context }: Pick<StrategyRequest, "context">): string {
  return context === "." ? "project.toml" : `${context}/project.toml`;
}

/** A place by its path from the checkout's root, as a change shows it. */
export function placeIn(context: string, place: SourcePlace): SourcePlace {
  return context === "" || context === "." ? place : { ...place, file: `${context}/${place.file}` };
}

/** What was not read of a folder and what is passed over, a line each. */
export function renderRemarks({ unread, remarks }: Survey, context: string): string[] {
  return [...unread, ...remarks]
    .map((place) => placeIn(context, place))
    .map(({ file, line, message }) => cleanLine(`${file}${line === undefined ? "" : `:${line}`}: ${message}`));
}

function refuseStrategy(
  { name, build }: BuildRules,
  { kind, strategies, places }: NoChoice,
  request: StrategyRequest,
  survey: Survey,
): PolicyViolation {
  const allowed = build.strategies.join(", ") || "it allows none";
  if (kind === "not-allowed") {
    return new PolicyViolation(
      `strategy '${strategies[0] ?? request.strategy}' is not one that policy '${name}' allows: ${allowed}`,
      {
        code: "build-strategy-not-allowed",
        rule: "build.strategy",
        wayOut: "Use 'strategy: auto', or have the strategy added to the policy's build.strategies.",
      },
    );
  }
  const asked = places.map(({ file, line }) => `${file}:${line}`).join(", ");
  const idle = build.strategies.flatMap((each) => findStrategy(each).findIdle?.(survey) ?? []);
  const remark = idle.map(({ file, line, message }) => `; ${file}:${line}: ${message}`).join("");
  return new PolicyViolation(
    `the application asks for the strategy ${strategies.join(" or ")} (${asked}), and policy '${name}' allows: ${allowed}${remark}`,
    {
      code: "build-strategy-not-allowed",
      rule: "build.strategy",
      wayOut:
        "Add what one of those is detected by (for buildpacks a package.json, pom.xml, go.mod or project.toml), name one by the input 'strategy', or have the strategy added to the policy's build.strategies.",
      places: [...places, ...idle].map((place) => placeIn(request.context, place)),
    },
  );
}

/** The main language decides, where there are several: a builder for its pages alone would leave the application out. */
function findFor(builders: readonly Builder[], ecosystems: readonly Ecosystem[]): Builder | undefined {
  if (ecosystems.length === 0) return builders[0];
  for (const { language } of ecosystems) {
    const builder = builders.find(({ languages }) => languages?.includes(language) ?? true);
    if (builder !== undefined) return builder;
  }
  return undefined;
}

/** Of the strategy's own builders: the one that is named, else the first that builds the application's language. */
function findBuilder(
  policyName: string,
  builders: readonly Builder[],
  { builder: name, context }: StrategyRequest,
  survey: Survey,
): Builder {
  const ecosystems = detectEcosystems(survey);
  const fits = ({ languages }: Builder): boolean =>
    languages === undefined ||
    ecosystems.length === 0 ||
    ecosystems.some(({ language }) => languages.includes(language));
  const builder = name === undefined ? findFor(builders, ecosystems) : builders.find((each) => each.name === name);
  if (builder !== undefined && fits(builder)) return builder;
  const listed = builders.map((each) =>
    each.languages === undefined ? each.name : `${each.name} (${each.languages.join(", ")})`,
  );
  if (name !== undefined && builder === undefined) {
    throw new UserError(`input 'builder' is '${name}': policy '${policyName}' has the builders ${listed.join(", ")}`, {
      code: "builder-unknown",
      wayOut: "Name one of them, or leave the input out for the first that fits.",
    });
  }
  const found = ecosystems.map(({ file, title }) => `${file}: ${title}`).join(", ");
  throw new UserError(
    `no builder of policy '${policyName}' builds this application (${found}): it has ${listed.join(", ") || "none for the strategy"}`,
    {
      code: "builder-language",
      wayOut: `Have a builder with ${nameLanguages(ecosystems)} added to the policy's build.builders.`,
      places: ecosystems.map(({ file, title }) =>
        placeIn(context, {
          file: survey.path === "" ? file : `${survey.path}/${file}`,
          line: 1,
          message: `${title}: no builder of the policy builds it`,
        }),
      ),
    },
  );
}
