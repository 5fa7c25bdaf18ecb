import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { gatherApprovedBases, platformOf } from "../base/gather.ts";
import { type ApprovedBase, identifyBase } from "../base/identify.ts";
import { describeError, UserError } from "../errors.ts";
import { digestHex } from "../oci/digest.ts";
import { formatPlatform } from "../oci/manifest.ts";
import { formatReference, formatRepository, parseReference } from "../oci/reference.ts";
import { loadPolicy } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { Context } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";
import { type ChildFacts, fetchImageFacts, type ImageFacts } from "../registry/subject.ts";
import type { Violation } from "../result.ts";
import { catalogImage, type Sbom, sbomPackages, type ToolUse } from "../scan/catalog.ts";
import { type DatabasePlace, placeDatabase } from "../scan/database.ts";
import { countFindings, type Finding, findingKey, mergeFindings } from "../scan/finding.ts";
import { hasFix, isRefused, judgeDatabase, judgeFindings, type RefusedFinding } from "../scan/gate.ts";
import { type GrypeScan, readGrypeFindings, runGrype } from "../scan/grype.ts";
import { createLocator } from "../scan/locate.ts";
import { buildVulnerabilityPredicate } from "../scan/predicate.ts";
import { buildSarif } from "../scan/sarif.ts";
import { renderScanSummary } from "../scan/summary.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { stringifyJson } from "../text/json.ts";
import { prefetchTools } from "../tools/find.ts";
import { createPolicyClient } from "./client.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { choice, commonInputs, optionalText, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  image: requiredText(),
  scanner: choice(["auto", "grype"], "auto"),
  database: optionalText(),
  mode: choice(["enforce", "audit"], "enforce"),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Lists what is in an image, finds its known vulnerabilities and judges them by the policy. Everything found is reported; what fails is the policy's word. For an
 * index each child that runs is scanned and has its own verdict.
 * Outputs: `sbom`, CycloneDX files (one a line, in the order of the children), `sarif`, a file, and `counts`, JSON of how many there are of each severity.
 */
export const scanVerb: Verb<typeof inputs> = { name: "scan", command: "scan", inputs, outputs: ["sbom", "sarif", "counts"], run: runScan };

interface ScannedChild {
  child: ChildFacts;
  /** Set for an index only. */
  platform?: string;
  scan: GrypeScan;
  findings: Finding[];
  refused: RefusedFinding[];
  sbomFile: string;
}

async function runScan(given: Inputs, context: Context): Promise<VerbOutcome> {
  const startedAt = context.now();
  const policy = await loadPolicy(given.policy, context);
  const database = await placeDatabase(
    given.database === undefined ? undefined : resolve(context.workingDirectory, given.database),
    context,
  );
  const reference = parseReference(given.image, "input 'image'");
  const { ports, env, signal } = context;
  const client = createPolicyClient(context, policy);
  try {
    const image = await fetchImageFacts(client, reference);
    ports.log.info(`scanning ${formatReference(image.reference)}`);
    await prefetchTools(["syft", "grype"], { ports, env, signal });
    const directory = given["result-dir"] ?? context.temporaryDirectory;
    await mkdir(directory, { recursive: true });
    return await scanImage({ given, context, policy, client, image, directory, database, startedAt });
  } finally {
    await client.close();
  }
}

interface Work {
  given: Inputs;
  context: Context;
  policy: LoadedPolicy;
  client: RegistryClient;
  image: ImageFacts;
  directory: string;
  database: DatabasePlace;
  startedAt: Date;
}

async function scanImage(work: Work): Promise<VerbOutcome> {
  const { given, context, policy, client, image, directory, startedAt } = work;
  const tools: ToolUse[] = [];
  const notes: string[] = [];
  const scanned: ScannedChild[] = [];
  let approved: ApprovedBase[] | undefined;
  for (const child of image.children) {
    const { sbom, tool } = await catalogImage(client, image, context, child);
    const sbomFile = join(directory, `${fileStem(image)}${image.children.length > 1 ? `-${platformSlug(child)}` : ""}.cdx.json`);
    await writeFile(sbomFile, `${JSON.stringify(sbom, null, 2)}\n`);
    const scan = await runGrype(sbomFile, context, work.database);
    tools.push(tool, scan.tool);
    // Only for the wording: an image without findings costs the registry nothing more.
    if (scan.report.matches.length > 0) approved ??= await gatherBasesForWording(work);
    const base = identifyBase({ platform: platformOf(child), diffIds: child.config.rootfs.diff_ids }, approved ?? [])?.bases[0];
    const findings = readGrypeFindings(scan.report, base?.diffIds);
    const platform = image.children.length > 1 ? formatPlatform(child.platform) : undefined;
    const refused = judgeFindings({
      findings,
      policy: policy.policy.scan,
      exceptions: policy.policy.exceptions,
      now: startedAt,
      ...(base === undefined ? {} : { base: base.name }),
      ...(platform === undefined ? {} : { platform }),
    });
    notes.push(...describeBlindSpots(sbom, scan, findings, policy).map((note) => (platform === undefined ? note : `${platform}: ${note}`)));
    scanned.push({ child, ...(platform === undefined ? {} : { platform }), scan, findings, refused, sbomFile });
  }
  return finishScan({ given, context, policy, image, directory, startedAt, tools, notes }, scanned);
}

