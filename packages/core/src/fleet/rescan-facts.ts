import type { LoadedPolicy } from "../policy/schema.ts";
import type { ListedViolation } from "../result.ts";
import { listStageSigners } from "../scan/choose-known.ts";
import type { KnownScan } from "../scan/gather-comparison.ts";
import { readToldScan, type ToldFinding, type ToldScan } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import {
  readVerificationSummary,
  summaryVerifierId,
  type VerificationSummary,
} from "../signing/verification-summary.ts";
import { stageVerifierId } from "../stages.ts";
import { type FleetFailure, type FleetImage, nameImage } from "./facts.ts";
import type { SourcePlace } from "./gather-places.ts";
import { type EarlierScan, readSince, violationKey } from "./plan-days.ts";

/** What a rescan says of one image. `later`: it is refused from a day on. */
export type RescanVerdict = "pass" | "later" | "fail";

/** One thing that the policy refuses in an image, and who is to mend it where. */
export interface RefusedThing {
  violation: ListedViolation;
  /** From when on it counts. */
  countsFrom: Date;
  /** Of a vulnerability. */
  finding?: ToldFinding;
  action: "rebase" | "update";
  owner: string;
  place?: SourcePlace;
}

export interface RescannedImage {
  image: FleetImage;
  owner: string;
  verdict: RescanVerdict;
  countsFrom?: Date;
  refused: RefusedThing[];
  /** Findings of any severity. */
  findings: number;
  /** `signed` now; `unchanged`: the same was said not long ago; `not`: nothing is signed in this run. */
  evidence: "signed" | "unchanged" | "not";
}

export interface RescanReport {
  policy: { name: string; serial: number };
  at: Date;
  images: RescannedImage[];
  failures: FleetFailure[];
  notes: string[];
  requests: number;
}

interface SignedScan {
  signed: VerifiedStatement;
  told: ToldScan;
  since?: Record<string, Date>;
}

/** What was scanned before, by whoever speaks for the stage: the scans that tell their findings, and the verdicts. */
export interface Before {
  scans: SignedScan[];
  verdicts: { signed: VerifiedStatement; summary: VerificationSummary }[];
}

export function readBefore({ statements }: Pick<CollectedEvidence, "statements">, { policy }: LoadedPolicy): Before {
  const allowed = listStageSigners(policy, "scan");
  const own = statements.filter(({ signers }) => signers.some((name) => allowed.has(name)));
  const scanId = stageVerifierId("scan");
  return {
    scans: own.flatMap((signed) => {
      if (signed.statement.predicateType !== predicateTypes.vulnerabilities) return [];
      const told = readToldScan(signed.statement.predicate);
      const since = readSince(signed.statement.predicate);
      return "problem" in told ? [] : [{ signed, told, ...(since === undefined ? {} : { since }) }];
    }),
    verdicts: own
      .flatMap((signed) => {
        if (summaryVerifierId(signed.statement) !== scanId) return [];
        const summary = readVerificationSummary(signed.statement);
        return "problem" in summary ? [] : [{ signed, summary }];
      })
      .toSorted((a, b) => b.summary.timeVerified.getTime() - a.summary.timeVerified.getTime()),
  };
}

export function listEarlier({ scans }: Before): EarlierScan[] {
  return scans.map(({ told, since }) => ({ told, ...(since === undefined ? {} : { since }) }));
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

/** An environment that wants no scan of some age is content with one of this. Milliseconds. */
const restateAfter = 7 * 86_400_000;

/**
 * Whether the same was said of the image not long ago: by the same policy the same verdict, on the same violations and
 * findings. Each statement stays beside the image for good, and says nothing that is new.
 */
export function isSaidAlready(
  { scans, verdicts }: Before,
  said: {
    passed: boolean;
    countsFrom?: Date | undefined;
    violations: readonly ListedViolation[];
    findings: readonly ToldFinding[];
  },
  { policy, digest }: LoadedPolicy,
  now: Date,
): boolean {
  const [newest] = verdicts;
  if (newest === undefined) return false;
  const { summary } = newest;
  const ages = Object.values(policy.environments).flatMap(({ requires }) =>
    requires.flatMap(({ stage, maxAge }) => (stage === "scan" && maxAge !== undefined ? [maxAge / 2] : [])),
  );
  const scan = scans.find(({ signed }) => summary.inputs.some((input) => isDigestIn(input, signed.bundle.digest)));
  const keys = (of: readonly string[]): string => JSON.stringify(of.toSorted());
  const findings = (of: readonly ToldFinding[]): string => keys(of.map((each) => JSON.stringify(each)));
  return (
    isDigestIn(summary.policyDigest, digest) &&
    (summary.result === "PASSED") === said.passed &&
    summary.countsFrom?.getTime() === said.countsFrom?.getTime() &&
    now.getTime() - summary.timeVerified.getTime() < Math.min(restateAfter, ...ages) &&
    scan?.since !== undefined &&
    keys(Object.keys(scan.since)) === keys(said.violations.map(violationKey)) &&
    findings(scan.told.findings) === findings(readTold(said.findings))
  );
}

/** In the form in which they are read back. */
function readTold(findings: readonly ToldFinding[]): ToldFinding[] {
  const told = readToldScan({
    metadata: { scanFinishedOn: "2026-01-01T00:00:00Z" },
    scanner: { result: { goldenpath: { platforms: ["any"], findings } } },
  });
  return "problem" in told ? [] : [...told.findings];
}

/** By what a reader asks for, how many images there are, and how they stand. */
export function groupFleet(
  { images }: Pick<RescanReport, "images">,
  keyOf: (image: RescannedImage) => string,
): Map<string, { images: number } & Record<RescanVerdict, number>> {
  const count = (own: readonly RescannedImage[], verdict: RescanVerdict): number =>
    own.filter((each) => each.verdict === verdict).length;
  return new Map(
    [...Map.groupBy(images, keyOf)].map(([key, own]) => [
      key,
      { images: own.length, fail: count(own, "fail"), later: count(own, "later"), pass: count(own, "pass") },
    ]),
  );
}

/** As JSON, for programs. */
export function describeRescan(report: RescanReport): Record<string, unknown> {
  const { policy, at, images, failures, notes, requests } = report;
  const rebase = new Map<string, string[]>();
  for (const { image, refused } of images) {
    if (!refused.some(({ action }) => action === "rebase")) continue;
    const base = image.base?.name ?? "(its base)";
    rebase.set(base, [...(rebase.get(base) ?? []), nameImage(image)]);
  }
  return {
    ...{ policy, at: at.toISOString(), requests, failures, notes },
    counts: groupFleet(report, () => "all").get("all") ?? { images: 0, fail: 0, later: 0, pass: 0 },
    rebase: Object.fromEntries(rebase),
    images: images.map(({ image, owner, verdict, countsFrom, refused, findings, evidence }) => ({
      image: nameImage(image),
      ...{ tags: image.tags, environments: image.environments, source: image.source, base: image.base?.name },
      ...{ strategy: image.strategy, owner, verdict, findings, evidence },
      ...(countsFrom === undefined ? {} : { countsFrom: countsFrom.toISOString() }),
      refused: refused.map(({ violation, action, place, countsFrom: from, owner: whose }) => ({
        ...{ rule: violation.rule, thing: violation.thing, wayOut: violation.wayOut, action, owner: whose },
        countsFrom: from.toISOString(),
        ...(place === undefined ? {} : { place }),
      })),
    })),
  };
}
