import { createHash, verify as verifySignature } from "node:crypto";
import { ASN1Obj } from "@sigstore/core";
import { asProblem, CertificateProblem } from "../extensions.ts";
import { assertChain, type Certificate, isIssuedBy, readCertificate, validityOf } from "./certificates.ts";

const oids = {
  signedData: "1.2.840.113549.1.7.2",
  timestampInfo: "1.2.840.113549.1.9.16.1.4",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
} as const;
const hashes: Readonly<Record<string, "sha256" | "sha384" | "sha512">> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
/** RSA with PKCS #1, whose hash is the digest algorithm's, and ECDSA, each with its hash. */
const signatureHashes: Readonly<Record<string, "sha256" | "sha384" | "sha512" | "the digest's">> = {
  "1.2.840.113549.1.1.1": "the digest's",
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
};

/** The token in an authority's answer. @throws CertificateProblem where it has none */
export function tokenOf(response: Uint8Array): Buffer {
  try {
    const [status, token] = ASN1Obj.parseBuffer(Buffer.from(response)).subs;
    const granted = status?.subs[0]?.toInteger();
    if (token !== undefined && (granted === 0n || granted === 1n)) return token.toDER();
  } catch {
    // Said below.
  }
  throw new CertificateProblem("the timestamp authority grants no timestamp");
}

/**
 * When something was signed at the latest, by a timestamp token (RFC 3161) over the signature and by authorities that
 * are trusted: one signer, whose certificate is in the token, is for timestamps alone, leads to one of them, and held
 * at that time.
 * @param token a CMS ContentInfo, in DER
 * @param roots certificates of authorities
 * @throws CertificateProblem
 */
export function verifyTimestamp(token: Uint8Array, signed: Uint8Array, roots: readonly Certificate[]): Date {
  try {
    const { info, infoBytes, signer, certificates } = openToken(token);
    const leaf = certificates.find((each) => isSigner(each, signer));
    if (leaf === undefined) throw new CertificateProblem("its authority's certificate is not in it");
    assertSignedAttributes(signer, infoBytes, leaf);
    const [, , imprint, , time] = info.subs;
    const algorithm = hashes[imprint?.subs[0]?.subs[0]?.toOID() ?? ""];
    const isOfThis =
      algorithm !== undefined && imprint?.subs[1]?.value.equals(createHash(algorithm).update(signed).digest()) === true;
    if (!isOfThis) throw new CertificateProblem("it is of something else than this signature");
    const at = time?.toDate();
    if (at === undefined || Number.isNaN(at.getTime())) throw new CertificateProblem("it has no time");
    assertTrusted(leaf, certificates, roots, at);
    return at;
  } catch (error) {
    throw asProblem(error, "it is malformed");
  }
}

interface SignerInfo {
  id: ASN1Obj;
  hash: "sha256" | "sha384" | "sha512";
  signatureHash: "sha256" | "sha384" | "sha512";
  attributes: ASN1Obj;
  signature: Buffer;
}

function openToken(token: Uint8Array) {
  const root = ASN1Obj.parseBuffer(Buffer.from(token));
  const [type, content] = root.subs;
  const data = content?.subs[0];
  const [, , encapsulated] = data?.subs ?? [];
  const [innerType, inner] = encapsulated?.subs ?? [];
  const octets = inner?.subs[0];
  if (type?.toOID() !== oids.signedData || innerType?.toOID() !== oids.timestampInfo || octets === undefined)
    throw new CertificateProblem("it is no timestamp token");
  const list = data?.subs.find(({ tag }) => tag.isContextSpecific(0))?.subs ?? [];
  const [signer, ...more] = data?.subs.at(-1)?.subs ?? [];
  if (signer === undefined || more.length > 0) throw new CertificateProblem(`it has ${more.length + 1} signers`);
  return {
    info: ASN1Obj.parseBuffer(Buffer.from(octets.value)),
    infoBytes: octets.value,
    signer: readSigner(signer),
    certificates: list.map((each) => readCertificate(each.toDER())),
  };
}

