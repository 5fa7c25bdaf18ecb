import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { PinnedReference, Reference, Repository } from "@goldenpath/registry-client/oci/reference";
import { isDayOver } from "../policy/day.ts";
import type { Policy, PolicyBuilder } from "../policy/schema.ts";
import type { StrategyChoice } from "./detect.ts";
import { type BuildOptions, requireTaken } from "./options.ts";
import { parsePinned } from "./pinned.ts";
import { descriptorOf, detectApplication, planStrategy, renderRemarks, type StrategyRequest } from "./plan-strategy.ts";
import { planTarget } from "./plan-target.ts";
import type { Project } from "./project.ts";
import { type BuildingStrategyName, buildsHere, findStrategy, type StrategyPlan } from "./strategies/find.ts";
import type { Builder } from "./strategies/strategy.ts";

export interface BuildRequest {
  tags: readonly string[];
  /** Which application, and what is asked for. */
  application: StrategyRequest;
  options: BuildOptions;
  /** What the application's project.toml says. */
  project: Project;
  /** The user's variables for the build. */
  variables: Readonly<Record<string, string>>;
  now: Date;
}

/** What every build needs, by whatever strategy. */
export interface PlanFrame {
  strategy: StrategyChoice & { strategy: BuildingStrategyName };
  builder: PolicyBuilder;
  /** Where the image goes. */
  repository: Repository;
  /** At least one, each with its tag and without a digest, all in `repository`. */
  tags: [Reference, ...Reference[]];
  /** The base that the builder puts applications on; undefined where the application says which one. */
  runImage: { base: string; reference: PinnedReference } | undefined;
  /** Whether the policy lets it run where nothing keeps it apart from the machine. */
  mayBeUnisolated: boolean;
  /** What a reader of the log should know and no rule forbids. */
  remarks: string[];
}

/** With what the strategy needs besides. */
export type BuildPlan = PlanFrame & StrategyPlan;

/**
 * Decides what is built, with what, on what and where to, before anything runs.
 * @throws UserError `tags-missing`, `tag-invalid`, `tags-differ`, `input-invalid`, and what {@link planStrategy} throws
 * @throws PolicyViolation of the rules `build.environment`, `build.strategy`, `build.quarantine`, `build.buildpacks`, `base.expired`
 */
export function planBuild(policy: Policy, request: BuildRequest): BuildPlan {
  const { repository, tags, remarks } = planTarget(policy, request.tags, "input 'tags'");
  const detection = detectApplication(request.application);
  const { choice, builder, missing } = planStrategy(policy, request.application, detection);
  if (builder === undefined) throw new TypeError("a policy has builders");
  const { strategy: taken } = choice;
  if (!buildsHere(taken)) throw needsImage(taken);
  const strategy = findStrategy(taken);
  requireTaken(strategy, request.options, request.variables);
  if (strategy.hasDaemon === true) requireUnisolated(policy, strategy.name);
  requireEnvironment(policy, strategy.isContained?.(builder) === true);
  requireCurrent(builder, policy, request.now);
  return {
    strategy: { ...choice, strategy: taken },
    builder: builder as PolicyBuilder,
    mayBeUnisolated: policy.build.isolation.includes("host-unisolated"),
    repository,
    tags,
    runImage:
      builder.runImage === undefined ? undefined : planRunImage(policy, builder.name, builder.runImage, request.now),
    remarks: [...remarks, ...renderRemarks(detection.survey, request.application.context), ...missing],
    ...strategy.plan(builder, policy.bases, { project: request.project, file: descriptorOf(request.application) }),
  };
}

function needsImage(strategy: string): UserError {
  return new UserError(`strategy '${strategy}' builds nothing, and input 'image' does not say which image it takes`, {
    code: "input-invalid",
    wayOut: "Give the image by its digest, HOST/NAME@sha256:DIGEST, or build by another strategy.",
  });
}

/**
 * A build image is governed by the policy, a host is not, be the build kept apart on it or not: a policy says whether
 * that is good enough.
 */
