import { X509Certificate } from "node:crypto";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { type Bundle, bundleFromJSON, bundleToJSON } from "@sigstore/bundle";
import { z } from "zod";
import { readWorkflowIdentity } from "../certificate.ts";
import type { CertifiedStatement } from "../certified-bundle.ts";
import { findSigners, groupByInstance } from "../certified-signers.ts";
import { parseStrictJson } from "../strict-json.ts";
import { checkCertified, completeWorkflow, identifyWorkflow, workflowFields, workflowMaterial } from "./keyless.ts";
import { bundleFileOf, legacy, parseEnvelope, proofAnnotations, readEnvelopes, type TaggedEnvelope } from "./legacy.ts";
import type { EvidencePiece, EvidenceVerifier, HandCheck, SigningScheme, TrustedSigner } from "./scheme.ts";

const signerSchema = z.strictObject({
  kind: z
    .literal("legacy-keyless")
    .describe(
      "How this signer signs: as a workflow, as cosign did before bundles, under the tag sha256-….att. slsa-github-generator does.",
    ),
  ...workflowFields,
});

/**
 * The same by certificates: the envelope is the layer, and the certificate and the log's entry are annotations of it. They
 * are made one bundle of, as Sigstore had it in version 0.1, and that is held to what a bundle of today is held to.
 */
export const legacyKeyless = {
  kind: "legacy-keyless",
  signerSchema,
  evidence: "an attestation of cosign under a tag",
  levels: 1,
  recognises: legacy.recognises,
  listedAs: legacy.listedAs,
  tags: legacy.tags,
  isCertified: true,
  complete: completeWorkflow,
  identify: identifyWorkflow,
  materialOf: workflowMaterial,
  trust,
  checkByHand: (signer: z.infer<typeof signerSchema>, piece) => checkTagged(signer, piece),
} as const satisfies SigningScheme<z.infer<typeof signerSchema>>;

function trust(signers: readonly TrustedSigner[]): EvidenceVerifier {
  const instances = groupByInstance(signers);
  return {
    async verify(found, read) {
      const envelopes = await readEnvelopes(found, read);
      if ("reason" in envelopes) return envelopes;
      return envelopes.map((envelope) => {
        const { payload, bundle } = envelope;
        const opened = openTagged(envelope);
        return "reason" in opened
          ? { payload, bundle, signers: [], ...opened }
          : { payload, bundle, ...findSigners(opened, instances) };
      });
    },
  };
}

const base64 = z.base64();
const entrySchema = z.strictObject({
  SignedEntryTimestamp: base64,
  Payload: z.strictObject({
    body: base64,
    integratedTime: z.int().positive(),
    logIndex: z.int().nonnegative(),
    logID: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});
const kindSchema = z.looseObject({ kind: z.string(), apiVersion: z.string() });
const timestampSchema = z.strictObject({ SignedRFC3161Timestamp: base64 });

/** By the bundle that was verified here. */
function checkTagged(signer: z.infer<typeof signerSchema>, piece: EvidencePiece): HandCheck {
  const envelope = parseEnvelope(piece.bytes);
  const opened = envelope === undefined ? undefined : openTagged({ ...envelope, annotations: piece.annotations ?? {} });
  if (opened === undefined || "reason" in opened) throw new TypeError("evidence that nobody has verified");
  const file = bundleFileOf(piece);
  const { argv, files } = checkCertified(signer, { ...piece, file }, opened);
  return { argv, files: { ...files, [file]: stringifyJson(bundleToJSON(opened.bundle)) } };
}

/** An envelope with its annotations → a bundle, and who its certificate is for. Nothing of it is verified. */
function openTagged(envelope: Omit<TaggedEnvelope, "bundle">): CertifiedStatement | { reason: string } {
  const { annotations, payload } = envelope;
  const certificate = readCertificate(annotations[proofAnnotations.certificate]);
  if (certificate === undefined) return { reason: "it has no certificate, and the policy's signer is a workflow" };
  const entry = readAnnotation(annotations[proofAnnotations.entry], entrySchema);
  const timestamp = readAnnotation(annotations[proofAnnotations.timestamp], timestampSchema);
  if (entry === "malformed" || timestamp === "malformed")
    return { reason: "the proofs beside its certificate are malformed" };
  const bundle = toBundle(envelope, certificate, entry, timestamp);
  if (bundle === undefined) return { reason: "the proofs beside its certificate make no bundle" };
  return { bundle, payload, identity: readWorkflowIdentity(certificate) };
}

/** One certificate and nothing around it. */
function readCertificate(pem: string | undefined): Uint8Array | undefined {
  if (pem === undefined || pem.split("-----BEGIN CERTIFICATE-----").length !== 2) return undefined;
  try {
    return new X509Certificate(pem).raw;
  } catch {
    return undefined;
  }
}

function readAnnotation<T extends z.ZodType>(
  text: string | undefined,
  schema: T,
): z.output<T> | "malformed" | undefined {
  if (text === undefined || text === "") return undefined;
  const json = parseStrictJson(new TextEncoder().encode(text));
  const parsed = "problem" in json ? undefined : schema.safeParse(json.value);
  return parsed?.success === true ? parsed.data : "malformed";
}

function toBundle(
  { payload, payloadType, signature }: Pick<TaggedEnvelope, "payload" | "payloadType" | "signature">,
  certificate: Uint8Array,
  entry: z.output<typeof entrySchema> | undefined,
  timestamp: z.output<typeof timestampSchema> | undefined,
): Bundle | undefined {
  const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const entries = entry === undefined ? [] : toLogEntry(entry);
  if (entries === undefined) return undefined;
  try {
    return bundleFromJSON({
      mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1",
      verificationMaterial: {
        x509CertificateChain: { certificates: [{ rawBytes: encode(certificate) }] },
        tlogEntries: entries,
        timestampVerificationData: {
          rfc3161Timestamps: timestamp === undefined ? [] : [{ signedTimestamp: timestamp.SignedRFC3161Timestamp }],
        },
      },
      dsseEnvelope: {
        payload: encode(payload),
        payloadType,
        signatures: [{ keyid: "", sig: encode(signature) }],
      },
    });
  } catch {
    return undefined;
  }
}

function toLogEntry({ SignedEntryTimestamp, Payload }: z.output<typeof entrySchema>): object[] | undefined {
  const body = parseStrictJson(Buffer.from(Payload.body, "base64"));
  const kind = "problem" in body ? undefined : kindSchema.safeParse(body.value).data;
  if (kind === undefined) return undefined;
  return [
    {
      logIndex: String(Payload.logIndex),
      logId: { keyId: Buffer.from(Payload.logID, "hex").toString("base64") },
      kindVersion: { kind: kind.kind, version: kind.apiVersion },
      integratedTime: String(Payload.integratedTime),
      inclusionPromise: { signedEntryTimestamp: SignedEntryTimestamp },
      canonicalizedBody: Payload.body,
    },
  ];
}
