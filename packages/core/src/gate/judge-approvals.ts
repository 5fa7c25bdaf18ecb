import { cleanLine } from "@goldenpath/foundation/text/clean";
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
/** A version of a base. One that counts by the policy's list of digests has no approval. */
const versionSchema = z.looseObject({ digest: z.string().optional(), approval: approvalSchema.optional() });
type Version = z.infer<typeof versionSchema>;
const childSchema = z.looseObject({
  base: versionSchema.nullish(),
  // Other versions with the same layers: the image is on each of them.
  sameLayers: z.array(versionSchema).default([]),
});
const findingSchema = z.looseObject({ children: z.array(z.unknown()) });
const digestSchema = z.looseObject({ digest: z.string() });

const maxShown = 1000;

/**
 * Whose approval the base stage went by, asked by the signers of now. Who has it run may name the policy by its digest,
 * where nobody says what was withdrawn since: its verdict is of the same policy, and of an approver whose word has ended.
 * One signer whose word counts is enough. A finding that tells nothing of the image is refused for that elsewhere
 * (`judgeFindingLayers`). Of an index each image's is judged with the image.
 */
export function judgeSignedApprovals(scope: StageScope, findings: readonly VerifiedStatement[]): Problem[] {
  const children = findings.flatMap(
    ({ statement }) => findingSchema.safeParse(statement.predicate).data?.children ?? [],
  );
  const objections = children
    .filter((child) => digestSchema.safeParse(child).data?.digest === scope.digest)
    .flatMap((child) => explainObjection(child, scope) ?? []);
  return [...new Set(objections)].map((problem) => ({
    rule: "gate.withdrawn",
    problem: cleanLine(problem, maxShown),
    wayOut: `Have the base approved again, or the image rebuilt on one that is. ${wayToRunAgain(scope)}`,
  }));
}

function explainObjection(child: unknown, { stage, facts }: StageScope): string | undefined {
  const parsed = childSchema.safeParse(child);
  if (!parsed.success) return `by whose approval the base counts can't be read in what ${stage} found`;
  const { base, sameLayers } = parsed.data;
  if (base === undefined || base === null) return undefined;
  const against = objectTo(base, facts);
  if (against.length === 0 || sameLayers.some((version) => objectTo(version, facts).length === 0)) return undefined;
  return `the approval of the base ${base.digest ?? "that it names"} counts no more: ${against.join("; ")}`;
}

/** Why the word of each of its signers does not count; empty where one does, or where it needs none. */
function objectTo({ digest, approval }: Version, { policy, now }: StageScope["facts"]): string[] {
  const { bases, signers: known } = policy.policy;
  // By the policy of now, whoever has approved it before.
  const isListed = bases.some((each) => each.approval === undefined && each.digests?.some((one) => one === digest));
  if (approval === undefined || isListed) return [];
  const { signers, signedAt } = approval;
  if (signers.length === 0) return ["nobody has signed it"];
  const against = signers.flatMap((name) => {
    const signer = Object.hasOwn(known, name) ? known[name] : undefined;
    if (signer === undefined) return `it is signed by '${name}', whom the policy does not name`;
    return judgeSignerTime(name, signer, signedAt, now) ?? [];
  });
  return against.length < signers.length ? [] : against;
}
