import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { isOfElsewhere } from "../build/strategies/find.ts";
import type { Policy, PolicyEnvironment } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { type Provenance, readProvenance } from "../signing/provenance.ts";
import { findDifferences } from "../signing/run-differences.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import type { GateFacts, Problem } from "./facts.ts";
import { matchesSource, matchesWorkflow } from "./match-source.ts";

/** Which builds may become which images: one entry of `build.sources`, in its long form. */
export type SourceBinding = Exclude<Policy["build"]["sources"][number], string>;

/**
 * Events whose runs build what is in the repository. Of the others, a pull request's run builds what somebody proposes;
 * `workflow_run`, `issue_comment` and their like let somebody without write access start one.
 * https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
 */
const ownEvents: readonly string[] = [
  "push",
  "release",
  "create",
  "schedule",
  "workflow_dispatch",
  "repository_dispatch",
];

/** False for an event that whoever may only propose can start, whether or not a policy takes builds of it. */
export function isOwnEvent(event: string): boolean {
  return ownEvents.includes(event);
}

export function listSources({ build }: Policy): SourceBinding[] {
  return build.sources.map((source) => (typeof source === "string" ? { repository: source } : source));
}

type Built = Pick<Provenance, "sourceRepository" | "sourceRef" | "event" | "callerId" | "builderId">;

/**
 * What a build is held to: an entry of `build.sources` has to take its repository, ref, builder, caller and event, all
 * at once; and of those that do, one has to let it become what it is promoted to. `destination`: undefined before that
 * is known.
 */
export function judgeSource(policy: Policy, built: Built, destination: Repository | undefined): Problem[] {
  const sources = listSources(policy);
  const own = sources.filter(({ repository }) => matchesSource(built.sourceRepository, repository));
  const ask = "have the policy's owners add this one to build.sources.";
  if (own.length === 0) {
    return [
      {
        rule: "gate.source",
        problem: `the image was built from ${built.sourceRepository}, and the policy accepts builds from ${sources.map(({ repository }) => repository).join(", ")}`,
        wayOut: `Build from one of those repositories, or ${ask}`,
      },
    ];
  }
  const against = own.map((source) => describeMismatch(source, built));
  const fitting = own.filter((_, index) => against[index] === undefined);
  if (fitting.length === 0) {
    const problem = `the build from ${built.sourceRepository} is none that the policy accepts from there: ${[...new Set(against)].join("; or ")}`;
    return [{ rule: "gate.source", problem, wayOut: `Build as build.sources says, or ${ask}` }];
  }
  if (destination === undefined || fitting.some((source) => mayBecome(source, built.sourceRepository, destination)))
    return [];
  const allowed = fitting.flatMap(({ to }) => to ?? []).join(", ");
  const problem = `what is built from ${built.sourceRepository} is promoted to ${allowed}, and not to ${formatRepository(destination)}`;
  return [
    {
      rule: "gate.destination",
      problem,
      wayOut: "Promote it to its own repository, or have the policy's owners add this one to build.sources.",
    },
  ];
}

/**
 * Why an entry does not take a build of its repository; undefined where it does. What is demanded and not known is not
 * met.
 */
function describeMismatch(source: SourceBinding, built: Built): string | undefined {
  const { sourceRef: ref, event, callerId, builderId } = built;
  const unless = (
    isMet: boolean,
    what: string,
    found: string | undefined,
    wanted: readonly string[],
  ): string | undefined => (isMet ? undefined : `${what} is ${found ?? "unknown"}, and it takes ${wanted.join(", ")}`);
  return (
    unless(
      source.refs === undefined || matchesAny(ref, source.refs, matchesSource),
      "its ref",
      ref,
      source.refs ?? [],
    ) ??
    unless(
      source.workflows === undefined || matchesAny(builderId, source.workflows, matchesWorkflow),
      "its builder",
      builderId,
      source.workflows ?? [],
    ) ??
    unless(
      source.callers === undefined || matchesAny(callerId, source.callers, matchesWorkflow),
      "its workflow",
      callerId,
      source.callers ?? [],
    ) ??
    unless(isAcceptedEvent(source, event), "its event", event, source.events ?? ownEvents) ??
    // Provenance of before events were stated says so by its ref alone.
    unless(
      source.events !== undefined || source.refs !== undefined || ref?.startsWith("refs/pull/") !== true,
      "its ref",
      ref,
      ["no pull request's"],
    )
  );
}

function isAcceptedEvent({ events }: SourceBinding, event: string | undefined): boolean {
  if (events !== undefined) return event !== undefined && events.includes(event);
  return event === undefined || isOwnEvent(event);
}

function matchesAny(
  text: string | undefined,
  patterns: readonly string[],
  matches: (text: string, pattern: string) => boolean,
): boolean {
  return text !== undefined && patterns.some((pattern) => matches(text, pattern));
}

function mayBecome({ to }: SourceBinding, sourceRepository: string, destination: Repository): boolean {
  if (to === undefined) return true;
  const [name = "", owner = ""] = sourceRepository.toLowerCase().split("/").toReversed();
  const full = formatRepository(destination);
  return to.some((pattern) => {
    const filled = pattern.replaceAll("{name}", name).replaceAll("{owner}", owner);
    // One repository, unless the entry says that it means what lies below: another team's may lie there.
    return filled.endsWith("/") ? full.startsWith(filled) : full === filled;
  });
}

/**
 * Where an environment takes what another has promoted, and so asks for no build itself: the build has to be let become
 * what it is promoted to here as well. Only where the policy binds sources to destinations at all.
 */
