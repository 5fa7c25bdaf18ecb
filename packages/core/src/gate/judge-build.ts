import type { Rule } from "@goldenpath/foundation/rules";
import { findByBuildType, isOfElsewhere, ownPolicy } from "../build/strategies/find.ts";
import { wasInForce } from "../policy/pointer.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { type Provenance, readProvenance } from "../signing/provenance.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { destinationOf, judgeSources } from "./binding.ts";
import type { Problem, StageDecision, StageScope } from "./facts.ts";
import { judgeRebase } from "./judge-rebase.ts";
import { judgeRun } from "./match-run.ts";
import {
  explainAbsence,
  isByAllowedSigner,
  judgePolicy,
  judgeTimes,
  malformed,
  someCount,
  wayToRunAgain,
} from "./problems.ts";
import { viewSigned } from "./signed-view.ts";

/**
 * The build leaves no verdict: its newest provenance by an allowed signer is judged here, by the policy of now. An SBOM
 * must be there besides.
 */
export function decideBuildStage(scope: StageScope): StageDecision {
  const provenance = decideProvenance(scope);
  const sbom = decideSbom(scope, provenance);
  const problems = [...provenance.problems, ...sbom.problems];
  return { accepted: someCount(scope, problems) ? [] : [...provenance.accepted, ...sbom.accepted], problems };
}

function decideProvenance(scope: StageScope): StageDecision {
  const isProvenance = (signed: VerifiedStatement): boolean =>
    signed.statement.predicateType === predicateTypes.provenance;
  const of = scope.evidence.statements.filter(isProvenance);
  const allowed = of.filter((signed) => isByAllowedSigner(scope, signed));
  const refuse = (...problems: Problem[]): StageDecision => ({ accepted: [], problems });
  if (allowed.length === 0) {
    const claims = (each: { claimedPredicateType?: string }): boolean =>
      each.claimedPredicateType === predicateTypes.provenance;
    return refuse(explainAbsence(scope, "the build's provenance", of, claims, "gate.missing"));
  }
  const read = readProvenances(scope, allowed);
  if ("problem" in read) return refuse(read);
  const past = readProvenances(
    scope,
    scope.evidence.lapsed.filter((signed) => isProvenance(signed) && isByAllowedSigner(scope, signed)),
  );
  if ("problem" in past) return refuse(past);
  const latest = Math.max(...read.map(({ provenance }) => provenance.finishedOn.getTime()));
  // Of several that are equally new each one must do: which of them came last cannot be told.
  const newest = read.filter(({ provenance }) => provenance.finishedOn.getTime() === latest);
  // An invalid date would be newer than none, and then nothing would be judged.
  if (newest.length === 0) return refuse(malformed(scope, "a provenance", "its time cannot be read"));
  const held = (provenances: readonly Signed[]): Problem[] =>
    judgeSources(
      scope.facts.policy.policy,
      provenances.map(({ provenance }) => provenance),
      destinationOf(scope.facts),
    );
  // What was said and is out of its signer's time proves nothing; that it is newer is no way back to what it overtook.
  const overtaking = past.filter(({ provenance }) => !(provenance.finishedOn.getTime() < latest));
  const problems = dropRepeated([
    ...newest.flatMap(({ provenance, signed }) => judgeProvenance(scope, provenance, signed)),
    ...held(read),
    ...overtaking.flatMap(({ provenance, signed }) => judgeContent(scope, provenance, signed)),
    ...(past.length === 0 ? [] : held([...read, ...past])),
  ]);
  return someCount(scope, problems) ? refuse(...problems) : { accepted: newest.map(({ signed }) => signed), problems };
}

interface Signed {
  signed: VerifiedStatement;
  provenance: Provenance;
}

function readProvenances(scope: StageScope, statements: readonly VerifiedStatement[]): Signed[] | Problem {
  const read: Signed[] = [];
  for (const signed of statements) {
    const provenance = readProvenance(signed.statement);
    if ("problem" in provenance) return malformed(scope, "a provenance", provenance.problem);
    read.push({ signed, provenance });
  }
  return read;
}

