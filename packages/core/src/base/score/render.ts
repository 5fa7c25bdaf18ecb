import { escapeMarkdown } from "../../report/markdown.ts";
import { type Question, questions, type Score, type ScoreCheck } from "./score.ts";

/** One child of an image, with its answers. */
export interface ScoredImage {
  /** HOST/NAME@sha256:… */
  image: string;
  platform: string;
  score: Score;
}

const marks = { good: "yes", bad: "no", unknown: "?" } as const;

/** The card as text, a line for each thing that was looked at, with what the answer rests on. */
export function renderCard({ image, platform, score }: ScoredImage): string {
  const lines = (Object.keys(questions) as Question[]).flatMap((question) => {
    const { points, of } = score.byQuestion[question];
    return [
      `  ${questions[question]} ${points} of ${of}`,
      ...checksOf(score, question).map((each) => `    ${marks[each.outcome].padEnd(3)} ${each.says}${proofOf(each)}`),
    ];
  });
  return `${[`${image} (${platform}): ${score.points} of 100`, ...lines].join("\n")}\n`;
}

/** The card as a table for a summary or a comment. */
export function renderCardMarkdown({ image, platform, score }: ScoredImage): string {
  const rows = (Object.keys(questions) as Question[]).flatMap((question) =>
    checksOf(score, question).map(
      (each) =>
        `| ${each.name} | ${marks[each.outcome]} | ${each.outcome === "good" ? each.points : 0} of ${each.points} | ${escapeMarkdown(each.says)} | ${each.proof} |`,
    ),
  );
  const sums = (Object.keys(questions) as Question[]).map(
    (question) => `${questions[question]} ${score.byQuestion[question].points} of ${score.byQuestion[question].of}`,
  );
  return [
    `### ${escapeMarkdown(image)} (${escapeMarkdown(platform)}): ${score.points} of 100`,
    "",
    sums.join(" · "),
    "",
    "| | | Points | What was seen | By |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

function checksOf({ checks }: Score, question: Question): ScoreCheck[] {
  return checks.filter((each) => each.question === question);
}

function proofOf({ proof }: ScoreCheck): string {
  return proof === "the image's own word" ? " (its own word)" : "";
}
