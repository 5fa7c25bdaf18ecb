// A Sigstore made by hand, of which every part can be false: an authority whose certificates say what a test wants, and
// the field's own stand-ins for a certificate log, a transparency log and a timestamp authority. What the real ones do
// is in real-sigstore.ts.
import "reflect-metadata";
import { createHash, generateKeyPairSync, KeyObject, sign as signBytes, webcrypto } from "node:crypto";
import { intotoPayloadType } from "@goldenpath/core/signing/predicates";
import { sealBundle } from "@goldenpath/core/signing/seal-bundle";
import { encodeStatement } from "@goldenpath/core/signing/statement";
import type { Signer } from "@goldenpath/core/signing/types";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import * as x509 from "@peculiar/x509";
import { bundleToJSON, toDSSEBundle } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { initializeCTLog, initializeTLog, initializeTSA } from "@sigstore/mock";
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from "@sigstore/protobuf-specs";

const fulcio = "1.3.6.1.4.1.57264.1";
const oids: Readonly<Record<keyof WorkflowIdentity, string>> = {
  issuer: `${fulcio}.8`,
  buildSignerUri: `${fulcio}.9`,
  buildSignerDigest: `${fulcio}.10`,
  runnerEnvironment: `${fulcio}.11`,
  sourceRepository: `${fulcio}.12`,
  sourceDigest: `${fulcio}.13`,
  sourceRef: `${fulcio}.14`,
  sourceOwnerId: `${fulcio}.17`,
  buildConfigUri: `${fulcio}.18`,
  buildTrigger: `${fulcio}.20`,
  environment: `${fulcio}.23`,
};
const minute = 60_000;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** What is false about a signature; everything else about it is as it should be. */
export interface SignatureFalsehood {
  /** In the certificate; `undefined` leaves an extension out. */
  identity?: Partial<Record<keyof WorkflowIdentity, string | undefined>>;
  subject?: string;
  /** Extensions besides, or again: an identifier, what is in its octet string, and whether it is critical. */
  extensions?: readonly [oid: string, value: Uint8Array, isCritical?: boolean][];
  /** An extension of before, raw, in place of the one that is read. */
  isIssuerRaw?: boolean;
  purposes?: readonly string[];
  usages?: number;
  isAuthority?: boolean;
  /** Of the certificate, in milliseconds from now. */
  validity?: readonly [from: number, to: number];
  by?: "another authority" | "itself" | "an authority that is over";
  isLoggedNowhere?: boolean;
  /** The certificate log's word is for another certificate. */
  isLoggedOther?: boolean;
  entry?: "none" | "for another signature" | "for another payload" | "of a foreign log" | "of the first version";
  timestamp?: "none" | "foreign" | "for another signature" | "in the future" | "twice";
  /** Of the bundle's JSON text. */
  change?: (bundle: string) => string;
  payloadType?: string;
}

export interface ConstructedSigstore {
  /** JSON. */
  trustedRoot: string;
  signer(identity: WorkflowIdentity, falsehood?: SignatureFalsehood): Signer;
  /** A bundle of these bytes. */
  sign(payload: Uint8Array, identity: WorkflowIdentity, falsehood?: SignatureFalsehood): Promise<string>;
}

export async function constructSigstore(): Promise<ConstructedSigstore> {
  const ctlog = await initializeCTLog(makePair());
  const [authority, other, over] = [await makeAuthority(), await makeAuthority(), await makeAuthority()];
  const url = "https://log.example";
  const [tlog, foreignLog] = [await initializeTLog(url, makePair()), await initializeTLog(url, makePair())];
  // Whole seconds, since the stand-in writes fractions that nobody reads; and not before its certificates are made.
  const soon = Math.ceil(Date.now() / 1000) * 1000 + 2000;
  const makeTsa = (after = 0) => initializeTSA(makePair(), new Date(soon + after));
  const [tsa, foreignTsa, futureTsa] = [await makeTsa(), await makeTsa(), await makeTsa(60 * minute)];
  const parts = { authority, other, over, ctlog, tlog, foreignLog, tsa, foreignTsa, futureTsa };
  const sign = (payload: Uint8Array, identity: WorkflowIdentity, falsehood: SignatureFalsehood = {}): Promise<string> =>
    signBundle(parts, payload, identity, falsehood);
  return {
    trustedRoot: renderRoot(parts, url),
    sign,
    signer: (identity, falsehood) => ({
      kind: "keyless",
      material: { kind: "workflow-run", identity },
      seal: async (statement) =>
        sealBundle(statement, new TextEncoder().encode(await sign(encodeStatement(statement), identity, falsehood))),
    }),
  };
}

