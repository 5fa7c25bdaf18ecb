import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import { describeWithdrawn } from "../policy/withdrawals.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import {
  readVerificationSummary,
  summaryVerifierId,
  type VerificationSummary,
} from "../signing/verification-summary.ts";
import { stages, stageVerifierId } from "../stages.ts";

/** An image of an environment, with what is signed about it there. */
export interface RecordedImage {
  repository: Repository;
  digest: Digest;
  tags: readonly string[];
  evidence: CollectedEvidence;
}

/** One line of what happened to an environment. Times are ISO 8601. */
export interface RecordEntry {
  time: string;
  /**
   * `entry`: an image was let in. `exception`: what it was let in by set a violation aside. `rollback`: a tag was moved
   * back with it. `withdrawal`, `lifted`: something was taken back, or counts again.
   */
  event: "entry" | "exception" | "rollback" | "withdrawal" | "lifted";
  /** HOST/NAME@DIGEST; of a withdrawal what was withdrawn. */
  what: string;
  /** Of an image: what points at it now. */
  tags: string[];
  /** Names of the policy's signers; of a withdrawal whoever answers for it. */
  by: string[];
  /** Who approved the run's deployment, by the word of whoever signed the promotion. */
  approvedBy: string[];
  /** The policy's serial that it was judged under. */
  serial?: number;
  detail: string;
}

/** From when until when, both included. */
export interface RecordPeriod {
  from: Date;
  to: Date;
}

/**
 * Every entry into an environment in a period, each exception and tag that moved back with one, and what was withdrawn,
 * the oldest first. An entry is what the environment's promoter signed, also where its word counts no more: that it was
 * let in is not unsaid.
 */
export function listRecord(
  images: readonly RecordedImage[],
  environmentName: string,
  { policy, inForce }: LoadedPolicy,
  period: RecordPeriod,
): RecordEntry[] {
  const promoter = policy.environments[environmentName]?.promoter ?? "";
  const entries = images.flatMap((image) =>
    findEntries(image, promoter, environmentName).flatMap((each) => tellEntry(image, each)),
  );
  const withdrawn = (inForce?.withdrawals ?? []).flatMap(({ thing, reason, owner, at, lifted }): RecordEntry[] => {
    const what = describeWithdrawn(thing);
    const tell = (event: "withdrawal" | "lifted", by: string, time: Date, detail: string): RecordEntry => {
      return { time: time.toISOString(), event, what, tags: [], by: [by], approvedBy: [], detail };
    };
    const first = tell("withdrawal", owner, at, reason);
    return lifted === undefined ? [first] : [first, tell("lifted", lifted.owner, lifted.at, lifted.reason)];
  });
  return [...entries, ...withdrawn].filter((entry) => isWithin(entry, period)).toSorted(compare);
}

interface Entry {
  signed: VerifiedStatement;
  summary: VerificationSummary;
}

function findEntries({ evidence }: RecordedImage, promoter: string, environmentName: string): Entry[] {
  return [...evidence.statements, ...evidence.lapsed].flatMap((signed) => {
    if (!signed.signers.includes(promoter)) return [];
    if (summaryVerifierId(signed.statement) !== stageVerifierId("promote")) return [];
    const summary = readVerificationSummary(signed.statement);
    const isEntry = !("problem" in summary) && summary.result === "PASSED" && summary.environment === environmentName;
    return isEntry ? [{ signed, summary }] : [];
  });
}

function tellEntry({ repository, digest, tags, evidence }: RecordedImage, { signed, summary }: Entry): RecordEntry[] {
  const about = {
    time: summary.timeVerified.toISOString(),
    what: `${formatRepository(repository)}@${digest}`,
    tags: [...tags],
    by: [...signed.signers],
    approvedBy: [...new Set(summary.approvals.map(({ by }) => by))],
    serial: summary.policySerial,
  };
  const run = signed.identity === undefined ? "" : `, signed by ${signed.identity.buildSignerUri}`;
  const rested = [...evidence.statements, ...evidence.lapsed].filter(({ bundle }) =>
    summary.inputs.some((input) => isDigestIn(input, bundle.digest)),
  );
  const exceptions = rested.flatMap(({ statement, signers }): RecordEntry[] => {
    const verdict = readVerificationSummary(statement);
    if ("problem" in verdict || verdict.exceptions === undefined) return [];
    const stage = stages.find((each) => stageVerifierId(each) === summaryVerifierId(statement)) ?? "another stage";
    const { until, repository: only } = verdict.exceptions;
    const detail = `${stage} passed by an exception that holds until ${until}${only === undefined ? "" : `, for ${only}`}`;
    return [{ ...about, event: "exception", by: [...signers], detail }];
  });
  const rollbacks = summary.tagRollbacks.map(
    ({ tag, from }): RecordEntry => ({
      ...about,
      event: "rollback",
      detail: `tag ${tag} was moved back, from ${from}`,
    }),
  );
  const detail = `rests on ${summary.inputs.length} statements${run}`;
  return [{ ...about, event: "entry", detail }, ...exceptions, ...rollbacks];
}

function isWithin({ time }: RecordEntry, { from, to }: RecordPeriod): boolean {
  const at = Date.parse(time);
  return at >= from.getTime() && at <= to.getTime();
}

const order: readonly RecordEntry["event"][] = ["entry", "exception", "rollback", "withdrawal", "lifted"];

function compare(a: RecordEntry, b: RecordEntry): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  if (a.what !== b.what) return a.what < b.what ? -1 : 1;
  return order.indexOf(a.event) - order.indexOf(b.event);
}
