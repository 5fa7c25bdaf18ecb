import type { FindingSeverity } from "./finding.ts";

/** By the qualitative scale of CVSS 3.1 and 4.0, whose bands have one decimal and no gaps. */
export function rateScore(score: number): FindingSeverity {
  if (score >= 9) return "critical";
  if (score >= 7) return "high";
  if (score >= 4) return "medium";
  return score >= 0.1 ? "low" : "negligible";
}