const makePair = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });

interface Authority {
  certificate: x509.X509Certificate;
  keys: Awaited<ReturnType<typeof makeKeys>>;
}
interface Parts {
  authority: Authority;
  other: Authority;
  over: Authority;
  ctlog: Awaited<ReturnType<typeof initializeCTLog>>;
  tlog: Awaited<ReturnType<typeof initializeTLog>>;
  foreignLog: Parts["tlog"];
  tsa: Awaited<ReturnType<typeof initializeTSA>>;
  foreignTsa: Parts["tsa"];
  futureTsa: Parts["tsa"];
}

const makeKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

async function makeAuthority(): Promise<Authority> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "O=test, CN=test authority",
    notBefore: new Date(Date.now() - 24 * 60 * minute),
    notAfter: new Date(Date.now() + 24 * 60 * minute),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, keys };
}

/** An authority of this kind for Fulcio, in PEM; its key is encrypted. */
export async function exportAuthority(): Promise<{ certificate: string; privateKey: string; passphrase: string }> {
  const { certificate, keys } = await makeAuthority();
  const passphrase = "correct horse battery";
  const privateKey = KeyObject.from(keys.privateKey).export({
    format: "pem",
    type: "pkcs8",
    cipher: "aes-256-cbc",
    passphrase,
  });
  return { certificate: `${certificate.toString("pem")}\n`, privateKey: privateKey.toString(), passphrase };
}

/** What a key may be for. */
export const { ExtendedKeyUsage: purposes, KeyUsageFlags: usages } = x509;

/** A string or an octet string in DER. */
export function encodeDer(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

async function signBundle(
  parts: Parts,
  payload: Uint8Array,
  identity: WorkflowIdentity,
  falsehood: SignatureFalsehood,
): Promise<string> {
  const keys = await makeKeys();
  const key = (await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)) as ArrayBuffer;
  const type = falsehood.payloadType ?? intotoPayloadType;
  const data = dsse.preAuthEncoding(type, Buffer.from(payload));
  const privateKey: Parameters<typeof signBytes>[2] = { key: Buffer.from(key), format: "der", type: "pkcs8" };
  const signature = signBytes("sha256", data, privateKey);
  const certificate = await makeCertificate(parts, keys, identity, falsehood);
  const bundle = toDSSEBundle({ artifact: Buffer.from(payload), artifactType: type, signature, certificate });
  const another = signBytes("sha256", Buffer.from("another"), privateKey);
  const json = bundleToJSON(bundle) as { verificationMaterial: Record<string, unknown> };
  json.verificationMaterial["tlogEntries"] = await makeEntries(
    parts,
    payload,
    signature,
    another,
    certificate,
    falsehood,
  );
  const stamps = await makeTimestamps(parts, signature, another, falsehood);
  json.verificationMaterial["timestampVerificationData"] = {
    rfc3161Timestamps: stamps.map((stamp) => ({ signedTimestamp: stamp.toString("base64") })),
  };
  const text = JSON.stringify(json);
  return falsehood.change?.(text) ?? text;
}

