import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { rateScore } from "../severity.ts";
import {
  type ImportedReport,
  listDigests,
  type ReportedFinding,
  readIds,
  readReportTime,
  type UnfitReport,
} from "./report.ts";
import { type PackageHints, readSarifFixes, readSarifPackages } from "./sarif-package.ts";

// SARIF 2.1.0 (OASIS), as far as a finding needs it.
const message = z.looseObject({ text: z.string().optional(), markdown: z.string().optional() });
const bag = z.record(z.string(), z.unknown());
const ruleSchema = z.looseObject({
  id: z.string().optional(),
  name: z.string().optional(),
  shortDescription: message.nullish(),
  fullDescription: message.nullish(),
  help: message.nullish(),
  helpUri: z.string().nullish(),
  properties: bag.nullish(),
});
type Rule = z.infer<typeof ruleSchema>;
const component = z.looseObject({
  name: z.string().min(1),
  version: z.string().optional(),
  semanticVersion: z.string().optional(),
  rules: z.array(ruleSchema).nullish(),
});
const locationSchema = z.looseObject({
  message: message.nullish(),
  physicalLocation: z
    .looseObject({ artifactLocation: z.looseObject({ uri: z.string().optional() }).optional() })
    .nullish(),
  logicalLocations: z
    .array(z.looseObject({ fullyQualifiedName: z.string().optional(), name: z.string().optional() }))
    .nullish(),
});
const resultSchema = z.looseObject({
  ruleId: z.string().optional(),
  ruleIndex: z.number().int().optional(),
  rule: z
    .looseObject({
      id: z.string().optional(),
      index: z.number().int().optional(),
      toolComponent: z.looseObject({ index: z.number().int().optional() }).optional(),
    })
    .nullish(),
  kind: z.string().optional(),
  baselineState: z.string().optional(),
  message: message.nullish(),
  locations: z.array(locationSchema).nullish(),
  properties: bag.nullish(),
});
type Result = z.infer<typeof resultSchema>;
const notice = z.array(z.looseObject({ level: z.string().optional(), message: message.nullish() })).nullish();
const runSchema = z.looseObject({
  tool: z.looseObject({ driver: component, extensions: z.array(component).nullish() }),
  invocations: z
    .array(
      z.looseObject({
        executionSuccessful: z.boolean().optional(),
        startTimeUtc: z.string().optional(),
        endTimeUtc: z.string().optional(),
        commandLine: z.string().optional(),
        arguments: z.array(z.string()).nullish(),
        toolExecutionNotifications: notice,
        toolConfigurationNotifications: notice,
      }),
    )
    .nullish(),
  results: z.array(resultSchema).nullish(),
  artifacts: z.array(z.looseObject({ location: z.looseObject({ uri: z.string().optional() }).optional() })).nullish(),
  automationDetails: z.looseObject({ id: z.string().optional() }).nullish(),
  externalPropertyFileReferences: bag.nullish(),
  properties: bag.nullish(),
});
type Run = z.infer<typeof runSchema>;
const toolOnly = z.looseObject({ tool: z.looseObject({ driver: z.looseObject({ name: z.string() }) }) });
const logSchema = z.looseObject({ version: z.literal("2.1.0"), runs: z.array(z.unknown()).min(1) });

/**
 * A SARIF log → what the runs of these tools found; what is wrong with it; or undefined where all runs are of other
 * tools. A run without results says that the tool did not get to have any (SARIF 2.1.0, 3.14.23): only an empty list is
 * that nothing was found.
 * @param tools what `tool.driver.name` may be
 */
export function readSarif(json: unknown, tools: readonly string[]): ImportedReport | UnfitReport | undefined {
  const log = logSchema.safeParse(json);
  if (!log.success) return { problem: `it is no log of SARIF 2.1.0: ${describeIssues(log.error)}` };
  const named = log.data.runs.map((run) => toolOnly.safeParse(run).data?.tool.driver.name);
  const nameless = named.indexOf(undefined);
  if (nameless >= 0) return { problem: `runs[${nameless}] does not say which tool it is of` };
  const own = log.data.runs.filter((_run, index) => tools.includes(named[index] ?? ""));
  if (own.length === 0) return undefined;
  const runs = z.array(runSchema).safeParse(own);
  if (!runs.success) return { problem: `its runs can't be read: ${describeIssues(runs.error)}` };
  const times = runs.data.flatMap(({ invocations }) =>
    (invocations ?? []).flatMap((each) => readReportTime(each.endTimeUtc ?? each.startTimeUtc) ?? []),
  );
  const newest = times.toSorted((a, b) => b.getTime() - a.getTime())[0];
  const time = newest === undefined ? {} : { time: newest };
  const problem = runs.data.map(findFailure).find((each) => each !== undefined);
  if (problem !== undefined) return { problem, ...time };
  const [first] = runs.data as [Run];
  const { name, version, semanticVersion } = first.tool.driver;
  const findings: ReportedFinding[] = [];
  for (const run of runs.data) {
    for (const [index, result] of (run.results ?? []).entries()) {
      const rule = findRule(run, result);
      const id = result.ruleId ?? result.rule?.id ?? rule?.id ?? "";
      if (id === "") return { problem: `results[${index}] does not say what was found`, ...time };
      if (isStanding(result)) findings.push(...readResult(id, result, rule));
    }
  }
  return {
    format: "SARIF",
    tool: [name, semanticVersion ?? version].filter((each) => each !== undefined).join(" "),
    ...time,
    digests: listDigests(runs.data.flatMap(listTexts)),
    findings,
  };
}

