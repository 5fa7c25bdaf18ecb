// Notary Project signatures made by hand, of which every part can be false: authorities whose certificates say what a
// test wants, and the field's own stand-in for a timestamp authority. What the real ones do is in the interop tests.
import "reflect-metadata";
import { createHash, generateKeyPairSync, KeyObject, sign as signBytes, webcrypto } from "node:crypto";
import { createdAnnotation, intotoPayloadType, predicateAnnotation } from "@goldenpath/core/signing/predicates";
import { encodeStatement } from "@goldenpath/core/signing/statement";
import type { SealedStatement, Signer, Statement } from "@goldenpath/core/signing/types";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import * as x509 from "@peculiar/x509";
import { initializeTSA } from "@sigstore/mock";

const minute = 60_000;
const day = 24 * 60 * minute;
export const signatureType = "application/vnd.cncf.notary.signature";
export const { ExtendedKeyUsage: purposes, KeyUsageFlags: usages } = x509;
const elliptic = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", publicExponent: new Uint8Array([1, 0, 1]) };

/** What is false about a signer's certificate and those above it; everything else is as it should be. */
export interface ChainFalsehood {
  subject?: string;
  keys?: "RSA of 1024 bits" | "RSA of 2048 bits" | "P-384" | "off its curve";
  usages?: number;
  isUsageCritical?: boolean;
  purposes?: readonly string[];
  isAuthority?: boolean;
  /** Besides: an identifier, what is in its octet string, and whether it is critical. */
  extensions?: readonly [oid: string, value: Uint8Array, isCritical: boolean][];
  /** Of the leaf, in milliseconds from now. */
  validity?: readonly [from: number, to: number];
  by?: "another authority" | "itself" | "the root";
  /** Of the authority between: what it is not. */
  between?: "no authority" | "not for certificates" | "over" | "too far below" | "for servers";
  hash?: "SHA-1";
}

/** What is false about a signature. */
export interface SignatureFalsehood {
  chain?: ChainFalsehood;
  /** Of the protected header, the payload, the unprotected header, the whole. */
  head?: (head: Record<string, unknown>) => void;
  headText?: (text: string) => string;
  payload?: (payload: { targetArtifact: Record<string, unknown> } & Record<string, unknown>) => void;
  header?: (header: Record<string, unknown>) => void;
  envelope?: (envelope: Record<string, unknown>) => void;
  text?: (envelope: string) => string;
  /** Of the certificates, in their order; `root` is the one that the policy trusts. */
  order?: (chain: string[], root: string) => string[];
  /** The text that is signed in the envelope's place. */
  signs?: string;
  /** Seconds; absent: none. */
  expiresIn?: number;
  timestamp?:
    | "none"
    | "foreign"
    | "of another signature"
    | "in the future"
    | "without certificates"
    | "malformed"
    | "changed";
  /** Of the manifests, before they are pushed. */
  manifest?: (manifest: Record<string, unknown>) => void;
  holder?: (manifest: Record<string, unknown>) => void;
  /** What lies below the signature, in place of the statement. */
  statement?: (bytes: Uint8Array) => Uint8Array;
}

export interface ConstructedNotary {
  /** PEM. */
  root: string;
  otherRoot: string;
  timestampRoots: string;
  signer(falsehood?: SignatureFalsehood): Signer;
  /** A key and its certificates, the signer's first; PEM. */
  certify(falsehood?: ChainFalsehood): Promise<{ key: string; chain: string }>;
}

interface Authority {
  certificate: x509.X509Certificate;
  keys: webcrypto.CryptoKeyPair;
}
interface Parts {
  root: Authority;
  other: Authority;
  tsa: Awaited<ReturnType<typeof initializeTSA>>;
  foreignTsa: Parts["tsa"];
  futureTsa: Parts["tsa"];
}

export const honestSubject = "C=DE, ST=Berlin, O=acme, CN=base";