async function makeCertificate(
  { authority, other, over, ctlog }: Parts,
  keys: Authority["keys"],
  identity: WorkflowIdentity,
  falsehood: SignatureFalsehood,
): Promise<Buffer> {
  const said = { ...identity, ...falsehood.identity };
  const issuers = {
    "another authority": other,
    itself: { ...authority, keys },
    "an authority that is over": over,
  };
  const issuer = falsehood.by === undefined ? authority : issuers[falsehood.by];
  // The authority of the timestamps says one time alone: that has to be within, however long the tests have taken.
  const [from, to] = falsehood.validity ?? [-30 * minute, 9 * minute];
  const text = (value: string): Buffer => encodeDer(0x0c, Buffer.from(value));
  const fields = Object.entries(oids).flatMap(([name, oid]) => {
    const value = said[name as keyof WorkflowIdentity];
    if (value === undefined) return [];
    const isRaw = name === "issuer" && falsehood.isIssuerRaw === true;
    return [
      isRaw
        ? new x509.Extension(`${fulcio}.1`, false, Buffer.from(value))
        : new x509.Extension(oid, false, text(value)),
    ];
  });
  const extensions: x509.Extension[] = [
    new x509.KeyUsagesExtension(falsehood.usages ?? x509.KeyUsageFlags.digitalSignature, true),
    ...((falsehood.purposes ?? [x509.ExtendedKeyUsage.codeSigning]).length === 0
      ? []
      : [new x509.ExtendedKeyUsageExtension([...(falsehood.purposes ?? [x509.ExtendedKeyUsage.codeSigning])])]),
    new x509.SubjectAlternativeNameExtension(
      [{ type: "url", value: falsehood.subject ?? said.buildSignerUri ?? "x:y" }],
      true,
    ),
    ...(falsehood.isAuthority === true ? [new x509.BasicConstraintsExtension(true, undefined, true)] : []),
    ...(falsehood.by === "itself" ? [] : [await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey)]),
    ...fields,
    // Of the owner, by name: GitHub's own tool asks for it.
    new x509.Extension(`${fulcio}.16`, false, text(said.sourceRepository?.replace(/\/[^/]*$/, "") ?? "")),
    ...(falsehood.extensions ?? []).map(
      ([oid, value, isCritical = false]) => new x509.Extension(oid, isCritical, value),
    ),
  ];
  // One time for both certificates, the one that is logged and the one that says so.
  const now = Date.now();
  const make = (more: readonly x509.Extension[], serialNumber = "02") =>
    x509.X509CertificateGenerator.create({
      serialNumber,
      issuer: falsehood.by === "itself" ? "CN=me" : issuer.certificate.subject,
      subject: falsehood.by === "itself" ? "CN=me" : "",
      notBefore: new Date(now + from),
      notAfter: new Date(now + to),
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [...extensions, ...more],
    });
  if (falsehood.isLoggedNowhere === true) return Buffer.from((await make([])).rawData);
  const before = await make([], falsehood.isLoggedOther === true ? "03" : "02");
  const issuerKey = await webcrypto.subtle.exportKey("spki", issuer.keys.publicKey);
  const sct = Buffer.from(await ctlog.log(before.rawData, await webcrypto.subtle.digest("SHA-256", issuerKey)));
  // The log writes the length of its word before it.
  const list = Buffer.concat([Buffer.from([0, sct.length]), sct]);
  const logged = await make([new x509.Extension("1.3.6.1.4.1.11129.2.4.2", false, encodeDer(0x04, list))]);
  return Buffer.from(logged.rawData);
}

/** As the first version of the log's interface has it. */
interface LoggedEntry {
  body: string;
  logIndex: number;
  logID: string;
  integratedTime: number;
  verification?: {
    signedEntryTimestamp?: string;
    inclusionProof?: { logIndex: number; treeSize: number; rootHash: string; checkpoint: string };
  };
}

