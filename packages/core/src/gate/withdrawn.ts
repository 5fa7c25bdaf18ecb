import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import type { Withdrawal } from "../policy/pointer-facts.ts";
import { describeWithdrawn, listWithdrawn } from "../policy/withdrawals.ts";
import type { Violation } from "../result.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { GateFacts } from "./facts.ts";

/**
 * What the platform's signer has withdrawn: the image, a child of it, an index that signers say it is of, or a base that a signer's finding or provenance
 * says it stands on. Of signers, the policy's own ends are what counts (`policy/withdrawals.ts`).
 */
export function judgeWithdrawals({ policy, image, evidence }: GateFacts): Violation[] {
  const withdrawn = policy.inForce === undefined ? [] : listWithdrawn(policy.inForce);
  if (withdrawn.length === 0) return [];
  return [...new Set([image.digest, ...image.children])].flatMap((digest) => {
    // What is out of its signer's time proves nothing for the image, and still tells what it stands on.
    const { statements = [], lapsed = [] } = evidence.get(digest) ?? {};
    return withdrawn
      .filter((each) => concerns(each, digest, [...statements, ...lapsed]))
      .map((each) => refuse(each, digest));
  });
}

function concerns({ thing }: Withdrawal, digest: Digest, statements: readonly VerifiedStatement[]): boolean {
  if (thing.kind === "image") return thing.digest === digest || statements.some((each) => isRootOf(each, thing.digest));
  return thing.kind === "base" && statements.some((each) => standsOn(each, thing.digest));
}

/** A statement is of the image that it names first, and of what is in that: the child of an index is no other image. */
function isRootOf({ statement: { subject } }: VerifiedStatement, image: Digest): boolean {
  const [root] = subject;
  return root !== undefined && isDigestIn(root.digest, image);
}

const found = z.looseObject({ digest: z.string().optional() });
const baseSchema = z.looseObject({
  // Another approved base can have the same layers, and is then as bad.
  children: z.array(z.looseObject({ base: found.nullish(), sameLayers: z.array(found).default([]) })),
});
const provenanceSchema = z.looseObject({
  buildDefinition: z.looseObject({
    resolvedDependencies: z.array(z.looseObject({ digest: z.record(z.string(), z.string()).optional() })),
  }),
});

function standsOn({ statement: { predicateType, predicate } }: VerifiedStatement, base: Digest): boolean {
  if (predicateType === predicateTypes.base)
    return (
      baseSchema
        .safeParse(predicate)
        .data?.children.some(({ base: own, sameLayers }) =>
          [own, ...sameLayers].some((each) => each?.digest === base),
        ) === true
    );
  if (predicateType !== predicateTypes.provenance) return false;
  const dependencies = provenanceSchema.safeParse(predicate).data?.buildDefinition.resolvedDependencies ?? [];
  return dependencies.some(({ digest = {} }) =>
    Object.entries(digest).some(([algorithm, hex]) => `${algorithm}:${hex}` === base),
  );
}

function refuse({ thing, reason, owner, at }: Withdrawal, digest: Digest): Violation {
  const stands = thing.kind === "base" ? "stands on what was withdrawn" : "was withdrawn";
  return {
    rule: "gate.withdrawn",
    thing: digest,
    problem: `the image ${stands} on ${at.toISOString()} by ${owner}: ${reason} (${describeWithdrawn(thing)})`,
    wayOut: `Build it again without what is wrong. Only the platform's signer lifts it: goldenpath withdraw --undo.`,
  };
}
