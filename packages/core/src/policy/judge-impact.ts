import type { Rule } from "@goldenpath/foundation/rules";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { decideGate } from "../gate/decide.ts";
import type { GateDecision, GateFacts } from "../gate/facts.ts";
import { isCounted, tellDay } from "../result.ts";
import type { AgainFacts, JudgedAgain, SeenChild } from "./judge-again/facts.ts";
import { judgeAgain } from "./judge-again/judge.ts";
import { listUntold } from "./judge-again/untold.ts";
import { type AcceptedVersion, listAcceptedVersions } from "./pointer.ts";
import type { LoadedPolicy, Policy } from "./schema.ts";
import { putInForce } from "./withdrawals.ts";

/**
 * What becomes of one image: `falls`: let through by the older policy, and refused by the newer; `unknown`: the newer
 * asks for what nothing signed tells, and refuses nothing besides; `again`: refused by the newer only because it does
 * not accept what was made under the older, so that its stages have to judge it again; `let-in`: refused by the older alone; `later`: let through by the newer until a day of its `enforceFrom`, and refused then; `stays`: let through by both; `refused`: by both.
 */
export const impactOutcomes = ["falls", "unknown", "again", "later", "let-in", "refused", "stays"] as const;
export type ImpactOutcome = (typeof impactOutcomes)[number];

export interface ImpactReason {
  rule: Rule;
  thing: string;
  problem: string;
}

export interface JudgedImpact {
  outcome: ImpactOutcome;
  /** Why the newer policy refuses it; of what it lets in, why the older one does not. */
  because: ImpactReason[];
}

/** One image with the evidence about it, by the signers of each policy. */
export interface ImpactFacts {
  /** By the older policy. */
  before: GateFacts;
  /** By the newer one: the same, but for whose word counts. Undefined where it has no such environment. */
  after: GateFacts | undefined;
  /** What runs of the image. */
  children: readonly SeenChild[];
  /** What is signed beside each policy, by the repository of images that it is for. */
  exceptions?: Partial<Record<"before" | "after", AgainFacts["signedExceptions"]>>;
}

/**
 * Judges one image by two policies, on the same facts: the gate, and what the newer one's `scan`, `bases`, `images`,
 * `rules` and exceptions say of what was signed under the older, besides what the older says of it as well. A verdict that says
 * FAILED stays one: whether a laxer policy would pass the image, only its stage can tell.
 */
export function judgeImpact(facts: ImpactFacts): JudgedImpact {
  const { before, after } = facts;
  const older = decideGate(before);
  if (after === undefined) {
    const problem = `the newer policy has no environment '${before.environmentName}'`;
    const reason: ImpactReason = { rule: "gate.environment", thing: before.environmentName, problem };
    return { outcome: older.verdict === "pass" ? "falls" : "refused", because: [reason] };
  }
  const next = followOn(before.policy, after.policy, after.now);
  // By what is signed, whatever version it was signed under: that is told apart from what the policy refuses.
  const lenient = accepting(next, [
    ...listAcceptedVersions(before.policy, before.now),
    ...listAcceptedVersions(next, after.now),
  ]);
  const newer = decideGate({ ...after, policy: lenient });
  const besides = judgeBesides(newer, next.policy, facts);
  const found: readonly Counted[] = [...newer.violations, ...besides.filter(({ isUnknown }) => isUnknown !== true)];
  const because = found.filter((each) => dayOf(each) === undefined).map(tell);
  const isLetIn = older.verdict !== "pass";
  if (because.length > 0) return { outcome: isLetIn ? "refused" : "falls", because };
  const unknown = besides.filter(({ isUnknown }) => isUnknown === true);
  if (unknown.length > 0) return { outcome: "unknown", because: unknown.map(tell) };
  const strict = decideGate({ ...after, policy: next });
  if (strict.verdict !== "pass") return { outcome: "again", because: strict.violations.filter(isCounted).map(tell) };
  const waiting = found.map((each) => ({ ...tell(each), problem: `${tellDay(dayOf(each) ?? "")}: ${each.problem}` }));
  if (waiting.length > 0) return { outcome: "later", because: waiting };
  return isLetIn
    ? { outcome: "let-in", because: older.violations.filter(isCounted).map(tell) }
    : { outcome: "stays", because: [] };
}

type Counted = JudgedAgain & { enforcedFrom?: string | undefined };
const dayOf = ({ from, enforcedFrom }: Counted): string | undefined => from ?? enforcedFrom;

/** What the newer policy's stages would say of what the gate goes by, and the older's do not say as well. */
function judgeBesides(
  newer: GateDecision,
  policy: Policy,
  { before, after, children, exceptions }: ImpactFacts,
): JudgedAgain[] {
  const { policy: older } = before.policy;
  const of = (beside: AgainFacts["signedExceptions"]) => ({
    children,
    ...(beside === undefined ? {} : { signedExceptions: beside }),
  });
  const { now, environment } = after ?? before;
  const asked = judgeAgain(newer, {
    ...of(exceptions?.after),
    policy,
    older,
    olderExceptions: exceptions?.before,
    now,
  });
  const required = new Set(environment.requires.map(({ stage }) => stage));
  const untold = listUntold(older, policy).flatMap(({ stage, ...each }) =>
    required.has(stage)
      ? [{ ...each, thing: formatReference({ ...before.image.repository, digest: before.image.digest }) }]
      : [],
  );
  // Most changes are of something else: then the older is not asked.
  const known = new Map(
    (asked.length === 0 ? [] : judgeAgain(newer, { ...of(exceptions?.before), policy: older, now: before.now })).map(
      (each) => [nameOf(each), each],
    ),
  );
  const isNew = (each: JudgedAgain): boolean => {
    const old = known.get(nameOf(each));
    return old === undefined || (old.from !== undefined && each.from === undefined);
  };
  return [...new Map([...asked.filter(isNew), ...untold].map((each) => [nameOf(each), each])).values()];
}

const tell = ({ rule, thing, problem }: ImpactReason): ImpactReason => ({ rule, thing, problem });
/** Of one thing a rule of the policy's own, or an entry of `images`, is a reason of its own. */
const nameOf = ({ rule, thing, asks = "", isUnknown, problem }: JudgedAgain): string =>
  JSON.stringify([rule, thing, asks, isUnknown === true ? problem : ""]);

/** The newer policy as it would be in force: after the older one, with what was withdrawn. */
function followOn(before: LoadedPolicy, after: LoadedPolicy, now: Date): LoadedPolicy {
  const superseded = { serial: before.policy.serial, digest: before.digest };
  const pointer = before.inForce;
  if (before.digest === after.digest) return before;
  if (pointer === undefined) return typeof after.policy.accepts === "number" ? accepting(after, [superseded]) : after;
  const predecessor = { ...superseded, activatedAt: pointer.activatedAt, supersededAt: now };
  return putInForce(after, {
    ...pointer,
    ...{ serial: after.policy.serial, digest: after.digest, activatedAt: now },
    predecessors: [...pointer.predecessors, predecessor],
  });
}

function accepting(policy: LoadedPolicy, versions: readonly AcceptedVersion[]): LoadedPolicy {
  const accepts = versions.map(({ serial, digest }) => ({ serial, digest }));
  return { ...policy, policy: { ...policy.policy, accepts } };
}
