import { X509Certificate as NodeCertificate } from "node:crypto";
import { type ASN1Obj, X509Certificate } from "@sigstore/core";
import {
  asProblem,
  assertUnderstood,
  CertificateProblem,
  type Extension,
  extensionOids,
  listExtensions,
  listPurposes,
  purposeOids,
} from "../extensions.ts";
import { readName } from "./names.ts";

/** One certificate, as whoever verifies needs it. */
export interface Certificate {
  /** DER. */
  raw: Buffer;
  node: NodeCertificate;
  parsed: X509Certificate;
  extensions: ReadonlyMap<string, Extension>;
  /** With seconds, both included. */
  from: Date;
  until: Date;
}

/** More than any company's authorities stand one above the other. */
export const maxChain = 10;

/** SHA-2 with RSA and ECDSA; RSASSA-PSS says its hash in its parameters. */
const signatureAlgorithms: ReadonlySet<string> = new Set([
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
]);
const rsassaPss = "1.2.840.113549.1.1.10";
const sha2: ReadonlySet<string> = new Set([
  "2.16.840.1.101.3.4.2.1",
  "2.16.840.1.101.3.4.2.2",
  "2.16.840.1.101.3.4.2.3",
]);

/** @throws CertificateProblem where it is not one certificate of version 3 in DER, signed with SHA-2 */
export function readCertificate(der: Uint8Array): Certificate {
  const raw = Buffer.from(der);
  try {
    const parsed = X509Certificate.parse(raw);
    if (!parsed.root.toDER().equals(raw)) throw new CertificateProblem("it is not in DER");
    if (parsed.version !== "v3") throw new CertificateProblem(`it is a certificate of version ${parsed.version}`);
    assertModernSignature(parsed.root.subs[1]);
    // Neither before nor after any other time: such a certificate would never be over.
    if ([parsed.notBefore, parsed.notAfter].some((time) => Number.isNaN(time.getTime())))
      throw new CertificateProblem("when it holds can't be read");
    const node = new NodeCertificate(raw);
    const extensions = listExtensions(parsed);
    return { raw, node, parsed, extensions, from: parsed.notBefore, until: parsed.notAfter };
  } catch (error) {
    throw asProblem(error, "it is malformed");
  }
}

function assertModernSignature(algorithm: ASN1Obj | undefined): void {
  const [oid, parameters] = algorithm?.subs ?? [];
  const name = oid?.toOID() ?? "nothing";
  const hash = parameters?.subs.find(({ tag }) => tag.isContextSpecific(0))?.subs[0]?.subs[0]?.toOID();
  const isModern = name === rsassaPss ? hash !== undefined && sha2.has(hash) : signatureAlgorithms.has(name);
  if (!isModern) throw new CertificateProblem(`it is signed with ${name}, which is not SHA-2 with RSA or ECDSA`);
}

