import { z } from "zod";
import { formatPlace, type StageResult } from "../../result.ts";
import { findingSeverities, fixTarget } from "../../scan/finding.ts";
import { code, escapeMarkdown, linkAdvisory, renderComparisonNote } from "../markdown.ts";
import { count, line } from "./fields.ts";

/** How an image's findings differ from those of the image that it was compared with, as a comment tells it. */
export const comparedSchema = z.object({
  /** `HOST/NAME@sha256:…`; missing where there is nothing to compare with. */
  with: line.optional(),
  note: line.optional(),
  counts: z.object({ new: count, worse: count, fixed: count, unchanged: count }).optional(),
  /** New and worse ones, the worst first; `times`: on how many platforms. */
  added: z
    .array(
      z.object({
        ...{ id: line, package: line, version: line, severity: line, change: z.enum(["new", "worse"]) },
        ...{ fixed: line.optional(), origin: line.optional(), place: line.optional(), platforms: line.optional() },
        times: z.number().int().positive(),
      }),
    )
    .max(200),
});
export type Compared = z.infer<typeof comparedSchema>;
type Added = Compared["added"][number];

/** What a part keeps of a list before any measure: no comment shows more. */
const maxAdded = 100;
/** Rows of the table of what is new: what a reader takes in at once. */
const maxRows = 10;

/** The comparison of the first result that has one. */
export function describeCompared(results: readonly StageResult[]): Compared | undefined {
  const comparison = results.find((result) => result.comparison !== undefined)?.comparison;
  if (comparison === undefined) return undefined;
  const { with: other, note, counts, new: added } = comparison;
  const same = Map.groupBy(added, ({ id, change, package: name, version, severity }) =>
    JSON.stringify([id, change, name, version, severity]),
  );
  return {
    ...(other === undefined ? {} : { with: other }),
    ...(note === undefined ? {} : { note }),
    ...(counts === undefined ? {} : { counts }),
    added: [...same.values()].slice(0, maxAdded).flatMap((each) => describeAdded(each)),
  };
}

function describeAdded(same: readonly NonNullable<StageResult["comparison"]>["new"][number][]): Added[] {
  const [first] = same;
  if (first === undefined || first.change === "fixed") return [];
  const { id, package: name, version, severity, change, origin, place } = first;
  const fixed = fixTarget(first);
  const platforms = [...new Set(same.flatMap(({ platform }) => platform ?? []))].join(", ");
  return [
    {
      ...{ id, package: name, version, severity, change, times: same.length },
      ...(fixed === undefined ? {} : { fixed }),
      ...(origin === undefined || origin === "unknown" ? {} : { origin }),
      ...(place === undefined ? {} : { place: formatPlace(place) }),
      ...(platforms === "" ? {} : { platforms }),
    },
  ];
}

interface ComparedPart {
  key: string;
  compared?: Compared | undefined;
}

interface Row extends Added {
  images: string[];
}

/**
 * What is new, of all images as one short table, each once; before it how much that is, and what is to be known of the
 * comparison. Empty where nothing was asked to be compared.
 */
export function renderCompared(parts: readonly ComparedPart[]): string[] {
  const asked = parts.flatMap(({ key, compared }) => (compared === undefined ? [] : [{ key, compared }]));
  if (asked.length === 0) return [];
  const several = parts.length > 1;
  const told = renderNotes(asked.map(({ compared }) => compared));
  const counted = asked.flatMap(({ compared: { counts } }) => counts ?? []);
  if (counted.length === 0) return told;
  const sum = (name: keyof (typeof counted)[number]): number => counted.reduce((all, each) => all + each[name], 0);
  const [first] = asked;
  const other = several || first?.compared.with === undefined ? "" : ` since ${code(first.compared.with)}`;
  const of = several ? ` (${counted.length} of ${parts.length} images compared)` : "";
  const worse = sum("worse") === 0 ? "" : `, ${sum("worse")} worse`;
  return [
    `**${sum("new")} new${worse}**, ${sum("fixed")} fixed, ${sum("unchanged")} unchanged${other}${of}`,
    "",
    ...told,
    ...renderTable(collectAdded(asked), sum("new") + sum("worse"), several),
  ];
}

/** The first thing to be known, and how many images have another. */
function renderNotes(compared: readonly Compared[]): string[] {
  const notes = compared.flatMap(({ note, counts }) =>
    note === undefined ? [] : [renderComparisonNote(note, counts !== undefined)],
  );
  const [first] = notes;
  if (first === undefined) return [];
  const more = new Set(notes).size - 1;
  return [
    `${first}${more === 0 ? "" : ` (Of ${more} more images something like it; their jobs' summaries say what.)`}`,
    "",
  ];
}

/** Each new finding once, with the images that have it, the worst first. */
function collectAdded(parts: readonly { key: string; compared: Compared }[]): Row[] {
  const rows = new Map<string, Row>();
  for (const { key, compared } of parts) {
    for (const added of compared.added) {
      const { id, change, package: name, version, severity, place = "" } = added;
      const at = JSON.stringify([id, change, name, version, severity, place]);
      const row = rows.get(at) ?? { ...added, times: 0, images: [] };
      row.times += added.times;
      row.images.push(key);
      rows.set(at, row);
    }
  }
  const rank = ({ severity }: Row): number => {
    const at = (findingSeverities as readonly string[]).indexOf(severity);
    return at === -1 ? findingSeverities.length : at;
  };
  return [...rows.values()].toSorted((a, b) => rank(a) - rank(b) || b.images.length - a.images.length);
}

function renderTable(rows: readonly Row[], total: number, several: boolean): string[] {
  const shown = rows.slice(0, maxRows);
  const left = total - shown.reduce((sum, { times }) => sum + times, 0);
  const more = left <= 0 ? [] : [`${shown.length === 0 ? "" : "… and "}${left} more of them, in the result file.`, ""];
  if (shown.length === 0) return more;
  const image = several ? " Image |" : "";
  return [
    `| Severity | Advisory | Package | Comes with | Where |${image}`,
    `| --- | --- | --- | --- | --- |${several ? " --- |" : ""}`,
    ...shown.map((row) => renderRow(row, several)),
    "",
    ...more,
  ];
}

function renderRow(row: Row, several: boolean): string {
  const { id, severity, change, package: name, version, fixed, origin, place, platforms, images } = row;
  const [first = ""] = images;
  const cells = [
    `${escapeMarkdown(severity)}${change === "worse" ? ", worse" : ""}`,
    linkAdvisory(id),
    `${escapeMarkdown(`${name} ${version}`)}${fixed === undefined ? ", no fix known" : ` → ${escapeMarkdown(fixed)}`}${platforms === undefined ? "" : ` (${escapeMarkdown(platforms)})`}`,
    escapeMarkdown(origin ?? ""),
    place === undefined ? "" : code(place),
    ...(several ? [images.length === 1 ? code(first) : `${images.length} images`] : []),
  ];
  return `| ${cells.join(" | ")} |`;
}
