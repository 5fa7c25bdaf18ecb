import { z } from "zod";
import { readToldScan, type ToldFinding } from "../../scan/told-findings.ts";
import { record } from "../../stage-facts.ts";

/** Places, and links, of one finding that a page names. */
const maxPlaces = 10;
/** Layers that one package is seen in: no image has more. */
const maxLayers = 200;

/** A finding as a scan's predicate tells it, with what the scanner's own report explains of it. */
export interface ReadFinding extends Omit<ToldFinding, "layers" | "paths" | "urls"> {
  /** diffIDs */
  layers: readonly string[];
  paths: readonly string[];
  urls: readonly string[];
  description?: string;
  hidden?: string;
}

/**
 * What a scan has found, by image: an index's scan is read once for all of its images. Undefined where the predicate
 * does not tell, as one of before findings were told so.
 */
export function openScan(
  predicate: Record<string, unknown> | undefined,
): ((digest: string | undefined) => ReadFinding[]) | undefined {
  const told = predicate === undefined ? undefined : readToldScan(predicate);
  if (told === undefined || "problem" in told) return undefined;
  const result = record(record(predicate?.["scanner"])["result"]);
  const details = collectDetails(result["matches"]);
  const hidden = collectHidden(record(result["goldenpath"])["hidden"]);
  const children = Map.groupBy(told.findings, ({ child }) => child ?? "");
  return (digest) =>
    [...new Set(["", digest ?? ""])].flatMap((child) =>
      (children.get(child) ?? []).map((finding) => {
        const key = keyOf(child, finding.id, finding.package.name, finding.package.version);
        const why = hidden.get(key);
        const { layers, paths, urls, description } = details.get(key) ?? detailsOf(finding);
        return {
          ...finding,
          ...{ layers: [...layers], paths: [...paths], urls: [...urls] },
          ...(description === undefined ? {} : { description }),
          ...(why === undefined ? {} : { hidden: why }),
        };
      }),
    );
}

interface Details {
  layers: Set<string>;
  paths: Set<string>;
  urls: Set<string>;
  description?: string | undefined;
}

/** What the finding says itself, where the first scanner's report does not have it. */
function detailsOf({ layers = [], paths = [], urls = [] }: ToldFinding): Details {
  const safe = urls.filter((url) => url.startsWith("https://")).slice(0, maxPlaces);
  return {
    layers: new Set(layers.slice(0, maxLayers)),
    paths: new Set(paths.slice(0, maxPlaces)),
    urls: new Set(safe),
  };
}

/** Of a match what a reader wants besides; whatever is not there, or is something else, is not told. */
const matchSchema = z.object({
  child: z.string().optional(),
  vulnerability: z.object({
    id: z.string(),
    dataSource: z.string().optional().catch(undefined),
    urls: z.array(z.string()).catch([]),
    description: z.string().optional().catch(undefined),
  }),
  artifact: z.object({
    name: z.string(),
    version: z.string(),
    locations: z.array(z.object({ path: z.string().optional(), layerID: z.string().optional() })).catch([]),
  }),
});

const keyOf = (...names: string[]): string => names.join("\0");

/**
 * By image, vulnerability and package, from a report that has matches as grype writes them: for people, and for no
 * verdict. Of each as much is kept as a page names, however often a stranger's report has it.
 */
function collectDetails(matches: unknown): ReadonlyMap<string, Details> {
  const details = new Map<string, Details>();
  for (const match of Array.isArray(matches) ? matches : []) {
    const { data } = matchSchema.safeParse(match);
    if (data === undefined) continue;
    const { child = "", vulnerability, artifact } = data;
    const key = keyOf(child, vulnerability.id, artifact.name, artifact.version);
    const found = details.get(key) ?? { layers: new Set(), paths: new Set(), urls: new Set() };
    details.set(key, found);
    for (const { path, layerID } of artifact.locations) {
      keep(found.paths, path, maxPlaces);
      keep(found.layers, layerID, maxLayers);
    }
    for (const url of [vulnerability.dataSource, ...vulnerability.urls])
      if (url?.startsWith("https://")) keep(found.urls, url, maxPlaces);
    found.description ??= vulnerability.description;
  }
  return details;
}

function keep(kept: Set<string>, value: string | undefined, most: number): void {
  if (value !== undefined && value !== "" && kept.size < most) kept.add(value);
}

const hiddenSchema = z.object({
  child: z.string().optional(),
  id: z.string(),
  package: z.object({ name: z.string(), version: z.string() }),
  why: z.string(),
});

/** Why findings count that the image as a whole does not show. */
function collectHidden(hidden: unknown): ReadonlyMap<string, string> {
  const found = (Array.isArray(hidden) ? hidden : []).flatMap((each) => hiddenSchema.safeParse(each).data ?? []);
  return new Map(
    found.map(({ child = "", id, package: { name, version }, why }) => [keyOf(child, id, name, version), why]),
  );
}
