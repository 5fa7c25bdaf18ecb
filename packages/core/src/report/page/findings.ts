import { z } from "zod";
import type { FindingSeverity } from "../../scan/finding.ts";
import { readToldScan, type ToldFinding } from "../../scan/told-findings.ts";
import { record } from "../../stage-facts.ts";

/** A finding as a scan's predicate tells it, with what the scanner's own report explains of it. */
export interface ReadFinding extends Pick<ToldFinding, "id" | "aliases" | "fixedVersions" | "package"> {
  severity: FindingSeverity;
  fixState: string;
  isExcepted: boolean;
  kev: boolean;
  malicious: boolean;
  cvss?: number;
  epss?: number;
  /** diffIDs */
  layers: string[];
  paths: string[];
  urls: string[];
  description?: string;
  hidden?: string;
}

/**
 * What an image's scan has found; undefined where its predicate does not tell, as one of before findings were told so.
 * @param digest of the image, where the scan may be of an index
 */
export function readPageFindings(
  predicate: Record<string, unknown> | undefined,
  digest: string | undefined,
): ReadFinding[] | undefined {
  const told = predicate === undefined ? undefined : readToldScan(predicate);
  if (told === undefined || "problem" in told) return undefined;
  const isOfImage = (child: string | undefined): boolean => child === undefined || child === digest;
  const result = record(record(predicate?.["scanner"])["result"]);
  const details = collectDetails(result["matches"], isOfImage);
  const hidden = collectHidden(record(result["goldenpath"])["hidden"], isOfImage);
  return told.findings
    .filter(({ child }) => isOfImage(child))
    .map((finding) => {
      const { id, aliases, severity, fixedVersions, package: found, kev, malicious, excepted } = finding;
      const key = keyOf(id, found.name, found.version);
      const why = hidden.get(key);
      return {
        ...{ id, aliases, severity, fixedVersions, package: found },
        ...(details.get(key) ?? { fixState: "unknown", layers: [], paths: [], urls: [] }),
        ...{ isExcepted: excepted === true, kev: kev === true, malicious: malicious === true },
        ...(why === undefined ? {} : { hidden: why }),
      };
    });
}

type Details = Pick<ReadFinding, "fixState" | "cvss" | "epss" | "layers" | "paths" | "urls" | "description">;

/** Of a match what a reader wants besides; whatever is not there, or is something else, is not told. */
const matchSchema = z.object({
  child: z.string().optional(),
  vulnerability: z.object({
    id: z.string(),
    dataSource: z.string().optional().catch(undefined),
    urls: z.array(z.string()).catch([]),
    description: z.string().optional().catch(undefined),
    fix: z.object({ state: z.string() }).optional().catch(undefined),
    cvss: z.array(z.object({ metrics: z.object({ baseScore: z.number() }) })).catch([]),
    epss: z.array(z.object({ epss: z.number() })).catch([]),
  }),
  artifact: z.object({
    name: z.string(),
    version: z.string(),
    locations: z.array(z.object({ path: z.string().optional(), layerID: z.string().optional() })).catch([]),
  }),
});

const keyOf = (...names: string[]): string => names.join("\0");

/** By vulnerability and package, from a report that has matches as grype writes them: for people, and for no verdict. */
function collectDetails(
  matches: unknown,
  isOfImage: (child: string | undefined) => boolean,
): ReadonlyMap<string, Details> {
  const details = new Map<string, Details>();
  for (const match of Array.isArray(matches) ? matches : []) {
    const { data } = matchSchema.safeParse(match);
    if (data === undefined || !isOfImage(data.child)) continue;
    const { vulnerability, artifact } = data;
    const key = keyOf(vulnerability.id, artifact.name, artifact.version);
    const same = details.get(key);
    const strings = (values: readonly (string | undefined)[], known: readonly string[] = []): string[] =>
      [...new Set([...known, ...values.filter((value) => value !== undefined && value !== "")])] as string[];
    const [cvss, epss] = [
      vulnerability.cvss.map(({ metrics }) => metrics.baseScore),
      vulnerability.epss.map((each) => each.epss),
    ];
    details.set(key, {
      fixState: vulnerability.fix?.state ?? "unknown",
      layers: strings(
        artifact.locations.map(({ layerID }) => layerID),
        same?.layers,
      ),
      paths: strings(
        artifact.locations.map(({ path }) => path),
        same?.paths,
      ),
      urls: strings([vulnerability.dataSource, ...vulnerability.urls], same?.urls),
      ...(vulnerability.description === undefined ? {} : { description: vulnerability.description }),
      ...(cvss.length === 0 ? {} : { cvss: Math.max(...cvss) }),
      ...(epss.length === 0 ? {} : { epss: Math.max(...epss) }),
    });
  }
  return details;
}

const hiddenSchema = z.object({
  child: z.string().optional(),
  id: z.string(),
  package: z.object({ name: z.string(), version: z.string() }),
  why: z.string(),
});

/** Why findings count that the image as a whole does not show. */
function collectHidden(
  hidden: unknown,
  isOfImage: (child: string | undefined) => boolean,
): ReadonlyMap<string, string> {
  const found = (Array.isArray(hidden) ? hidden : []).flatMap((each) => hiddenSchema.safeParse(each).data ?? []);
  return new Map(
    found
      .filter(({ child }) => isOfImage(child))
      .map(({ id, package: { name, version }, why }) => [keyOf(id, name, version), why]),
  );
}
