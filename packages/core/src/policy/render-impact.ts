import { cleanLine } from "@goldenpath/foundation/text/clean";
import { code, escapeMarkdown } from "../report/markdown.ts";
import type { ImpactImage } from "./gather-impact.ts";
import { type ImpactOutcome, impactOutcomes } from "./judge-impact.ts";

export interface ImpactReport {
  environment: string;
  before: { name: string; serial: number; digest: string };
  after: { name: string; serial: number; digest: string };
  images: readonly ImpactImage[];
  /** What else is to be known of it. One sentence each. */
  notes: readonly string[];
}

type Told = ImpactOutcome | "unreadable";

const meaning: Record<Told, string> = {
  falls: "would be refused",
  unknown:
    "are unknown: nothing that is signed about them says what the newer policy asks for; their stages would, on the next run",
  again: "would have to be judged again: what is signed about them was made under a version that `accepts` leaves out",
  later: "would be let through for now, and refused from the day that `enforceFrom` says",
  "let-in": "would be let in",
  refused: "are refused as before",
  stays: "stay",
  unreadable: "can't be read",
};
/** Those that a reader has to look at; what stays as it is is counted. */
const shown: readonly Told[] = ["unreadable", "falls", "unknown", "again", "later", "let-in"];
/** Reasons of one image; each has more only of the same kind, seldom of another. */
const maxReasons = 3;
/** GitHub takes 65,536 characters, and a job hands on less than 128 KiB as one value. Bytes. */
const maxComment = 60_000;
/** By which a later run finds its own comment. */
export const impactMarker = "<!-- goldenpath: what a changed policy would do -->";

const told: readonly Told[] = ["unreadable", ...impactOutcomes];
const outcomeOf = ({ outcome }: ImpactImage): Told => outcome ?? "unreadable";

export function countOutcomes(images: readonly ImpactImage[]): Record<Told, number> {
  const count = (outcome: Told): number => images.filter((each) => outcomeOf(each) === outcome).length;
  return Object.fromEntries(told.map((each) => [each, count(each)])) as Record<Told, number>;
}

/** How often each rule refuses what would fall, the commonest first. */
export function countRules(images: readonly ImpactImage[]): { rule: string; images: number }[] {
  const rules = images
    .filter(({ outcome }) => outcome === "falls")
    .flatMap(({ because }) => [...new Set(because.map(({ rule }) => rule))]);
  return [...Map.groupBy(rules, (rule) => rule)]
    .map(([rule, each]) => ({ rule, images: each.length }))
    .toSorted((a, b) => b.images - a.images || (a.rule < b.rule ? -1 : 1));
}

export function renderImpact({ environment, before, after, images, notes }: ImpactReport): string {
  const lines = shown.flatMap((outcome) =>
    images
      .filter((each) => outcomeOf(each) === outcome)
      .flatMap((each) => [
        `${each.image} (${each.tags.join(", ")}): ${singular[outcome]}`,
        ...listReasons(each).map((reason) => `    ${reason}`),
      ]),
  );
  const counts = countOutcomes(images);
  return `${[
    ...lines,
    ...(lines.length === 0 ? [] : [""]),
    `${images.length} images in environment '${environment}', by serial ${after.serial} of policy ${after.name} instead of ${before.serial}:`,
    ...told.filter((each) => counts[each] > 0).map((each) => `  ${counts[each]} ${meaning[each]}`),
    ...countRules(images).map((each) => `  ${each.rule} refuses ${each.images}`),
    ...notes,
  ]
    .map((line) => cleanLine(line, 600))
    .join("\n")}\n`;
}

const singular: Record<Told, string> = {
  falls: "would be refused",
  unknown: "unknown",
  again: "would have to be judged again",
  later: "will fail later",
  "let-in": "would be let in",
  refused: "refused as before",
  stays: "stays",
  unreadable: "can't be read",
};

function listReasons({ because, unreadable }: ImpactImage): string[] {
  if (unreadable !== undefined) return [unreadable];
  const more = because.length - maxReasons;
  return [
    ...because.slice(0, maxReasons).map(({ rule, thing, problem }) => `${rule}: ${thing}: ${problem}`),
    ...(more > 0 ? [`and ${more} more`] : []),
  ];
}

/** The same for a comment on the policy's pull request, within its limit: what does not fit is counted. */
export function renderImpactMarkdown(report: ImpactReport): string {
  const { environment, before, after, images, notes } = report;
  const counts = countOutcomes(images);
  const head = [
    impactMarker,
    `### What this policy would do to what is in ${code(environment)}`,
    "",
    `Of ${images.length} images, by serial ${after.serial} instead of ${before.serial}:`,
    "",
    "| Images | What becomes of them |",
    "| --- | --- |",
    ...told.filter((each) => counts[each] > 0).map((each) => `| ${counts[each]} | ${meaning[each]} |`),
    "",
    ...notes.flatMap((note) => [escapeMarkdown(note), ""]),
  ];
  const lines = [...head];
  for (const outcome of shown) {
    const left = maxComment - Buffer.byteLength(lines.join("\n"));
    lines.push(...listOutcome(images, outcome, left));
  }
  return lines.join("\n");
}

function listOutcome(images: readonly ImpactImage[], outcome: Told, room: number): string[] {
  const own = images.filter((each) => outcomeOf(each) === outcome);
  if (own.length === 0) return [];
  const open = outcome === "falls" || outcome === "unknown" || outcome === "unreadable" ? " open" : "";
  const frame = [`<details${open}><summary>${own.length} ${singular[outcome]}</summary>`, ""];
  const entries: string[] = [];
  // The frame, and the line that counts what does not fit.
  let left = room - 300;
  for (const each of own) {
    const entry = [
      `- ${code(each.image)} (${each.tags.slice(0, 5).map(code).join(", ")})`,
      ...listReasons(each).map((reason) => `  - ${escapeMarkdown(cleanLine(reason, 300))}`),
    ].join("\n");
    left -= Buffer.byteLength(entry) + 1;
    if (left < 0) break;
    entries.push(entry);
  }
  const more = own.length - entries.length;
  return [...frame, ...entries, ...(more > 0 ? [`- and ${more} more`] : []), "", "</details>", ""];
}
