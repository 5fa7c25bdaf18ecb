import { z } from "zod";
import { name, ownDay, text } from "../schema-text.ts";
import { maxExpression, readExpression } from "./expression.ts";
import { ruleStages } from "./facts.ts";

const expression = text.max(maxExpression);

const customRule = z
  .strictObject({
    name: name.describe("How results and exceptions call it."),
    stage: z
      .enum(ruleStages)
      .describe(
        "Who judges it, and so what it can ask for: base (config, layers, base, packages), scan (findings, components) or gate (environment, evidence).",
      ),
    when: expression
      .optional()
      .describe("An expression in CEL: images of which it says false are not asked. Default: all are."),
    expression: expression.describe("An expression in CEL that is true of an image which may pass."),
    message: text.max(300).describe("What is wrong with an image of which it is not true."),
    remedy: text.max(300).describe("What to do about it."),
    enforceFrom: ownDay.optional(),
    environments: z
      .array(name)
      .min(1)
      .optional()
      .describe("For stage gate: the environments that ask it. Default: all of them."),
  })
  .superRefine((rule, context) => {
    for (const key of ["when", "expression"] as const) {
      const given = rule[key];
      if (given === undefined) continue;
      const read = readExpression(given, rule.stage);
      if ("problem" in read) context.addIssue({ code: "custom", path: [key], message: read.problem });
    }
    if (rule.environments !== undefined && rule.stage !== "gate")
      context.addIssue({ code: "custom", path: ["environments"], message: "is for rules of stage gate" });
  });
export type CustomRule = z.infer<typeof customRule>;

/** More of them are a program, and no policy. */
const maxRules = 100;

export const rulesSection = z
  .array(customRule)
  .max(maxRules, `has more than ${maxRules} rules`)
  .default([])
  .describe("Rules of the policy's own, in CEL, over what a stage has seen or what is signed.");
