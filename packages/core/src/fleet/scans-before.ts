import { rescannedEvery } from "../policy/scan-section.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import type { ListedViolation } from "../result.ts";
import { listStageSigners } from "../scan/choose-known.ts";
import { findMetGates } from "../scan/gates.ts";
import type { KnownScan } from "../scan/gather-comparison.ts";
import { type JudgedScan, readJudgedScan } from "../scan/reports/carried.ts";
import { readToldScan, type ToldFinding } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import {
  readVerificationSummary,
  type SummaryExceptions,
  summaryVerifierId,
  type VerificationSummary,
} from "../signing/verification-summary.ts";
import { stageVerifierId } from "../stages.ts";
import { type EarlierScan, readSince, violationKey } from "./plan-days.ts";

interface SignedScan extends JudgedScan {
  signed: VerifiedStatement;
  since?: Readonly<Record<string, Date>>;
}

/** What was scanned before, by whoever speaks for the stage: the scans that tell their findings, and the verdicts. */
export interface Before {
  scans: SignedScan[];
  /** By whom does not speak for all of its environments, or does no more: they prove nothing, and are known all the same. */
  others: SignedScan[];
  /** The newest first. */
  verdicts: { signed: VerifiedStatement; summary: VerificationSummary }[];
  /** When verdicts were given whose signer's word or signature has ended. */
  ended: Date[];
  /** What is there and can't be read, and why: it may have told anything. */
  unreadable: string[];
}

/**
 * Those who speak for the scan in each of an image's environments that ask for one: what counts in one of them alone must
 * not win days in another.
 */
export function listScanSigners(policy: Policy, environments: readonly string[]): Set<string> {
  const asking = environments.map((name) => listStageSigners(policy, "scan", name)).filter(({ size }) => size > 0);
  const all = listStageSigners(policy, "scan");
  return new Set([...all].filter((name) => asking.every((own) => own.has(name))));
}

/**
 * What is there of an image's scans before.
 * @param environments into which it was promoted
 */
export function readBefore(
  evidence: CollectedEvidence,
  { policy }: Pick<LoadedPolicy, "policy">,
  environments: readonly string[],
): Before {
  const allowed = listScanSigners(policy, environments);
  const anywhere = listStageSigners(policy, "scan");
  const isOf = (names: ReadonlySet<string>, { signers }: VerifiedStatement): boolean =>
    signers.some((name) => names.has(name));
  const before: Before = { scans: [], others: [], verdicts: [], ended: [], unreadable: [] };
  const unread = ({ bundle, signers }: VerifiedStatement, what: string, problem: string): void => {
    before.unreadable.push(
      `its ${what} ${bundle.digest}, signed by '${signers.join("', '")}', can't be read: ${problem}`,
    );
  };
  // Who signed with one whose word counts as well said it all the same.
  const counting = new Set(
    evidence.statements.filter((each) => isOf(allowed, each)).map(({ bundle }) => bundle.digest),
  );
  const lapsed = evidence.lapsed.filter(({ bundle }) => !counting.has(bundle.digest));
  for (const signed of [...evidence.statements, ...lapsed].filter((each) => isOf(anywhere, each))) {
    if (signed.statement.predicateType === predicateTypes.vulnerabilities) {
      const scan = readScan(signed);
      if ("problem" in scan) unread(signed, "scan", scan.problem);
      else before[counting.has(signed.bundle.digest) ? "scans" : "others"].push(scan);
    }
    if (summaryVerifierId(signed.statement) !== stageVerifierId("scan") || !isOf(allowed, signed)) continue;
    const summary = readVerificationSummary(signed.statement);
    if ("problem" in summary) unread(signed, "verdict", summary.problem);
    else if (counting.has(signed.bundle.digest)) before.verdicts.push({ signed, summary });
    else before.ended.push(summary.timeVerified);
  }
  before.verdicts.sort((a, b) => b.summary.timeVerified.getTime() - a.summary.timeVerified.getTime());
  return before;
}

function readScan(signed: VerifiedStatement): SignedScan | { problem: string } {
  const { predicate } = signed.statement;
  const judged = readJudgedScan(predicate);
  if ("problem" in judged) return judged;
  const days = readSince(predicate);
  return "problem" in days ? days : { signed, ...judged, ...days };
}

export function listEarlier({ scans, others }: Before): EarlierScan[] {
  const tell = ({ told, since }: SignedScan): EarlierScan => ({ told, ...(since === undefined ? {} : { since }) });
  return [...scans.map(tell), ...others.map((scan) => ({ ...tell(scan), provesNothing: true as const }))];
}