export async function constructNotary(): Promise<ConstructedNotary> {
  // Whole seconds, since the stand-in writes fractions that nobody reads; and not before its certificates are made.
  const soon = Math.ceil(Date.now() / 1000) * 1000 + 2000;
  const makeTsa = (after = 0) =>
    initializeTSA(generateKeyPairSync("ec", { namedCurve: "prime256v1" }), new Date(soon + after));
  const parts: Parts = {
    root: await makeRoot("CN=root, O=acme"),
    other: await makeRoot("CN=root, O=acme"),
    tsa: await makeTsa(),
    foreignTsa: await makeTsa(),
    futureTsa: await makeTsa(60 * minute),
  };
  return {
    root: pemOf(parts.root.certificate),
    otherRoot: pemOf(parts.other.certificate),
    timestampRoots: [parts.tsa, parts.futureTsa]
      .map((each) => pemOf(new x509.X509Certificate(Uint8Array.from(bytesOf(each.rootCertificate)))))
      .join(""),
    async certify(falsehood) {
      const { chain, key } = await makeChain(parts, falsehood);
      return {
        key: key.export({ format: "pem", type: "pkcs8" }).toString(),
        chain: chain.map((each) => pemOf(new x509.X509Certificate(each))).join(""),
      };
    },
    signer: (falsehood = {}) => ({
      kind: "notation",
      material: { kind: "certificate", issuer: "acme", identity: honestSubject },
      seal: (statement) => seal(parts, statement, falsehood),
    }),
  };
}

const pemOf = (certificate: x509.X509Certificate): string => `${certificate.toString("pem")}\n`;
const bytesOf = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength);

async function makeRoot(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(elliptic, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name,
    notBefore: new Date(Date.now() - 30 * day),
    notAfter: new Date(Date.now() + 365 * day),
    keys,
    signingAlgorithm: elliptic,
    extensions: authorityExtensions,
  });
  return { certificate, keys };
}

const authorityExtensions: x509.Extension[] = [
  new x509.BasicConstraintsExtension(true, undefined, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
];

async function makeBetween(root: Authority, what: ChainFalsehood["between"]): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(elliptic, true, ["sign", "verify"]);
  const { keyCertSign, digitalSignature } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "02",
    issuer: root.certificate.subject,
    subject: "CN=between, O=acme",
    notBefore: new Date(Date.now() - 30 * day),
    notAfter: new Date(Date.now() + (what === "over" ? -minute : 365 * day)),
    publicKey: keys.publicKey,
    signingKey: root.keys.privateKey,
    signingAlgorithm: elliptic,
    extensions: [
      new x509.BasicConstraintsExtension(what !== "no authority", what === "too far below" ? 0 : undefined, true),
      new x509.KeyUsagesExtension(what === "not for certificates" ? digitalSignature : keyCertSign, true),
      ...(what === "for servers" ? [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])] : []),
    ],
  });
  return { certificate, keys };
}

/** The leaf's first, in base64, and the leaf's key. */
async function makeChain(
  { root, other }: { root: Authority; other: Authority },
  falsehood: ChainFalsehood = {},
): Promise<{ chain: string[]; key: KeyObject }> {
  const { hash = "SHA-256" } = falsehood;
  const keys = await makeKeys(falsehood.keys);
  const top = falsehood.by === "another authority" ? other : root;
  const first = await makeBetween(top, falsehood.between);
  const between = falsehood.between === "too far below" ? [await makeShort(first), first] : [first];
  const own: Authority = { certificate: first.certificate, keys };
  const issuer = falsehood.by === "itself" ? own : falsehood.by === "the root" ? root : (between[0] ?? first);
  const [from, to] = falsehood.validity ?? [-minute, 30 * day];
  const subject = falsehood.subject ?? honestSubject;
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: "03",
    issuer: falsehood.by === "itself" ? subject : issuer.certificate.subject,
    subject,
    notBefore: new Date(Date.now() + from),
    notAfter: new Date(Date.now() + to),
    publicKey: falsehood.keys === "off its curve" ? await moveOffCurve(keys.publicKey) : keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { ...elliptic, hash },
    extensions: [
      new x509.KeyUsagesExtension(
        falsehood.usages ?? x509.KeyUsageFlags.digitalSignature,
        falsehood.isUsageCritical ?? true,
      ),
      ...(falsehood.purposes?.length === 0
        ? []
        : [new x509.ExtendedKeyUsageExtension([...(falsehood.purposes ?? [x509.ExtendedKeyUsage.codeSigning])])]),
      ...(falsehood.isAuthority === true ? [new x509.BasicConstraintsExtension(true, undefined, true)] : []),
      ...(falsehood.extensions ?? []).map(([oid, value, isCritical]) => new x509.Extension(oid, isCritical, value)),
    ],
  });
  const above = falsehood.by === "itself" ? [] : falsehood.by === "the root" ? [root] : [...between, top];
  const chain = [leaf, ...above.map(({ certificate }) => certificate)];
  return {
    chain: chain.map(({ rawData }) => Buffer.from(rawData).toString("base64")),
    key: KeyObject.from(keys.privateKey),
  };
}

