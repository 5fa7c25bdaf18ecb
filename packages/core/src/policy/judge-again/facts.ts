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
  /** What is signed beside the policy for images of a repository, `HOST/NAME`. */
  signedExceptions?: (repository: string) => readonly Exception[];
}

/** Where the image was when it was judged: an exception is granted to that. */
export function listRepositories({ subject }: VerifiedStatement["statement"]): string[] {
  const names = subject.flatMap(({ name = "" }) => (name === "" ? [] : [name.replace(/@.*$/, "")]));
  return [...new Set(names)];
}

/** The policy's own, and those that are signed beside it for where the image was. */
export function listExceptions(
  { policy, signedExceptions }: AgainFacts,
  statement: VerifiedStatement["statement"],
): Exception[] {
  return [...policy.exceptions, ...listRepositories(statement).flatMap((each) => signedExceptions?.(each) ?? [])];
}

/**
 * Whether the older policy set a rule aside for where the image was, and the newer does not: the signed verdict may rest
 * on that.
 */
export function hasLostException(
  rule: Rule,
  { policy, older, now }: AgainFacts,
  statement: VerifiedStatement["statement"],
): boolean {
  const places = new Set(listRepositories(statement).map((each) => canonicalThing(rule, each)));
  return (older?.exceptions ?? []).some(
    (gone) =>
      gone.rule === rule &&
      places.has(canonicalThing(rule, thingOf(gone))) &&
      !isDayOver(gone.expires, now) &&
      !policy.exceptions.some(
        (kept) =>
          kept.rule === rule &&
          canonicalThing(rule, thingOf(kept)) === canonicalThing(rule, thingOf(gone)) &&
          kept.file === gone.file &&
          (kept.gate === undefined || kept.gate === gone.gate) &&
          !isDayOver(kept.expires, now),
      ),
  );
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
