import type { ScoredImage } from "./render.ts";

/** What a score has to have. */
export interface ScoreDemands {
  minimum: number;
  /** Names of checks. */
  required: readonly string[];
}

/** What of the demands a platform's score does not meet. */
export function judgeScore({ platform, score }: ScoredImage, { minimum, required }: ScoreDemands): string[] {
  const few =
    score.points < minimum ? [`${platform} has ${score.points} points, and ${minimum} are asked for (minimum)`] : [];
  const bad = score.checks
    .filter(({ name, outcome }) => required.includes(name) && outcome !== "good")
    .map(({ name, says }) => `${platform}: ${name} is required, and: ${says}`);
  return [...few, ...bad];
}
