import { writeFile } from "node:fs/promises";
import { settleAll } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import { gatherPolicyBases } from "../base/approval/gather.ts";
import type { BasesPolicy } from "../base/approval/gather-versions.ts";
import { readChildLayers } from "../base/gather-child.ts";
import { type ApprovedBase, identifyBase, platformOf } from "../base/identify.ts";
import { readPackages } from "../base/packages.ts";
import { falseLayer } from "../layers/read.ts";
import type { Policy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import type { ToolUse } from "../tools/run-tool.ts";
import { type BaseSbom, obtainBaseSbom } from "./base-sbom.ts";
import { compareViews, findVanished, type ViewComparison } from "./base-view.ts";
import { listManagers, type Sight } from "./blind-spots.ts";
import { catalogImage, readSight, type Sbom } from "./catalog.ts";
import { listStageSigners } from "./choose-known.ts";
import { listComponents } from "./components.ts";
import { findEarlierData, kevName } from "./data/earlier-data.ts";
import { dataError } from "./data/fetch-data.ts";
import { judgeRollback } from "./data/judge-data.ts";
import { type ExploitedList, markExploited } from "./exploited.ts";
import { type Finding, type FindingPackage, packageKey, type ScannerFinding, sortFindings } from "./finding.ts";
import { mergeFindings, mergeScope, placeFindings, type SourceFindings } from "./merge.ts";
import { tellFate } from "./package-fate.ts";
import { type PreparedScanner, withMirrored } from "./prepare.ts";
import type { ReportReader } from "./reports/gather.ts";
import type { JudgedReports } from "./reports/judge.ts";
import { resolvePackages } from "./reports/resolve.ts";
import type { Scanner, ScannerRun } from "./scanners/scanner.ts";
import { chooseSbom, listBuildSigners } from "./signed-sbom.ts";

export interface Examination {
  client: RegistryClient;
  image: ImageFacts;
  policy: Policy;
  context: Context;
  scanners: readonly PreparedScanner[];
  /** Others' reports, where the policy takes anybody's. */
  reports?: ReportReader | undefined;
  /** What is known to be exploited, where the policy has a list of it mirrored. */
  exploited?: ExploitedList | undefined;
  /** Which base each set of layers was found to be, and what is in it: looked at once for all platforms of a run. */
  views: Map<Digest, BaseLook>;
  /** An image without a signed SBOM is an error, and none is made. */
  signedSbomOnly?: true;
  /** For what takes much memory, where several images are looked at side by side: so many at a time. */
  inTurn?: <T>(work: () => Promise<T>) => Promise<T>;
}

/** What one scanner said of one SBOM. */
export interface ScannerTurn {
  scanner: Scanner;
  run: ScannerRun;
}

/** A base on its own: catalogued at once, and matched when somebody asks. */
interface BaseLook {
  catalogued: Promise<BaseSbom>;
  findings(): Promise<BaseView>;
}

interface BaseView {
  findings: Finding[];
  tools: ToolUse[];
  notes: string[];
}

/** One platform's image, looked at as a whole and by its base alone. */
export interface ExaminedChild {
  child: ChildFacts;
  /** The approved one that it stands on. */
  base: ApprovedBase | undefined;
  /** One of each scanner, in their order. */
  turns: ScannerTurn[];
  /** Others' reports of it. */
  reported: JudgedReports;
  /** All of them: the image's, and those of its base that the image as a whole does not show. */
  findings: Finding[];
  /** Findings of the base that the image's own word closes. */
  ownWords: ViewComparison["ownWords"];
  sight: Sight;
  sbom: Sbom;
  tools: ToolUse[];
  notes: string[];
}

/**
 * What is in one image and which vulnerabilities that has. The SBOM is the one that the build stage signed, where there
 * is one, and then no layer of the image is pulled; what its base has is matched on its own, by the SBOM of the base's
 * approvers or by its layers, so that nothing laid over them hides what they bring.
 * @param sbomFile where the SBOM is written
 * @throws what the registry client, the layers' reader and the tools throw; UserError `base-not-found`,
 *   InfrastructureError `base-unreadable`
 */
export async function examineChild(
  examination: Examination,
  child: ChildFacts,
  approved: readonly ApprovedBase[],
  sbomFile: string,
): Promise<ExaminedChild> {
  const evidence = await collectOwn(examination, child);
  assertNotOlder(examination, evidence);
  const match = identifyBase({ platform: platformOf(child), diffIds: child.config.rootfs.diff_ids }, approved);
  const [base] = match?.bases ?? [];
  // Both at once: the base does not depend on what is above it, and one run of a scanner can look at both.
  // A base has nothing on top of it that could hide what it brings.
  const isItself = base?.child === child.digest;
  const look = base === undefined || isItself ? undefined : lookAtBase(examination, base, `${sbomFile}.base`);
  const [{ sbom, tools, notes }] = await settleAll(
    obtainSbom(examination, child, evidence, sbomFile),
    look?.catalogued,
  );
  const seen = readSight(sbom);
  const ask = (): Promise<boolean | undefined> => askForSystem(seen, examination);
  // Data that has to be fetched first is there once a scanner has.
  const isThere = examination.scanners.every(({ database }) => !database.update);
  const [turns, view, early] = await settleAll(
    askScanners(examination, sbomFile),
    look?.findings(),
    isThere ? ask() : undefined,
  );
  const known = isThere ? early : await ask();
  const reported = (await examination.reports?.judge(child)) ?? { used: [], carried: [], violations: [] };
  const told = tellReports(reported, sbom);
  // One that is forbidden has its findings looked for, and vouches for none.
  const own = base?.forbidden === undefined ? base : undefined;
  const findings = placeFindings([...tellSources(turns, sbom), ...told.sources], own?.diffIds);
  let comparison: ViewComparison = { hidden: [], ownWords: [] };
  if (base !== undefined && view !== undefined) {
    tools.push(...view.tools);
    notes.push(...view.notes);
    comparison = await compareWithBase(examination, child, base, findVanished(view.findings, findings));
  }
  const { exploited } = examination;
  const all = sortFindings(mergeFindings([...findings, ...comparison.hidden]));
  if (exploited !== undefined) notes.push(describeList(exploited));
  return {
    child,
    base: own,
    turns,
    reported,
    sbom,
    findings: exploited === undefined ? all : markExploited(all, exploited),
    ownWords: comparison.ownWords,
    sight: { ...seen, ...(known === undefined ? {} : { dataKnows: () => known }) },
    tools: [...tools, ...turns.map(({ run }) => run.tool)],
    notes: [...notes, ...told.notes],
  };
}

function describeList({ released, from }: ExploitedList): string {
  return `known to be exploited is what CISA's list of ${released.toISOString()} has (${from})`;
}

/** What others found, in the packages of the image. */
function tellReports({ used, carried }: JudgedReports, sbom: Sbom): { sources: SourceFindings[]; notes: string[] } {
  const components = listComponents(sbom);
  const sources: SourceFindings[] = [];
  const notes: string[] = [];
  for (const { reporter, report, signer } of used) {
    const { findings, strange } = resolvePackages(report.findings, components);
    sources.push({ source: reporter, findings });
    const whose = signer === undefined ? "given in this job" : `signed by ${signer}`;
    const made = report.time === undefined ? "" : ` of ${report.time.toISOString()}`;
    notes.push(`${reporter}'s report${made} (${report.tool}), ${whose}, has ${findings.length} findings`);
    if (strange > 0) notes.push(`${strange} of ${reporter}'s findings are in packages that the SBOM does not have`);
  }
  for (const { reporter, tool, time, scannedOn, findings } of carried) {
    sources.push({ source: reporter, findings });
    const made = time === undefined ? "" : ` of ${time}`;
    notes.push(
      `${reporter}'s report${made} (${tool}), as the scan of ${scannedOn} told it, has ${findings.length} findings`,
    );
  }
  return { sources, notes };
}

const atOnce: NonNullable<Examination["inTurn"]> = (work) => work();

/** One after the other: each may take all of a machine's memory. */
async function askScanners({ scanners, context }: Examination, sbomFile: string): Promise<ScannerTurn[]> {
  const turns: ScannerTurn[] = [];
  for (const { scanner, database } of scanners)
    turns.push({ scanner, run: withMirrored(await scanner.scan(sbomFile, database, context), database) });
  return turns;
}

/** Each scanner's findings, with what the SBOM says a package is there for. */
function tellSources(turns: readonly ScannerTurn[], sbom: Sbom): SourceFindings[] {
  const scopes = new Map<string, FindingPackage["scope"]>();
  for (const { package: pkg } of listComponents(sbom)) {
    const key = packageKey(pkg);
    scopes.set(key, scopes.has(key) ? mergeScope(scopes.get(key), pkg.scope) : pkg.scope);
  }
  const scoped = (finding: ScannerFinding): ScannerFinding => {
    const scope = finding.package.scope ?? scopes.get(packageKey(finding.package));
    return scope === undefined ? finding : { ...finding, package: { ...finding.package, scope } };
  };
  return turns.map(({ scanner, run }) => ({ source: scanner.name, findings: run.findings.map(scoped) }));
}

/** What is signed about one platform's image, where anything of that is asked for; else nobody has to be asked. */
async function collectOwn(
  { client, image, policy, context, scanners }: Examination,
  { digest }: ChildFacts,
): Promise<CollectedEvidence> {
  const isAsked = listBuildSigners(policy).size > 0 || scanners.some(({ database }) => database.mirrored !== undefined);
  if (!isAsked) return { statements: [], lapsed: [], rejected: [] };
  return collectEvidence(client, image.reference, digest, policy.signers, { now: context.now() });
}

/** A registry that shows older data than before would hide what is known of the image already. */
function assertNotOlder({ scanners, policy, exploited }: Examination, evidence: CollectedEvidence): void {
  const earlier = findEarlierData(evidence, listStageSigners(policy, "scan"));
  const used = scanners.flatMap(({ scanner: { name }, database: { mirrored } }) =>
    mirrored === undefined ? [] : [{ name, built: mirrored.built, from: mirrored.from }],
  );
  if (exploited !== undefined) used.push({ name: kevName, built: exploited.released, from: exploited.from });
  for (const { name, built, from } of used) {
    const objection = judgeRollback({ scanner: name, built }, earlier);
    if (objection !== undefined) throw dataError(from, objection);
  }
}

async function obtainSbom(
  examination: Examination,
  child: ChildFacts,
  evidence: CollectedEvidence,
  sbomFile: string,
): Promise<{ sbom: Sbom; tools: ToolUse[]; notes: string[] }> {
  const obtained = await findOrMakeSbom(examination, child, evidence);
  await writeFile(sbomFile, `${stringifyJson(obtained.sbom, 2)}\n`);
  return obtained;
}

async function findOrMakeSbom(
  { client, image, policy, context, signedSbomOnly }: Examination,
  child: ChildFacts,
  evidence: CollectedEvidence,
): Promise<{ sbom: Sbom; tools: ToolUse[]; notes: string[] }> {
  const signed = chooseSbom(evidence, child.digest, listBuildSigners(policy));
  if (signed !== undefined && !("problem" in signed)) {
    const note = `the SBOM of ${formatPlatform(child.platform)} is the build stage's, signed by ${signed.signer} (bundle ${signed.digest})`;
    context.ports.log.info(note);
    return { sbom: signed.sbom, tools: [], notes: [note] };
  }
  if (signedSbomOnly === true) {
    const why = signed?.problem ?? "no SBOM of it is signed by whoever speaks for the build";
    throw new UserError(`${formatReference({ ...image.reference, digest: child.digest })} can't be scanned: ${why}`, {
      code: "sbom-unsigned",
      wayOut: "Build it again along the path, which signs one.",
    });
  }
  const notes = signed === undefined ? [] : [`the SBOM was made anew: ${signed.problem}`];
  for (const note of notes) context.ports.log.notice(note);
  const { sbom, tool } = await catalogImage(client, image, context, child);
  return { sbom, tools: [tool], notes };
}

async function askForSystem(
  { packageTypes, systems }: Sight,
  { context, scanners }: Examination,
): Promise<boolean | undefined> {
  const [system] = systems;
  if (system === undefined || listManagers(packageTypes).length === 0) return undefined;
  for (const { scanner, database } of scanners) {
    if (await scanner.knowsSystem(system, database, context)) return true;
  }
  return false;
}

/** The base as it was approved, from its own repository: by its digest, and with nothing above it. */
function lookAtBase(examination: Examination, base: ApprovedBase, sbomFile: string): BaseLook {
  const { client, policy, context, views, inTurn = atOnce } = examination;
  const known = views.get(base.child);
  if (known !== undefined) return known;
  const catalogued = obtainBaseSbom(base, { client, policy, context, inTurn }).then(async (obtained) => {
    await writeFile(sbomFile, JSON.stringify(obtained.sbom));
    return obtained;
  });
  let view: Promise<BaseView> | undefined;
  const match = async (): Promise<BaseView> => {
    const { sbom, tools, notes } = await catalogued;
    const turns = await askScanners(examination, sbomFile);
    const found = placeFindings(tellSources(turns, sbom), base.diffIds);
    return { findings: found, tools: [...tools, ...turns.map(({ run }) => run.tool)], notes };
  };
  const look = { catalogued, findings: () => (view ??= match()) };
  views.set(base.child, look);
  return look;
}

/** Only where something of the base is not to be seen any more, the layers are read for what became of its files. */
async function compareWithBase(
  { client, image, policy, context, inTurn = atOnce }: Examination,
  child: ChildFacts,
  base: ApprovedBase,
  vanished: readonly Finding[],
): Promise<ViewComparison> {
  if (vanished.length === 0) return { hidden: [], ownWords: [] };
  const { diffIds, trees } = await inTurn(() =>
    readChildLayers(client, image.reference, child, base.diffIds.length, { signal: context.signal }),
  );
  child.config.rootfs.diff_ids.forEach((said, index) => {
    const actual = diffIds[index];
    if (actual !== said)
      throw falseLayer(`layer ${index + 1} of ${formatRepository(image.reference)}`, said, actual ?? said);
  });
  if (trees === undefined) throw new TypeError("an image on a base has no base");
  const facts = {
    base: { tree: trees.base, packages: readPackages(trees.base) },
    image: { tree: trees.image, packages: readPackages(trees.image) },
  };
  return compareViews(vanished, (finding) => tellFate(facts, finding), policy.scan.ownWord === "refuse");
}

/** The bases that the images of a run may stand on. @throws as `gatherPolicyBases` */
export function gatherBasesOf({
  client,
  loaded,
  image,
  now,
}: Pick<Examination, "client" | "image"> & { loaded: BasesPolicy; now: Date }): Promise<ApprovedBase[]> {
  return gatherPolicyBases(client, loaded, image.children.map(platformOf), now);
}
