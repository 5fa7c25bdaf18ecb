import type { KeyObject } from "node:crypto";
import type { TrustStore } from "./notary/trust-store.ts";
import type { SigstoreInstance } from "./sigstore-instance.ts";
import { judgeWorkflow, type WorkflowIdentity, type WorkflowRule } from "./workflow-identity.ts";

/**
 * What a signer is known by, to whoever verifies: with a policy's signers this is their trust, and with who signs it is
 * whose word it will be.
 */
export type SignerMaterial =
  | { kind: "key"; key: KeyObject }
  /**
   * Of a certificate: the trust store of the policy that its authority is in, and whom it is for. With a policy's
   * signers also that store, where the policy was read, and for how long each signature may hold (milliseconds).
   */
  | { kind: "certificate"; issuer: string; identity: string; store?: TrustStore; validity?: number }
  /** Of a policy's signer: which workflow it is, and by whose certificates, where the policy was read. */
  | { kind: "workflow"; rule: WorkflowRule; instance?: SigstoreInstance | undefined }
  /** Of who signs: the run that it is. */
  | { kind: "workflow-run"; identity: WorkflowIdentity };

export type KeyMaterial = Extract<SignerMaterial, { kind: "key" }>;

/**
 * True where both are one signer's, or one is the workflow that the other is a run of. Which roots a policy takes is not
 * who somebody is.
 */
export function isSameMaterial(a: SignerMaterial, b: SignerMaterial): boolean {
  if (a.kind === "workflow") return b.kind === "workflow-run" && judgeWorkflow(a.rule, b.identity).length === 0;
  if (a.kind === "key") return b.kind === "key" && a.key.equals(b.key);
  return a.kind === "certificate" && b.kind === "certificate" && a.issuer === b.issuer && a.identity === b.identity;
}
