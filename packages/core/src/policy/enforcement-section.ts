import type { Rule } from "@goldenpath/foundation/rules";
import { z } from "zod";
import { type Enforcement, postponable, postponableRules } from "./enforcement.ts";
import { day } from "./schema-text.ts";
import { suggestWord } from "./suggest.ts";

const ruleName = z.string().superRefine((rule, context) => {
  const why = Object.hasOwn(postponable, rule) ? postponable[rule as Rule] : undefined;
  if (why === true) return;
  const meant = suggestWord(rule, postponableRules);
  const message =
    why === undefined
      ? `is no rule that can wait${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`
      : `can't wait for a day: ${why}; those that can: ${postponableRules.join(", ")}`;
  context.addIssue({ code: "custom", message });
});

/** A policy's `enforceFrom`. */
export const enforcementSchema = z
  .record(ruleName, day.describe("The first day (UTC) on which the rule refuses."))
  .transform((days): Enforcement => days)
  .default({})
  .meta({ type: "object", propertyNames: { enum: [...postponableRules] } })
  .describe(
    "Rules that warn until a day, and the first day (UTC) on which each refuses: `base.approved: 2027-03-01`. Until then their violations are told, with that day, and do not count; a result that passed with them opens no gate after it. Rules about evidence, signatures and what can't be read never wait.",
  );
