import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { GateOutcome } from "../gate/verify.ts";
import { dayBefore } from "../policy/day.ts";
import { listDeferred } from "../policy/enforcement.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { type Attachment, attachStatement } from "../signing/attach.ts";
import { digestSet, isOfRepository } from "../signing/statement.ts";
import type { CollectedEvidence, Signer, VerifiedStatement } from "../signing/types.ts";
import {
  buildVerificationSummary,
  readVerificationSummary,
  type SummaryApproval,
  type SummaryFacts,
  summaryVerifierId,
  type VerificationSummary,
} from "../signing/verification-summary.ts";
import { stageVerifierId } from "../stages.ts";
import type { TagRollback } from "./tag-rollbacks.ts";

type Deferred = readonly { rule: string; from: string }[];

/** What a promotion states. */
interface PromotionAnswer {
  to: Repository;
  environmentName: string;
  /** The signer of the policy whose word it is. */
  promoter: string;
  policy: LoadedPolicy;
  /** Tags that move back because somebody said so. */
  rollbacks: readonly TagRollback[];
  /** Who approved the run, where that is to be recorded. */
  approvals: readonly SummaryApproval[];
  /** The bundles that the gate accepted. */
  inputs: readonly { digest: Digest; uri: string }[];
  /** The rules that it only warns of, and from when on each refuses. */
  deferred?: Deferred;
  now: Date;
}

/** A promotion that was stated longer ago is stated again. Milliseconds. */
const restateAfter = 24 * 3_600_000;
/** Times of other machines may be ahead of ours by so much; the gate has the same. Milliseconds. */
const clockSkew = 5 * 60_000;

/**
 * Signs the gate's answer at the destination, unless the same was signed in the last 24 hours: by the promoter, for
 * this environment, under this policy, resting on the same evidence.
 */
export async function stateGate(
  client: RegistryClient,
  gate: GateOutcome,
  about: Omit<PromotionAnswer, "inputs" | "deferred">,
  signer: Signer,
): Promise<Attachment | { existed: true }> {
  const { to, policy, now } = about;
  const inputs = gate.accepted.map((statement) => ({
    digest: statement.bundle.digest,
    uri: `${formatRepository(to)}@${statement.referrer.digest}`,
  }));
  const { digest } = gate.image.reference;
  const subjects = new Set([digest, ...gate.image.children.map((child) => child.digest)]);
  const deferred = collectDeferred(gate);
  const answer = { ...about, inputs, deferred };
  const isStated = [...subjects].every((subject) => {
    return isAnswered(gate.evidence.get(subject) ?? { statements: [], lapsed: [] }, answer);
  });
  // What was said before did not say it of these tags.
  if (isStated && about.rollbacks.length === 0) return { existed: true };
  const children = gate.image.children.filter((child) => child.digest !== digest);
  const statement = buildVerificationSummary({
    stage: "promote",
    image: { repository: to, digest, children: children.map((child) => child.digest) },
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    passed: true,
    violations: 0,
    ...describeWarnings(deferred),
    environment: about.environmentName,
    tagRollbacks: about.rollbacks,
    approvals: about.approvals,
    timeVerified: now,
    inputs,
    tools: [],
  });
  const image: Descriptor = { mediaType: gate.image.mediaType, digest, size: gate.image.size };
  const target = { repository: to, image, children: children.map((child) => child.descriptor) };
  return attachStatement(client, target, statement, signer, now, {
    isNew: true,
    hasEmptyConfig: gate.accepted.length > 0,
  });
}

/**
 * The warnings that an answer rests on, the gate's own and those of the verdicts that it accepted: where it is asked
 * for later, it holds no longer than they do.
 */
function collectDeferred({ violations, accepted }: GateOutcome): Deferred {
  const summaries = accepted.flatMap(({ statement }) => {
    const read = summaryVerifierId(statement) === undefined ? undefined : readVerificationSummary(statement);
    return read === undefined || "problem" in read ? [] : (read.exceptions?.deferred ?? []);
  });
  const days = new Map<string, string>();
  for (const { rule, from } of [...listDeferred(violations), ...summaries]) {
    const other = days.get(rule);
    if (other === undefined || from < other) days.set(rule, from);
  }
  return [...days].map(([rule, from]) => ({ rule, from })).toSorted((a, b) => (a.rule < b.rule ? -1 : 1));
}

function describeWarnings(deferred: Deferred): Pick<SummaryFacts, "excepted" | "exceptions"> {
  const [first] = deferred.map(({ from }) => from).sort();
  if (first === undefined) return { excepted: 0 };
  return { excepted: deferred.length, exceptions: { until: dayBefore(first), deferred } };
}

/**
 * Whether what is to be said is what the promoter said last. A failure of the same time or later counts against it, be
 * its signature's time over: gates take no pass from before it, so it has to be said again.
 */
export function isAnswered(
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
  answer: PromotionAnswer,
): boolean {
  const [newest] = findAnswers(statements, answer);
  // What was said of the same image as another one may lie here as well: of this one it says nothing.
  if (newest === undefined || !isOfRepository(newest.statement, answer.to)) return false;
  if (!isSameAnswer(newest, answer)) return false;
  return !findAnswers(lapsed, answer).some(
    ({ result, timeVerified }) => result !== "PASSED" && timeVerified >= newest.timeVerified,
  );
}

type Answer = VerificationSummary & Pick<VerifiedStatement, "statement">;

/**
 * What the promoter said, the newest first, about this environment. A gate takes the newest alone, so what was said before it,
 * under another policy, would have to be said again.
 */
function findAnswers(
  statements: readonly VerifiedStatement[],
  { promoter, environmentName }: Pick<PromotionAnswer, "promoter" | "environmentName">,
): Answer[] {
  return statements
    .filter(
      ({ signers, statement }) =>
        signers.includes(promoter) && summaryVerifierId(statement) === stageVerifierId("promote"),
    )
    .flatMap(({ statement }): Answer[] => {
      const summary = readVerificationSummary(statement);
      return "problem" in summary ? [] : [{ ...summary, statement }];
    })
    .filter(({ environment }) => environment === environmentName)
    .toSorted((a, b) => b.timeVerified.getTime() - a.timeVerified.getTime());
}

/** Whether what was said is what is to be said now, recently enough. */
function isSameAnswer(summary: VerificationSummary, answer: PromotionAnswer): boolean {
  const { policy, inputs, approvals, deferred = [], now } = answer;
  if (summary.result !== "PASSED" || summary.policySerial !== policy.policy.serial) return false;
  if (approvals.length > 0 && JSON.stringify(summary.approvals) !== JSON.stringify(approvals)) return false;
  if (JSON.stringify(summary.exceptions?.deferred ?? []) !== JSON.stringify(deferred)) return false;
  const age = now.getTime() - summary.timeVerified.getTime();
  if (!(age < restateAfter && age >= -clockSkew)) return false;
  const key = (set: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(set).sort());
  const stated = new Set(summary.inputs.map(key));
  return (
    key(summary.policyDigest) === key(digestSet(policy.digest)) &&
    stated.size === new Set(inputs.map((input) => input.digest)).size &&
    inputs.every((input) => stated.has(key(digestSet(input.digest))))
  );
}
