import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { findNewerVersions } from "../base/standing.ts";
import { isCounted, type Violation } from "../result.ts";
import { judgeBlindSpots } from "../scan/blind-spots.ts";
import { type ComparedChild, compareFindings, type FindingComparison, reportComparison } from "../scan/compare.ts";
import { describeChild } from "../scan/describe-child.ts";
import {
  type Examination,
  type ExaminedChild,
  examineChild,
  gatherBasesOf,
  type ScannerTurn,
} from "../scan/examine.ts";
import type { ExploitedList } from "../scan/exploited.ts";
import { type Finding, findingKey } from "../scan/finding.ts";
import { judgeDatabase, judgeFindings, type RefusedFinding, type ScanGateFacts } from "../scan/gate.ts";
import type { KnownScan } from "../scan/gather-comparison.ts";
import { judgeContents } from "../scan/judge-contents.ts";
import type { createLocator } from "../scan/locate.ts";
import { countFindings, mergeFindings } from "../scan/merge.ts";
import { buildVulnerabilityPredicate, type ScannedChild as PredicateChild } from "../scan/predicate.ts";
import type { PreparedScanner } from "../scan/prepare.ts";
import type { JudgedScan } from "../scan/reports/carried.ts";
import type { ReportReader } from "../scan/reports/gather.ts";
import { buildSarif } from "../scan/sarif.ts";
import { writeSpdx } from "../scan/spdx.ts";
import { renderScanSummary } from "../scan/summary.ts";
import { findSuppressions } from "../scan/suppressions.ts";
import type { VexReader } from "../scan/vex/gather.ts";
import type { VexAnswer } from "../scan/vex/match.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { fileStem, platformSlug } from "./scan-files.ts";
import type { ScanPolicy } from "./scan-policy.ts";
import type { VerbOutcome } from "./verb.ts";

/** What the scans of several images have in common. */
export interface ScanShared {
  /** Bases that were looked at for another image. */
  views?: Examination["views"];
  /** Nothing is catalogued but bases: without a signed SBOM there is no scan. */
  signedSbomOnly?: true;
  /** What it is compared with, in the place of the input. */
  known?: KnownScan | undefined;
  /** Of a rescan: the scans before, by whose word reports count that are not there any more. */
  before?: readonly JudgedScan[];
  /** For what takes much memory: so many at a time. */
  inTurn?: NonNullable<Examination["inTurn"]>;
}

interface ScannedChild extends ExaminedChild {
  /** Set for an index only. */
  platform?: string;
  refused: RefusedFinding[];
  /** Where there is an image to compare with. */
  comparison?: FindingComparison;
  /** What of its packages is refused, vulnerable or not. */
  ofPackages: Violation[];
  /** What VEX says of a finding, where the policy takes anybody's. */
  vexOf?: (finding: Finding) => VexAnswer | undefined;
  /** True of what is let pass because the other image has it as well. */
  isKnown?: (finding: Finding) => boolean;
  blindSpots: Violation[];
  sbomFile: string;
  spdxFile?: string;
}

/** One image that is scanned, and what with. */
export interface ImageScan {
  mode: "enforce" | "audit";
  /** Each SBOM is written in SPDX as well. */
  hasSpdx: boolean;
  context: Context;
  scanners: readonly PreparedScanner[];
  exploited: ExploitedList | undefined;
  policy: ScanPolicy;
  client: RegistryClient;
  image: ImageFacts;
  directory: string;
  startedAt: Date;
  locate: ReturnType<typeof createLocator>;
  known: KnownScan | undefined;
  vex: VexReader | undefined;
  shared: ScanShared;
  reports: ReportReader | undefined;
  /** Of signed exceptions. */
  notes: readonly string[];
}

