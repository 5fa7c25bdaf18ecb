import type { Rule } from "@goldenpath/foundation/rules";
import { formatRepository, isWithin, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { askRepository } from "../policy/custom-rules/askable.ts";
import { clockSkew, isDayOver } from "../policy/day.ts";
import { deferViolation, findOverdue } from "../policy/enforcement.ts";
import { listDays } from "../policy/own-days.ts";
import { listAcceptedVersions } from "../policy/pointer.ts";
import { isCounted } from "../result.ts";
import { unknownKeyReason } from "../signing/predicates.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { RejectedReferrer, VerifiedStatement } from "../signing/types.ts";
import type { SummaryExceptions } from "../signing/verification-summary.ts";
import { stageEvidence } from "../stages.ts";
import type { Problem, StageScope } from "./facts.ts";

export function isByAllowedSigner(scope: StageScope, statement: VerifiedStatement): boolean {
  return statement.signers.some((signer) => scope.requirement.signers.includes(signer));
}

/** Which stage to run again, on what, and with whose signature. */
export function wayToRunAgain(scope: StageScope): string {
  const { repository, digest } = scope.facts.image;
  const signers = scope.requirement.signers.map((signer) => `'${signer}'`).join(" or ");
  return `${stageEvidence(scope.stage).runAgain}, as signer ${signers}, on ${formatRepository(repository)}@${digest}.`;
}

/**
 * Nothing by a signer whose word counts: `gate.signer` where somebody else said it, `absentRule` where nobody did.
 * `others` are verified statements of that kind, by other signers of the policy; `claims` finds unverified ones among
 * the rejected.
 */
export function explainAbsence(
  scope: StageScope,
  what: string,
  others: readonly VerifiedStatement[],
  claims: (rejected: RejectedReferrer) => boolean,
  absentRule: Rule,
): Problem {
  const wayOut = wayToRunAgain(scope);
  const allowed = scope.requirement.signers.map((signer) => `'${signer}'`).join(", ");
  const names = [...new Set(others.flatMap((other) => other.signers))].map((name) => `'${name}'`);
  if (names.length > 0) {
    const verb = names.length === 1 ? "does" : "do";
    const problem = `${what} is signed by ${names.join(", ")}, which ${verb} not speak for ${scope.stage} in environment '${scope.facts.environmentName}' (${allowed} would)`;
    return { rule: "gate.signer", problem, wayOut };
  }
  const rejected = scope.evidence.rejected.filter(claims);
  const byNobody = rejected.find((each) => each.isByNobody === true || each.reason === unknownKeyReason);
  if (byNobody !== undefined) {
    return {
      rule: "gate.signer",
      problem: `${what} is there, and counts for nothing: ${byNobody.reason} (wanted: ${allowed})`,
      wayOut,
    };
  }
  const [first] = rejected;
  const hint = first === undefined ? "" : ` (one is there, and counts for nothing: ${first.reason})`;
  return { rule: absentRule, problem: `${what} is not there${hint}`, wayOut };
}

/**
 * Not from the future, and not older than the requirement allows: what it says itself, and, where somebody else says
 * when it was signed, that as well. The one can't be later than the other. Both are asked: a machine's clock may be
 * behind, and who has a signature can get another time for it later.
 */
export function judgeTimes(scope: StageScope, what: string, time: Date, signedAt: Date | undefined): Problem[] {
  const own = judgeTime(scope, what, time);
  // That it is old may be a warning for now, and what else is wrong with it none.
  if (signedAt === undefined || own.some(({ rule }) => rule !== "gate.stale")) return own;
  // An invalid date is later than any.
  if (!(time.getTime() - clockSkew <= signedAt.getTime())) {
    const problem = `${what} is of ${time.toISOString()}, and was signed at ${signedAt.toISOString()}, before that`;
    return [...own, { rule: "gate.future", problem, wayOut: wayToRunAgain(scope) }];
  }
  return own.length > 0 ? own : judgeTime(scope, `the signature of ${what}`, signedAt);
}

function judgeTime(scope: StageScope, what: string, time: Date): Problem[] {
  const { now } = scope.facts;
  const age = now.getTime() - time.getTime();
  const maxAge = scope.requirement.maxAge;
  if (Number.isNaN(age)) return [malformed(scope, what, "its time cannot be read")];
  if (age < -clockSkew) {
    const problem = `${what} is of ${time.toISOString()}, which is in the future (it is ${now.toISOString()})`;
    return [
      {
        rule: "gate.future",
        problem,
        wayOut: `Set the clock of the machine that runs ${scope.stage}. ${wayToRunAgain(scope)}`,
      },
    ];
  }
  if (maxAge !== undefined && age > maxAge) {
    const problem = `${what} is of ${time.toISOString()}, ${formatAge(age)} ago; environment '${scope.facts.environmentName}' accepts ${formatAge(maxAge)}`;
    return [{ rule: "gate.stale", problem, wayOut: wayToRunAgain(scope) }];
  }
  return [];
}

/** Whether any of the problems refuses today, and not only from a day on. */
export function someCount({ facts }: StageScope, problems: readonly Problem[]): boolean {
  const days = { enforceFrom: facts.policy.policy.enforceFrom, now: facts.now };
  return problems.some(({ own, ...problem }) => isCounted(deferViolation({ ...problem, thing: "" }, days, own)));
}

function formatAge(milliseconds: number): string {
  const minutes = Math.ceil(milliseconds / 60_000);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.ceil(minutes / 60)} h` : `${Math.ceil(minutes / 1440)} days`;
}

export function malformed(scope: StageScope, what: string, why: string): Problem {
  return {
    rule: "gate.malformed",
    problem: `${what} is signed by its stage and is malformed: ${why}`,
    wayOut: wayToRunAgain(scope),
  };
}

/**
 * A verdict that rests on exceptions holds as long as they do, and an exception that was granted to a repository does
 * not follow the image into another one. What was promoted has left its repository: there, and for a stage after
 * promotion, the promotion's own gate has asked.
 */
export function judgeExceptions(scope: StageScope, what: string, exceptions: SummaryExceptions | undefined): Problem[] {
  if (exceptions === undefined) return [];
  const { facts } = scope;
  const wayOut = wayToRunAgain(scope);
  const problems = judgeDeferred(scope, what, exceptions);
  if (problems.length === 0 && isDayOver(exceptions.until, facts.now)) {
    const problem = `${what} rests on an exception whose last day was ${exceptions.until}`;
    problems.push({
      rule: "gate.exception",
      problem,
      wayOut: `Mend what the exception was for, or have it renewed. ${wayOut}`,
    });
  }
  const { repository } = exceptions;
  const isAfterPromotion = facts.environment.requires.some(({ stage }) => stage === "promote");
  if (repository === undefined || isAfterPromotion) return problems;
  const isOwn =
    facts.place === "from"
      ? repository === formatRepository(facts.image.repository)
      : isUnder(repository, facts.environment.from);
  if (!isOwn) {
    const problem = `${what} rests on an exception that was granted to ${repository}, and the image is in ${formatRepository(facts.image.repository)}`;
    problems.push({ rule: "gate.exception", problem, wayOut });
  }
  return problems;
}

/**
 * What a stage says may depend on the repository in which it looked at the image: by rules of the policy's own, and by what
 * another image of the same name has. Such a verdict is about the image there, and whoever copies both into another
 * repository has not been asked. At the destination it may be of where the image came from; and what was promoted has left
 * its repository, as for {@link judgeExceptions}.
 */
export function judgePlace(scope: StageScope, what: string, { statement }: VerifiedStatement): Problem[] {
  const { facts, stage } = scope;
  const { rules, scan } = facts.policy.policy;
  const depends = askRepository(rules, stage) || (stage === "scan" && scan.failOnlyOn === "new");
  if (!depends || facts.environment.requires.some((each) => each.stage === "promote")) return [];
  const own = formatRepository(facts.image.repository);
  const strange = statement.subject.find(
    ({ name }) => name !== own && !(facts.place === "to" && isUnder(name, facts.environment.from)),
  );
  if (strange === undefined) return [];
  const problem = `${what} is about the image in ${strange.name === "" ? "no repository that it names" : strange.name}, and the image is in ${own}: the policy asks in which it is`;
  return [{ rule: "gate.repository", problem, wayOut: wayToRunAgain(scope) }];
}

/** A pass with warnings holds until the first day on which one of them would have refused. */
function judgeDeferred({ facts }: StageScope, what: string, { deferred = [] }: SummaryExceptions): Problem[] {
  return findOverdue(deferred, listDays(facts.policy.policy), facts.now).map(({ rule, from }) => ({
    rule: "gate.deferred",
    problem: `${what} passed with a warning of ${rule}, which refuses since ${from}`,
    wayOut: `Put right what the warning says (the stage's result and the report have it), build again, and take the new image along the path.`,
  }));
}

