import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { CollectedEvidence } from "../signing/types.ts";
import type { ManifestFacts } from "./facts.ts";

/** A manifest that evidence of the policy's signers lies in. */
export type EvidenceManifest = Pick<ManifestFacts, "digest" | "level" | "predicateType" | "signers"> & { subject: Digest };

/** Each once, and after its subject: level 2 refers to the image or a child, level 3 to that, … */
export function listEvidence(evidence: ReadonlyMap<Digest, CollectedEvidence>): EvidenceManifest[] {
  const found = new Map<Digest, EvidenceManifest>();
  for (const [subject, { statements }] of evidence) {
    for (const { referrer, below = [], statement, signers } of statements) {
      const facts = { predicateType: statement.predicateType, signers };
      found.set(referrer.digest, { digest: referrer.digest, level: 2, subject, ...facts });
      for (const { descriptor, subject: above } of below) {
        const level = 1 + (found.get(above)?.level ?? 2);
        found.set(descriptor.digest, { digest: descriptor.digest, level, subject: above, ...facts });
      }
    }
  }
  return [...found.values()];
}
