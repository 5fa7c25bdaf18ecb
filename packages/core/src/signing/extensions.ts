import type { ASN1Obj, X509Certificate } from "@sigstore/core";

/** Why a certificate, or what rests on one, counts for nothing: the message is for people. */
export class CertificateProblem extends Error {}

/** What parsers and the runtime throw of malformed bytes is of many kinds, and says nothing to people. */
export function asProblem(error: unknown, message: string): CertificateProblem {
  return error instanceof CertificateProblem ? error : new CertificateProblem(message);
}

export interface Extension {
  isCritical: boolean;
  /** What the extension's octet string holds. */
  value: Uint8Array;
  inner: readonly ASN1Obj[];
}

export const extensionOids = {
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  extendedKeyUsage: "2.5.29.37",
} as const;

export const purposeOids = {
  any: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  emailProtection: "1.3.6.1.5.5.7.3.4",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  ocspSigning: "1.3.6.1.5.5.7.3.9",
} as const;

/** A certificate's extensions by their numbers. @throws CertificateProblem where one is there twice, or has no value */
export function listExtensions(certificate: X509Certificate): Map<string, Extension> {
  const found = new Map<string, Extension>();
  for (const { subs } of certificate.extensions) {
    const [oid, ...rest] = subs;
    const value = rest.at(-1);
    if (oid === undefined || value === undefined) throw new CertificateProblem("an extension of it has no value");
    const name = oid.toOID();
    if (found.has(name)) throw new CertificateProblem(`it has the extension ${name} twice`);
    const isCritical = rest.length > 1 && rest[0]?.toBoolean() === true;
    found.set(name, { isCritical, value: value.value, inner: value.subs });
  }
  return found;
}

/** @throws CertificateProblem where an extension is critical that nobody here reads */
export function assertUnderstood(extensions: ReadonlyMap<string, Extension>, understood: readonly string[]): void {
  for (const [oid, { isCritical }] of extensions) {
    if (isCritical && !understood.includes(oid))
      throw new CertificateProblem(`it has the critical extension ${oid}, which is not understood`);
  }
}

/** What a certificate's key is for, by number; undefined where it does not say. */
export function listPurposes(extensions: ReadonlyMap<string, Extension>): string[] | undefined {
  const extension = extensions.get(extensionOids.extendedKeyUsage);
  return extension === undefined ? undefined : (extension.inner[0]?.subs ?? []).map((purpose) => purpose.toOID());
}
