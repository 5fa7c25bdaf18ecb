import type { Rule } from "@goldenpath/foundation/rules";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageConfig, ImageManifest, Platform } from "@goldenpath/registry-client/oci/manifest";
import type { Violation } from "../../result.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { isDayOver } from "../day.ts";
import { canonicalThing, thingOf } from "../exceptions.ts";
import type { Exception, Policy } from "../schema.ts";

/** What a policy says of what was judged by another one. */
export interface JudgedAgain {
  rule: Rule;
  thing: string;
  problem: string;
  /** The day from which on it counts, where that has not come. */
  from?: string;
  /** Of one of the policy's own rules: what it asks, by which it is the same under another policy. */
  asks?: string;
  /** Nothing that is signed says whether it refuses. */
  isUnknown?: true;
}

/** One platform's image, its config and manifest by their digests. */
export interface SeenChild {
  digest: Digest;
  platform: Platform;
  config: ImageConfig;
  manifest: Pick<ImageManifest, "layers">;
}

/** What a policy's judges go by, besides what is signed. */
export interface AgainFacts {
  policy: Policy;
  now: Date;
  /** What runs of the image; empty where only what is signed is at hand. */
  children?: readonly SeenChild[];
  /** The policy by which it was judged, where that is another one. */
  older?: Policy | undefined;
  /** What is signed beside the policy for images of a repository, `HOST/NAME`; and what was beside the older one. */
  signedExceptions?: SignedExceptionsOf | undefined;
  olderExceptions?: SignedExceptionsOf | undefined;
}
type SignedExceptionsOf = (repository: string) => readonly Exception[];
type Judged = VerifiedStatement["statement"];

/** Where the image was when it was judged: an exception is granted to that. */
export function listRepositories({ subject }: VerifiedStatement["statement"]): string[] {
  const names = subject.flatMap(({ name }) => (name === "" ? [] : [name.replace(/@.*$/, "")]));
  return [...new Set(names)];
}

/** The policy's own, and those that are signed beside it for where the image was. */
export function listExceptions(
  { policy, signedExceptions }: Pick<AgainFacts, "policy" | "signedExceptions">,
  statement: Judged,
): Exception[] {
  return [...policy.exceptions, ...listRepositories(statement).flatMap((each) => signedExceptions?.(each) ?? [])];
}

/** What exceptions are granted for: a rule; and of the policy's own rules one, by its names in the older policy and now. */
interface SetAside {
  rule: Rule;
  own?: { before: readonly string[]; now: string };
}

/**
 * Whether something set a rule aside for where the image was when it was judged, and nothing does now: the signed verdict
 * may rest on that.
 */
export function hasLostException({ rule, own }: SetAside, facts: AgainFacts, statement: Judged): boolean {
  const { older, olderExceptions, now } = facts;
  if (older === undefined) return false;
  const places = new Set(listRepositories(statement).map((each) => canonicalThing(rule, each)));
  const holds = (each: Exception): boolean =>
    each.rule === rule && places.has(canonicalThing(rule, thingOf(each))) && !isDayOver(each.expires, now);
  const kept = listExceptions(facts, statement).filter(holds);
  return listExceptions({ policy: older, signedExceptions: olderExceptions }, statement)
    .filter(holds)
    .filter(({ gate }) => gate === undefined || own === undefined || own.before.includes(gate))
    .some((gone) => !kept.some((each) => each.file === gone.file && [undefined, own?.now].includes(each.gate)));
}

export function withoutExcepted(violations: readonly (Violation & Pick<JudgedAgain, "asks">)[]): JudgedAgain[] {
  return violations
    .filter(({ exception }) => exception === undefined)
    .map(({ rule, thing, problem, enforcedFrom, asks }) => ({
      ...{ rule, thing, problem },
      ...(enforcedFrom === undefined ? {} : { from: enforcedFrom }),
      ...(asks === undefined ? {} : { asks }),
    }));
}