/** Why a run says nothing of an image: a clause. */
function findFailure({ invocations, results, externalPropertyFileReferences }: Run): string | undefined {
  for (const each of invocations ?? []) {
    const failed = [...(each.toolExecutionNotifications ?? []), ...(each.toolConfigurationNotifications ?? [])].find(
      ({ level }) => level === "error",
    );
    const why = failed?.message?.text === undefined ? "" : `: ${failed.message.text}`;
    if (each.executionSuccessful === false || failed !== undefined) return `its tool says that it failed${why}`;
  }
  if (externalPropertyFileReferences !== undefined && externalPropertyFileReferences !== null)
    return "parts of it are in other files";
  return results === undefined || results === null
    ? "it has no list of results, as where a tool did not get to one"
    : undefined;
}

/** What a tool set aside by its own rules is found all the same: exceptions are the policy's. */
function isStanding({ kind, baselineState }: Result): boolean {
  return kind !== "pass" && kind !== "notApplicable" && baselineState !== "absent";
}

function findRule({ tool }: Run, { ruleId, ruleIndex, rule }: Result): Rule | undefined {
  const index = rule?.index ?? ruleIndex;
  const extension = rule?.toolComponent?.index;
  const rules = (extension === undefined ? tool.driver : tool.extensions?.[extension])?.rules ?? [];
  const id = ruleId ?? rule?.id;
  if (index !== undefined && index >= 0) {
    const found = rules[index];
    if (found !== undefined && (id === undefined || found.id === id)) return found;
  }
  const all = [tool.driver, ...(tool.extensions ?? [])].flatMap((each) => each.rules ?? []);
  return id === undefined ? undefined : all.find((each) => each.id === id);
}

function readResult(id: string, result: Result, rule: Rule | undefined): ReportedFinding[] {
  const [own, common] = [result.properties ?? {}, rule?.properties ?? {}];
  const texts = [result.message, rule?.fullDescription, rule?.shortDescription, rule?.help].flatMap(
    (each) => each?.text ?? [],
  );
  const hints: PackageHints = {
    properties: Object.keys(own).length > 0 ? [own, common] : [common],
    places: (result.locations ?? []).flatMap(({ message: told, logicalLocations }) => [
      ...(logicalLocations ?? []).flatMap(({ fullyQualifiedName, name }) => fullyQualifiedName ?? name ?? []),
      ...(told?.text === undefined ? [] : [told.text]),
    ]),
    texts,
  };
  const score = readScore(own) ?? readScore(common);
  const fixed = readSarifFixes(hints);
  const said = rule?.shortDescription?.text ?? result.message?.text ?? "";
  const named = [rule?.name, rule?.shortDescription?.text, rule?.fullDescription?.text].filter(
    (each) => each !== undefined,
  );
  const packages = readSarifPackages(hints);
  return (packages.length === 0 ? [{}] : packages).map((found) => ({
    ...readIds(id, [...named, ...listOwnNames(own), ...listOwnNames(common)]),
    severity: score === undefined ? "unknown" : rateScore(score),
    fixedVersions: fixed,
    fixState: fixed.length > 0 ? "fixed" : "unknown",
    urls: /^https?:\/\//.test(rule?.helpUri ?? "") ? [rule?.helpUri as string] : [],
    description: said === "" ? id : `${id}: ${said}`,
    ...(score === undefined ? {} : { cvss: score }),
    package: found,
  }));
}

/**
 * GitHub's property, which scanners write for it: a score above 0 and up to 10, as a text. trivy writes 0.0 for what
 * nobody rated.
 */
function readScore({ "security-severity": said }: Readonly<Record<string, unknown>>): number | undefined {
  const score =
    typeof said === "number" ? said : typeof said === "string" && said.trim() !== "" ? Number(said) : Number.NaN;
  return score > 0 && score <= 10 ? score : undefined;
}

/** Vendors' own properties with a vulnerability's other names. */
function listOwnNames({ cve, cves, ids, aliases }: Readonly<Record<string, unknown>>): string[] {
  return [cve, cves, ids, aliases].flat().filter((each): each is string => typeof each === "string");
}

/** Where scanners name the image: its properties, and the places of what was found. */
function listTexts({ properties, automationDetails, artifacts, results, invocations }: Run): unknown[] {
  return [
    ...Object.values(properties ?? {}).flat(),
    automationDetails?.id,
    ...(artifacts ?? []).map(({ location }) => location?.uri),
    ...(invocations ?? []).flatMap((each) => [each.commandLine?.split(/\s+/), each.arguments].flat()),
    ...(results ?? []).flatMap(({ locations }) =>
      (locations ?? []).flatMap(({ physicalLocation, logicalLocations }) => [
        physicalLocation?.artifactLocation?.uri,
        ...(logicalLocations ?? []).map(({ fullyQualifiedName }) => fullyQualifiedName),
      ]),
    ),
  ].flat();
}