/** An authority below one that may have none below it. */
async function makeShort(above: Authority): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(elliptic, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "04",
    issuer: above.certificate.subject,
    subject: "CN=short, O=acme",
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + day),
    publicKey: keys.publicKey,
    signingKey: above.keys.privateKey,
    signingAlgorithm: elliptic,
    extensions: authorityExtensions,
  });
  return { certificate, keys };
}

function makeKeys(kind: ChainFalsehood["keys"]): Promise<webcrypto.CryptoKeyPair> {
  const usage: webcrypto.KeyUsage[] = ["sign", "verify"];
  if (kind === "P-384") return webcrypto.subtle.generateKey({ ...elliptic, namedCurve: "P-384" }, true, usage);
  if (kind === undefined || kind === "off its curve") return webcrypto.subtle.generateKey(elliptic, true, usage);
  const modulusLength = kind === "RSA of 1024 bits" ? 1024 : 2048;
  return webcrypto.subtle.generateKey({ ...rsa, modulusLength }, true, usage);
}

/** A public key whose point is none: certificates take it, and only who would verify with it notices. */
async function moveOffCurve(key: webcrypto.CryptoKey): Promise<x509.PublicKey> {
  const spki = Buffer.from(await webcrypto.subtle.exportKey("spki", key));
  // The last coordinate.
  return new x509.PublicKey(Uint8Array.from(spki.fill(1, spki.byteLength - 32)));
}

async function seal(parts: Parts, statement: Statement, falsehood: SignatureFalsehood): Promise<SealedStatement> {
  const honest = encodeStatement(statement);
  const bytes = falsehood.statement?.(honest) ?? honest;
  return {
    bundle: { mediaType: intotoPayloadType, bytes },
    carry: async (subject, bundle, created) => {
      const envelope = Buffer.from(await signEnvelope(parts, subject, statement, digestOf(honest), falsehood));
      const layer = { mediaType: "application/jose+json", digest: digestOf(envelope), size: envelope.byteLength };
      const annotations = { [createdAnnotation]: created, [predicateAnnotation]: statement.predicateType };
      const own = encodeManifest({ subject, layers: [layer], config: signatureType, annotations }, falsehood.manifest);
      const about = { mediaType: mediaTypes.ociManifest, digest: digestOf(own), size: own.byteLength };
      const holder = encodeManifest(
        { subject: about, layers: [bundle], config: mediaTypes.ociEmpty, artifactType: intotoPayloadType },
        falsehood.holder,
      );
      const blobs = [{ mediaType: layer.mediaType, bytes: envelope }];
      return [
        { manifest: own, mediaType: mediaTypes.ociManifest, artifactType: signatureType, blobs },
        { manifest: holder, mediaType: mediaTypes.ociManifest, artifactType: intotoPayloadType },
      ];
    },
  };
}

function encodeManifest(
  given: { subject: Descriptor; layers: Descriptor[]; config: string; artifactType?: string; annotations?: object },
  change?: (manifest: Record<string, unknown>) => void,
): Uint8Array {
  const { mediaType, digest, size } = given.subject;
  const manifest: Record<string, unknown> = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    ...given,
    config: { mediaType: given.config, digest: emptyBlob.digest, size: emptyBlob.size },
    subject: { mediaType, digest, size },
  };
  change?.(manifest);
  return new TextEncoder().encode(JSON.stringify(manifest));
}

