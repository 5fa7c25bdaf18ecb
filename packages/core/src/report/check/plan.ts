import { cleanLine, cleanText, cut } from "@goldenpath/foundation/text/clean";
import { isCounted, type ListedViolation } from "../../result.ts";
import { planAnnotations } from "../annotations.ts";
import { type Part, verdictOfPart } from "../comment/part.ts";
import { renderSummary } from "../comment/render.ts";

/** What GitHub takes at most: characters of a summary, annotations of one request, and what is in one. */
export const maxCheckSummary = 65_535;
export const annotationsPerRequest = 50;
/** Before the sign that something was cut. */
const maxMessage = 15_999;
const maxTitle = 254;
/** Annotations of a check run: ten requests, and more than anybody goes through. */
const maxAnnotations = 500;

/** At a line of the checkout; GitHub has no annotation of a check run without one. */
export interface CheckAnnotation {
  path: string;
  /** From 1. */
  line: number;
  title: string;
  message: string;
}

/** A check run as GitHub shows it beside a commit. */
export interface CheckRunPlan {
  name: string;
  conclusion: "success" | "failure";
  title: string;
  /** Markdown. */
  summary: string;
  annotations: CheckAnnotation[];
}

const titles = { pass: "Passed", fail: "Refused", error: "Not judged: a stage ended in an error" } as const;

/**
 * What a report tells, as a check run. An error is a failure as well: what was not judged has not passed. Violations
 * without a place are in the summary alone.
 * @param violations those that count
 */
export function planCheckRun(parts: readonly Part[], violations: readonly ListedViolation[]): CheckRunPlan {
  const verdicts = parts.map(verdictOfPart);
  const worst = verdicts.includes("error") ? "error" : verdicts.every((each) => each === "pass") ? "pass" : "fail";
  const of = parts.length === 1 ? (parts[0]?.key ?? "") : `${parts.length} images`;
  const placed = violations.filter((each) => isCounted(each) && each.place !== undefined);
  const counted = parts.reduce((sum, part) => sum + part.counted, 0);
  const number = worst === "fail" && counted > 0 ? `: ${counted} ${counted === 1 ? "violation" : "violations"}` : "";
  return {
    name: cleanLine(cut(`golden path (${of})`, maxTitle)),
    // Nothing at all is no pass.
    conclusion: worst === "pass" && parts.length > 0 ? "success" : "failure",
    title: `${titles[worst]}${number}`,
    summary: renderSummary(parts, maxCheckSummary),
    annotations: planAnnotations(placed, maxAnnotations).flatMap(({ title, message, file = "", line = 1 }) => {
      const path = cleanLine(file);
      return path === "" || path.startsWith("/")
        ? []
        : [{ path, line, title: cleanLine(cut(title, maxTitle)), message: cleanText(cut(message, maxMessage)) }];
    }),
  };
}