function requireEnvironment(policy: Policy, isContained: boolean): void {
  const { isolation } = policy.build;
  const fit = isContained ? ["container"] : ["host", "host-unisolated"];
  if (isolation.some((each) => fit.includes(each))) return;
  const where = isContained ? "in a build image" : "on the host";
  throw new PolicyViolation(
    `this build would run ${where}, and policy '${policy.name}' allows builds only in: ${isolation.join(", ")}`,
    {
      code: "build-environment-not-allowed",
      rule: "build.environment",
      wayOut: `Build with a builder that runs where the policy allows it, or have '${fit[0]}' added to its build.isolation.`,
    },
  );
}

/** By days of the policy alone: when an image was made, it says of itself. */
function requireCurrent({ name, approved, until, approval, digests }: Builder, { build }: Policy, now: Date): void {
  const refuse = (why: string, wayOut: string): PolicyViolation =>
    new PolicyViolation(`builder '${name}' ${why}: nothing new is built with it`, {
      code: "builder-expired",
      rule: "build.builder",
      wayOut,
    });
  if (until !== undefined && isDayOver(until, now))
    throw refuse(`was approved until ${until}`, "Use another builder, or have the approval extended in the policy.");
  // Those that hold: the policy's own list has at least one.
  if (approval !== undefined && digests?.length === 0)
    throw refuse(
      "has no version whose approval holds",
      "Have one approved: goldenpath base approve --role build-only.",
    );
  if (build.builderMaxAge === undefined || approved === undefined) return;
  const age = now.getTime() - Date.parse(`${approved}T00:00:00Z`);
  if (age >= 0 && age <= build.builderMaxAge) return;
  const why = age < 0 ? "a day that has not come" : `${Math.floor(age / 86_400_000)} days ago`;
  throw refuse(
    `was approved on ${approved}, ${why}, and the policy's builderMaxAge is ${formatAge(build.builderMaxAge)}`,
    "Use another builder, or have its newest version looked at, added to its `digests` (or `buildpacks`), and `approved` set to that day.",
  );
}

/** Milliseconds, as a policy writes them. */
function formatAge(milliseconds: number): string {
  const hours = milliseconds / 3_600_000;
  return hours % 24 === 0 ? `${hours / 24}d` : `${hours}h`;
}

function requireUnisolated(policy: Policy, strategy: string): void {
  if (policy.build.isolation.includes("host-unisolated")) return;
  throw new PolicyViolation(
    `strategy '${strategy}' gives the application's build this machine's Docker daemon, from which nothing keeps the machine apart, and policy '${policy.name}' allows builds only in: ${policy.build.isolation.join(", ")}`,
    {
      code: "build-environment-not-allowed",
      rule: "build.environment",
      wayOut:
        "Build by a strategy that needs no daemon (buildpacks, with the same builder image), or have 'host-unisolated' added to the policy's build.isolation for machines that end with the build.",
    },
  );
}

function planRunImage(policy: Policy, builder: string, runImage: string, now: Date): PlanFrame["runImage"] {
  const base = policy.bases.find((each) => each.name === runImage);
  // Appended to by whoever approves a new version: the last one is the one to build on.
  const digest = base?.digests.at(-1);
  if (base?.approval !== undefined && digest === undefined) {
    throw new PolicyViolation(`no version of base '${base.name}' has an approval that holds: nothing is built on it`, {
      code: "base-expired",
      rule: "base.approval",
      wayOut: `Have a version in ${base.image} approved: goldenpath base approve.`,
    });
  }
  if (base === undefined || digest === undefined) {
    throw new UserError(
      `builder '${builder}' of policy '${policy.name}' names the base '${runImage}', which the policy does not have`,
      {
        code: "policy-invalid",
      },
    );
  }
  if (base.until !== undefined && now.toISOString().slice(0, 10) > base.until) {
    throw new PolicyViolation(`base '${base.name}' was approved until ${base.until}: nothing new is built on it`, {
      code: "base-expired",
      rule: "base.expired",
      wayOut: "Use a builder that stands on another base, or have the approval extended in the policy.",
    });
  }
  return { base: base.name, reference: parsePinned(`${base.image}@${digest}`, `base '${base.name}'`) };
}