/** Scans one image, each platform of it, and judges it. */
export async function scanImage(work: ImageScan): Promise<VerbOutcome> {
  const { context, scanners: prepared, policy, client, image, directory, startedAt } = work;
  const examination = {
    client,
    image,
    policy: policy.policy,
    context,
    scanners: prepared,
    reports: work.reports,
    exploited: work.exploited,
    views: new Map(),
    ...work.shared,
  };
  const approved = await gatherBasesOf({ client, image, loaded: policy, now: startedAt });
  const scanned: ScannedChild[] = [];
  for (const child of image.children) {
    const sbomFile = join(
      directory,
      `${fileStem(image)}${image.children.length > 1 ? `-${platformSlug(child)}` : ""}.cdx.json`,
    );
    const examined = await examineChild(examination, child, approved, sbomFile);
    const spdxFile = work.hasSpdx ? sbomFile.replace(/\.cdx\.json$/, ".spdx.json") : undefined;
    if (spdxFile !== undefined) await writeSpdx(examined.sbom, sbomFile, spdxFile, context);
    const platform = image.children.length > 1 ? formatPlatform(child.platform) : undefined;
    const place = platform === undefined ? {} : { platform };
    const compared = compareChild(work, examined);
    const vexOf = await work.vex?.answer(examined);
    const refused = judgeFindings({
      findings: examined.findings,
      policy: policy.policy.scan,
      exceptions: policy.policy.exceptions,
      enforceFrom: policy.policy.enforceFrom,
      now: startedAt,
      ...compared,
      isClosed: (finding) => vexOf?.(finding)?.isClosed === true,
      ...(examined.base === undefined
        ? {}
        : { base: examined.base.name, newerBase: findNewerVersions(examined.base, policy.policy.bases) }),
      ...place,
    }).map((entry) => withPlace(entry, work.locate));
    const thing = `${formatRepository(image.reference)}@${child.digest}`;
    const blindSpots = judgeBlindSpots(examined.sight, policy.policy.scan.allowBlindSpots, thing, platform);
    const ofPackages = judgeContents({
      ...{ examined, policy: policy.policy, repository: image.reference, now: startedAt },
      ...place,
    });
    scanned.push({
      ...examined,
      ...place,
      ...compared,
      ...(vexOf === undefined ? {} : { vexOf }),
      ...{ ofPackages, refused, blindSpots, sbomFile },
      ...(spdxFile === undefined ? {} : { spdxFile }),
    });
  }
  return finishScan(work, scanned);
}

function compareChild(
  { known }: ImageScan,
  { child, findings, notes }: ExaminedChild,
): Pick<ScannedChild, "comparison" | "isKnown"> & Pick<ScanGateFacts, "metBefore"> {
  if (known?.scan === undefined) return {};
  const platform = formatPlatform(child.platform);
  if (!known.scan.platforms.includes(platform))
    notes.push(`the image that this is compared with has none for ${platform}: all of it counts as new`);
  const comparison = compareFindings(findings, known.scan, platform);
  if (!known.report.gates) return { comparison };
  // An exception was granted to the other image: this one needs its own.
  const isKnown = (finding: Finding): boolean =>
    comparison.changeOf(finding) === "unchanged" && !comparison.isByException(finding);
  return { comparison, isKnown, metBefore: comparison.metBefore };
}

/** With the file and line that a reader changes, where the checkout has one. */
function withPlace({ finding, violation }: RefusedFinding, locate: ImageScan["locate"]): RefusedFinding {
  const place = findPlace(finding, locate);
  return { finding, violation: place === undefined ? violation : { ...violation, place } };
}

function findPlace(finding: Finding, locate: ImageScan["locate"]): Violation["place"] {
  const { isKnown, ...place } = locate(finding);
  return isKnown ? place : undefined;
}

async function finishScan(work: ImageScan, scanned: readonly ScannedChild[]): Promise<VerbOutcome> {
  const { mode, context, policy, image, startedAt, known } = work;
  const [first] = scanned;
  if (first === undefined) {
    throw new UserError(`${formatReference(image.reference)} has nothing that runs and could be scanned`, {
      code: "scan-nothing-found",
    });
  }
  const { violations, failing } = judgeScan(work, scanned);
  const locate = (finding: Finding) => findPlace(finding, work.locate);
  const sarifFile = await writeSarif(work, scanned, first.turns);
  const comparison =
    known === undefined ? undefined : reportComparison(known.report, scanned.filter(isCompared), locate);
  const result = buildResult(context, {
    stage: "scan",
    startedAt,
    subject: resultSubject(image, (digest) => (failing.has(digest) ? "fail" : "pass")),
    violations,
    policy,
    predicateType: predicateTypes.vulnerabilities,
    predicate: buildVulnerabilityPredicate({
      scanners: first.turns,
      children: scanned.map(tellChild),
      comparison,
      exploited: work.exploited,
      run: context.run,
      startedAt,
      finishedAt: context.now(),
    }),
    tools: uniqueBy(
      scanned.flatMap((entry) => entry.tools),
      (tool) => JSON.stringify(tool),
    ),
    notes: [
      ...scanned.flatMap((entry) => describeChild(entry, policy.policy, startedAt)),
      ...(work.vex?.conclude().notes ?? []),
      ...work.notes,
    ],
    ...(comparison === undefined ? {} : { comparison }),
  });
  const audit = mode === "audit";
  const findings = scanned.flatMap((entry) => entry.findings);
  const counts = countFindings(findings);
  return {
    verdict: result.verdict,
    result,
    outputs: {
      sbom: scanned.map((entry) => entry.sbomFile).join("\n"),
      spdx: scanned.flatMap((entry) => entry.spdxFile ?? []).join("\n"),
      sarif: sarifFile,
      counts: JSON.stringify(counts),
    },
    summary: renderScanSummary({
      result,
      findings,
      counts,
      policy: policy.policy.scan,
      refused: listRefused(scanned),
      audit,
    }),
    enforced: !audit,
  };
}

