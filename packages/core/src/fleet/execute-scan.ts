import { createTurns } from "@goldenpath/foundation/concurrency";
import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import { isCounted, type ListedViolation, type StageResult } from "../result.ts";
import { listStageSigners } from "../scan/choose-known.ts";
import { readToldScan, type ToldFinding } from "../scan/told-findings.ts";
import { attachStatement } from "../signing/attach.ts";
import {
  buildFindingStatement,
  buildVerdictStatement,
  checkSignable,
  summariseExceptions,
} from "../signing/result-statements.ts";
import { isSignerNamed } from "../signing/schemes/find.ts";
import type { Signer } from "../signing/types.ts";
import { signedImage, wholeImage } from "../verbs/attachments.ts";
import type { ScanOne } from "../verbs/scan.ts";
import type { ScanShared } from "../verbs/scan-image.ts";
import { placeHit } from "./execute-find.ts";
import { type FleetFailure, nameImage } from "./facts.ts";
import { nobody } from "./find-report.ts";
import { type GatheredFleet, gatherFleet, type VisitedImage } from "./gather-fleet.ts";
import type { SourcePlaces } from "./gather-places.ts";
import { planDays, type RescanDays, tellDays } from "./plan-days.ts";
import type { RefusedThing, RescannedImage, RescanReport } from "./rescan-facts.ts";
import { type Before, findKnown, isSaidAlready, listEarlier, listScanSigners, readBefore } from "./scans-before.ts";

/** Images that are looked at side by side: their packages go to a scanner in one run. */
const concurrency = 32;
/** Of these, that have layers read or catalogued: that may take all of a machine's memory. */
const heavy = 2;

export interface RescanRequest {
  client: RegistryClient;
  policy: LoadedPolicy;
  repositories: readonly Repository[];
  areNamed: boolean;
  scan: ScanOne;
  /** Who signs the verdicts; without one nothing is signed. */
  signer?: Signer | undefined;
  places: SourcePlaces;
}

/**
 * Scans all that was promoted again, from its signed SBOMs and with the same data, and signs each verdict as the scan
 * stage's, failed ones too, with the day from which on a failure counts. No layer of an image is pulled, but of one that
 * hides what its base brings; each base is catalogued once.
 * @throws UserError `key-not-scanner`; PolicyViolation `scan.database-age`; as gatherFleet
 */
export async function rescanFleet(request: RescanRequest, context: Pick<Context, "now">): Promise<RescanReport> {
  const { client, policy, repositories, areNamed, signer, places } = request;
  const speaksAs = signer === undefined ? undefined : findSpeaker(signer, policy);
  const at = context.now();
  const shared = { views: new Map(), inTurn: createTurns(heavy) } satisfies ScanShared;
  const fleet = { client, policy, now: at, visits: concurrency, areNamed };
  const failures: FleetFailure[] = [];
  const gathered: GatheredFleet<RescannedImage> = await gatherFleet(fleet, repositories, (visited) =>
    rescanImage(visited, { ...request, shared, at, speaksAs, failures }),
  );
  return {
    policy: { name: policy.policy.name, serial: policy.policy.serial },
    at,
    images: gathered.visited,
    failures: [...gathered.failures, ...failures],
    notes: [...new Set(places.problems)],
    requests: client.traffic.requests,
  };
}

/**
 * The names of whoever signs. A verdict of whom the policy does not know would count for nothing, and nobody would see it.
 */
function findSpeaker({ material }: Signer, { policy }: LoadedPolicy): readonly string[] {
  const names = [...listStageSigners(policy, "scan")];
  const own = names.filter((name) => isSignerNamed(policy.signers, name, material));
  if (own.length > 0) return own;
  throw new UserError(
    `whoever signs here is none of those who speak for stage scan in policy '${policy.name}': ${names.join(", ") || "nobody is"}`,
    {
      code: "key-not-scanner",
      wayOut: "Sign as one of them, or have the policy's owners add this signer to `requires` of stage scan.",
    },
  );
}

/** Nor does one count that speaks for the scan elsewhere alone. */
function assertSpeaks(speaksAs: readonly string[], environments: readonly string[], { policy }: LoadedPolicy): void {
  const allowed = listScanSigners(policy, environments);
  if (speaksAs.some((name) => allowed.has(name))) return;
  throw new UserError(
    `'${speaksAs.join("', '")}', who signs here, does not speak for the scan in ${environments.join(" and ")}, where this image is (${[...allowed].join(", ") || "nobody does in all of them"})`,
    {
      code: "key-not-scanner",
      wayOut: "Scan these repositories in a run of their own, with the key of one who speaks for the scan there.",
    },
  );
}

interface Rescan extends RescanRequest {
  shared: ScanShared;
  at: Date;
  /** The policy's names of whoever signs. */
  speaksAs: readonly string[] | undefined;
  /** What went wrong with images that were scanned all the same. */
  failures: FleetFailure[];
}

