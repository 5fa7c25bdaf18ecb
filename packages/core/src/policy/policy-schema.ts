import { z } from "zod";
import { checkConsistency } from "./consistency.ts";
import { policyShape } from "./schema.ts";

/** A policy as it is written: its fields, and what has to hold between them. */
export const policySchema = policyShape.superRefine((policy, context) => {
  for (const { path, message } of checkConsistency(policy))
    context.addIssue({ code: "custom", path: [...path], message });
});

/**
 * The published JSON Schema, of a policy as it is written (`schemas/policy.v1.json` is this, and a test holds it to
 * it). References between names are not in it.
 */
export function policyJsonSchema(): Record<string, unknown> {
  return {
    title: "goldenpath policy, version 1",
    ...z.toJSONSchema(policySchema, { target: "draft-2020-12", unrepresentable: "any", io: "input" }),
  };
}
