import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageId } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { findByBuildType } from "../build/strategies/find.ts";
import { runImage } from "../build/strategies/rebase.ts";
import { foreignTypes } from "../origin/read-foreign.ts";
import { provenanceTypeV02 } from "../origin/read-slsa-v02.ts";
import type { Withdrawal } from "../policy/pointer-facts.ts";
import { describeWithdrawn, listWithdrawn } from "../policy/withdrawals.ts";
import type { Violation } from "../result.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { readProvenance } from "../signing/provenance.ts";
import { isDigestIn } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import type { GateFacts } from "./facts.ts";
import { type LineageImage, listAncestors } from "./lineage.ts";

interface WithdrawalFacts {
  policy: GateFacts["policy"];
  image: Pick<GateFacts["image"], "digest" | "children">;
  evidence: ReadonlyMap<Digest, Pick<CollectedEvidence, "statements" | "lapsed">>;
}

/**
 * What the platform's signer has withdrawn: the image, a child of it, an index that signers say it is of, an image that
 * they say it was rebased from, or a base that a signer's finding or provenance says it stands on. Of signers, the
 * policy's own ends are what counts (`policy/withdrawals.ts`).
 */
export function judgeWithdrawals(
  { policy, image, evidence }: WithdrawalFacts,
  read: (signed: VerifiedStatement) => Told["bases"] = readBases,
): Violation[] {
  const withdrawn = listWithdrawn(policy.inForce);
  if (withdrawn.length === 0) return [];
  return [...new Set([image.digest, ...image.children])].flatMap((digest) => {
    // What is out of its signer's time proves nothing for the image, and still tells what it stands on.
    const { statements = [], lapsed = [] } = evidence.get(digest) ?? {};
    const told = [...statements, ...lapsed].map((signed) => ({ signed, bases: read(signed) }));
    const unread = told.find(({ bases }) => bases === "unreadable")?.signed;
    return withdrawn.flatMap((each) => {
      if (concerns(each, digest, told)) return [refuse(each, digest)];
      return each.thing.kind === "base" && unread !== undefined ? [refuseUnread(each, digest, unread)] : [];
    });
  });
}

/**
 * The same of an image that was rebased, a sentence each. To leave a base that was withdrawn is what a rebase is for; of
 * a builder image or buildpack that was, what it has made is in the image still.
 * @param bases that its build says it stood on
 */
export function describeWithdrawnOld(
  { digest, children, evidence, bases: known }: LineageImage,
  bases: readonly ImageId[],
  policy: GateFacts["policy"],
): string[] {
  const left = new Set<string>(bases.map((base) => base.digest));
  const parts = known.filter((base) => left.has(base.digest)).map(({ child }) => child.digest);
  const image = { digest, children: children.map((child) => child.digest) };
  const read = (signed: VerifiedStatement) => readKept(signed, new Set([...left, ...parts]));
  const found = judgeWithdrawals({ policy, image, evidence }, read);
  return [...new Set(found.map(({ problem }) => `of the image that was rebased: ${problem}`))];
}

/** Of what a build used, all but the base that a rebase has left. */
function readKept(signed: VerifiedStatement, left: ReadonlySet<string>): Told["bases"] {
  const { statement } = signed;
  if (statement.predicateType === predicateTypes.base) return [];
  const provenance = statement.predicateType === predicateTypes.provenance ? readProvenance(statement) : undefined;
  // A provenance of the path says which one is the base, and the same image may be a builder in it as well.
  if (provenance !== undefined && !("problem" in provenance) && findByBuildType(provenance.buildType) !== undefined)
    return listDigests(provenance.dependencies.filter(({ name }) => name !== runImage));
  const bases = readBases(signed);
  return bases === "unreadable" ? bases : bases.filter((base) => !left.has(base));
}

/** A statement with the digests of the bases that it names; it may be one that names none by its kind. */
interface Told {
  signed: VerifiedStatement;
  bases: readonly string[] | "unreadable";
}

function concerns({ thing }: Withdrawal, digest: Digest, told: readonly Told[]): boolean {
  if (thing.kind === "image")
    return (
      thing.digest === digest ||
      told.some(
        ({ signed }) =>
          isRootOf(signed, thing.digest) || listAncestors(signed).some(({ digest }) => digest === thing.digest),
      )
    );
  return thing.kind === "base" && told.some(({ bases }) => bases !== "unreadable" && bases.includes(thing.digest));
}

/** A statement is of the image that it names first, and of what is in that: the child of an index is no other image. */
function isRootOf({ statement: { subject } }: VerifiedStatement, image: Digest): boolean {
  const [root] = subject;
  return root !== undefined && isDigestIn(root.digest, image);
}

const found = z.looseObject({ digest: z.string() });
const baseSchema = z.looseObject({
  // Another approved base can have the same layers, and is then as bad.
  children: z.array(z.looseObject({ base: found.nullish(), sameLayers: z.array(found).default([]) })),
});
// SLSA lets a build name none.
const used = z.array(z.looseObject({ digest: z.record(z.string(), z.string()).optional() })).default([]);
const provenanceSchema = z.looseObject({ buildDefinition: z.looseObject({ resolvedDependencies: used }) });
/** Of version 0.2, which may have null in its place. */
const materialsSchema = z.looseObject({ materials: used.nullable().transform((materials) => materials ?? []) });

/** What can't be read may name what was withdrawn. */
export function readBases({ statement: { predicateType, predicate } }: VerifiedStatement): Told["bases"] {
  if (predicateType === predicateTypes.base) {
    const children = baseSchema.safeParse(predicate).data?.children;
    return (
      children?.flatMap(({ base, sameLayers }) => [base, ...sameLayers].flatMap((each) => each?.digest ?? [])) ??
      "unreadable"
    );
  }
  if (!foreignTypes.includes(predicateType)) return [];
  const dependencies =
    predicateType === provenanceTypeV02
      ? materialsSchema.safeParse(predicate).data?.materials
      : provenanceSchema.safeParse(predicate).data?.buildDefinition.resolvedDependencies;
  return dependencies === undefined ? "unreadable" : listDigests(dependencies);
}

function listDigests(dependencies: readonly { digest?: Readonly<Record<string, string>> | undefined }[]): string[] {
  return dependencies.flatMap(({ digest = {} }) =>
    Object.entries(digest).map(([algorithm, hex]) => `${algorithm}:${hex}`),
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

function refuseUnread({ thing, at, owner }: Withdrawal, digest: Digest, unread: VerifiedStatement): Violation {
  const { bundle, signers, statement } = unread;
  return {
    rule: "gate.withdrawn",
    thing: digest,
    problem: `it can't be told whether the image stands on what was withdrawn on ${at.toISOString()} by ${owner} (${describeWithdrawn(thing)}): the ${statement.predicateType} by '${signers.join("', '")}' (${bundle.digest}) is not as that is written`,
    wayOut: "Find out who signed it so, and build the image again.",
  };
}
