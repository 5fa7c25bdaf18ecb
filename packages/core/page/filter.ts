import { type PageFinding, pageSeverities } from "../src/report/page/model.ts";

/** What a reader asked to see; an empty set, an empty text or undefined asks for nothing. */
export interface Filter {
  /** Words, each of which has to be somewhere in the finding. */
  text: string;
  severities: ReadonlySet<string>;
  origin: string;
  state: string;
  change: string;
  isFixable: boolean;
  /** Of the image's layers, from 1. */
  layer: number | undefined;
}

export const sortKeys = ["severity", "id", "package", "fixed", "origin", "risk"] as const;
export type SortKey = (typeof sortKeys)[number];

/** What a text is looked for in, put together once. */
export function textOf({ id, aliases, name, version, type, fixed, paths, purl }: PageFinding): string {
  return [id, ...aliases, name, version, type, fixed ?? "", purl ?? "", ...paths].join("\n").toLowerCase();
}

export function accepts(filter: Filter, finding: PageFinding, text: string): boolean {
  return (
    (filter.severities.size === 0 || filter.severities.has(finding.severity)) &&
    (filter.origin === "" || filter.origin === finding.origin) &&
    (filter.state === "" || filter.state === finding.state) &&
    (filter.change === "" || filter.change === finding.change) &&
    (!filter.isFixable || finding.fixed !== undefined) &&
    (filter.layer === undefined || finding.layers.includes(filter.layer)) &&
    filter.text
      .toLowerCase()
      .split(/\s+/)
      .every((word) => text.includes(word))
  );
}

const collator = new Intl.Collator("en", { numeric: true });

/** The order by a column; where it says nothing, the one that the findings came in. */
export function compareBy(key: SortKey, isDescending: boolean): (a: PageFinding, b: PageFinding) => number {
  const order = orders[key];
  return (a, b) => (isDescending ? order(b, a) : order(a, b));
}

const orders: Record<SortKey, (a: PageFinding, b: PageFinding) => number> = {
  severity: (a, b) => pageSeverities.indexOf(a.severity) - pageSeverities.indexOf(b.severity),
  id: (a, b) => collator.compare(a.id, b.id),
  package: (a, b) => collator.compare(`${a.name} ${a.version}`, `${b.name} ${b.version}`),
  fixed: (a, b) => collator.compare(a.fixed ?? "\uffff", b.fixed ?? "\uffff"),
  origin: (a, b) => collator.compare(a.origin, b.origin),
  risk: (a, b) => riskOf(b) - riskOf(a),
};

/** Known exploitation before probability before a score. */
function riskOf({ kev, epss = 0, cvss = 0 }: PageFinding): number {
  return (kev === true ? 1_000 : 0) + epss * 100 + cvss / 100;
}
