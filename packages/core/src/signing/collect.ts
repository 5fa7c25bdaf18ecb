import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../policy/schema.ts";
import { type Found, type JudgedBy, judgeSigned, takeEachOnce } from "./judge-signed.ts";
import {
  type EvidencePlace,
  type EvidenceSource,
  findTagged,
  readReferrer,
  type TrustedSchemes,
} from "./read-referrer.ts";
import { boundReading, chooseReferrers, type ReadingLimits, readingLimits } from "./reading-bounds.ts";
import { allSchemes, kindOf, schemeOf } from "./schemes/find.ts";
import type { SignedPayload } from "./schemes/scheme.ts";
import type { CollectedEvidence } from "./types.ts";

export interface CollectOptions extends Partial<ReadingLimits> {
  /** Signers count from a time and until one; what nobody else dates is of now at the latest. */
  now: Date;
  /** What the index that the subject is in names as being about it; read by schemes that ask for that, and no others. */
  named?: readonly Digest[];
}

/** Referrers of one subject that are read at the same time. */
const concurrency = 8;

/**
 * Every statement about `subject` in `repository` that a signer of the policy made, and why each other referrer that was
 * read counts for nothing ({@link chooseReferrers} has what is not). No descriptor of the list is believed: each
 * manifest is fetched, must name `subject` itself, and must hold what a scheme signs and nothing else. A bundle that
 * several referrers carry is one statement. A referrer that is broken counts for nothing; that the registry cannot be
 * asked is an error, never "not there".
 * @throws InfrastructureError as the client's, and `too-much-evidence`; UserError `key-invalid` or `key-unsupported`
 *   for a key of the policy
 */
export async function collectEvidence(
  client: EvidenceSource["client"],
  repository: Repository,
  subject: Digest,
  signers: Policy["signers"],
  { now, named = [], ...limits }: CollectOptions,
): Promise<CollectedEvidence> {
  const trusted = trustSigners(signers);
  const listing = await client.listReferrers(repository, subject, { choose: chooseReferrers });
  const listed = listing.map((descriptor) => descriptor.digest);
  const digests = [...new Set([...listed, ...(readsIndexes(trusted) ? named : [])])];
  const bounds = boundReading(`${formatRepository(repository)}@${subject}`, {
    ...readingLimits,
    ...limits,
  });
  bounds.referrers(digests.length);
  const source: EvidenceSource = { client, repository, bounds };
  const places = [...digests.map((digest) => ({ digest })), ...(await findTagged(source, subject, trusted))];
  const read = await mapConcurrently(concurrency, places, async (place) => {
    const found = await verifyReferrer(source, subject, place, trusted, { signers, now });
    for (const { statement, lapsed } of found) {
      const verified = statement ?? lapsed;
      if (verified !== undefined) bounds.hold(verified.bundle);
    }
    return found;
  });
  const found = read.flat();
  return {
    statements: takeEachOnce(found.flatMap(({ statement }) => statement ?? [])),
    lapsed: takeEachOnce(found.flatMap(({ lapsed }) => lapsed ?? [])),
    rejected: found.flatMap(({ rejected }) => rejected ?? []),
  };
}

const trustedSigners = new WeakMap<Policy["signers"], TrustedSchemes>();

/**
 * What verifies by each scheme that signers of a policy sign with. Kept with the policy: a scheme remembers whose a
 * bundle is, which lies at the source and at the destination.
 * @throws UserError `key-invalid`, `key-unsupported`
 */
export function trustSigners(signers: Policy["signers"]): TrustedSchemes {
  const known = trustedSigners.get(signers);
  if (known !== undefined) return known;
  const trusted = new Map(
    allSchemes.flatMap((scheme) => {
      const own = Object.entries(signers).filter(([, signer]) => kindOf(signer) === scheme.kind);
      const materials = own.map(([name, signer]) => ({
        name,
        material: scheme.materialOf(signer, `the public key of signer '${name}' in the policy`),
      }));
      // A scheme that nobody signs with reads nothing; where nobody signs at all, whatever is there is nobody's.
      const isUsed = own.length > 0 || Object.keys(signers).length === 0;
      return isUsed ? [[scheme.kind, scheme.trust(materials)] as const] : [];
    }),
  );
  trustedSigners.set(signers, trusted);
  return trusted;
}

function readsIndexes(trusted: TrustedSchemes): boolean {
  return allSchemes.some(({ kind, isNamedByIndex }) => isNamedByIndex === true && trusted.has(kind));
}

/** What is in one referrer: of each statement, that it is verified or why it counts for nothing. */
async function verifyReferrer(
  source: EvidenceSource,
  subject: Digest,
  place: EvidencePlace,
  trusted: TrustedSchemes,
  by: JudgedBy & { signers: Policy["signers"] },
): Promise<Found[]> {
  const tag = place.tag === undefined ? {} : { tag: place.tag };
  const read = await readReferrer(source, subject, place, trusted);
  if ("reason" in read) return [{ rejected: { subject, referrer: place.digest, reason: read.reason, ...tag } }];
  return read.signed.map((signed) =>
    judgeSigned(dropUncertified(signed, by.signers), { subject, ...tag }, read.found, by),
  );
}

/** A signer who is known by certificates speaks by one alone: without it nobody says which run it was, or when. */
export function dropUncertified(signed: SignedPayload, signers: Policy["signers"]): SignedPayload {
  if (signed.identity !== undefined) return signed;
  const isCertified = (name: string): boolean => {
    const signer = Object.hasOwn(signers, name) ? signers[name] : undefined;
    return signer !== undefined && schemeOf(signer).isCertified === true;
  };
  return { ...signed, signers: signed.signers.filter((name) => !isCertified(name)) };
}
