import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor, ImageManifest } from "@goldenpath/registry-client/oci/manifest";
import type { z } from "zod";
import type { SignerMaterial } from "../material.ts";
import type { TrustStore } from "../notary/trust-store.ts";
import type { SignerTimes } from "../signer-times.ts";
import type { SigstoreInstance } from "../sigstore-instance.ts";
import type { WorkflowIdentity } from "../workflow-identity.ts";

/** An SBOM of ten thousand packages has some 10 MB. */
export const maxBundleBytes = 16 * 1024 * 1024;

/** What every signer of a policy has, of whatever kind: its schema spreads `signerTimes`. */
export interface SignerFields extends SignerTimes {
  /** The scheme that it signs with. */
  kind?: string | undefined;
}

/** What signers of a policy may name, and several of them share. */
export interface PolicySections {
  sigstore: Readonly<Record<string, SigstoreInstance>>;
  trustStores: Readonly<Record<string, TrustStore>>;
}

/**
 * A way of signing: the half that decides whose word a statement is. `verify` and `promote` load it, so it has no
 * private key and no code that signs; what signs is a {@link SchemeOpener} in `openers.ts`.
 */
export interface SigningScheme<Own extends SignerFields = SignerFields> {
  /** In a policy's `signers.NAME.kind`, and in the input `signer`. */
  readonly kind: string;
  /** A signer in a policy: an object with a `kind` of this name. */
  readonly signerSchema: z.ZodType<Own>;
  /** What its evidence is, in messages: `a Sigstore bundle`. */
  readonly evidence: string;
  /**
   * How many levels of referrers its evidence has: 1 where what refers to the image holds the statement and its
   * signature.
   */
  readonly levels: number;
  /**
   * Whether what refers to an image is this scheme's, as its manifest says: by its artifact type. Several schemes may
   * recognise the same.
   */
  recognises(manifest: ImageManifest): boolean;
  /**
   * The artifact types by which a registry lists what it recognises; none where that is in no list. Of a long list
   * nothing else is read.
   */
  readonly listedAs: readonly string[];
  /**
   * Tags under which its evidence of an image lies, for a scheme whose evidence does not refer to the image by a field
   * of its own, as cosign's did not before there were referrers. It goes along under the same tag.
   */
  tags?(subject: Digest): readonly string[];
  /**
   * Its evidence is named by the index that an image is in: the registry may list it nowhere, where whoever pushed it did
   * not see to that. It refers to the image all the same.
   */
  isNamedByIndex?: true;
  /**
   * Of a signer in a policy, what no other signer may have as well: the field that says it, what it is called, and one
   * text for all ways to write it. Never throws.
   */
  identify(signer: Own): { field: string; what: string; text: string };
  /** Its statements come with the run that signed them, by the word of whoever certified that. */
  isCertified?: true;
  /** A signer with what the policy says elsewhere, for a scheme whose signers name it. */
  complete?(signer: Own, sections: PolicySections): Own;
  /**
   * A signer in a policy → what it is known by. `what` is how messages call it.
   * @throws UserError where it is no such thing, or of a kind that is not taken
   */
  materialOf(signer: Own, what: string): SignerMaterial;
  /**
   * What verifies evidence by these signers: those of the policy that are of this kind. It may remember what it has
   * verified.
   */
  trust(signers: readonly TrustedSigner[]): EvidenceVerifier;
  /**
   * How somebody else checks a piece of evidence of a signer, without us and without a network; absent for a scheme
   * whose evidence no other tool reads. What it asks is what the policy asks, as far as that tool can.
   */
  checkByHand?(signer: Own, piece: EvidencePiece): HandCheck;
}

/** A verified statement in a file. */
export interface EvidencePiece {
  /** Of the policy. */
  signer: string;
  /** The file that holds the evidence, in the folder that the check runs in. */
  file: string;
  bytes: Uint8Array;
  /** The image that the statement is about. */
  subject: Digest;
  /** The file there that holds the image's manifest, whose digest is the image's. */
  image: string;
  predicateType: string;
  /**
   * Of evidence on several levels, what it takes besides the statement, in this order: the subject's manifest, the
   * referrer's, and the referrer's blobs.
   */
  parts?: readonly { mediaType: string; bytes: Uint8Array }[];
  /** Of the same, the manifest and the blobs of each that is needed below the referrer. */
  below?: readonly { manifest: Uint8Array; blobs: readonly Uint8Array[] }[];
  /** Of evidence under a tag, what the manifest there says of it. */
  annotations?: Readonly<Record<string, string>>;
}

/**
 * A program of the field with its arguments, and the files that it takes: a key, a trusted root, … by their names. Texts
 * end with a line break, bytes are as they are.
 */
export interface HandCheck {
  argv: readonly [program: string, ...args: string[]];
  /** What is to be run before it, where one program does not see all. */
  first?: HandCheck["argv"];
  /** Another program that checks the same file by itself, for who has that one. */
  other?: HandCheck["argv"];
  files: Readonly<Record<string, string | Uint8Array>>;
}

export interface TrustedSigner {
  /** As the policy calls it. */
  name: string;
  material: SignerMaterial;
}

export interface EvidenceVerifier {
  /**
   * Evidence → what is signed in it, and by whom; or why it counts for nothing. Each statement is one payload, and has
   * the names of all whose signature holds. Whatever is not understood, or could carry something of its own beside what
   * is signed, is a reason. Errors are of `read` alone.
   */
  verify(found: FoundReferrer, read: ReadBlob): Promise<readonly SignedPayload[] | { reason: string }>;
}

/** A blob of the repository, checked; one over {@link maxBundleBytes} is refused. */
export type ReadBlob = (blob: Descriptor) => Promise<Uint8Array>;

/**
 * A manifest that refers to an image, or to another referrer; that it does was seen in the manifest itself. Or what
 * lies under a scheme's tag.
 */
export interface FoundReferrer {
  /** With its artifact type and its annotations. */
  descriptor: Descriptor;
  manifest: ImageManifest;
  /** What refers to it, as many levels down as the scheme needs. What is broken is not among them. */
  below: readonly FoundReferrer[];
}

/** From when until when a signature holds, both included; whatever is not there has no end. */
export interface ValidityWindow {
  from?: Date;
  until?: Date;
}

export interface SignedPayload {
  /** The statement's bytes, as they were signed. */
  payload: Uint8Array;
  /** Names of the trusted signers whose signature holds. Empty where it is nobody's. */
  signers: readonly string[];
  /** Where it is nobody's: why, if the scheme can tell. */
  reason?: string;
  /** When it was signed at the latest, by the word of somebody else than who signs, for a scheme that has such. */
  time?: Date;
  /** The run whose job signed it, by the word of whoever certified that, for a scheme that has such. */
  identity?: WorkflowIdentity;
  /** When its signature holds, by what its signer or its certificate says; absent where that is always. */
  holds?: ValidityWindow;
  /** The blob that holds the statement: what verdicts name, when they rest on it. */
  bundle: Descriptor;
  /** What below the referrer it takes to verify it, each after its subject: it goes along with the image as well. */
  below?: readonly FoundReferrer[];
  /**
   * Who signs has signed the manifest that the statement lies in, and may not have written it: of the run its certificate
   * alone tells. Such statements name a subject once for each of its names.
   */
  isInSignedManifest?: true;
}
