import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { CollectedEvidence } from "../signing/types.ts";
import type { ManifestFacts } from "./facts.ts";

/** A manifest that evidence of the policy's signers lies in. */
export type EvidenceManifest = Pick<ManifestFacts, "digest" | "level" | "predicateType" | "signers" | "tag"> & {
  subject: Digest;
};

/**
 * Each once, and after its subject: level 2 refers to the image or a child, level 3 to that, … What is out of its time
 * as well: what it says against the image holds where the image goes.
 */
export function listEvidence(evidence: ReadonlyMap<Digest, CollectedEvidence>): EvidenceManifest[] {
  const found = new Map<string, EvidenceManifest>();
  for (const [subject, { statements, lapsed }] of evidence) {
    for (const { referrer, tag, below = [], statement, signers } of [...lapsed, ...statements]) {
      const facts = { predicateType: statement.predicateType, signers };
      found.set(tag ?? referrer.digest, {
        digest: referrer.digest,
        level: 2,
        subject,
        ...facts,
        ...(tag === undefined ? {} : { tag }),
      });
      for (const { descriptor, subject: above } of below) {
        const level = 1 + (found.get(above)?.level ?? 2);
        found.set(descriptor.digest, { digest: descriptor.digest, level, subject: above, ...facts });
      }
    }
  }
  return [...found.values()];
}
