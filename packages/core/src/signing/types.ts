import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { SignerMaterial } from "./material.ts";
import type { FoundReferrer, ReadBlob, SignedPayload } from "./schemes/scheme.ts";
import type { WorkflowIdentity } from "./workflow-identity.ts";

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

/** One statement, verified: `signers` have signed it, and the statement names `subject` by digest. */
export interface VerifiedStatement {
  /** The digest it was found on, and which its statement's subject names. */
  subject: Digest;
  /** Names of the policy's signers whose signature it has. Never empty. */
  signers: string[];
  statement: Statement;
  /** When it was signed at the latest, by the word of a log or a timestamp authority; absent where none is asked. */
  time?: Date;
  /** The run whose job signed it, by the word of whoever certified that; absent where nobody does. */
  identity?: WorkflowIdentity;
  /** Of the bytes that hold it: what verification summaries name as their inputs. */
  bundle: Descriptor;
  /** The referrer that carries it. */
  referrer: Descriptor;
  /** Where it is found under a tag, and in no list. */
  tag?: string;
  /** What below that referrer it takes to verify it, each after its subject; absent where that is nothing. */
  below?: readonly EvidencePart[];
  /** As of {@link SignedPayload}. */
  isInSignedManifest?: true;
}

/** A referrer of a referrer, without which a statement would count for nothing. */
export interface EvidencePart {
  subject: Digest;
  descriptor: Descriptor;
}

/** A referrer that counts for nothing, and why: only for messages. */
export interface RejectedReferrer {
  subject: Digest;
  referrer: Digest;
  /** Where it is found under a tag, and in no list. */
  tag?: string;
  reason: string;
  /** It is a statement that somebody signed, and nobody whom the policy names. */
  isByNobody?: true;
  /**
   * What the payload claims, unverified: lets a message say "there is a scan statement, but its signature is nobody's
   * of this policy".
   */
  claimedPredicateType?: string;
  claimedVerifierId?: string;
}

export interface CollectedEvidence {
  statements: VerifiedStatement[];
  /**
   * Signed by signers of the policy, out of the time in which their word counts or the signature holds; among the
   * rejected as well. They prove nothing, and are here because what they say against an image is not unsaid: an older
   * pass must not count again because a newer failure's signer has ended.
   */
  lapsed: VerifiedStatement[];
  rejected: RejectedReferrer[];
}

/** Whoever signs, as its scheme opened it. */
export interface Signer {
  /** Its scheme's. */
  kind: string;
  /** What the policy knows it by. */
  material: SignerMaterial;
  /** By what its evidence is told that is there already, where that is not its material: the policy's signer. */
  trusted?: SignerMaterial;
  /**
   * Signs a statement. `existing`: the same statement, signed by the same signer, which is taken instead of a signature
   * that would differ.
   */
  seal(statement: Statement, existing?: ExistingEvidence): Promise<SealedStatement>;
  /**
   * Attaches what it has signed in cosign's older form as well: to one image or child, from the bundle's bytes. Only
   * where that was asked for.
   */
  attachLegacy?(
    client: RegistryClient,
    repository: Repository,
    subject: Digest,
    signed: { bundle: Uint8Array; statement: Statement },
  ): Promise<void>;
}

export interface ExistingEvidence extends SignedPayload {
  referrer: FoundReferrer;
  read: ReadBlob;
}

/** A signed statement, before it is attached to anything. */
export interface SealedStatement {
  /** What holds the statement: a blob beside every image that it is about, whose digest verdicts name. */
  bundle: { mediaType: string; bytes: Uint8Array };
  /** Each subject has a signature of its own, so that each is asked for the one that it has already. */
  signsEach?: true;
  /**
   * The referrers that carry it for one subject: the first refers to the subject, and each other one to the one before
   * it. Their config is the empty one. The first says when it was made, with `org.opencontainers.image.created`, so
   * that the same evidence is the same bytes again; and of which predicate type the statement is, as Sigstore's do,
   * which saves whoever lists referrers from reading it. `existing`: what the subject has already, where each has
   * a signature of its own.
   */
  carry(
    subject: Descriptor,
    bundle: Descriptor,
    created: string,
    existing?: ExistingEvidence,
  ): Promise<[Carrier, ...Carrier[]]>;
}

export interface Carrier {
  manifest: Uint8Array;
  mediaType: string;
  artifactType: string;
  /** Its blobs besides the config and the bundle. */
  blobs?: readonly { mediaType: string; bytes: Uint8Array }[];
}
