import { createHash, type KeyObject, sign as signBytes } from "node:crypto";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { CertificateProblem } from "../../extensions.ts";
import type { SignerMaterial } from "../../material.ts";
import type { Certificate } from "../../notary/certificates.ts";
import {
  type Algorithm,
  cryptoOf,
  envelopeMediaType,
  headers,
  payloadType,
  signingScheme,
} from "../../notary/envelope.ts";
import { exceedsValidity } from "../../notary/judge-envelope.ts";
import { describeStatement, metadata } from "../../notary/metadata.ts";
import { findEnvelopeLayer, signatureType, thumbprintAnnotation } from "../../notary/referrer.ts";
import { tokenOf } from "../../notary/timestamp-token.ts";
import { readTrustStore, type TrustStore } from "../../notary/trust-store.ts";
import { judgeEnvelope, openSigned } from "../../notary/verify-envelope.ts";
import { createdAnnotation, intotoPayloadType, predicateAnnotation } from "../../predicates.ts";
import { encodeStatement } from "../../statement.ts";
import { encodeTimestampQuery, timestampQueryType } from "../../timestamps.ts";
import type { ExistingEvidence, Signer, Statement } from "../../types.ts";
import { explainOutside } from "../../validity.ts";
import { askSigstore, type Question } from "../keyless/ask.ts";
import { notation } from "../notation.ts";

/** A private key, and whose it is. */
export interface CertifiedKey {
  privateKey: KeyObject;
  algorithm: Algorithm;
  chain: readonly Certificate[];
  subject: string;
}

export type StoredMaterial = Extract<SignerMaterial, { kind: "certificate" }> & { store: TrustStore };
type Surroundings = Pick<Context, "ports" | "env" | "signal" | "now">;

export function createNotationSigner(
  certified: CertifiedKey,
  material: StoredMaterial,
  surroundings: Surroundings,
): Signer {
  return {
    kind: notation.kind,
    material,
    async seal(statement) {
      const bytes = encodeStatement(statement);
      return {
        bundle: { mediaType: intotoPayloadType, bytes },
        signsEach: true,
        carry: async (subject, bundle, created, existing) => {
          const envelope =
            existing === undefined
              ? await signEnvelope(subject, statement, certified, material, surroundings)
              : await readEnvelope(existing);
          return carryEnvelope(envelope, { subject, bundle, created, statement, chain: certified.chain });
        },
      };
    },
  };
}

async function readEnvelope({ referrer, read }: ExistingEvidence): Promise<Uint8Array> {
  const layer = findEnvelopeLayer(referrer.manifest);
  if (typeof layer === "string") throw new TypeError("evidence that nobody has verified");
  return read(layer);
}

/** The signature's manifest as notation writes it, and the statement's, which refers to it. */
function carryEnvelope(
  envelope: Uint8Array,
  given: {
    subject: Descriptor;
    bundle: Descriptor;
    created: string;
    statement: Statement;
    chain: readonly Certificate[];
  },
): Awaited<ReturnType<Awaited<ReturnType<Signer["seal"]>>["carry"]>> {
  const { subject, bundle, created, statement, chain } = given;
  const mediaType = mediaTypes.ociManifest;
  const common = { [createdAnnotation]: created, [predicateAnnotation]: statement.predicateType };
  const prints = chain.map(({ raw }) => createHash("sha256").update(raw).digest("hex"));
  const layer = { mediaType: envelopeMediaType, digest: digestOf(envelope), size: envelope.byteLength };
  const signature = encodeManifest(subject, layer, signatureType, {
    annotations: { ...common, [thumbprintAnnotation]: JSON.stringify(prints) },
  });
  const about = { mediaType, digest: digestOf(signature), size: signature.byteLength };
  const holder = encodeManifest(about, bundle, mediaTypes.ociEmpty, {
    artifactType: intotoPayloadType,
    annotations: common,
  });
  return [
    {
      manifest: signature,
      mediaType,
      artifactType: signatureType,
      blobs: [{ mediaType: envelopeMediaType, bytes: envelope }],
    },
    { manifest: holder, mediaType, artifactType: intotoPayloadType },
  ];
}

