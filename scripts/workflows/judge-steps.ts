import { expression, fromInput, type Mapping, type Place, type SignerName } from "./shape.ts";
import { asItself, fileOf, signer } from "./stage-jobs.ts";
import { type OwnStep, ownStep } from "./steps.ts";

export type JudgingStage = "base" | "scan";

/** Of each stage that looks at an image and judges it, the step that does. */
export const judges: Readonly<Record<JudgingStage, OwnStep & { id: string }>> = {
  base: { name: "Enforce the golden base", id: "enforce", action: "enforce-golden-base", with: {} },
  scan: {
    name: "Scan",
    id: "scan",
    action: "scan",
    needsTools: true,
    with: { database: fromInput("database"), "compare-with": fromInput("compare-with") },
  },
};

/** @param more what else the step has in the workflow of the name `of`, such as when it runs */
export function judgeStep(
  place: Place,
  of: SignerName,
  stage: JudgingStage,
  image: string,
  more: Pick<OwnStep, "if"> = {},
): Mapping {
  const judge = judges[stage];
  return ownStep(place, fileOf(of), { ...judge, ...more, with: { image, ...judge.with, ...asItself } });
}

/** A verdict that can be signed: an error is none. */
const isJudged = (stage: JudgingStage): string => {
  const verdict = `steps.${judges[stage].id}.outputs.verdict`;
  return `(${verdict} == 'pass' || ${verdict} == 'fail')`;
};

/** One step for all of them, and so one token and one certificate. */
export function signResults(place: Place, of: SignerName, stages: readonly JudgingStage[], image: string): Mapping {
  const result = (stage: JudgingStage): string => `steps.${judges[stage].id}.outputs.result`;
  const [only, ...others] = stages;
  const isAny = stages.map(isJudged).join(" || ");
  return ownStep(place, fileOf(of), {
    name: others.length === 0 ? "Sign the result, a failure as well" : "Sign the results, failures as well",
    if: expression(`!cancelled() && ${others.length === 0 ? isAny : `(${isAny})`}`),
    action: "sign",
    with: {
      image,
      results:
        only !== undefined && others.length === 0
          ? expression(result(only))
          : stages.map((stage) => `${expression(`${isJudged(stage)} && ${result(stage)} || ''`)}\n`).join(""),
      ...asItself,
      ...signer(of),
    },
  });
}
