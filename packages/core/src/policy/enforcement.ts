import type { Rule } from "@goldenpath/foundation/rules";
import type { ListedViolation, Violation } from "../result.ts";
import { isDayReached } from "./day.ts";

const notRead = "what could not be read or seen is no finding that could wait";
const forged = "what contradicts itself was made by somebody else than it says";
const evidence = "without its evidence nothing is known of an image that could be let pass";
const inForce = "which policy counts is no rule of a policy";
const whoseBuild = "it says whose build an image is, and there is no evidence without that";
const beforeBuild = "it is said before there is an image, and so before there is a result to warn in";
const ownJob = "it protects the job that judges";

/**
 * Of each rule, whether a policy's `enforceFrom` can have it warn until a day: `true`, or why not. One that is not
 * here never waits.
 */
export const postponable: Readonly<Partial<Record<Rule, true | string>>> = {
  "policy.not-in-force": inForce,
  "policy.pointer-missing": inForce,
  "policy.pointer-invalid": inForce,
  "stage.job": ownJob,
  "build.command-files": ownJob,
  "build.image": beforeBuild,
  "build.images": beforeBuild,
  "build.downloads": beforeBuild,
  "build.builder": beforeBuild,
  "build.buildpacks": beforeBuild,
  "build.environment": beforeBuild,
  "build.quarantine": beforeBuild,
  "build.reproducible": "a build is only held to it where it was asked to be",
  "build.strategy": beforeBuild,
  "base.approval": evidence,
  "base.approved": true,
  "base.behind": true,
  "base.forbidden": true,
  "base.build-image": true,
  "base.expired": true,
  "base.label-contradicts": forged,
  "base.layer-contradicts": forged,
  "base.changed": true,
  "base.root-user": true,
  "base.secret": true,
  "base.credential": true,
  "base.package-cache": true,
  "base.committed": true,
  "base.missing": true,
  "base.rule": true,
  "scan.severity": true,
  "scan.malicious": "what was made to do harm is refused under any policy",
  "scan.gate": true,
  "scan.rule": true,
  "scan.package": true,
  "scan.license": true,
  "scan.sbom": notRead,
  "scan.vex": notRead,
  "scan.report": notRead,
  "scan.blind-spot": notRead,
  "scan.database-age": notRead,
  "gate.origin": whoseBuild,
  "gate.withdrawn": "what was withdrawn is not to run anywhere",
  "gate.missing": evidence,
  "gate.signer": evidence,
  "gate.failed": "what a stage has refused is not let pass by the gate",
  "gate.incomplete": evidence,
  "gate.layers": notRead,
  "gate.malformed": notRead,
  "gate.policy-serial": inForce,
  "gate.finding": true,
  "gate.rule": true,
  "gate.stale": true,
  "gate.future": notRead,
  "gate.exception": "its own last day says until when it holds",
  "gate.repository": evidence,
  "gate.deferred": "it is what becomes of a rule that has waited",
  "gate.environment": evidence,
  "gate.builder": whoseBuild,
  "gate.import": "its own last day says until when it holds",
  "gate.source": whoseBuild,
  "gate.destination": whoseBuild,
  "gate.build-environment": true,
  "promote.destination": whoseBuild,
  "promote.evidence-label": forged,
  "promote.tag-moves-back": "`allow-tag-rollback` says so for one promotion",
  "report.failed": "it refuses nothing",
  "report.missing": "it refuses nothing",
};

export const postponableRules: readonly Rule[] = (Object.keys(postponable) as Rule[]).filter(
  (rule) => postponable[rule] === true,
);

/** Rule → the first day (UTC, `YYYY-MM-DD`) on which it refuses: a policy's `enforceFrom`. */
export type Enforcement = Readonly<Partial<Record<Rule, string>>>;

/** Of one entry of the policy that says itself from when on it refuses, whatever the day of its rule is. */
export interface OwnDay {
  /** What tells it from others of the rule: a name, a package. */
  entry: string;
  /** The first day (UTC, `YYYY-MM-DD`) on which it refuses. */
  from: string;
}

/** An entry's own day, where it has one. */
export function findOwnDay(entry: string, { enforceFrom }: { enforceFrom?: string | undefined }): OwnDay | undefined {
  return enforceFrom === undefined ? undefined : { entry, from: enforceFrom };
}

/** The day from which on a rule refuses, where that has not come; undefined: it refuses now. */
export function findLaterDay(
  rule: Rule,
  enforceFrom: Enforcement | undefined,
  now: Date,
  own?: OwnDay | undefined,
): string | undefined {
  const ofRule = postponable[rule] === true ? enforceFrom?.[rule] : undefined;
  const from = own?.from ?? ofRule;
  return from === undefined || isDayReached(from, now) ? undefined : from;
}

/** How a verdict calls what waited: a rule, or an entry of the policy's with a day of its own. */
export const nameWaiting = (rule: string, entry: string | undefined): string =>
  entry === undefined ? rule : `${rule}/${entry}`;

/** What only warns of something here, each once with its day. */
export function listDeferred(violations: readonly ListedViolation[]): { rule: string; from: string }[] {
  const days = violations.flatMap(({ rule, enforcedFrom, entry }) =>
    enforcedFrom === undefined ? [] : [{ rule: nameWaiting(rule, entry), from: enforcedFrom }],
  );
  return [...new Map(days.map((each) => [each.rule, each])).values()];
}

/**
 * Of what a verdict let pass with warnings, what is refused by now: by the day that it was given then, or by the policy
 * of now, which may have an earlier one or none. What waited for a day of its own waits for that of its rule, where the
 * policy of now gives one to that alone.
 * @param days of rules and of entries, as {@link nameWaiting} calls them
 */
export function findOverdue(
  deferred: readonly { rule: string; from: string }[],
  days: ReadonlyMap<string, string>,
  now: Date,
): { rule: string; from: string }[] {
  return deferred.flatMap(({ rule, from }) => {
    const today = days.get(rule) ?? days.get(rule.split("/")[0] ?? rule);
    if (today === undefined) return [{ rule, from: "before now, by the policy of now" }];
    const first = today < from ? today : from;
    return isDayReached(first, now) ? [{ rule, from: first }] : [];
  });
}

/**
 * The one place in which a violation becomes a warning: it is told as before, with the day from which it refuses, and
 * does not count until then. What an exception has set aside stays so.
 */
export function deferViolation(
  violation: Violation,
  { enforceFrom, now }: { enforceFrom?: Enforcement | undefined; now: Date },
  own?: OwnDay | undefined,
): Violation {
  if (violation.exception !== undefined || violation.isFirm === true) return violation;
  const from = findLaterDay(violation.rule, enforceFrom, now, own);
  if (from === undefined) return violation;
  return { ...violation, enforcedFrom: from, ...(own === undefined ? {} : { entry: own.entry }) };
}
