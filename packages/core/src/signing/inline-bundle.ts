import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Policy } from "../policy/schema.ts";
import { dropUncertified, trustSigners } from "./collect.ts";
import { judgeSigned } from "./judge-signed.ts";
import { unknownKeyReason } from "./predicates.ts";
import { allSchemes } from "./schemes/find.ts";
import type { FoundReferrer } from "./schemes/scheme.ts";
import type { VerifiedStatement } from "./types.ts";

/**
 * A Sigstore bundle whose bytes are at hand, about something that is no image → the statement in it about `subject`
 * that one of `signers` made, in the time of its word; or why it counts for nothing.
 * @throws UserError `key-invalid`, `key-unsupported` for a key of the policy
 */
export async function verifyInline(
  bytes: Uint8Array,
  subject: Digest,
  signers: Policy["signers"],
  now: Date,
): Promise<VerifiedStatement | { problem: string }> {
  const layer: Descriptor = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bytes), size: bytes.byteLength };
  // What a referrer would be that carries it: schemes read nothing else.
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: mediaTypes.sigstoreBundle,
    config: { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size },
    layers: [layer],
  };
  const found: FoundReferrer = { descriptor: layer, manifest, below: [] };
  const trusted = trustSigners(signers);
  let problem: string | undefined;
  for (const { kind, recognises } of allSchemes) {
    const verifier = recognises(manifest) ? trusted.get(kind) : undefined;
    const answer = await verifier?.verify(found, async () => bytes);
    if (answer === undefined) continue;
    if ("reason" in answer) {
      problem ??= answer.reason;
      continue;
    }
    for (const signed of answer) {
      const { statement, rejected } = judgeSigned(dropUncertified(signed, signers), { subject }, found, {
        signers,
        now,
      });
      if (statement !== undefined) return statement;
      problem ??= rejected?.reason;
    }
  }
  return { problem: problem ?? unknownKeyReason };
}
