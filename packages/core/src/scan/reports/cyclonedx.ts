import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { type FindingSeverity, findingSeverities } from "../finding.ts";
import { rateScore } from "../severity.ts";
import {
  type ImportedReport,
  listDigests,
  type ReportedFinding,
  readIds,
  readReportTime,
  type UnfitReport,
} from "./report.ts";

const tool = z.looseObject({ name: z.string().min(1), version: z.string().optional() });
const componentSchema = z.looseObject({
  "bom-ref": z.string().optional(),
  name: z.string().optional(),
  group: z.string().optional(),
  version: z.string().optional(),
  purl: z.string().optional(),
  hashes: z.array(z.looseObject({ alg: z.string(), content: z.string() })).nullish(),
  properties: z.array(z.looseObject({ value: z.string().optional() })).nullish(),
});
const rating = z.looseObject({
  score: z.number().optional(),
  severity: z.string().optional(),
  method: z.string().optional(),
  vector: z.string().optional(),
  source: z.looseObject({ name: z.string().optional() }).nullish(),
});
const vulnerability = z.looseObject({
  id: z.string().min(1),
  references: z.array(z.looseObject({ id: z.string() })).nullish(),
  ratings: z.array(rating).nullish(),
  description: z.string().optional(),
  recommendation: z.string().optional(),
  advisories: z.array(z.looseObject({ url: z.string().optional() })).nullish(),
  affects: z.array(z.looseObject({ ref: z.string().min(1) })).nullish(),
});
type Vulnerability = z.infer<typeof vulnerability>;

// CycloneDX 1.4 is the first with vulnerabilities; a version that is not here may have them elsewhere.
const documentSchema = z.looseObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.enum(["1.4", "1.5", "1.6", "1.7"]),
  metadata: z.looseObject({
    timestamp: z.string().optional(),
    tools: z
      .union([z.array(tool), z.looseObject({ components: z.array(tool).nullish(), services: z.array(tool).nullish() })])
      .optional(),
    component: componentSchema.nullish(),
  }),
  components: z.array(componentSchema).nullish(),
  vulnerabilities: z.array(vulnerability, "is no list: it is an SBOM, and no report"),
});
const toolsOnly = z.looseObject({ metadata: z.looseObject({ tools: documentSchema.shape.metadata.shape.tools }) });

/**
 * A CycloneDX document with vulnerabilities → what these tools found; what is wrong with it; or undefined where it is
 * of other tools. An analysis in it sets nothing aside: VEX counts by `scan.vex`.
 * @param tools of which one has to be in `metadata.tools`
 */
export function readCycloneDxReport(json: unknown, tools: readonly string[]): ImportedReport | UnfitReport | undefined {
  const named = listTools(toolsOnly.safeParse(json).data?.metadata.tools);
  if (named.length === 0) return { problem: "it does not say which tool made it" };
  const own = named.find(({ name }) => tools.includes(name));
  if (own === undefined) return undefined;
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) return { problem: `it is no report in CycloneDX 1.4 to 1.7: ${describeIssues(parsed.error)}` };
  const { metadata, components, vulnerabilities } = parsed.data;
  const time = readReportTime(metadata.timestamp);
  const all = new Map(
    [...(components ?? []), ...(metadata.component == null ? [] : [metadata.component])].flatMap((each) =>
      each["bom-ref"] === undefined ? [] : [[each["bom-ref"], each] as const],
    ),
  );
  return {
    format: "CycloneDX",
    tool: [own.name, own.version].filter((each) => each !== undefined).join(" "),
    ...(time === undefined ? {} : { time }),
    digests: listDigests(listTexts(metadata.component)),
    findings: vulnerabilities.flatMap((each) => readVulnerability(each, all)),
  };
}

function listTools(tools: z.infer<typeof documentSchema>["metadata"]["tools"]): z.infer<typeof tool>[] {
  if (tools === undefined || Array.isArray(tools)) return tools ?? [];
  return [...(tools.components ?? []), ...(tools.services ?? [])];
}

function listTexts(component: z.infer<typeof componentSchema> | null | undefined): unknown[] {
  if (component === undefined || component === null) return [];
  const { name, version, purl, hashes, properties } = component;
  return [
    ...[name, version, purl, component["bom-ref"]?.split("?")[0]],
    ...(hashes ?? []).flatMap(({ alg, content }) => (alg === "SHA-256" ? `sha256:${content.toLowerCase()}` : [])),
    ...(properties ?? []).map(({ value }) => value),
  ];
}

function readVulnerability(
  said: Vulnerability,
  all: ReadonlyMap<string, z.infer<typeof componentSchema>>,
): ReportedFinding[] {
  const { id, references, ratings, description, recommendation, advisories, affects } = said;
  const scores = (ratings ?? []).flatMap(({ score }) =>
    score !== undefined && score >= 0 && score <= 10 ? score : [],
  );
  const [, fixed] = /\bto version (\S+)$/.exec(recommendation?.trim() ?? "") ?? [];
  const finding = {
    ...readIds(
      id,
      (references ?? []).map((each) => each.id),
    ),
    severity: rate(ratings ?? []),
    fixedVersions: fixed === undefined ? [] : [fixed],
    fixState: fixed === undefined ? ("unknown" as const) : ("fixed" as const),
    urls: (advisories ?? []).flatMap(({ url }) => (url !== undefined && /^https?:\/\//.test(url) ? url : [])),
    ...(description === undefined || description === "" ? {} : { description }),
    ...(scores.length === 0 ? {} : { cvss: Math.max(...scores) }),
  };
  const packages = (affects ?? []).map(({ ref }) => readAffected(ref, all));
  return (packages.length === 0 ? [{}] : packages).map((found) => ({ ...finding, package: found }));
}

/** A reference of the document, or of another one (BOM-Link), or a package URL in its place. */
function readAffected(
  ref: string,
  all: ReadonlyMap<string, z.infer<typeof componentSchema>>,
): ReportedFinding["package"] {
  const [, linked] = /^urn:cdx:[^#]+#(.+)$/.exec(ref) ?? [];
  const meant = decode(linked ?? ref);
  const found = all.get(ref) ?? all.get(meant);
  if (found === undefined) return meant.startsWith("pkg:") ? { purl: meant } : { name: meant };
  const { purl, name, group, version } = found;
  if (purl !== undefined && purl !== "") return { purl };
  const whole = group === undefined || group === "" ? name : `${group}/${name}`;
  return { ...(whole === undefined ? {} : { name: whole }), ...(version === undefined ? {} : { version }) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const words: Readonly<Record<string, FindingSeverity>> = {
  ...{ critical: "critical", high: "high", medium: "medium", low: "low" },
  ...{ info: "negligible", none: "negligible" },
};

/** The worst that anybody says, by word or else by a CVSS score; what nobody says is unknown. */
function rate(ratings: readonly z.infer<typeof rating>[]): FindingSeverity {
  const said = ratings.flatMap(({ severity, score, method }): FindingSeverity[] => {
    if (severity !== undefined && Object.hasOwn(words, severity)) return [words[severity] as FindingSeverity];
    const isCvss = /^CVSSv(?:2|3|31|4)$/.test(method ?? "") && score !== undefined && score >= 0 && score <= 10;
    return isCvss ? [rateScore(score)] : [];
  });
  return findingSeverities.find((each) => said.includes(each)) ?? "unknown";
}