/** A base that can't be read is no reason to refuse or to stop: which base an image may stand on is judged elsewhere, and here it words a way out. */
async function gatherBasesForWording({ client, policy, image, context }: Work): Promise<ApprovedBase[]> {
  try {
    return await gatherApprovedBases(client, policy.policy.bases, image.children.map(platformOf));
  } catch (error) {
    context.ports.log.info(`What comes with the base can't be told from the rest: ${describeError(error)}`);
    return [];
  }
}

async function finishScan(
  work: Omit<Work, "client" | "database"> & { tools: ToolUse[]; notes: string[] },
  scanned: readonly ScannedChild[],
): Promise<VerbOutcome> {
  const { given, context, policy, image, directory, startedAt } = work;
  const [first] = scanned;
  if (first === undefined) {
    throw new UserError(`${formatReference(image.reference)} has nothing that runs and could be scanned`, { code: "scan-nothing-found" });
  }
  const findings = scanned.flatMap((entry) => entry.findings);
  // The data may have been updated between two children: each is judged, and the same complaint made once.
  const ageViolations = uniqueBy(
    scanned.flatMap(({ scan }) => judgeDatabase(scan.database, policy.policy.scan.databaseMaxAge, startedAt)),
    (violation) => violation.problem,
  );
  const refused = scanned.flatMap((entry) => entry.refused);
  const violations = [...ageViolations, ...refused.map(({ violation }) => violation)];
  const failing = new Set(
    scanned
      .filter((entry) => ageViolations.length > 0 || entry.refused.some(({ violation }) => violation.exception === undefined))
      .map(({ child }) => child.digest as string),
  );
  const counts = countFindings(findings);
  const sarifFile = join(directory, `${fileStem(image)}.sarif`);
  const exceptions = new Map<string, Violation["exception"]>();
  for (const { finding, violation } of refused) {
    const key = findingKey(finding);
    // What counts on one platform is not set aside.
    exceptions.set(key, exceptions.has(key) && exceptions.get(key) === undefined ? undefined : violation.exception);
  }
  const sarif = buildSarif({
    findings: mergeFindings(findings),
    scannerVersion: first.scan.tool.version,
    repository: formatRepository(image.reference),
    locate: createLocator(context.workingDirectory, given.policy),
    exception: (finding) => exceptions.get(findingKey(finding)),
  });
  await writeFile(sarifFile, `${stringifyJson(sarif, 2)}\n`);
  const result = buildResult(context, {
    stage: "scan",
    startedAt,
    subject: resultSubject(image, (digest) => (failing.has(digest) ? "fail" : "pass")),
    violations,
    policy,
    predicateType: predicateTypes.vulnerabilities,
    predicate: buildVulnerabilityPredicate({
      children: scanned.map(({ child, scan }) => ({ digest: child.digest, platform: formatPlatform(child.platform), scan })),
      scan: first.scan,
      run: context.run,
      startedAt,
      finishedAt: context.now(),
    }),
    tools: uniqueBy(work.tools, (tool) => JSON.stringify(tool)),
    notes: work.notes,
  });
  const audit = given.mode === "audit";
  return {
    verdict: result.verdict,
    result,
    outputs: { sbom: scanned.map((entry) => entry.sbomFile).join("\n"), sarif: sarifFile, counts: JSON.stringify(counts) },
    summary: renderScanSummary({ result, findings, counts, policy: policy.policy.scan, audit }),
    enforced: !audit,
  };
}

/** What the scan could not see or was told to pass over: no rule asks for it, and a reader should know. */
function describeBlindSpots(sbom: Sbom, scan: GrypeScan, findings: readonly Finding[], { policy }: LoadedPolicy): string[] {
  const notes: string[] = [];
  const hasSystem = Array.isArray(sbom["components"]) && sbom["components"].some((component) => component?.type === "operating-system");
  const systemPackages = sbomPackages(sbom).filter(({ purl }) => /^pkg:(?:deb|rpm|apk|alpm)\//.test(purl ?? ""));
  if (hasSystem && systemPackages.length === 0) {
    notes.push(
      "There is an operating system in the image and no package of it is visible, so its vulnerabilities can't be: its package database is missing.",
    );
  }
  const ignored = scan.report.ignoredMatches?.length ?? 0;
  if (ignored > 0) notes.push(`grype's built-in rules set ${ignored} matches aside (kernel headers and the like).`);
  if (policy.scan.onlyFixed) {
    const unfixed = findings.filter((finding) => isRefused(finding, { ...policy.scan, onlyFixed: false }) && !hasFix(finding)).length;
    if (unfixed > 0)
      notes.push(`${unfixed} of severity ${policy.scan.failOn} or above have no fixed version; the policy refuses only what can be fixed.`);
  }
  return notes;
}

/** As the result files are named: `scan-0123456789ab`. */
function fileStem(image: ImageFacts): string {
  return `scan-${digestHex(image.reference.digest).slice(0, 12)}`;
}

/** An index may have several children for one platform (Windows' versions): the digest keeps their files apart. */
function platformSlug(child: ChildFacts): string {
  return `${formatPlatform(child.platform).replaceAll(/[^A-Za-z0-9.]+/g, "-")}-${digestHex(child.digest).slice(0, 12)}`;
}

function uniqueBy<T>(values: readonly T[], key: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [key(value), value])).values()];
}