function isUnder(repository: string, prefixes: readonly string[]): boolean {
  try {
    const parsed = parseRepository(repository);
    return prefixes.some((prefix) => isWithin(parsed, prefix));
  } catch {
    return false;
  }
}

/**
 * Made under this very policy, or a version of it that it accepts: by serial and digest, since two policies with one
 * serial are two policies.
 */
export function judgePolicy(
  scope: StageScope,
  what: string,
  made: { policySerial: number; policyDigest: Readonly<Record<string, string>>; time: Date },
): Problem[] {
  const { policy, now } = scope.facts;
  const wayOut = wayToRunAgain(scope);
  const refuse = (problem: string, first = ""): Problem[] => [
    { rule: "gate.policy-serial", problem, wayOut: `${first}${wayOut}` },
  ];
  const versions = listAcceptedVersions(policy, now);
  const ofSerial = versions.filter((version) => version.serial === made.policySerial);
  if (ofSerial.length === 0) {
    const accepted =
      versions.length === 1
        ? `serial ${policy.policy.serial} counts`
        : `serials ${versions.map(({ serial }) => serial).join(", ")} count`;
    return refuse(`${what} was made under serial ${made.policySerial} of the policy; ${accepted}`);
  }
  const version = ofSerial.find((each) => isDigestIn(made.policyDigest, each.digest));
  if (version === undefined) {
    const problem = `${what} was made under another policy that has serial ${made.policySerial} as well`;
    return refuse(problem, "Raise the policy's serial with every change. ");
  }
  // An invalid time is later than any.
  if (version.madeUntil !== undefined && !(made.time <= version.madeUntil)) {
    return refuse(`${what} was made under serial ${made.policySerial} of the policy after that had been superseded`);
  }
  return [];
}