const seconds = (after: number): string => new Date(Date.now() + after).toISOString().replace(/\.\d+Z$/, "Z");
const base64url = (text: string): string => Buffer.from(text).toString("base64url");

async function signEnvelope(
  parts: Parts,
  { mediaType, digest, size }: Descriptor,
  statement: Statement,
  statementDigest: string,
  falsehood: SignatureFalsehood,
): Promise<string> {
  const { chain, key } = await makeChain(parts, falsehood.chain);
  const expires = falsehood.expiresIn;
  const head: Record<string, unknown> = {
    alg:
      falsehood.chain?.keys?.startsWith("RSA") === true
        ? "PS256"
        : falsehood.chain?.keys === "P-384"
          ? "ES384"
          : "ES256",
    cty: "application/vnd.cncf.notary.payload.v1+json",
    crit: ["io.cncf.notary.signingScheme", ...(expires === undefined ? [] : ["io.cncf.notary.expiry"])],
    "io.cncf.notary.signingScheme": "notary.x509",
    "io.cncf.notary.signingTime": seconds(0),
    ...(expires === undefined ? {} : { "io.cncf.notary.expiry": seconds(expires * 1000) }),
  };
  falsehood.head?.(head);
  const annotations = { "goldenpath.statement": statementDigest, "goldenpath.predicateType": statement.predicateType };
  const payload = { targetArtifact: { mediaType, digest, size, annotations } };
  falsehood.payload?.(payload);
  const headText = JSON.stringify(head);
  const protectedText = base64url(falsehood.headText?.(headText) ?? headText);
  const payloadText = base64url(JSON.stringify(payload));
  const algorithm = { hash: head["alg"] === "ES384" ? "sha384" : "sha256" };
  const data = Buffer.from(falsehood.signs ?? `${protectedText}.${payloadText}`);
  const signature = signBytes(
    algorithm.hash,
    data,
    key.asymmetricKeyType === "rsa" ? { key, padding: 6, saltLength: -1 } : { key, dsaEncoding: "ieee-p1363" },
  );
  const token = await makeToken(parts, signature, falsehood);
  const header: Record<string, unknown> = {
    x5c: falsehood.order?.(chain, Buffer.from(parts.root.certificate.rawData).toString("base64")) ?? chain,
    ...(token === undefined ? {} : { "io.cncf.notary.timestampSignature": token.toString("base64") }),
    "io.cncf.notary.signingAgent": "test",
  };
  falsehood.header?.(header);
  const envelope: Record<string, unknown> = {
    payload: payloadText,
    protected: protectedText,
    header,
    signature: signature.toString("base64url"),
  };
  falsehood.envelope?.(envelope);
  const text = JSON.stringify(envelope);
  return falsehood.text?.(text) ?? text;
}

async function makeToken(
  { tsa, foreignTsa, futureTsa }: Parts,
  signature: Buffer,
  { timestamp }: SignatureFalsehood,
): Promise<Buffer | undefined> {
  if (timestamp === "none") return undefined;
  if (timestamp === "malformed") return Buffer.from("AAAA", "base64");
  const by = timestamp === "foreign" ? foreignTsa : timestamp === "in the future" ? futureTsa : tsa;
  const of = timestamp === "of another signature" ? Buffer.from("another") : signature;
  const response = await by.timestamp({
    artifactHash: createHash("sha256").update(of).digest(),
    hashAlgorithmOID: "2.16.840.1.101.3.4.2.1",
    nonce: 1,
    policyOID: "1.3.6.1.4.1.57264.2",
    certReq: timestamp !== "without certificates",
  });
  // The token alone: what is behind the answer's status, a sequence of five bytes.
  const token = bytesOf(response).subarray(bytesOf(response).indexOf(Buffer.from("3003020100", "hex")) + 5);
  if (timestamp !== "changed") return token;
  const copy = Buffer.from(token);
  // Of the time that is in it, the last digit of the seconds.
  const at = copy.indexOf(Buffer.from("Z")) - 1;
  copy[at] = copy[at] === 0x30 ? 0x31 : 0x30;
  return copy;
}