export function judgePromotedSource(facts: GateFacts, evidence: CollectedEvidence): Violation[] {
  const { policy } = facts.policy;
  const destination = destinationOf(facts);
  const isBound = listSources(policy).some(({ to }) => to !== undefined);
  if (!isBound || destination === undefined || facts.environment.requires.some(({ stage }) => stage === "build"))
    return [];
  const { digest } = facts.image;
  const thing = `build of ${digest}`;
  const provenances = readBuilds(policy, facts.environment, evidence);
  if (provenances.length === 0)
    return [{ rule: "gate.destination", thing, ...explainNoBuild(facts, "what the image may become") }];
  // What is out of its signer's time proves nothing, and may tell against the image.
  const past = readBuilds(policy, facts.environment, { statements: evidence.lapsed });
  const problems = [
    ...judgeSources(policy, provenances, destination),
    ...(past.length === 0 ? [] : judgeSources(policy, [...provenances, ...past], destination)),
  ];
  return [...new Map(problems.map((problem) => [problem.problem, { ...problem, thing }])).values()];
}

/** Why nothing is known of the build of what another environment has promoted. */
export function explainNoBuild(facts: GateFacts, untold: string): Pick<Problem, "problem" | "wayOut"> {
  const isAnybodys = listBuilders(facts.policy.policy, facts.environment).size === 0;
  const problem = isAnybodys
    ? `environment '${facts.environmentName}' does not say whose builds it takes`
    : "the build's provenance is not there";
  const wayOut = isAnybodys
    ? "Have the policy's owners name in its promote requirement the environment that it takes images from."
    : "Promote it with its evidence, from where that is.";
  return { problem: `${problem}, so that it can't be told ${untold}`, wayOut };
}

/**
 * What is believed of how one image was built, held to `build.sources`: by the newest, and of several that are equally
 * new by each one. Only what the image may become is asked of the older ones as well: what another team's build has
 * made is not this team's because a build of its own brings the same bytes.
 */
export function judgeSources(
  policy: Policy,
  provenances: readonly (Built & Pick<Provenance, "finishedOn">)[],
  destination: Repository | undefined,
): Problem[] {
  const latest = Math.max(...provenances.map(({ finishedOn }) => finishedOn.getTime()));
  const problems = provenances.flatMap((provenance) => {
    const found = judgeSource(policy, provenance, destination);
    return provenance.finishedOn.getTime() === latest ? found : found.filter(({ rule }) => rule === "gate.destination");
  });
  return [...new Map(problems.map((problem) => [problem.problem, problem])).values()];
}

/**
 * What builders have signed about an image: whoever speaks for `build` in the environment, or in those that it takes
 * images from. A lesser environment's builder says nothing about what is promoted into another.
 */
export function readBuilds(
  policy: Policy,
  environment: PolicyEnvironment,
  evidence: Pick<CollectedEvidence, "statements">,
): Provenance[] {
  return readBuildsBy(listBuilders(policy, environment), evidence);
}

/** Whoever speaks for `build` in any environment of the policy. */
export function readAnyBuilds({ environments }: Policy, evidence: Pick<CollectedEvidence, "statements">): Provenance[] {
  const required = Object.values(environments).flatMap(({ requires }) => requires);
  const speakers = required.filter(({ stage }) => stage === "build").flatMap(({ signers }) => signers);
  return readBuildsBy(new Set(speakers), evidence);
}

function readBuildsBy(
  speakers: ReadonlySet<string>,
  { statements }: Pick<CollectedEvidence, "statements">,
): Provenance[] {
  return statements
    .filter(
      ({ signers, statement }) =>
        statement.predicateType === predicateTypes.provenance && signers.some((name) => speakers.has(name)),
    )
    .flatMap(({ statement, identity }) => {
      const provenance = readProvenance(statement);
      // What a certificate contradicts is nobody's word.
      return "problem" in provenance ||
        (identity !== undefined && findDifferences(provenance, identity, isOfElsewhere(provenance)).length > 0)
        ? []
        : [provenance];
    });
}

/**
 * An environment that asks for no build takes what others have promoted: by the environment that a requirement names,
 * or by whom the promotion may be signed. Where several come into question, only who builds for each of them: whoever
 * builds for the least of them could otherwise speak in all.
 */
function listBuilders(
  policy: Policy,
  environment: PolicyEnvironment,
  passed: readonly PolicyEnvironment[] = [],
): Set<string> {
  const own = environment.requires.filter(({ stage }) => stage === "build");
  if (own.length > 0) return new Set(own.flatMap(({ signers }) => signers));
  const through = [...passed, environment];
  const promotions = environment.requires.filter(({ stage }) => stage === "promote");
  return new Set(
    promotions.flatMap(({ environment: named, signers }) => {
      const before = Object.entries(policy.environments)
        .filter(([name, { promoter }]) => (named === undefined ? signers.includes(promoter) : name === named))
        // What an environment takes from itself says nothing of who has built it.
        .flatMap(([, each]) => (through.includes(each) ? [] : [listBuilders(policy, each, through)]));
      const [first, ...rest] = before;
      return [...(first ?? [])].filter((signer) => rest.every((each) => each.has(signer)));
    }),
  );
}

/** Where the image goes, or is: of an image that is only looked at in quarantine it is not known. */
export function destinationOf({ place, image, destination }: GateFacts): Repository | undefined {
  return place === "to" ? image.repository : destination;
}