/**
 * What an image is compared with where the policy refuses only what is new: its own newest scan that passed. Nothing is
 * known of one that never did.
 */
export function findKnown({ scans, verdicts }: Before, { policy }: LoadedPolicy, name: string): KnownScan | undefined {
  if (policy.scan.failOnlyOn !== "new") return undefined;
  const passed = verdicts.find(({ summary }) => summary.result === "PASSED");
  const scan = scans.find(({ signed }) =>
    passed?.summary.inputs.some((input) => isDigestIn(input, signed.bundle.digest)),
  );
  if (scan === undefined) return undefined;
  const { finishedOn, databaseOf } = scan.told;
  const report = { with: name, scannedOn: finishedOn.toISOString(), gates: true };
  return { scan: scan.told, report: { ...report, ...(databaseOf === undefined ? {} : { databaseOf }) } };
}

/** What is said of an image, as far as it can differ from what was said before. */
export interface RescanWord {
  passed: boolean;
  countsFrom?: Date | undefined;
  /** Those that count. */
  violations: readonly ListedViolation[];
  /** How many others an exception sets aside, and until when all of those hold. */
  excepted: number;
  exceptions?: SummaryExceptions | undefined;
  findings: readonly ToldFinding[];
}

/** An environment that wants no scan of some age is content with one of this. Milliseconds. */
const restateAfter = 7 * 86_400_000;

/**
 * Whether the same was said of the image not long ago: by the same policy the same verdict, on the same violations,
 * exceptions and findings. Each statement stays beside the image for good, and says nothing that is new.
 */
export function isSaidAlready(
  { scans, verdicts, ended }: Before,
  said: RescanWord,
  { policy, digest }: LoadedPolicy,
  now: Date,
): boolean {
  const [newest] = verdicts;
  // What has ended counts for nothing, and only a newer word outweighs it.
  if (newest === undefined || ended.some((time) => !(time < newest.summary.timeVerified))) return false;
  const { summary } = newest;
  const scan = scans.find(({ signed }) => summary.inputs.some((input) => isDigestIn(input, signed.bundle.digest)));
  const keys = (of: readonly string[]): string => JSON.stringify(of.toSorted());
  const findings = (of: readonly ToldFinding[]): string => keys(of.map((each) => describeForGates(each, policy, now)));
  return (
    isDigestIn(summary.policyDigest, digest) &&
    (summary.result === "PASSED") === said.passed &&
    summary.countsFrom?.getTime() === said.countsFrom?.getTime() &&
    summary.excepted === said.excepted &&
    summary.exceptions?.until === said.exceptions?.until &&
    summary.exceptions?.repository === said.exceptions?.repository &&
    now.getTime() - summary.timeVerified.getTime() < longestUnsaid(policy) &&
    scan?.since !== undefined &&
    keys(Object.keys(scan.since)) === keys(said.violations.map(violationKey)) &&
    findings(scan.told.findings) === findings(readTold(said.findings))
  );
}

/** Twice before what was said is too old: for an environment, or for days to begin as late as they may. */
function longestUnsaid({ environments, scan }: Policy): number {
  const ages = Object.values(environments).flatMap(({ requires }) =>
    requires.flatMap(({ stage, maxAge }) => (stage === "scan" && maxAge !== undefined ? [maxAge / 2] : [])),
  );
  return Math.min(restateAfter, (scan.rescan?.every ?? rescannedEvery) / 2, ...ages);
}

/**
 * A finding with all that can change what is decided on it. Its probability of exploitation is another one each day, and
 * an image has room for some hundreds of statements: of that counts on which side of the environments' gates it is.
 */
function describeForGates({ epss, ...told }: ToldFinding, { environments }: Policy, now: Date): string {
  const met = Object.values(environments).map(({ refuse }) =>
    findMetGates({ ...told, ...(epss === undefined ? {} : { epss }) }, refuse, now).map(({ gate }) => gate.name),
  );
  return JSON.stringify([told, epss === undefined, met]);
}

/** In the form in which they are read back. */
function readTold(findings: readonly ToldFinding[]): ToldFinding[] {
  const told = readToldScan({
    metadata: { scanFinishedOn: "2026-01-01T00:00:00Z" },
    scanner: { result: { goldenpath: { platforms: ["any"], findings } } },
  });
  return "problem" in told ? [] : [...told.findings];
}
