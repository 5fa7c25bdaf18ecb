import { constants, type KeyObject, verify as verifySignature } from "node:crypto";
import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { CertificateProblem } from "../extensions.ts";
import { parseStrictJson } from "../strict-json.ts";
import { maxChain } from "./certificates.ts";

// https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-envelope-jws.md

export const envelopeMediaType = "application/jose+json";
export const payloadType = "application/vnd.cncf.notary.payload.v1+json";
export const headers = {
  scheme: "io.cncf.notary.signingScheme",
  time: "io.cncf.notary.signingTime",
  expiry: "io.cncf.notary.expiry",
  agent: "io.cncf.notary.signingAgent",
  timestamp: "io.cncf.notary.timestampSignature",
} as const;
export const signingScheme = "notary.x509";

/** Whole seconds, as notation writes them. */
const time = z.iso.datetime({ offset: true, precision: 0 }).transform((text) => new Date(text));
const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/, "expected base64url without padding");

/** Whatever is not here is refused: what nobody reads could be what somebody meant. */
const envelopeSchema = z.strictObject({
  payload: base64url,
  protected: base64url,
  signature: base64url,
  header: z.strictObject({
    // Before any is parsed: a megabyte of them takes half a second.
    x5c: z.array(z.base64()).min(1).max(maxChain),
    [headers.agent]: z.string().optional(),
    [headers.timestamp]: z.base64().optional(),
  }),
});

const protectedSchema = z.strictObject({
  alg: z.enum(["PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]),
  cty: z.literal(payloadType),
  crit: z.array(z.string()).min(1),
  [headers.scheme]: z.literal(signingScheme),
  [headers.time]: time,
  [headers.expiry]: time.optional(),
});

const payloadSchema = z.strictObject({
  targetArtifact: z.strictObject({
    mediaType: z.string(),
    digest: z.string(),
    size: z.int().nonnegative(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});

/** What a signature is of: a manifest, with what its signer says of it besides. */
export type Target = z.output<typeof payloadSchema>["targetArtifact"];

/** An envelope, nothing of it verified. */
export interface OpenedEnvelope {
  target: Target;
  algorithm: Algorithm;
  signedAt: Date;
  expires?: Date;
  /** DER, the signer's first. */
  certificates: readonly Buffer[];
  /** A timestamp token over the signature. */
  timestamp?: Buffer;
  signed: Buffer;
  signature: Buffer;
}

export type Algorithm = z.output<typeof protectedSchema>["alg"];

/**
 * Bytes → a flattened JWS by the Notary Project, held to its form: what is critical is understood and is there, and
 * what must be critical is.
 * @throws CertificateProblem
 */
export function openEnvelope(bytes: Uint8Array): OpenedEnvelope {
  const envelope = read(bytes, envelopeSchema, "the envelope");
  const head = read(decode(envelope.protected), protectedSchema, "its protected header");
  const { targetArtifact } = read(decode(envelope.payload), payloadSchema, "its payload");
  const { [headers.time]: signedAt, [headers.expiry]: expires } = head;
  const wanted: string[] = [headers.scheme, ...(expires === undefined ? [] : [headers.expiry])];
  if (head.crit.toSorted().join() !== wanted.toSorted().join())
    throw new CertificateProblem(`its \`crit\` is ${head.crit.join(", ")}, and ${wanted.join(", ")} are critical`);
  if (expires !== undefined && expires <= signedAt) throw new CertificateProblem("it expires before it was signed");
  const { [headers.timestamp]: timestamp } = envelope.header;
  return {
    target: targetArtifact,
    algorithm: head.alg,
    signedAt,
    ...(expires === undefined ? {} : { expires }),
    certificates: envelope.header.x5c.map((each) => Buffer.from(each, "base64")),
    ...(timestamp === undefined ? {} : { timestamp: Buffer.from(timestamp, "base64") }),
    signed: Buffer.from(`${envelope.protected}.${envelope.payload}`),
    signature: decode(envelope.signature),
  };
}

function read<T extends z.ZodType>(bytes: Uint8Array, schema: T, what: string): z.output<T> {
  const json = parseStrictJson(bytes);
  if ("problem" in json) throw new CertificateProblem(`${what} can't be read: ${json.problem}`);
  const parsed = schema.safeParse(json.value);
  if (!parsed.success) throw new CertificateProblem(`${what} is malformed: ${describeIssues(parsed.error)}`);
  return parsed.data;
}

/** One text for the same bytes. */
function decode(text: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw new CertificateProblem("it has base64 that says something twice");
  return bytes;
}

const algorithmsByKey: Readonly<Record<string, Algorithm>> = {
  "rsa 2048": "PS256",
  "rsa 3072": "PS384",
  "rsa 4096": "PS512",
  "ec prime256v1": "ES256",
  "ec secp384r1": "ES384",
  "ec secp521r1": "ES512",
};

/** The one algorithm that a key signs with; undefined where it is a key that signs with none. */
export function algorithmOf({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): Algorithm | undefined {
  return algorithmsByKey[`${type} ${type === "rsa" ? details?.modulusLength : details?.namedCurve}`];
}

/** How node:crypto signs and verifies by an algorithm. */
export function cryptoOf(algorithm: Algorithm, key: KeyObject) {
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return {
    hash: `sha${algorithm.slice(2)}`,
    key: algorithm.startsWith("PS") ? { key, ...padding } : { key, dsaEncoding: "ieee-p1363" as const },
  };
}

/** What the header says an algorithm is counts only where it is the key's own. @throws CertificateProblem */
export function assertSignature(opened: OpenedEnvelope, publicKey: KeyObject): void {
  const own = algorithmOf(publicKey);
  if (own !== opened.algorithm)
    throw new CertificateProblem(`it says ${opened.algorithm}, and its key signs with ${own ?? "none that is taken"}`);
  const { hash, key } = cryptoOf(own, publicKey);
  if (!verifySignature(hash, opened.signed, key, opened.signature))
    throw new CertificateProblem("its signature does not hold: it was changed after it was signed");
}
