import { createHash, generateKeyPairSync, type KeyObject, sign as signBytes, X509Certificate } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { bundleToJSON } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { HashAlgorithm } from "@sigstore/protobuf-specs";
import { DSSEBundleBuilder, FulcioSigner, InternalError, RekorWitness, TSAWitness, type Witness } from "@sigstore/sign";
import { readWorkflowIdentity } from "../../certificate.ts";
import { openCertified, verifyCertified } from "../../certified-bundle.ts";
import { intotoPayloadType } from "../../predicates.ts";
import { readTrust, type SigstoreInstance } from "../../sigstore-instance.ts";
import { describeWorkflow } from "../../workflow-identity.ts";
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

const retries = 2;
const fetching = { retry: { retries, minTimeout: 1000, maxTimeout: 10_000 }, timeout: 30_000 };
/** A log of the second version answers when the entry is in it, and writes a few times a minute. Milliseconds. */
const logTimeout = 60_000;

/**
 * A certificate for the job that a token is of.
 * @throws InfrastructureError `sigstore-unavailable`, `certificate-unexpected`; UserError `sigstore-refused`
 */
export async function requestCertificate({ fulcio }: SigningInstance, token: JobToken): Promise<Certified> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const signer = new FulcioSigner({
    ...fetching,
    fulcioBaseURL: fulcio,
    identityProvider: { getToken: async () => token.text },
    keyHolder: {
      sign: async (data) => ({ signature: signData(data, privateKey), key: { $case: "publicKey", publicKey: pem } }),
    },
  });
  // It asks for a certificate with each signature, and one is enough for all: this signature is thrown away.
  const { key } = await signer.sign(Buffer.alloc(0)).catch((error: unknown) => {
    throw asSigstoreError(error, "a certificate", fulcio);
  });
  if (key.$case !== "x509Certificate") throw new TypeError("an authority that gives no certificate");
  const { raw, validToDate } = new X509Certificate(key.certificate);
  const identity = readWorkflowIdentity(raw);
  if ("problem" in identity || !isDeepStrictEqual({ ...identity }, { ...token.identity })) {
    const found = "problem" in identity ? identity.problem : describeWorkflow(identity);
    throw new InfrastructureError(`${fulcio} gave a certificate for another than this job: ${found}`, {
      code: "certificate-unexpected",
      safeToRetry: false,
      wayOut: "Look how that instance makes its certificates of tokens; nothing was signed.",
    });
  }
  return { privateKey, certificate: key.certificate, expires: validToDate };
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
): Promise<Uint8Array> {
  const { rekor, rekorVersion, timestamp } = instance;
  const builder = new DSSEBundleBuilder({
    signer: {
      sign: async (data) => ({
        signature: signData(data, privateKey),
        key: { $case: "x509Certificate", certificate },
      }),
    },
    witnesses: [
      ...(rekor === undefined ? [] : [createLogWitness(rekor, rekorVersion)]),
      ...(timestamp === undefined ? [] : [new TSAWitness({ ...fetching, tsaBaseURL: timestamp })]),
    ],
  });
  const artifact = { data: Buffer.from(payload), type: intotoPayloadType };
  const bundle = await builder.create(artifact).catch((error: unknown) => {
    throw asSigstoreError(error, "an entry or a timestamp", [rekor, timestamp].filter(Boolean).join(" or "));
  });
  const bytes = new TextEncoder().encode(JSON.stringify(bundleToJSON(bundle)));
  const verified = verifyCertified(openCertified(bytes).bundle, readTrust(instance), instance);
  if (!("reason" in verified)) return bytes;
  throw new InfrastructureError(`what was signed does not hold by the policy's trusted root: ${verified.reason}`, {
    code: "signature-unusable",
    safeToRetry: false,
    wayOut: "Renew the trusted root in the policy's `sigstore`, if that instance has changed its keys.",
  });
}

/**
 * Writes a signature to a log. The second version has entries of signatures over a digest alone, as cosign reads them: of
 * an envelope the digest of what is signed in it.
 */
function createLogWitness(rekorBaseURL: string, majorApiVersion: 1 | 2): Witness {
  const witness = new RekorWitness({ ...fetching, timeout: logTimeout, rekorBaseURL, majorApiVersion });
  if (majorApiVersion === 1) return witness;
  return {
    testify: async (content, certificate) => {
      if (content.$case !== "dsseEnvelope") throw new TypeError("a statement without an envelope");
      const { payloadType, payload, signatures } = content.dsseEnvelope;
      const [signature] = signatures;
      if (signature === undefined) throw new TypeError("an envelope without a signature");
      const digest = createHash("sha256").update(dsse.preAuthEncoding(payloadType, payload)).digest();
      const messageDigest = { algorithm: HashAlgorithm.SHA2_256, digest };
      const messageSignature = { messageDigest, signature: signature.sig };
      return witness.testify({ $case: "messageSignature", messageSignature }, certificate);
    },
  };
}

/** What the services answered; never with the token, which the library may put into its own messages. */
function asSigstoreError(error: unknown, what: string, where: string): unknown {
  if (!(error instanceof InternalError) || error.code.startsWith("IDENTITY_TOKEN")) return error;
  const cause = error.cause as { statusCode?: unknown; message?: unknown } | undefined;
  const status = typeof cause?.statusCode === "number" ? cause.statusCode : undefined;
  const why = typeof cause?.message === "string" ? `: ${cause.message}` : "";
  if (status !== undefined && status >= 400 && status < 500 && ![408, 429].includes(status)) {
    return new UserError(`${where} gives no ${what.replace(/^an? /, "")}, and answers ${status}${why}`, {
      code: "sigstore-refused",
      wayOut: "Look whether that instance takes tokens of this issuer, and whether the policy names the right one.",
    });
  }
  return new InfrastructureError(`${where} can't be had for ${what}${why}`, {
    code: "sigstore-unavailable",
    attempts: retries + 1,
    wayOut: "Run the job again when it is there: nothing is promoted that is not signed.",
  });
}