async function rescanImage(visited: VisitedImage, rescan: Rescan): Promise<RescannedImage> {
  const { policy, places, scan, shared, at } = rescan;
  const { client, image, facts, evidence } = visited;
  if (facts.environments.length === 0) {
    throw new UserError("no promotion into an environment counts, so it is not known to be there rightly", {
      code: "image-not-promoted",
      wayOut: "Promote it, or take it away: goldenpath evidence list says which there are.",
    });
  }
  if (rescan.speaksAs !== undefined) assertSpeaks(rescan.speaksAs, facts.environments, policy);
  const before = readBefore(evidence, policy, facts.environments);
  const known = findKnown(before, policy, nameImage(facts));
  const { result } = await scan({ client, image }, { ...shared, signedSbomOnly: true, known, before: before.scans });
  const violations = result.violations.filter(isCounted);
  assertFreshData(violations);
  const told = readToldScan(result.predicate ?? {});
  if ("problem" in told) throw new TypeError(`a scan that does not tell its findings: ${told.problem}`);
  const days = planDays({
    ...{ violations, findings: told.findings, earlier: listEarlier(before), now: at },
    ...{ isUnreadable: before.unreadable.length > 0, rules: policy.policy.scan.rescan },
  });
  if (violations.length > 0) rescan.failures.push(...tellUnreadable(before, nameImage(facts)));
  const passed = result.verdict === "pass";
  const isSaid = isSaidAlready(
    before,
    {
      ...{ passed, countsFrom: days.countsFrom, violations, findings: days.findings },
      excepted: result.violations.length - violations.length,
      exceptions: summariseExceptions(result, facts.repository),
    },
    policy,
    at,
  );
  if (rescan.signer !== undefined && !isSaid) await signRescan(visited, rescan, { result, days }, rescan.signer, at);
  const refused = await placeRefused(visited, violations, days, places);
  const own = facts.source === undefined ? undefined : await places.findOwner(facts.source, undefined);
  return {
    image: facts,
    owner: facts.owner ?? own ?? nobody,
    verdict: passed ? "pass" : days.countsFrom === undefined ? "fail" : "later",
    ...(days.countsFrom === undefined ? {} : { countsFrom: days.countsFrom }),
    refused,
    findings: told.findings.length,
    evidence: rescan.signer === undefined ? "not" : isSaid ? "unchanged" : "signed",
  };
}

/** The image is judged all the same: without days, since what can't be read may have told all of it. */
function tellUnreadable({ unreadable }: Before, what: string): FleetFailure[] {
  return unreadable.map((problem) => ({ what, problem: `${problem}; so nothing that is refused has days` }));
}

/** It is that of all images: not one of them would be judged by what is known today. */
function assertFreshData(violations: readonly ListedViolation[]): void {
  const stale = violations.find(({ rule }) => rule === "scan.database-age");
  if (stale === undefined) return;
  throw new PolicyViolation(`${stale.thing}: ${stale.problem}`, {
    ...{ code: "database-too-old", rule: "scan.database-age", wayOut: stale.wayOut },
  });
}

async function signRescan(
  { client, image }: VisitedImage,
  { policy }: Pick<Rescan, "policy">,
  { result, days }: { result: StageResult; days: RescanDays },
  signer: Signer,
  now: Date,
): Promise<void> {
  const signed = signedImage(image);
  const signable = checkSignable(result, "of the rescan", signed, policy);
  const finding = buildFindingStatement({ ...signable, predicate: tellDays(signable.predicate, days) }, signed);
  const target = wholeImage(image);
  const known = { isNew: true, hasEmptyConfig: true };
  const attached = await attachStatement(client, target, finding, signer, now, known);
  const rests = { bundle: attached.bundle.digest, referrer: attached.referrer.digest };
  const verdict = buildVerdictStatement(signable, signed, policy, rests, days.countsFrom);
  await attachStatement(client, target, verdict, signer, now, known);
}

function placeRefused(
  { facts }: VisitedImage,
  violations: readonly ListedViolation[],
  { days, findings }: RescanDays,
  places: SourcePlaces,
): Promise<RefusedThing[]> {
  const byThing = new Map<string, ToldFinding>();
  for (const finding of findings) {
    const { id, package: of } = finding;
    byThing.set(`${id} in ${of.name} ${of.version}`, finding);
  }
  return Promise.all(
    violations.map(async (violation, index): Promise<RefusedThing> => {
      const finding = byThing.get(violation.thing);
      const thing = { violation, countsFrom: days[index] ?? new Date(0) };
      if (finding === undefined) return { ...thing, action: "update", owner: facts.owner ?? nobody };
      const action = finding.origin === "base" ? ("rebase" as const) : ("update" as const);
      const { owner, place } = await placeHit({ image: facts, package: finding.package, action }, places);
      return { ...thing, finding, action, owner, ...(place === undefined ? {} : { place }) };
    }),
  );
}
