import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { isAttestation, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { findBundleLayer } from "../bundle-layer.ts";
import { type CertifiedStatement, openCertified } from "../certified-bundle.ts";
import { type CertifiedAnswer, findSigners, groupByInstance } from "../certified-signers.ts";
import { isAboutContent } from "../content-errors.ts";
import { namesSubject, parseStatement } from "../statement.ts";
import { checkCertified, completeWorkflow, identifyWorkflow, workflowFields, workflowMaterial } from "./keyless.ts";
import {
  type EvidencePiece,
  type EvidenceVerifier,
  type FoundReferrer,
  type HandCheck,
  maxBundleBytes,
  type ReadBlob,
  type SignedPayload,
  type SigningScheme,
  type TrustedSigner,
} from "./scheme.ts";

/** What BuildKit calls a manifest of statements that refers to the image which they are about (`oci-artifact=true`). */
const attestationArtifact = "application/vnd.docker.attestation.manifest.v1+json";

/** What cosign calls a signature that says no more than that it signs. */
export const cosignSignature = "https://sigstore.dev/cosign/sign/v1";

const signerSchema = z.strictObject({
  kind: z
    .literal("keyless-manifest")
    .describe(
      "How this signer signs: as a workflow, the manifest of BuildKit's attestations in an image's index, and no statement itself. docker/github-builder does.",
    ),
  ...workflowFields,
});
type ManifestSigner = z.infer<typeof signerSchema>;

/**
 * Runs of workflows that build by BuildKit and sign what it says: the statements lie in a manifest of the image's index,
 * and `cosign sign` is about that manifest's digest. Two levels: the manifest refers to the image, and the bundle to the
 * manifest. https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
 */
export const keylessManifest = {
  kind: "keyless-manifest",
  signerSchema,
  evidence: "a manifest of BuildKit's attestations",
  levels: 2,
  recognises: (manifest) => manifest.artifactType === attestationArtifact,
  listedAs: [attestationArtifact],
  isNamedByIndex: true,
  isCertified: true,
  complete: completeWorkflow,
  identify: identifyWorkflow,
  materialOf: workflowMaterial,
  trust,
  checkByHand,
} as const satisfies SigningScheme<ManifestSigner>;

/** Signatures of which it is remembered whose they are. */
const maxRemembered = 10_000;

/** A signature that lies below a manifest, and whose it is. */
interface ManifestSignature {
  holder: FoundReferrer;
  answer: CertifiedAnswer;
}

function trust(signers: readonly TrustedSigner[]): EvidenceVerifier {
  const instances = groupByInstance(signers);
  const known = new Map<Digest, CertifiedAnswer>();
  const judge = (bundle: Digest, opened: CertifiedStatement): CertifiedAnswer => {
    const answer = known.get(bundle) ?? findSigners(opened, instances);
    if (known.size >= maxRemembered) known.clear();
    known.set(bundle, answer);
    return answer;
  };
  return { verify: (found, read) => verifyManifest(found, read, judge) };
}

async function verifyManifest(
  found: FoundReferrer,
  read: ReadBlob,
  judge: (bundle: Digest, opened: CertifiedStatement) => CertifiedAnswer,
): Promise<readonly SignedPayload[] | { reason: string }> {
  const { manifest, descriptor, below } = found;
  if (!isAttestation(manifest)) return { reason: "it has other layers than in-toto statements" };
  const statements = manifest.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const large = statements.find(({ size }) => size > maxBundleBytes);
  if (large !== undefined)
    return { reason: `its statement has ${large.size} bytes, and ${maxBundleBytes} are read at most` };
  const payloads = await Promise.all(statements.map(async (bundle) => ({ bundle, payload: await read(bundle) })));
  const judged = await Promise.all(below.map((holder) => readSignature(holder, descriptor.digest, read, judge)));
  const signatures = judged.filter((each): each is ManifestSignature => "answer" in each);
  const isInSignedManifest = true;
  const proven = signatures.filter(({ answer }) => answer.signers.length > 0);
  if (proven.length > 0)
    return proven.flatMap(({ holder, answer }) =>
      payloads.map((each) => ({ ...each, ...answer, below: [holder], isInSignedManifest })),
    );
  const reason =
    signatures[0]?.answer.reason ??
    judged.find((each) => "reason" in each)?.reason ??
    "nobody has signed the manifest that it lies in";
  return payloads.map((each) => ({ ...each, signers: [], reason, isInSignedManifest }));
}

/** What lies below a manifest → whose signature of that manifest it is; or why it is none. */
async function readSignature(
  holder: FoundReferrer,
  signed: Digest,
  read: ReadBlob,
  judge: (bundle: Digest, opened: CertifiedStatement) => CertifiedAnswer,
): Promise<ManifestSignature | { reason: string }> {
  if (holder.manifest.artifactType !== mediaTypes.sigstoreBundle)
    return { reason: "what refers to the manifest that it lies in is no Sigstore bundle" };
  const layer = findBundleLayer(holder.manifest);
  if (typeof layer === "string") return { reason: layer };
  try {
    const opened = openCertified(await read({ mediaType: layer.mediaType, digest: layer.digest, size: layer.size }));
    const statement = parseStatement(opened.payload);
    if (statement.predicateType !== cosignSignature)
      return { reason: `what is signed of the manifest that it lies in is a ${statement.predicateType}, no signature` };
    if (!namesSubject(statement, signed))
      return { reason: "the signature beside the manifest that it lies in is of another manifest" };
    return { holder, answer: judge(layer.digest, opened) };
  } catch (error) {
    // A blob that can't be had as it is named, or holds no bundle: what somebody else has put there hides no other.
    if (error instanceof UserError) return { reason: error.message };
    if (isAboutContent(error)) return { reason: "the signature of the manifest that it lies in can't be read" };
    throw error;
  }
}

/**
 * The manifest and the statement by their digests, and the signature of the manifest by cosign: that the manifest names
 * the statement, and the statement the image, is for a reader to see in the files.
 */
function checkByHand(signer: ManifestSigner, piece: EvidencePiece): HandCheck {
  const manifest = piece.parts?.[1]?.bytes;
  const signature = piece.below?.[0]?.blobs[0];
  if (manifest === undefined || signature === undefined) throw new TypeError("evidence that nobody has verified");
  const stem = piece.file.replace(/\.json$/, "");
  const names = { manifest: `${stem}.manifest`, sums: `${stem}.sha256`, signature: `${stem}.sigstore` };
  const subject = digestOf(manifest);
  const about = { ...piece, file: names.signature, subject, predicateType: cosignSignature };
  const { argv, files } = checkCertified(signer, about, openCertified(signature));
  const sums = [
    [subject, names.manifest],
    [digestOf(piece.bytes), piece.file],
  ] as const;
  return {
    first: ["sha256sum", "--check", "--strict", names.sums],
    argv,
    files: {
      ...files,
      [names.manifest]: manifest,
      [names.signature]: signature,
      [names.sums]: sums.map(([digest, file]) => `${digestHex(digest)}  ${file}`).join("\n"),
    },
  };
}
