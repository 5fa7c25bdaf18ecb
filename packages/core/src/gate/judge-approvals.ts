import { z } from "zod";
import { judgeSignerTime } from "../signing/signer-times.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { Problem, StageScope } from "./facts.ts";
import { wayToRunAgain } from "./problems.ts";

const approvalSchema = z.looseObject({
  signers: z.array(z.string()),
  signedAt: z.iso
    .datetime()
    .transform((text) => new Date(text))
    .optional(),
});
const findingSchema = z.looseObject({
  children: z.array(z.looseObject({ base: z.looseObject({ approval: z.unknown() }).nullish() })),
});

/**
 * Whose approval the base stage went by, asked by the signers of now. Who has it run may name the policy by its digest,
 * where nobody says what was withdrawn since: its verdict is of the same policy, and of an approver whose word has ended.
 * One signer whose word counts is enough. A finding without children is refused for that elsewhere (`judgeFindingLayers`).
 */
export function judgeSignedApprovals(scope: StageScope, findings: readonly VerifiedStatement[]): Problem[] {
  const { policy, now } = scope.facts;
  const { signers: known } = policy.policy;
  const told = findings.flatMap(({ statement }) => findingSchema.safeParse(statement.predicate).data?.children ?? []);
  const objections = told.flatMap(({ base }) => {
    if (base?.approval === undefined) return [];
    const what = `the approval of the base ${typeof base["digest"] === "string" ? base["digest"] : "that it names"}`;
    const approval = approvalSchema.safeParse(base.approval).data;
    if (approval === undefined) return [`${what} can't be read in what ${scope.stage} found`];
    const { signers, signedAt } = approval;
    const against = signers.map((name) =>
      Object.hasOwn(known, name)
        ? judgeSignerTime(name, known[name] ?? {}, signedAt, now)
        : `it is signed by '${name}', whom the policy does not name`,
    );
    if (against.includes(undefined)) return [];
    return [`${what} counts no more: ${against.join("; ") || "nobody has signed it"}`];
  });
  return [...new Set(objections)].map((problem) => ({
    rule: "gate.withdrawn",
    problem,
    wayOut: `Have the base approved again, or the image rebuilt on one that is. ${wayToRunAgain(scope)}`,
  }));
}
