import type { KeyObject } from "node:crypto";

/**
 * What a signer is known by, to whoever verifies: with a policy's signers this is their trust, and with who signs it is
 * whose word it will be.
 */
export type SignerMaterial =
  | { kind: "key"; key: KeyObject }
  /**
   * Of a certificate: who vouched, and for whom. `roots`: whose certificates are taken, as the scheme writes it; with a
   * policy's signers alone.
   */
  | { kind: "certificate"; issuer: string; identity: string; roots?: string };

export type KeyMaterial = Extract<SignerMaterial, { kind: "key" }>;

/** True where both are one signer's. Which roots a policy takes is not who somebody is. */
export function isSameMaterial(a: SignerMaterial, b: SignerMaterial): boolean {
  if (a.kind === "key") return b.kind === "key" && a.key.equals(b.key);
  return b.kind === "certificate" && a.issuer === b.issuer && a.identity === b.identity;
}
