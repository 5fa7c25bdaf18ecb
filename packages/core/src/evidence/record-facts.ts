import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { explainNotInForce } from "../policy/pointer.ts";
import type { PolicyPointer } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { describeWithdrawn } from "../policy/withdrawals.ts";
import { isDigestIn, isOfRepository } from "../signing/statement.ts";
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

/** What a tag points at and can't be read, so that nothing is known of what it is. */
export interface UnreadableTag {
  repository: Repository;
  tags: readonly string[];
  unreadable: string;
}

export type Recorded = RecordedImage | UnreadableTag;

/** One line of what happened to an environment. Times are ISO 8601. */
export interface RecordEntry {
  /** Nobody dates what is `unaccounted`. */
  time?: string;
  /**
   * `entry`: an image was let in. `exception`: what it was let in by set a violation aside. `rollback`: a tag was moved
   * back with it. `withdrawal`, `lifted`: something was taken back, or counts again. `unaccounted`: it is there, and no
   * promotion to this environment says how it came in.
   */
  event: "unaccounted" | "entry" | "exception" | "rollback" | "withdrawal" | "lifted";
  /** HOST/NAME@DIGEST; HOST/NAME:TAG of what can't be read; of a withdrawal what was withdrawn. */
  what: string;
  /** Of an image: what points at it now. */
  tags: string[];
  /** Names of the policy's signers; of a withdrawal whoever answers for it. */
  by: string[];
  /**
   * Who approved deployments of the run, each person once, by the word of whoever signed the promotion: of these
   * environments on GitHub, which may be others than the one that the promotion ran in.
   */
  approvedBy: { by: string; environments: string[] }[];
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
 * let in is not unsaid. Before them, whatever the period, what is there without ever having been let in.
 */
export function listRecord(
  recorded: readonly Recorded[],
  environmentName: string,
  { policy, inForce }: LoadedPolicy,
  period: RecordPeriod,
): RecordEntry[] {
  const promoter = policy.environments[environmentName]?.promoter ?? "";
  const entries = recorded.flatMap((each) => {
    if ("unreadable" in each) return [tellUnreadable(each)];
    const { found, others } = findEntries(each, promoter, environmentName, inForce);
    return found.length === 0
      ? [tellUnaccounted(each, environmentName, others)]
      : found.flatMap((entry) => tellEntry(each, entry));
  });
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

const promoteId = stageVerifierId("promote");

interface Entry {
  signed: VerifiedStatement;
  summary: VerificationSummary;
}

/**
 * The promotions that let an image in, and why each other one did not. Where a pointer says which policies were in force
 * there, what was made under any other is none of them: who promotes by a policy of their own lets nothing in.
 */
export function findEntries(
  { repository, evidence }: Pick<RecordedImage, "repository" | "evidence">,
  promoter: string,
  environmentName: string,
  inForce: PolicyPointer | undefined,
): { found: Entry[]; others: string[] } {
  const found: Entry[] = [];
  const others: string[] = [];
  for (const signed of [...evidence.statements, ...evidence.lapsed]) {
    if (summaryVerifierId(signed.statement) !== promoteId) continue;
    const summary = readVerificationSummary(signed.statement);
    if (!signed.signers.includes(promoter))
      others.push(`one is by ${signed.signers.join(", ")}, and the environment's promoter is ${promoter}`);
    else if ("problem" in summary) others.push(`one says nothing that can be read: ${summary.problem}`);
    else if (summary.result !== "PASSED") others.push("one says FAILED");
    else if (summary.environment !== environmentName)
      others.push(`one is for environment '${summary.environment ?? "(none)"}'`);
    else if (!isOfRepository(signed.statement, repository))
      others.push(`one is for ${[...new Set(signed.statement.subject.map(({ name }) => name))].join(", ")}`);
    else {
      const { policySerial: serial, policyDigest: digest, timeVerified } = summary;
      const made = { serial, digest, time: signed.time ?? timeVerified };
      const objection = inForce === undefined ? undefined : explainNotInForce(inForce, repository, made);
      if (objection === undefined) found.push({ signed, summary });
      else others.push(`one was made ${objection}`);
    }
  }
  const rejected = evidence.rejected.filter(({ claimedVerifierId }) => claimedVerifierId === promoteId);
  return { found, others: [...others, ...rejected.map(({ reason }) => reason)] };
}

/** Reasons that are named. */
const maxReasons = 3;

function tellUnaccounted(
  { repository, digest, tags }: RecordedImage,
  environmentName: string,
  others: readonly string[],
): RecordEntry {
  const reasons = [...new Set(others)];
  const more = reasons.length > maxReasons ? `; and ${reasons.length - maxReasons} more` : "";
  const why = reasons.length === 0 ? "" : `: ${reasons.slice(0, maxReasons).join("; ")}${more}`;
  return {
    ...nobodyLetIn(tags),
    what: `${formatRepository(repository)}@${digest}`,
    detail: `no promotion to environment '${environmentName}' counts${why}`,
  };
}

function tellUnreadable({ repository, tags, unreadable }: UnreadableTag): RecordEntry {
  const what = `${formatRepository(repository)}:${tags.join(",")}`;
  return { ...nobodyLetIn(tags), what, detail: `it can't be read: ${unreadable}` };
}

function nobodyLetIn(tags: readonly string[]): Pick<RecordEntry, "event" | "tags" | "by" | "approvedBy"> {
  return { event: "unaccounted", tags: [...tags], by: [], approvedBy: [] };
}

function tellEntry({ repository, digest, tags, evidence }: RecordedImage, { signed, summary }: Entry): RecordEntry[] {
  const about = {
    time: summary.timeVerified.toISOString(),
    what: `${formatRepository(repository)}@${digest}`,
    tags: [...tags],
    by: [...signed.signers],
    approvedBy: groupApprovals(summary.approvals),
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

function groupApprovals(approvals: VerificationSummary["approvals"]): RecordEntry["approvedBy"] {
  const people = new Map<string, Set<string>>();
  for (const { by, environments } of approvals) people.set(by, new Set([...(people.get(by) ?? []), ...environments]));
  return [...people].map(([by, environments]) => ({ by, environments: [...environments] }));
}

function isWithin({ time }: RecordEntry, { from, to }: RecordPeriod): boolean {
  if (time === undefined) return true;
  const at = Date.parse(time);
  return at >= from.getTime() && at <= to.getTime();
}

const order: readonly RecordEntry["event"][] = [
  "unaccounted",
  "entry",
  "exception",
  "rollback",
  "withdrawal",
  "lifted",
];

function compare(a: RecordEntry, b: RecordEntry): number {
  const [first, second] = [a.time ?? "", b.time ?? ""];
  if (first !== second) return first < second ? -1 : 1;
  if (a.what !== b.what) return a.what < b.what ? -1 : 1;
  return order.indexOf(a.event) - order.indexOf(b.event);
}