function readSigner({ subs }: ASN1Obj): SignerInfo {
  const [, id, digest, attributes, algorithm, signature] = subs;
  const hash = hashes[digest?.subs[0]?.toOID() ?? ""];
  const signatureHash = signatureHashes[algorithm?.subs[0]?.toOID() ?? ""];
  if (hash === undefined || signatureHash === undefined)
    throw new CertificateProblem("it is signed with something else than SHA-2 with RSA or ECDSA");
  const isWhole = attributes?.tag.isContextSpecific(0) === true && signature?.tag.isOctetString() === true;
  if (id === undefined || !isWhole) throw new CertificateProblem("it has no signed attributes");
  const own = signatureHash === "the digest's" ? hash : signatureHash;
  return { id, hash, signatureHash: own, attributes, signature: signature.value };
}

/** By issuer and number, or by the key's identifier. */
function isSigner({ parsed }: Certificate, { id }: SignerInfo): boolean {
  if (id.tag.isContextSpecific(0)) return parsed.extSubjectKeyID?.keyIdentifier.equals(id.value) === true;
  const [issuer, number] = id.subs;
  const isOwnNumber = number?.value.equals(parsed.serialNumber) === true;
  return isOwnNumber && issuer?.value.equals(parsed.issuer) === true;
}

/** The signature is over the attributes, and they say which info and which certificate it is for. */
function assertSignedAttributes(signer: SignerInfo, infoBytes: Buffer, leaf: Certificate): void {
  const only = (oid: string): ASN1Obj | undefined => {
    const found = signer.attributes.subs.filter(({ subs }) => subs[0]?.toOID() === oid);
    const values = found[0]?.subs[1]?.subs ?? [];
    return found.length === 1 && values.length === 1 ? values[0] : undefined;
  };
  const digest = createHash(signer.hash).update(infoBytes).digest();
  const isOfInfo =
    only(oids.contentType)?.toOID() === oids.timestampInfo && only(oids.messageDigest)?.value.equals(digest) === true;
  if (!isOfInfo) throw new CertificateProblem("what is signed in it is something else than its time");
  const [named] = only(oids.signingCertificateV2)?.subs[0]?.subs ?? [];
  const [first, second] = named?.subs ?? [];
  const isDefault = first?.tag.isOctetString() === true;
  const hash = isDefault ? "sha256" : hashes[first?.subs[0]?.toOID() ?? ""];
  const wanted = hash === undefined ? undefined : createHash(hash).update(leaf.raw).digest();
  if (wanted === undefined || (isDefault ? first : second)?.value.equals(wanted) !== true)
    throw new CertificateProblem("it does not name the certificate that it is signed by");
  const bytes = signer.attributes.toDER();
  // They are signed as a SET, and stand under a tag of their own.
  bytes[0] = 0x31;
  if (!verifySignature(signer.signatureHash, bytes, leaf.node.publicKey, signer.signature))
    throw new CertificateProblem("its signature does not hold");
}

/** From the leaf up, by the token's certificates and the trusted ones, to one that is trusted. */
function assertTrusted(
  leaf: Certificate,
  given: readonly Certificate[],
  roots: readonly Certificate[],
  at: Date,
): void {
  const chain = [leaf];
  for (let last = leaf; !isIssuedBy(last, last); ) {
    const issuer = [...roots, ...given].find((each) => !chain.includes(each) && isIssuedBy(last, each));
    if (issuer === undefined || chain.length > given.length + roots.length)
      throw new CertificateProblem("its authority is none that the policy trusts");
    chain.push(issuer);
    last = issuer;
  }
  if (!chain.slice(1).some((each) => roots.some(({ raw }) => raw.equals(each.raw))))
    throw new CertificateProblem("its authority is none that the policy trusts");
  assertChain(chain, "timeStamping");
  const { from, until } = validityOf(chain);
  if (at < from || at > until)
    throw new CertificateProblem(`its authority's certificates did not hold at its time, ${at.toISOString()}`);
}
