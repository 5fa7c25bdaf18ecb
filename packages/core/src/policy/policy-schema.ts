import { z } from "zod";
import { checkConsistency } from "./consistency.ts";
import { policyShape } from "./schema.ts";

/** A policy as it is written: its fields, and what has to hold between them. */
export const policySchema = policyShape.superRefine((policy, context) => {
  for (const { path, message } of checkConsistency(policy))
    context.addIssue({ code: "custom", path: [...path], message });
});

/**
 * How a policy of so many bytes is held to its schema. One of the usual size is read once or twice in a process, and to
 * compile the schema for that takes ten times as long as to walk it. Walked, a list's faults are handed on all at once,
 * which of some hundred thousand ends in an error of the stack.
 */
export function chooseWalk(bytes: number): { jitless: boolean } {
  return { jitless: bytes < 100_000 };
}

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