function dropRepeated(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.rule} ${problem.problem}`, problem])).values()];
}

function judgeProvenance(scope: StageScope, provenance: Provenance, signed: VerifiedStatement): Problem[] {
  return [
    ...judgeContent(scope, provenance, signed),
    ...(isOfOlderPolicy(scope, provenance, signed.time)
      ? []
      : judgePolicy(scope, "the provenance", { ...provenance, time: signed.time ?? provenance.finishedOn })),
    ...judgeTimes(scope, "the provenance", provenance.finishedOn, signed.time),
  ];
}

/**
 * Of an image that was rebased later, the policy has usually changed since: the new version of its base came into it.
 * What its build was is judged by the policy of now, like that of any other. But what the building and attesting jobs
 * alone ask by their policy nobody asks again, so that was one in force, and not of whoever called them.
 */
function isOfOlderPolicy(
  { facts: { rebases, policy } }: StageScope,
  { policySerial: serial, policyDigest: digest, finishedOn }: Provenance,
  time: Date = finishedOn,
): boolean {
  return rebases !== undefined && serial < policy.policy.serial && wasInForce(policy, { serial, digest, time });
}

/** What it says of the build, whenever that was and under which policy. */
function judgeContent(scope: StageScope, provenance: Provenance, signed: VerifiedStatement): Problem[] {
  const { build } = scope.facts.policy.policy;
  const again = wayToRunAgain(scope);
  const problems = judgeStrategy(scope, provenance, signed);
  if (provenance.sourceCommit === undefined) {
    problems.push({ rule: "gate.source", problem: "the provenance names no commit of its source", wayOut: again });
  }
  if (!isFitEnvironment(provenance, build.isolation)) {
    problems.push({
      rule: "gate.build-environment",
      problem: `the image was built in '${provenance.buildEnvironment}', and the policy accepts ${build.isolation.join(", ")}`,
      wayOut: `Build in ${build.isolation.join(" or ")}, or have the policy's owners add it to build.isolation.`,
    });
  }
  return [...problems, ...judgeRun(provenance, signed.identity, again, isOfElsewhere(provenance))];
}

/** What was built elsewhere was built in none of the policy's environments, and says so; nothing else may. */
function isFitEnvironment({ buildType, buildEnvironment }: Provenance, allowed: readonly string[]): boolean {
  return isOfElsewhere({ buildType }) ? buildEnvironment === "elsewhere" : allowed.includes(buildEnvironment);
}

/** How it was built: by a strategy that the policy allows, and as that strategy wants it to be. */
function judgeStrategy(scope: StageScope, provenance: Provenance, signed: VerifiedStatement): Problem[] {
  const { policy } = scope.facts.policy;
  const again = wayToRunAgain(scope);
  const refuse = (problem: string, wayOut: string, rule: Rule = "gate.builder"): Problem => ({ rule, problem, wayOut });
  const strategy = findByBuildType(provenance.buildType);
  if (strategy === undefined)
    return [refuse(`the build is of type ${provenance.buildType}, which this gate does not know`, again)];
  const allowed: readonly string[] = policy.build.strategies;
  if (!allowed.includes(strategy.name)) {
    const wayOut = `Build by ${allowed.join(" or ")}, or have the policy's owners add it to build.strategies. ${again}`;
    return [
      refuse(`the image was built by strategy '${strategy.name}', and the policy allows ${allowed.join(", ")}`, wayOut),
    ];
  }
  const objections = strategy.judge(provenance, ownPolicy(policy, strategy), viewSigned(scope.facts));
  const against = objections.map(({ problem, wayOut, rule }) => refuse(problem, `${wayOut} ${again}`, rule));
  if (strategy.isRebase !== true || against.length > 0) return against;
  return judgeRebase(scope, provenance, signed, decideBuildStage);
}

function decideSbom(scope: StageScope, provenance: StageDecision): StageDecision {
  const type = predicateTypes.cyclonedx;
  const of = scope.evidence.statements.filter((signed) => signed.statement.predicateType === type);
  const allowed = of.filter((signed) => isByAllowedSigner(scope, signed));
  if (allowed.length === 0) {
    // Where there is nothing of the build at all, one violation says so.
    if (provenance.problems.some((problem) => problem.rule === "gate.missing")) return { accepted: [], problems: [] };
    const claims = (each: { claimedPredicateType?: string }): boolean => each.claimedPredicateType === type;
    return { accepted: [], problems: [explainAbsence(scope, "the SBOM", of, claims, "gate.incomplete")] };
  }
  const whole = allowed.filter((signed) => signed.statement.predicate["bomFormat"] === "CycloneDX");
  return whole.length > 0
    ? { accepted: whole, problems: [] }
    : { accepted: [], problems: [malformed(scope, "the SBOM", "it is not a CycloneDX document")] };
}
