import { generateKeyPairSync, type KeyObject, sign as signBytes, X509Certificate } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { bundleToJSON, envelopeToJSON, toDSSEBundle } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { z } from "zod";
import { readWorkflowIdentity } from "../../certificate.ts";
import { openCertified, verifyCertified } from "../../certified-bundle.ts";
import { intotoPayloadType } from "../../predicates.ts";
import { readTrust, type SigstoreInstance } from "../../sigstore-instance.ts";
import { encodeTimestampQuery, timestampQueryType } from "../../timestamps.ts";
import { describeWorkflow } from "../../workflow-identity.ts";
import { askSigstore, type Question, readSigstoreAnswer, type Surroundings } from "./ask.ts";
import { under, writeToLog } from "./log.ts";
import type { JobToken } from "./token.ts";

/** An instance that stages can sign with. */
export type SigningInstance = SigstoreInstance & { fulcio: string };

/** A key for one run, which is nowhere but in this process, and whose it is. */
export interface Certified {
  privateKey: KeyObject;
  /** PEM. */
  certificate: string;
  expires: Date;
}

const chain = z.object({ chain: z.object({ certificates: z.array(z.string()).min(1) }) });
/** https://github.com/sigstore/fulcio/blob/main/fulcio.proto */
const certificateAnswer = z.union([
  z.object({ signedCertificateEmbeddedSct: chain }).transform((answer) => answer.signedCertificateEmbeddedSct),
  z.object({ signedCertificateDetachedSct: chain }).transform((answer) => answer.signedCertificateDetachedSct),
]);

/**
 * A certificate for the job that a token is of.
 * @throws InfrastructureError `sigstore-unavailable`, `certificate-unexpected`; UserError `sigstore-refused`
 */
export async function requestCertificate(
  { fulcio }: SigningInstance,
  token: JobToken,
  surroundings: Surroundings,
): Promise<Certified> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const content = publicKey.export({ type: "spki", format: "pem" }).toString();
  const proofOfPossession = signData(Buffer.from(token.subject), privateKey).toString("base64");
  const question: Question = {
    what: "certificate",
    url: under(fulcio, "api/v2/signingCert"),
    json: {
      credentials: { oidcIdentityToken: token.text },
      publicKeyRequest: { publicKey: { algorithm: "ECDSA", content }, proofOfPossession },
    },
    taken: [200, 201],
  };
  const answer = readSigstoreAnswer(await askSigstore(question, surroundings), certificateAnswer, question);
  const [certificate = ""] = answer.chain.certificates;
  const { raw, validToDate } = openCertificate(certificate, fulcio);
  const identity = readWorkflowIdentity(raw);
  if ("problem" in identity || !isDeepStrictEqual({ ...identity }, { ...token.identity })) {
    const found = "problem" in identity ? identity.problem : describeWorkflow(identity);
    throw new InfrastructureError(`${fulcio} gave a certificate for another than this job: ${found}`, {
      code: "certificate-unexpected",
      safeToRetry: false,
      wayOut: "Look how that instance makes its certificates of tokens; nothing was signed.",
    });
  }
  return { privateKey, certificate, expires: validToDate };
}

/** @throws InfrastructureError `sigstore-unavailable` */
function openCertificate(pem: string, fulcio: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new InfrastructureError(`${fulcio} gave a certificate that can't be read`, {
      code: "sigstore-unavailable",
      cause,
    });
  }
}

const signData = (data: Uint8Array, privateKey: KeyObject): Buffer =>
  signBytes("sha256", data, { key: privateKey, dsaEncoding: "der" });

/**
 * A payload → the bytes of a Sigstore bundle v0.3, with an entry of the log and a timestamp, as the instance has them.
 * It holds by the policy's own trusted root, or is not handed out.
 * @throws InfrastructureError `sigstore-unavailable`, `signature-unusable`; UserError `sigstore-refused`
 */
export async function signPayload(
  payload: Uint8Array,
  { privateKey, certificate }: Certified,
  instance: SigningInstance,
  surroundings: Surroundings,
): Promise<Uint8Array> {
  const { rekor, rekorVersion, timestamp } = instance;
  const artifact = Buffer.from(payload);
  const signed = dsse.preAuthEncoding(intotoPayloadType, artifact);
  const signature = signData(signed, privateKey);
  const raw = new X509Certificate(certificate).raw;
  const bundle = toDSSEBundle({ artifact, artifactType: intotoPayloadType, signature, certificate: raw });
  if (bundle.content.$case !== "dsseEnvelope") throw new TypeError("a bundle without an envelope");
  const envelope = JSON.stringify(envelopeToJSON(bundle.content.dsseEnvelope));
  const [entries, timestamps] = await Promise.all([
    rekor === undefined
      ? []
      : [await writeToLog({ signed, signature, certificate, envelope }, { rekor, rekorVersion }, surroundings)],
    timestamp === undefined ? [] : [await requestTimestamp(signature, timestamp, surroundings)],
  ]);
  bundle.verificationMaterial.tlogEntries = entries;
  bundle.verificationMaterial.timestampVerificationData = { rfc3161Timestamps: timestamps };
  const bytes = new TextEncoder().encode(JSON.stringify(bundleToJSON(bundle)));
  const verified = verifyCertified(openCertified(bytes).bundle, readTrust(instance), instance);
  if (!("reason" in verified)) return bytes;
  throw new InfrastructureError(`what was signed does not hold by the policy's trusted root: ${verified.reason}`, {
    code: "signature-unusable",
    safeToRetry: false,
    wayOut: "Renew the trusted root in the policy's `sigstore`, if that instance has changed its keys.",
  });
}

async function requestTimestamp(
  signature: Uint8Array,
  timestamp: string,
  surroundings: Surroundings,
): Promise<{ signedTimestamp: Buffer<ArrayBuffer> }> {
  const url = new URL(timestamp).pathname === "/" ? under(timestamp, "api/v1/timestamp") : new URL(timestamp);
  const body = { type: timestampQueryType, bytes: encodeTimestampQuery(signature) };
  const question: Question = { what: "timestamp", url, body, taken: [200, 201] };
  const { bytes } = await askSigstore(question, surroundings);
  return { signedTimestamp: Buffer.from(bytes) };
}
