import type { Rule } from "@goldenpath/foundation/rules";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { AppliedException, Violation } from "../result.ts";
import { isDayOver } from "./day.ts";
import { deferViolation, type Enforcement, type OwnDay } from "./enforcement.ts";
import { exceptionKeys } from "./scan-section.ts";
import type { Exception } from "./schema.ts";
import type { GrantedException } from "./signed-exceptions/choose.ts";

/** What a rule found wrong, as far as an exception can be granted for it. */
export interface ExceptionQuery {
  rule: Rule;
  /**
   * Every name that the thing goes by: a vulnerability's id and its aliases, an image's repository. One that matches is
   * enough.
   */
  things: readonly string[];
  /** The package that it was found in, for rules that know one. An exception that names a package holds in no other. */
  package?: string;
  /** The policy's gate that refuses it, for rules that know one. */
  gate?: string | undefined;
  /** The path that it was found at, for rules that know one. */
  file?: string | undefined;
  /** The day from which on what refuses it does, where it has one of its own. */
  own?: OwnDay | undefined;
}

export interface ExceptionMatch {
  /** Holds today. */
  applied?: Exception;
  /** Would have held, and is over. Only where none holds. */
  expired?: Exception;
}

/**
 * The exception that sets a rule aside for a thing, or the one that did until it expired. Where several match, the one
 * that ends last, and of those the first in the policy.
 */
export function findException(exceptions: readonly Exception[], query: ExceptionQuery, now: Date): ExceptionMatch {
  const things = new Set(query.things.map((thing) => canonicalThing(query.rule, thing)));
  const [latest] = exceptions
    .filter((exception) => exception.rule === query.rule)
    .filter((exception) => things.has(canonicalThing(exception.rule, thingOf(exception))))
    .filter((exception) => [undefined, query.package].includes(packageOf(exception)))
    .filter((exception) => exception.gate === undefined || exception.gate === query.gate)
    .filter((exception) => exception.file === query.file)
    .toSorted((a, b) => (a.expires < b.expires ? 1 : a.expires > b.expires ? -1 : 0));
  if (latest === undefined) return {};
  return isDayOver(latest.expires, now) ? { expired: latest } : { applied: latest };
}

/**
 * The violation as the policy has it today: set aside by an exception, a warning until the day of its rule, or as it
 * stands.
 */
export function settleViolation(
  violation: Violation,
  query: ExceptionQuery,
  { exceptions, ...days }: { exceptions: readonly Exception[]; enforceFrom?: Enforcement | undefined; now: Date },
): Violation {
  return deferViolation(exceptViolation(violation, findException(exceptions, query, days.now)), days, query.own);
}

/** The violation with the exception that sets it aside, or with a word about the one that no longer does. */
export function exceptViolation(violation: Violation, match: ExceptionMatch): Violation {
  if (match.applied !== undefined) {
    return { ...violation, exception: nameException(match.applied) };
  }
  if (match.expired !== undefined) {
    return {
      ...violation,
      problem: `${violation.problem} (its exception by ${match.expired.owner} expired on ${match.expired.expires})`,
      lapsed: nameException(match.expired),
    };
  }
  return violation;
}

/** As a violation tells it: enough to find it again in the policy. */
function nameException(exception: Exception): AppliedException {
  const { reason, owner, expires, gate, file } = exception;
  const repository = grantedFor(exception);
  const within = packageOf(exception);
  return {
    ...{ reason, owner, expires, thing: thingOf(exception) },
    ...(within === undefined ? {} : { package: within }),
    ...(gate === undefined ? {} : { gate }),
    ...(file === undefined ? {} : { file }),
    ...(repository === undefined ? {} : { repository }),
  };
}

/** Of one that was signed beside the policy, the repository that it is for; a policy's own are for all, or say it. */
function grantedFor(exception: Exception | GrantedException): string | undefined {
  return "grantedFor" in exception ? exception.grantedFor : undefined;
}

/** What the rule is set aside for: the value of the key that its rule has for it. */
export function thingOf(exception: Exception): string {
  const thing = exception[exceptionKeys[exception.rule]];
  if (thing === undefined) throw new TypeError(`an exception of ${exception.rule} for nothing`);
  return thing;
}

/** The package in which alone it holds. */
export function packageOf(exception: Exception): string | undefined {
  return exceptionKeys[exception.rule] === "package" ? undefined : exception.package;
}

/** True of a rule that is set aside for images of one repository, and for no other's. */
export function isOfRepository(rule: string): boolean {
  return Object.hasOwn(exceptionKeys, rule) && exceptionKeys[rule as Exception["rule"]] === "repository";
}

/** Repositories are compared with Docker Hub's short names written out; every other thing as it stands. */
export function canonicalThing(rule: Rule, thing: string): string {
  if (!isOfRepository(rule)) return thing;
  try {
    return formatRepository(parseRepository(thing));
  } catch {
    return thing;
  }
}
