import type { PolicyBase } from "../../policy/schema.ts";
import type { ScoredImage } from "./render.ts";
import { type Proof, type Question, questions, type Score } from "./score.ts";

/** What a score has to have. */
export interface ScoreDemands {
  minimum: number;
  /** Names of checks. */
  required: readonly string[];
}

/** All that a platform's score does not meet: of what was asked for, and of what the policy asks for. */
export function judgeDemands(
  scored: ScoredImage,
  demands: ScoreDemands,
  bases: readonly PolicyBase[],
  repository: string,
): string[] {
  const proven = proveScore(scored.score);
  const least = listLeast(bases, repository);
  return [...judgeScore(scored, demands), ...least.flatMap((each) => judgeProven(scored.platform, proven, each))];
}

/** What of the demands a platform's score does not meet. */
function judgeScore({ platform, score }: ScoredImage, { minimum, required }: ScoreDemands): string[] {
  const few =
    score.points < minimum ? [`${platform} has ${score.points} points, and ${minimum} are asked for (minimum)`] : [];
  const bad = score.checks
    .filter(({ name, outcome }) => required.includes(name) && outcome !== "good")
    .map(({ name, says }) => `${platform}: ${name} is required, and: ${says}`);
  return [...few, ...bad];
}

/** Points by question, of what rests on proof alone. */
export type ProvenPoints = Readonly<Record<Question, number>>;

/** What an image says of itself, and what nobody can tell, is none. */
const isProof: Readonly<Record<Proof, boolean>> = {
  ...{ signature: true, layers: true, registry: true },
  ...{ "the image's own word": false, nothing: false },
};

/** What of a score is proven: an image's own word gives a card points, and a policy none. */
export function proveScore({ checks }: Pick<Score, "checks">): ProvenPoints {
  const sum = (question: Question): number =>
    checks
      .filter((each) => each.question === question && each.outcome === "good" && isProof[each.proof])
      .reduce((total, { points }) => total + points, 0);
  return { publisher: sum("publisher"), updated: sum("updated"), open: sum("open"), needless: sum("needless") };
}

/** What a policy asks of the versions of a base, by question: at least so many proven points. */
export type LeastPoints = Readonly<Partial<Record<Question, number | undefined>>>;

/** What of a policy's demands a platform does not meet. */
export function judgeProven(platform: string, proven: ProvenPoints, least: LeastPoints): string[] {
  return (Object.keys(questions) as Question[]).flatMap((question) => {
    const asked = least[question];
    // What is no number of points meets no demand.
    if (asked === undefined || proven[question] >= asked) return [];
    return [
      `${platform} has ${proven[question]} proven points for ${question} (${questions[question]}), and the policy asks for ${asked}`,
    ];
  });
}

/** What a policy asks of images in a repository: what each of the bases there does. */
export function listLeast(bases: readonly PolicyBase[], repository: string): LeastPoints[] {
  return bases.flatMap(({ image, approval }) =>
    image === repository && approval?.score !== undefined ? [approval.score] : [],
  );
}