/** One entry of a log, with its proof: of the second version, without a time of its own. */
async function makeEntries(
  { tlog, foreignLog }: Parts,
  payload: Uint8Array,
  signature: Buffer,
  another: Buffer,
  certificate: Buffer,
  { entry }: SignatureFalsehood,
): Promise<object[]> {
  if (entry === "none") return [];
  const signed = entry === "for another signature" ? another : signature;
  const bytes = entry === "for another payload" ? Buffer.from("another") : Buffer.from(payload);
  const digest = createHash("sha256").update(bytes).digest();
  const isFirst = entry === "of the first version";
  const verifier = {
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
    x509Certificate: { rawBytes: certificate.toString("base64") },
  };
  const spec = isFirst
    ? {
        payloadHash: { algorithm: "sha256", value: digest.toString("hex") },
        signatures: [{ signature: signed.toString("base64"), verifier: "" }],
      }
    : {
        dsseV002: {
          payloadHash: { algorithm: "SHA2_256", digest: digest.toString("base64") },
          signatures: [{ content: signed.toString("base64"), verifier }],
        },
      };
  const kindVersion = { kind: "dsse", version: isFirst ? "0.0.1" : "0.0.2" };
  const log = entry === "of a foreign log" ? foreignLog : tlog;
  const answer = await log.log({ apiVersion: kindVersion.version, kind: kindVersion.kind, spec });
  const [logged] = Object.values(answer) as LoggedEntry[];
  const proof = logged?.verification?.inclusionProof;
  if (logged === undefined || proof === undefined) throw new TypeError("the log has no proof");
  return [
    {
      logIndex: String(logged.logIndex),
      logId: { keyId: Buffer.from(logged.logID, "hex").toString("base64") },
      kindVersion,
      integratedTime: isFirst ? String(logged.integratedTime) : "0",
      ...(isFirst ? { inclusionPromise: { signedEntryTimestamp: logged.verification?.signedEntryTimestamp } } : {}),
      inclusionProof: {
        logIndex: String(proof.logIndex),
        treeSize: String(proof.treeSize),
        rootHash: Buffer.from(proof.rootHash, "hex").toString("base64"),
        hashes: [],
        checkpoint: { envelope: proof.checkpoint },
      },
      canonicalizedBody: logged.body,
    },
  ];
}

async function makeTimestamps(
  { tsa, foreignTsa, futureTsa }: Parts,
  signature: Buffer,
  another: Buffer,
  { timestamp }: SignatureFalsehood,
): Promise<Buffer[]> {
  if (timestamp === "none") return [];
  const by = timestamp === "foreign" ? foreignTsa : timestamp === "in the future" ? futureTsa : tsa;
  const of = timestamp === "for another signature" ? another : signature;
  const stamp = await by.timestamp({
    artifactHash: createHash("sha256").update(of).digest(),
    hashAlgorithmOID: "2.16.840.1.101.3.4.2.1",
    nonce: 1,
    policyOID: "1.3.6.1.4.1.57264.2",
  });
  return timestamp === "twice" ? [bytesOf(stamp), bytesOf(stamp)] : [bytesOf(stamp)];
}

function renderRoot({ authority, over, ctlog, tlog, tsa, futureTsa }: Parts, url: string): string {
  const always = { start: new Date(0) };
  const log = (publicKey: Buffer) => ({
    baseUrl: url,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: { rawBytes: publicKey, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256, validFor: always },
    logId: { keyId: createHash("sha256").update(publicKey).digest() },
    operator: "test",
  });
  const trusted = (certificates: readonly Uint8Array[], validFor: { start: Date; end?: Date } = always) => ({
    subject: { organization: "test", commonName: "test" },
    uri: url,
    certChain: { certificates: certificates.map((certificate) => ({ rawBytes: Buffer.from(certificate) })) },
    validFor,
    operator: "test",
  });
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    certificateAuthorities: [
      trusted([new Uint8Array(authority.certificate.rawData)]),
      trusted([new Uint8Array(over.certificate.rawData)], { start: new Date(0), end: new Date(Date.now() - minute) }),
    ],
    timestampAuthorities: [tsa, futureTsa].map((each) =>
      trusted([bytesOf(each.intCertificate), bytesOf(each.rootCertificate)]),
    ),
    tlogs: [log(tlog.publicKey)],
    ctlogs: [log(ctlog.publicKey)],
  };
  return JSON.stringify(TrustedRoot.toJSON(root as unknown as TrustedRoot));
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
