import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { predicateAnnotation, unknownKeyReason } from "./predicates.ts";
import type { FoundReferrer, SignedPayload } from "./schemes/scheme.ts";
import { judgeSignerTime, type SignerTimes } from "./signer-times.ts";
import { namesSubject, parseStatement } from "./statement.ts";
import type { EvidencePart, RejectedReferrer, Statement, VerifiedStatement } from "./types.ts";
import { explainOutside } from "./validity.ts";
import { summaryVerifierId } from "./verification-summary.ts";

/** What one statement in a referrer comes to. */
export interface Found {
  statement?: VerifiedStatement;
  lapsed?: VerifiedStatement;
  rejected?: RejectedReferrer;
}

/** The policy's signers by name, and the time at which it is asked. */
export interface JudgedBy {
  signers: Readonly<Record<string, SignerTimes>>;
  now: Date;
}

/** Where it was found: on which subject, and under which tag, where it is in no list. */
export interface FoundAt {
  subject: Digest;
  tag?: string;
}

/** What a scheme found signed in a referrer → what that counts for: as evidence, as what has lapsed, or as nothing. */
export function judgeSigned(
  signed: SignedPayload,
  { subject, ...tag }: FoundAt,
  referrer: Pick<FoundReferrer, "descriptor">,
  { signers, now }: JudgedBy,
): Found {
  const found = verifyPayload(signed, subject, referrer);
  if ("reason" in found) return { rejected: { ...found, ...tag } };
  const verified = { ...found, ...tag };
  const reason = explainOutside(signed.holds, now);
  if (reason === undefined) return holdToTimes(verified, signers, now);
  const claims = readClaims(verified.statement);
  return { lapsed: verified, rejected: { subject, referrer: referrer.descriptor.digest, reason, ...claims, ...tag } };
}

/** Each bundle once for each set of signers, and for each proof of it: none lends another its time or certificate. */
export function takeEachOnce(found: readonly VerifiedStatement[]): VerifiedStatement[] {
  const statements = new Map<string, VerifiedStatement>();
  for (const each of found) {
    // One statement may have signatures of several, each on a referrer of its own.
    const key = JSON.stringify([each.bundle.digest, each.signers, each.time, each.identity]);
    const same = statements.get(key);
    // Of several wrappings of one bundle the honest one is taken, so that nobody who adds another changes what is
    // carried on.
    if (same === undefined || (isMislabelled(same) && !isMislabelled(each))) statements.set(key, each);
  }
  return [...statements.values()];
}

/** True where what a referrer says of its bundle is not what is signed in it. */
export function isMislabelled({ referrer, statement }: Pick<VerifiedStatement, "referrer" | "statement">): boolean {
  const label = referrer.annotations?.[predicateAnnotation];
  return label !== undefined && label !== statement.predicateType;
}

/** Who says so in time, who out of it; and why it is rejected, where the latter are all. */
function holdToTimes(verified: VerifiedStatement, signers: JudgedBy["signers"], now: Date): Found {
  const judged = verified.signers.map((name) => {
    const times = Object.hasOwn(signers, name) ? signers[name] : undefined;
    return { name, objection: judgeSignerTime(name, times ?? {}, verified.time, now) };
  });
  const kept = judged.filter(({ objection }) => objection === undefined).map(({ name }) => name);
  const late = judged.filter(({ objection }) => objection !== undefined).map(({ name }) => name);
  const lapsed = late.length === 0 ? {} : { lapsed: { ...verified, signers: late } };
  if (kept.length > 0) return { statement: { ...verified, signers: kept }, ...lapsed };
  const { subject, statement, referrer, tag } = verified;
  const reason = judged.map(({ objection }) => objection).join("; ");
  const place = tag === undefined ? {} : { tag };
  return {
    ...lapsed,
    rejected: { subject, referrer: referrer.digest, ...place, reason, isByNobody: true, ...readClaims(statement) },
  };
}

/** What a statement is once its signature is verified, whenever that is of. */
function verifyPayload(
  signed: SignedPayload,
  subject: Digest,
  { descriptor: referrer }: Pick<FoundReferrer, "descriptor">,
): VerifiedStatement | RejectedReferrer {
  const rejected = (reason: string, statement?: Statement): RejectedReferrer => ({
    subject,
    referrer: referrer.digest,
    reason,
    ...(statement === undefined ? {} : readClaims(statement)),
  });
  let statement: Statement;
  try {
    statement = parseStatement(signed.payload, { mayRepeatSubjects: signed.isInSignedManifest === true });
  } catch (error) {
    if (error instanceof UserError) return rejected(error.message);
    throw error;
  }
  if (signed.signers.length === 0)
    return { ...rejected(signed.reason ?? unknownKeyReason, statement), isByNobody: true };
  if (!namesSubject(statement, subject)) return rejected("its statement is about another image", statement);
  const below = (signed.below ?? []).map(
    ({ manifest, descriptor }): EvidencePart => ({ subject: manifest.subject?.digest ?? subject, descriptor }),
  );
  return {
    subject,
    signers: [...signed.signers],
    statement,
    ...(signed.time === undefined ? {} : { time: signed.time }),
    ...(signed.identity === undefined ? {} : { identity: signed.identity }),
    bundle: signed.bundle,
    referrer,
    ...(below.length === 0 ? {} : { below }),
    ...(signed.isInSignedManifest === true ? { isInSignedManifest: true } : {}),
  };
}

function readClaims(statement: Statement): Pick<RejectedReferrer, "claimedPredicateType" | "claimedVerifierId"> {
  const verifierId = summaryVerifierId(statement);
  return {
    claimedPredicateType: statement.predicateType,
    ...(verifierId === undefined ? {} : { claimedVerifierId: verifierId }),
  };
}