function isCompared(entry: ScannedChild): entry is ScannedChild & ComparedChild {
  return entry.comparison !== undefined;
}

function tellChild({ child, turns, reported, findings, refused, vexOf }: ScannedChild): PredicateChild {
  const excepted = new Set(
    // What was let pass for a while only, by an exception or until a day, is not known of old elsewhere either.
    refused.filter(({ violation }) => !isCounted(violation)).map(({ finding }) => findingKey(finding)),
  );
  return {
    ...{ digest: child.digest, platform: formatPlatform(child.platform), findings },
    reports: turns.map(({ run }) => run.report),
    imported: reported.used,
    carried: reported.carried,
    isExcepted: (finding) => excepted.has(findingKey(finding)),
    vexOf,
  };
}

/** Keys of what is refused on any platform, be it set aside by an exception. */
function listRefused(scanned: readonly ScannedChild[]): Set<string> {
  return new Set(scanned.flatMap(({ refused }) => refused.map(({ finding }) => findingKey(finding))));
}

/** The violations of all platforms' images and of the data, and the digests of the images that fail. */
function judgeScan(
  { policy, startedAt, vex }: ImageScan,
  scanned: readonly ScannedChild[],
): { violations: Violation[]; failing: Set<string> } {
  // The data may have been updated between two children: each is judged, and the same complaint made once.
  const ageViolations = uniqueBy(
    scanned.flatMap(({ turns }) =>
      turns.flatMap(({ scanner, run }) =>
        judgeDatabase(run.database, policy.policy.scan.databaseMaxAge, startedAt, {
          ...(turns.length === 1 ? {} : { of: scanner.name }),
          ...(scanner.describe.updateCommand === undefined ? {} : { update: scanner.describe.updateCommand }),
        }),
      ),
    ),
    ({ thing, problem }) => `${thing}\0${problem}`,
  );
  const ofAll = [...ageViolations, ...(vex?.conclude().violations ?? [])];
  const refused = scanned.flatMap((entry) => entry.refused.map(({ violation }) => violation));
  const failing = scanned.filter(
    (entry) =>
      ofAll.length > 0 ||
      entry.blindSpots.length > 0 ||
      entry.reported.violations.length > 0 ||
      [...entry.refused.map(({ violation }) => violation), ...entry.ofPackages].some(isCounted),
  );
  return {
    violations: [
      ...ofAll,
      ...scanned.flatMap((entry) => [...entry.blindSpots, ...entry.reported.violations]),
      ...refused,
      ...scanned.flatMap((entry) => entry.ofPackages),
    ],
    failing: new Set(failing.map(({ child }) => child.digest)),
  };
}

/** The findings for code scanning → the file. */
async function writeSarif(
  work: ImageScan,
  scanned: readonly ScannedChild[],
  turns: readonly ScannerTurn[],
): Promise<string> {
  const { image, directory } = work;
  const sarif = buildSarif({
    findings: mergeFindings(scanned.flatMap((entry) => entry.findings)),
    scanners: turns.map(({ scanner: { name }, run }) => ({ name, version: run.tool.version })),
    repository: formatRepository(image.reference),
    locate: work.locate,
    suppression: findSuppressions(scanned),
  });
  const file = join(directory, `${fileStem(image)}.sarif`);
  await writeFile(file, `${stringifyJson(sarif, 2)}\n`);
  return file;
}

function uniqueBy<T>(values: readonly T[], key: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [key(value), value])).values()];
}
