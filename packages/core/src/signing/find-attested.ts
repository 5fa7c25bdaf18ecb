import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import type { SignedStatement } from "../build/strategies/strategy.ts";
import { clockSkew } from "../policy/day.ts";
import type { Policy } from "../policy/schema.ts";
import type { GatheredSigned } from "./gather-signed.ts";
import type { SignerMaterial } from "./material.ts";
import { predicateTypes } from "./predicates.ts";
import { readProvenance } from "./provenance.ts";
import { isSignerNamed } from "./schemes/find.ts";
import { namesSubject } from "./statement.ts";
import type { Statement, VerifiedStatement } from "./types.ts";

interface Attesting {
  policy: Pick<Policy, "signers" | "environments">;
  /** Of whoever attests. */
  material: SignerMaterial;
  now: Date;
}

/**
 * What this signer has attested of an image before, where it says the same as what would be attested now but for when and
 * by which run: then that is taken, and running again adds nothing. It has to be the newest of its kind that anybody says,
 * since gates and scans take the newest; and to be good for as long again as it is old, by the least `maxAge` of the
 * environments in which the signer speaks for build, since the image may wait for its reviewers.
 * @param about what `next` is told apart by: of an index's SBOMs each is of one of its images, and says so of the index too
 */
export function findAttested(
  next: Statement,
  about: readonly Digest[],
  { statements, lapsed = [], digest, children }: Pick<GatheredSigned, "statements" | "lapsed" | "digest" | "children">,
  { policy, material, now }: Attesting,
): Statement | undefined {
  const mine = statements
    .filter(({ statement }) => isSameButForTheRun(statement, next))
    .filter(({ signers }) => signers.some((name) => isSignerNamed(policy.signers, name, material)));
  const [own] = mine.toSorted((a, b) => timeOf(b) - timeOf(a));
  if (own === undefined) return undefined;
  const parts = mine.filter(({ bundle }) => bundle.digest === own.bundle.digest);
  const subjects = [digest, ...children].filter((each) => namesSubject(next, each));
  const isWhole = subjects.every((each) => parts.some(({ subject }) => subject === each));
  const others = [...statements.filter((each) => !parts.includes(each)), ...lapsed].filter(
    ({ statement, subject }) => statement.predicateType === next.predicateType && about.includes(subject),
  );
  const made = timeOf(own);
  // A time that can't be read is no older one.
  const isNewest = others.every((each) => timeOf(each) < made);
  const age = now.getTime() - Math.min(made, own.time?.getTime() ?? made);
  const isGood = age >= -clockSkew && age <= leastMaxAge(policy, own) / 2;
  return isWhole && isNewest && isGood ? own.statement : undefined;
}

const sbomSchema = z.looseObject({ metadata: z.looseObject({ timestamp: z.string() }) });

function timeOf({ statement: { predicateType, predicate } }: Pick<SignedStatement, "statement">): number {
  if (predicateType === predicateTypes.cyclonedx)
    return Date.parse(sbomSchema.safeParse(predicate).data?.metadata.timestamp ?? "");
  const read = readProvenance({ predicate });
  return "problem" in read ? Number.NaN : read.finishedOn.getTime();
}

/** Milliseconds. */
function leastMaxAge({ environments }: Attesting["policy"], { signers }: VerifiedStatement): number {
  const asked = Object.values(environments)
    .flatMap(({ requires }) => requires)
    .filter((each) => each.stage === "build" && each.signers.some((name) => signers.includes(name)));
  return Math.min(...asked.map(({ maxAge }) => maxAge ?? Number.POSITIVE_INFINITY));
}

function isSameButForTheRun(a: Statement, b: Statement): boolean {
  return a.predicateType === b.predicateType && JSON.stringify(withoutRun(a)) === JSON.stringify(withoutRun(b));
}

/** What is another each time: a provenance's run and its times, and an SBOM's number and time. */
function withoutRun({ predicateType, predicate, ...statement }: Statement): unknown {
  const { serialNumber: _number, metadata, runDetails, ...same } = predicate;
  const { timestamp: _time, ...stays } = (metadata ?? {}) as Record<string, unknown>;
  const { metadata: _run, ...builder } = (runDetails ?? {}) as Record<string, unknown>;
  return { ...statement, predicate: { ...same, metadata: stays, runDetails: builder } };
}
