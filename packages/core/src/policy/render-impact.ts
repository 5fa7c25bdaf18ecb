import { cleanLine } from "@goldenpath/foundation/text/clean";
import { code, escapeMarkdown } from "../report/markdown.ts";
import type { ImpactImage } from "./gather-impact.ts";
import { type ImpactOutcome, impactOutcomes } from "./judge-impact.ts";

export interface ImpactReport {
  environment: string;
  before: { name: string; serial: number; digest: string };
  after: { name: string; serial: number; digest: string };
  images: readonly ImpactImage[];
}

type Told = ImpactOutcome | "unreadable";

const meaning: Record<Told, string> = {
  falls: "would be refused",
  again: "would have to be judged again: what is signed about them was made under a version that `accepts` leaves out",
  "let-in": "would be let in",
  refused: "are refused as before",
  stays: "stay",
  unreadable: "can't be read",
};
/** Those that a reader has to look at; what stays as it is is counted. */
const shown: readonly Told[] = ["unreadable", "falls", "again", "let-in"];
/** Reasons of one image; each has more only of the same kind, seldom of another. */
const maxReasons = 3;
/** Images of one outcome in a comment, which has a limit. */
const maxCommented = 50;

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

export function renderImpact({ environment, before, after, images }: ImpactReport): string {
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
  ]
    .map((line) => cleanLine(line, 600))
    .join("\n")}\n`;
}

const singular: Record<Told, string> = {
  falls: "would be refused",
  again: "would have to be judged again",
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

/** The same for a comment on the policy's pull request. */
export function renderImpactMarkdown({ environment, before, after, images }: ImpactReport): string {
  const counts = countOutcomes(images);
  const list = (outcome: Told): string[] => {
    const own = images.filter((each) => outcomeOf(each) === outcome);
    if (own.length === 0) return [];
    const left = own.length - maxCommented;
    return [
      `<details${outcome === "falls" || outcome === "unreadable" ? " open" : ""}><summary>${own.length} ${singular[outcome]}</summary>`,
      "",
      ...own
        .slice(0, maxCommented)
        .flatMap((each) => [
          `- ${code(each.image)} (${each.tags.slice(0, 5).map(code).join(", ")})`,
          ...listReasons(each).map((reason) => `  - ${escapeMarkdown(cleanLine(reason, 300))}`),
        ]),
      ...(left > 0 ? [`- and ${left} more`] : []),
      "",
      "</details>",
      "",
    ];
  };
  return [
    `### What this policy would do to what is in ${code(environment)}`,
    "",
    `Of ${images.length} images, by serial ${after.serial} instead of ${before.serial}:`,
    "",
    "| Images | What becomes of them |",
    "| --- | --- |",
    ...told.filter((each) => counts[each] > 0).map((each) => `| ${counts[each]} | ${meaning[each]} |`),
    "",
    ...shown.flatMap(list),
  ].join("\n");
}
