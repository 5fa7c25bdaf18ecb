import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";

/** An in-toto Statement v1. */
export interface Statement {
  /** Written as v1; v0.1 has the same fields, and is what cosign 3 writes. */
  _type: "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1";
  subject: StatementSubject[];
  predicateType: string;
  predicate: Record<string, unknown>;
}

export interface StatementSubject {
  name: string;
  /** Algorithm → hex. */
  digest: Record<string, string>;
}

/** One statement, verified: the signature holds with the key of `signers`, and the statement names `subject` by digest. */
export interface VerifiedStatement {
  /** The digest it was found on, and which its statement's subject names. */
  subject: Digest;
  /** Names of the policy's signers whose key verifies it. Never empty. */
  signers: string[];
  statement: Statement;
  /** Of the bundle's bytes: what verification summaries name as their inputs. */
  bundle: Descriptor;
  /** The referrer that carries it. */
  referrer: Descriptor;
}

/** A referrer that counts for nothing, and why: only for messages. */
export interface RejectedReferrer {
  subject: Digest;
  referrer: Digest;
  reason: string;
  /** What the payload claims, unverified: lets a message say "there is a scan statement, but its signature is nobody's of this policy". */
  claimedPredicateType?: string;
  claimedVerifierId?: string;
}

export interface CollectedEvidence {
  statements: VerifiedStatement[];
  rejected: RejectedReferrer[];
}

/** Signs the DSSE pre-authentication encoding of a payload. */
export interface Signer {
  /** `key`; keyless comes beside it. */
  kind: "key";
  /** SPKI PEM. */
  publicKeyPem: string;
  sign(data: Uint8Array): Promise<Uint8Array>;
}