/** Certificates in PEM, in their order. @throws CertificateProblem where there is anything else, or nothing */
export function readPemCertificates(text: string): Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----/g) ?? [];
  const rest = blocks.reduce((left, block) => left.replace(block, ""), text).trim();
  if (blocks.length === 0 || rest !== "")
    throw new CertificateProblem("expected certificates in PEM (-----BEGIN CERTIFICATE-----), and nothing else");
  return blocks.map((block) => readCertificate(Buffer.from(block.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64")));
}

/** As readers of PEM take it. */
export function formatPem({ node }: Certificate): string {
  return node.toString();
}

/**
 * Holds a chain to what the Notary Project asks of one: the first certificate is for the purpose and for nothing that
 * could be another's, each is issued by the next, all but the first are authorities', and the last is its own issuer.
 * Whom it leads to, and when it holds, is asked elsewhere; nor is anybody asked whether one was revoked.
 * https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#certificate-requirements
 * @throws CertificateProblem
 */
export function assertChain(chain: readonly Certificate[], purpose: "codeSigning" | "timeStamping"): void {
  const [leaf, ...authorities] = chain;
  if (leaf === undefined || authorities.length === 0)
    throw new CertificateProblem(`it has ${chain.length} certificates; the signer's and its authorities' are wanted`);
  if (chain.length > maxChain) throw new CertificateProblem(`it has ${chain.length} certificates`);
  assertLeaf(leaf, purpose);
  authorities.forEach((authority, index) => {
    assertAuthority(authority, index, purpose);
  });
  for (const [index, certificate] of chain.entries()) {
    const isLast = index === chain.length - 1;
    const issuer = isLast ? certificate : chain[index + 1];
    if (!isLast && isIssuedBy(certificate, certificate))
      throw new CertificateProblem(`certificate ${index + 1} of it is its own issuer, and is not the last`);
    if (issuer === undefined || !isIssuedBy(certificate, issuer))
      throw new CertificateProblem(
        isLast ? "its last certificate is not a root" : `certificate ${index + 1} of it is not issued by the next`,
      );
  }
}

export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  try {
    return certificate.node.checkIssued(issuer.node) && certificate.node.verify(issuer.node.publicKey);
  } catch {
    return false;
  }
}

/** Who a certificate is for, in one way of writing it. @throws CertificateProblem */
export function subjectOf({ parsed }: Certificate): string {
  const subject = parsed.root.subs[0]?.subs[5];
  if (subject === undefined) throw new CertificateProblem("it has no subject");
  return readName(subject);
}

/** When all certificates of a chain hold; the end may be before the beginning. */
export function validityOf(chain: readonly Certificate[]): { from: Date; until: Date } {
  const [from, until] = [chain.map((each) => each.from.getTime()), chain.map((each) => each.until.getTime())];
  return { from: new Date(Math.max(...from)), until: new Date(Math.min(...until)) };
}

const digitalSignature = 0x80;
const contentCommitment = 0x40;
const keyCertSign = 0x04;

/** The first eight bits of the key's usage; undefined where it is not said, or not critically. */
function readUsage({ extensions }: Certificate): number | undefined {
  const usage = extensions.get(extensionOids.keyUsage);
  const bits = usage?.inner[0];
  if (usage?.isCritical !== true || bits?.tag.isBitString() !== true) return undefined;
  // The first byte counts unused bits, and the ninth bit is decipherOnly.
  const [, first = 0, second = 0] = bits.value;
  return second === 0 ? first : undefined;
}

function assertLeaf(leaf: Certificate, purpose: "codeSigning" | "timeStamping"): void {
  const { keyUsage, basicConstraints, extendedKeyUsage, subjectAltName } = extensionOids;
  assertUnderstood(leaf.extensions, [keyUsage, basicConstraints, extendedKeyUsage, subjectAltName]);
  assertNoConstraints(leaf);
  if (leaf.parsed.extBasicConstraints?.isCA === true || leaf.node.ca)
    throw new CertificateProblem("its signer's certificate is an authority's");
  const usage = readUsage(leaf);
  if (usage === undefined || (usage & ~contentCommitment) !== digitalSignature)
    throw new CertificateProblem("the key of its signer's certificate is not, critically, for signatures alone");
  const purposes = listPurposes(leaf.extensions);
  if (purpose === "timeStamping") {
    const isOnly = purposes?.length === 1 && purposes[0] === purposeOids.timeStamping;
    if (!isOnly || leaf.extensions.get(extendedKeyUsage)?.isCritical !== true)
      throw new CertificateProblem("its signer's certificate is not, critically, for timestamps alone");
    return;
  }
  const others = Object.values(purposeOids).filter((each) => each !== purposeOids.codeSigning);
  const foreign = purposes?.find((each) => (others as string[]).includes(each));
  if (foreign !== undefined || purposes?.includes(purposeOids.codeSigning) === false)
    throw new CertificateProblem(`its signer's certificate is for ${purposes?.join(", ") || "nothing that it names"}`);
}

function assertAuthority(authority: Certificate, below: number, purpose: "codeSigning" | "timeStamping"): void {
  const { keyUsage, basicConstraints, extendedKeyUsage } = extensionOids;
  const name = `certificate ${below + 2} of it`;
  assertUnderstood(authority.extensions, [keyUsage, basicConstraints, extendedKeyUsage]);
  assertNoConstraints(authority);
  const constraints = authority.extensions.get(basicConstraints);
  if (constraints?.isCritical !== true || authority.parsed.extBasicConstraints?.isCA !== true || !authority.node.ca)
    throw new CertificateProblem(`${name} is no authority's`);
  const usage = readUsage(authority);
  if (usage === undefined || (usage & keyCertSign) === 0)
    throw new CertificateProblem(`the key of ${name} is not, critically, for certificates`);
  const length = constraints.inner[0]?.subs[1]?.toInteger();
  if (length !== undefined && length < below)
    throw new CertificateProblem(`${name} allows ${length} authorities below it, and there are ${below}`);
  const purposes = listPurposes(authority.extensions);
  if (purposes !== undefined && !purposes.some((each) => each === purposeOids.any || each === purposeOids[purpose]))
    throw new CertificateProblem(`${name} is for ${purposes.join(", ")}`);
}

/** What names an authority may give is not read here, so one that says so is not taken. */
function assertNoConstraints({ extensions }: Certificate): void {
  if (extensions.has(extensionOids.nameConstraints))
    throw new CertificateProblem("a certificate of it constrains names, which is not understood");
}
