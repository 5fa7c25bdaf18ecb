import { describeIssues } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageId } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import type { LoadedPolicy } from "../../policy/schema.ts";
import { day } from "../../policy/schema-text.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import { buildStatement, buildSubjects, digestSet } from "../../signing/statement.ts";
import type { Statement } from "../../signing/types.ts";

/** What an approved image is for: applications stand on it, builds run in it, or both. */
export const baseRoles = ["run-only", "build-only", "both"] as const;
export type BaseRole = (typeof baseRoles)[number];

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const said = {
  decidedAt: time,
  policy: z.strictObject({
    uri: z.string(),
    digest: z.record(z.string(), z.string()),
    serial: z.number().int().positive(),
  }),
};

const predicateSchema = z.discriminatedUnion("decision", [
  z.strictObject({
    decision: z.literal("approved"),
    ...said,
    endOfLife: day,
    role: z.enum(baseRoles),
    notes: z.string().max(2000).optional(),
    /** What was looked at before it was signed: for people, and for a policy's tests. */
    examined: z.record(z.string(), z.unknown()),
  }),
  z.strictObject({ decision: z.literal("withdrawn"), ...said, reason: z.string().min(1).max(500) }),
]);

/** What an approver signed of a version of a base: that it counts, or that it does not any more. */
export type Decision = z.infer<typeof predicateSchema>;

/** The predicate of an approval → what is decided on. What is not understood in it is a problem. */
export function readDecision(predicate: Readonly<Record<string, unknown>>): Decision | { problem: string } {
  const parsed = predicateSchema.safeParse(predicate);
  return parsed.success ? parsed.data : { problem: describeIssues(parsed.error) };
}

const points = z.number().int().min(0);
const scoresSchema = z
  .array(
    z.looseObject({
      platform: z.string(),
      proven: z.looseObject({ publisher: points, updated: points, open: points, needless: points }),
    }),
  )
  .catch([]);
export type ProvenScore = z.infer<typeof scoresSchema>[number];

/** What an approval says of the points that were proven; empty where it does not, or can't be understood. */
export function readProven({ score }: Readonly<Record<string, unknown>>): ProvenScore[] {
  return scoresSchema.parse(score);
}

type Written<T> = T extends unknown ? Omit<T, "policy"> : never;

export interface DecisionFacts {
  image: ImageId & { children: readonly Digest[] };
  policy: Pick<LoadedPolicy, "uri" | "digest" | "policy">;
  decision: Written<Decision>;
}

/**
 * The statement by which a version of a base counts where a policy names its signer under `bases[].approval`, or no
 * longer does. It names the image first, and then what runs of it.
 */
export function buildDecisionStatement({ image, policy, decision }: DecisionFacts): Statement {
  return buildStatement(
    buildSubjects(image.repository, [image.digest, ...image.children]),
    predicateTypes.baseApproval,
    {
      ...decision,
      decidedAt: decision.decidedAt.toISOString(),
      policy: { uri: policy.uri, digest: digestSet(policy.digest), serial: policy.policy.serial },
    },
  );
}
