import { cleanText } from "@goldenpath/foundation/text/clean";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { predicateTypes } from "../../signing/predicates.ts";
import { isDigestIn, namesSubject } from "../../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../../signing/types.ts";
import { type BaseRole, type Decision, type ProvenScore, readDecision, readProven } from "./predicate.ts";

/** That a version of a base counts, by the word of an approver. */
export interface Approval {
  /** By a log or a timestamp authority where the signature has that, else by the approver's own word. */
  approvedAt: Date;
  /** The same, where it is by a log or an authority. */
  signedAt?: Date;
  /** The last day (UTC). */
  endOfLife: string;
  role: BaseRole;
  notes?: string;
  /** The points that were proven when it was approved, of each platform; empty where the approval does not tell. */
  proven: readonly ProvenScore[];
  /** Of the policy's signers those who signed it. */
  signers: readonly string[];
  /** Of the bytes that hold the signed statement. */
  bundle: Digest;
}

/** What is signed about one version. */
export type FoundApproval = { kind: "approved"; approval: Approval } | { kind: "refused"; problem: string };

export interface VersionFacts {
  digest: Digest;
  /** Of an index what runs of it; of an image nothing else. */
  children: readonly Digest[];
  /** By the approvers alone: whoever else signed is among the rejected. */
  evidence: CollectedEvidence;
  /** The policy's approvers, for messages. */
  approvers: readonly string[];
  /** When the platform's signer withdrew it, in the pointer to the policy in force. */
  withdrawn?: { at: Date; reason: string } | undefined;
  now: Date;
}

/** Clocks of whoever signs may be ahead by so much. */
const clockSkew = 5 * 60_000;

/**
 * Whether a version of a base is approved: the newest word of an approver counts, and one that can't be read or dated
 * is a refusal. What an approver has taken back stays so after his own time.
 */
export function chooseApproval(facts: VersionFacts): FoundApproval {
  const { evidence, withdrawn, now } = facts;
  if (withdrawn !== undefined) {
    const { at, reason } = withdrawn;
    return refuse(`it was withdrawn on ${at.toISOString()} by the platform's signer: ${cleanText(reason)}`);
  }
  const isApproval = ({ statement }: VerifiedStatement): boolean =>
    statement.predicateType === predicateTypes.baseApproval;
  const words: Word[] = [];
  for (const signed of [...evidence.statements, ...evidence.lapsed].filter(isApproval)) {
    const word = readSigned(signed, facts, now);
    if ("problem" in word) return refuse(word.problem);
    if (word.decision.decision === "withdrawn" || evidence.statements.includes(signed)) words.push(word);
  }
  const isWithdrawal = ({ decision }: Word): number => Number(decision.decision === "withdrawn");
  // Of two of one moment the withdrawal counts.
  const [newest] = words.toSorted((a, b) => b.at.getTime() - a.at.getTime() || isWithdrawal(b) - isWithdrawal(a));
  if (newest === undefined) return refuse(explainNone(facts));
  const { at, decision, signed } = newest;
  if (decision.decision === "withdrawn")
    return refuse(
      `its approval was withdrawn on ${at.toISOString()} by '${signed.signers.join("', '")}': ${cleanText(decision.reason)}`,
    );
  const { endOfLife, role, notes } = decision;
  return {
    kind: "approved",
    approval: {
      ...{ approvedAt: at, endOfLife, role, signers: signed.signers, bundle: signed.bundle.digest },
      ...(signed.time === undefined ? {} : { signedAt: signed.time }),
      proven: readProven(decision.examined),
      ...(notes === undefined ? {} : { notes }),
    },
  };
}

function refuse(problem: string): FoundApproval {
  return { kind: "refused", problem };
}

interface Word {
  signed: VerifiedStatement;
  decision: Decision;
  at: Date;
}

function readSigned(
  signed: VerifiedStatement,
  { digest, children }: Pick<VersionFacts, "digest" | "children">,
  now: Date,
): Word | { problem: string } {
  const whose = `the approval that '${signed.signers.join("', '")}' signed (${signed.bundle.digest})`;
  const decision = readDecision(signed.statement.predicate);
  if ("problem" in decision) return { problem: `${whose} can't be read: ${decision.problem}` };
  const at = signed.time ?? decision.decidedAt;
  if (!(decision.decidedAt.getTime() <= Math.min(at.getTime(), now.getTime()) + clockSkew))
    return { problem: `${whose} says that it is of ${decision.decidedAt.toISOString()}, and was signed before that` };
  // An index is what it names; whoever approved one image of it has not looked at the others.
  const [root] = signed.statement.subject;
  if (children.length > 0 && (root === undefined || !isDigestIn(root.digest, digest)))
    return { problem: `${whose} is of an image in it, and not of the index` };
  const unnamed = children.find((child) => !namesSubject(signed.statement, child));
  if (unnamed !== undefined && decision.decision === "approved")
    return { problem: `${whose} does not name ${unnamed}, which is in the index` };
  return { signed, decision, at };
}

function explainNone({ evidence: { rejected, lapsed }, approvers }: VersionFacts): string {
  const foreign = rejected.find(({ claimedPredicateType }) => claimedPredicateType === predicateTypes.baseApproval);
  const who = approvers.join(", ");
  if (lapsed.length === 0 && foreign === undefined) return `nobody of ${who} has signed an approval of it`;
  return `there is an approval of it that counts for nothing: ${foreign?.reason ?? "its signature has ended"} (those of ${who} count)`;
}
