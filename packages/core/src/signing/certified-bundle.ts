import type { Bundle } from "@sigstore/bundle";
import { type SignedEntity, type TrustMaterial, toSignedEntity, VerificationError, Verifier } from "@sigstore/verify";
import { readWorkflowIdentity } from "./certificate.ts";
import { type OpenedBundle, openWithCertificate } from "./sigstore.ts";
import type { SigstoreInstance } from "./sigstore-instance.ts";
import type { WorkflowIdentity } from "./workflow-identity.ts";

/** A statement with the certificate that it was signed by, nothing of it verified. */
export interface CertifiedStatement extends OpenedBundle {
  identity: WorkflowIdentity | { problem: string };
}

/**
 * Bytes → a bundle with one certificate, in DER besides, and who that is for; or why that can't be told.
 * @throws UserError `bundle-invalid`
 */
export function openCertified(bytes: Uint8Array): CertifiedStatement & { certificate: Uint8Array } {
  const { bundle, payload, certificate } = openWithCertificate(bytes);
  return { bundle, payload, certificate, identity: readWorkflowIdentity(certificate) };
}

/**
 * When a bundle was signed at the latest, where its signature holds by an instance's trusted root; or why it does not.
 * The time is the earliest that a log or a timestamp authority says: whoever has a signature can get a later one for
 * it, and nobody an earlier one. The certificate chains
 * to an authority that was trusted at each verified time, and was valid at each; it is in a certificate log, where the
 * root names any; the entry of a log is for this very signature and payload; each timestamp is for this signature. What
 * is there and doesn't hold is a reason, whether or not it is asked for.
 */
export function verifyCertified(
  bundle: Bundle,
  trust: TrustMaterial,
  { proof }: Pick<SigstoreInstance, "proof">,
): { time: Date } | { reason: string } {
  try {
    const entity = toSignedEntity(bundle);
    new Verifier(trust, {
      tlogThreshold: proof === "log" ? 1 : 0,
      ctlogThreshold: trust.ctlogs.length > 0 ? 1 : 0,
      timestampThreshold: 1,
    }).verify(entity);
    const time = Math.min(...listVerifiedTimes(entity));
    return Number.isFinite(time) ? { time: new Date(time) } : { reason: "it has no verified time" };
  } catch (error) {
    if (error instanceof VerificationError) return { reason: describeCause(error) };
    // The parser throws errors of its own of what is malformed, and so do the runtime's.
    return { reason: "a certificate, timestamp or log entry of it is malformed" };
  }
}

/** The times that the verifier has held the certificate to: it has verified each of them, or thrown. */
function listVerifiedTimes({ timestamps }: SignedEntity): number[] {
  return timestamps.flatMap((timestamp) => {
    if (timestamp.$case === "timestamp-authority") return [timestamp.timestamp.signingTime.getTime()];
    // A log's time is proven by its promise alone.
    const { inclusionPromise, integratedTime } = timestamp.tlogEntry;
    return inclusionPromise === undefined ? [] : [Number(integratedTime) * 1000];
  });
}

/** With the reason below it, which says more. */
function describeCause(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
