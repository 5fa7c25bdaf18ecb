import type { Rule } from "@goldenpath/foundation/rules";
import { decideGate } from "../gate/decide.ts";
import type { GateFacts } from "../gate/facts.ts";
import { isCounted, tellDay } from "../result.ts";
import { type JudgedAgain, judgeAgain } from "./judge-again.ts";
import { type AcceptedVersion, listAcceptedVersions } from "./pointer.ts";
import type { LoadedPolicy } from "./schema.ts";
import { putInForce } from "./withdrawals.ts";

/**
 * What becomes of one image: `falls`: let through by the older policy, and refused by the newer; `again`: refused by
 * the newer only because it does not accept what was made under the older, so that its stages have to judge it again; `let-in`:
 * refused by the older alone; `later`: let through by the newer until a day of its `enforceFrom`, and refused then; `stays`: let through by both; `refused`: by both.
 */
export const impactOutcomes = ["falls", "again", "later", "let-in", "refused", "stays"] as const;
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
}

/**
 * Judges one image by two policies, on the same facts: the gate, and what the newer one's `scan`, `bases` and
 * `exceptions` say of what was signed under the older, besides what the older says of it as well. A verdict that says
 * FAILED stays one: whether a laxer policy would pass the image, only its stage can tell.
 */
export function judgeImpact({ before, after }: ImpactFacts): JudgedImpact {
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
  // What the newer goes by, judged by both.
  const known = new Set(judgeAgain(newer, before.policy.policy, before.now).map(nameOf));
  const besides = judgeAgain(newer, next.policy, after.now).filter((each) => !known.has(nameOf(each)));
  const found: readonly (JudgedAgain & { enforcedFrom?: string | undefined })[] = [...newer.violations, ...besides];
  const dayOf = (each: (typeof found)[number]): string | undefined => each.from ?? each.enforcedFrom;
  const because = found.filter((each) => dayOf(each) === undefined).map(tell);
  const isLetIn = older.verdict !== "pass";
  if (because.length > 0) return { outcome: isLetIn ? "refused" : "falls", because };
  const strict = decideGate({ ...after, policy: next });
  if (strict.verdict !== "pass") return { outcome: "again", because: strict.violations.filter(isCounted).map(tell) };
  const waiting = found.map((each) => ({ ...tell(each), problem: `${tellDay(dayOf(each) ?? "")}: ${each.problem}` }));
  if (waiting.length > 0) return { outcome: "later", because: waiting };
  return isLetIn
    ? { outcome: "let-in", because: older.violations.filter(isCounted).map(tell) }
    : { outcome: "stays", because: [] };
}

const tell = ({ rule, thing, problem }: ImpactReason): ImpactReason => ({ rule, thing, problem });
const nameOf = ({ rule, thing }: JudgedAgain): string => `${rule} ${thing}`;

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
