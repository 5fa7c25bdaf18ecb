import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { createdAnnotation, predicateAnnotation } from "./predicates.ts";
import type { SealedStatement, Statement } from "./types.ts";

/** A statement in a Sigstore bundle, as cosign 3 attaches it to an image. */
export function sealBundle(statement: Pick<Statement, "predicateType">, bytes: Uint8Array): SealedStatement {
  return {
    bundle: { mediaType: mediaTypes.sigstoreBundle, bytes },
    carry: async (subject, bundle, created) => [
      {
        manifest: encodeReferrer(subject, bundle, statement.predicateType, created),
        mediaType: mediaTypes.ociManifest,
        artifactType: mediaTypes.sigstoreBundle,
      },
    ],
  };
}

/**
 * The referrer's manifest as cosign 3 writes it: annotations are for people and tools that list, and nothing is decided
 * on them.
 */
function encodeReferrer(subject: Descriptor, bundle: Descriptor, predicateType: string, created: string): Uint8Array {
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: mediaTypes.sigstoreBundle,
    config: { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size },
    layers: [bundle],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations: {
      [createdAnnotation]: created,
      "dev.sigstore.bundle.content": "dsse-envelope",
      [predicateAnnotation]: predicateType,
    },
  };
  return new TextEncoder().encode(JSON.stringify(manifest));
}