function encodeManifest(subject: Descriptor, layer: Descriptor, config: string, more: object): Uint8Array {
  const { mediaType, digest, size } = subject;
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: config, digest: emptyBlob.digest, size: emptyBlob.size },
    layers: [layer],
    subject: { mediaType, digest, size },
    ...more,
  };
  return new TextEncoder().encode(JSON.stringify(manifest));
}

const formatTime = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/**
 * One manifest and a statement about it → the bytes of an envelope, with a timestamp where the store wants one. It holds
 * by the policy's own trust store, or is not handed out.
 * @throws InfrastructureError `sigstore-unavailable`, `signature-unusable`; UserError `sigstore-refused`
 */
async function signEnvelope(
  { mediaType, digest, size }: Descriptor,
  statement: Statement,
  { privateKey, algorithm, chain }: CertifiedKey,
  { store, validity }: StoredMaterial,
  surroundings: Surroundings,
): Promise<Uint8Array> {
  const now = surroundings.now().getTime();
  const head = {
    alg: algorithm,
    cty: payloadType,
    crit: [headers.scheme, ...(validity === undefined ? [] : [headers.expiry])],
    [headers.scheme]: signingScheme,
    [headers.time]: formatTime(now),
    ...(validity === undefined ? {} : { [headers.expiry]: formatTime(now + validity) }),
  };
  const annotations = { [metadata.statement]: digestOf(encodeStatement(statement)), ...describeStatement(statement) };
  const payload = base64url({ targetArtifact: { mediaType, digest, size, annotations } });
  const protectedText = base64url(head);
  const { hash, key } = cryptoOf(algorithm, privateKey);
  const signature = signBytes(hash, Buffer.from(`${protectedText}.${payload}`), key);
  const url = store.timestamp?.url;
  const timestamp = url === undefined ? undefined : await requestTimestamp(signature, url, surroundings);
  const envelope = {
    payload,
    protected: protectedText,
    header: {
      x5c: chain.map(({ raw }) => raw.toString("base64")),
      ...(timestamp === undefined ? {} : { [headers.timestamp]: timestamp.toString("base64") }),
      [headers.agent]: "goldenpath",
    },
    signature: signature.toString("base64url"),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(envelope));
  const problem = findProblem(bytes, { store, validity, now: surroundings.now() });
  if (problem === undefined) return bytes;
  throw new InfrastructureError(`what was signed does not hold by the policy's trust store: ${problem}`, {
    code: "signature-unusable",
    safeToRetry: false,
    wayOut: "Look whether the certificates still hold, and whether the policy names the timestamp authority's.",
  });
}

async function requestTimestamp(signature: Uint8Array, url: string, surroundings: Surroundings): Promise<Buffer> {
  const body = { type: timestampQueryType, bytes: encodeTimestampQuery(signature) };
  const question: Question = { what: "timestamp", url: new URL(url), body, taken: [200, 201] };
  const { bytes } = await askSigstore(question, surroundings);
  try {
    return tokenOf(bytes);
  } catch (error) {
    if (!(error instanceof CertificateProblem)) throw error;
    throw new InfrastructureError(`${question.url.origin} can't be had for a timestamp: ${error.message}`, {
      code: "sigstore-unavailable",
      wayOut: "Look whether it is a timestamp authority by RFC 3161 that takes requests over SHA-256.",
    });
  }
}

function findProblem(
  bytes: Uint8Array,
  { store, validity, now }: { store: TrustStore; validity: number | undefined; now: Date },
): string | undefined {
  try {
    const envelope = openSigned(bytes);
    const { time, holds } = judgeEnvelope(envelope, readTrustStore(store));
    const tooLong = validity === undefined ? undefined : exceedsValidity(envelope, validity, time);
    return tooLong ?? explainOutside(holds, now);
  } catch (error) {
    if (error instanceof CertificateProblem) return error.message;
    throw error;
  }
}
