import { X509Certificate } from "@sigstore/core";
import {
  asProblem,
  assertUnderstood,
  CertificateProblem,
  type Extension,
  extensionOids,
  listExtensions,
  listPurposes,
  purposeOids,
} from "./extensions.ts";
import type { WorkflowIdentity } from "./workflow-identity.ts";

const fulcio = "1.3.6.1.4.1.57264.1";
/** Of Fulcio's extensions those that are UTF-8 strings in DER; the raw ones of before (.1 to .6) are not read. */
const identityExtensions = {
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
} as const satisfies Partial<Record<keyof WorkflowIdentity, string>>;
const environmentExtension = `${fulcio}.23`;

/**
 * Who a certificate is for, or why that can't be told. That an authority has signed it, and when it holds, is asked
 * elsewhere; this reads what it says, and that it is for signing code and for nothing else. What is missing, there
 * twice, not understood and critical, or written in two possible ways is a problem.
 * @param der one certificate, in DER
 */
export function readWorkflowIdentity(der: Uint8Array): WorkflowIdentity | { problem: string } {
  try {
    const bytes = Buffer.from(der);
    const certificate = X509Certificate.parse(bytes);
    if (!certificate.root.toDER().equals(bytes)) throw new CertificateProblem("it is not in DER");
    const extensions = listExtensions(certificate);
    assertForCode(certificate, extensions);
    const identity = Object.fromEntries(
      Object.entries(identityExtensions).map(([name, oid]) => [name, readText(extensions, oid, name)]),
    ) as Record<keyof typeof identityExtensions, string>;
    const subject = certificate.extSubjectAltName?.uri;
    if (subject !== identity.buildSignerUri)
      throw new CertificateProblem(
        `its subject is ${subject ?? "no URI"}, and its workflow ${identity.buildSignerUri}`,
      );
    const environment = extensions.has(environmentExtension)
      ? readText(extensions, environmentExtension, "environment")
      : undefined;
    return environment === undefined ? identity : { ...identity, environment };
  } catch (error) {
    return { problem: asProblem(error, "it is malformed").message };
  }
}

function assertForCode(certificate: X509Certificate, extensions: ReadonlyMap<string, Extension>): void {
  const { keyUsage, subjectAltName, basicConstraints, extendedKeyUsage } = extensionOids;
  assertUnderstood(extensions, [keyUsage, subjectAltName, basicConstraints, extendedKeyUsage]);
  // An authority's certificate signs certificates, and nobody's statements.
  const usage = certificate.extKeyUsage;
  if (certificate.extBasicConstraints?.isCA === true || usage?.keyCertSign === true)
    throw new CertificateProblem("it is an authority's");
  if (usage?.digitalSignature !== true) throw new CertificateProblem("its key is not for signatures");
  const purposes = listPurposes(extensions) ?? [];
  if (purposes.length !== 1 || purposes[0] !== purposeOids.codeSigning)
    throw new CertificateProblem(
      `it is for ${purposes.join(", ") || "nothing that it names"}, and not for signing code`,
    );
}

/** @throws CertificateProblem where it is missing, or is not one UTF-8 string in DER that people can read */
function readText(extensions: ReadonlyMap<string, Extension>, oid: string, name: string): string {
  const extension = extensions.get(oid);
  if (extension === undefined) throw new CertificateProblem(`it does not say its ${name} (extension ${oid})`);
  const { value } = extension;
  const malformed = new CertificateProblem(`its ${name} (extension ${oid}) is not a UTF-8 string in DER`);
  // Tag and length; of more than 127 bytes the length is in one or two bytes of its own, as short as can be.
  const [tag, first = 0, second = 0, third = 0] = value;
  const [start, length] = first < 0x80 ? [2, first] : first === 0x81 ? [3, second] : [4, (second << 8) | third];
  const isShortest = first < 0x80 || (first === 0x81 && length > 0x7f) || (first === 0x82 && length > 0xff);
  if (tag !== 0x0c || !isShortest || length === 0 || value.byteLength !== start + length) throw malformed;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value.subarray(start));
  } catch {
    throw malformed;
  }
  if (!/^[\x21-\x7e]+$/.test(text)) throw malformed;
  return text;
}
