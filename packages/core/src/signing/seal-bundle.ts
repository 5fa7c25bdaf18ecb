import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { encodeBundleReferrer } from "./bundle-layer.ts";
import type { SealedStatement, Statement } from "./types.ts";

/** A statement in a Sigstore bundle, as cosign 3 attaches it to an image. */
export function sealBundle(statement: Pick<Statement, "predicateType">, bytes: Uint8Array): SealedStatement {
  return {
    bundle: { mediaType: mediaTypes.sigstoreBundle, bytes },
    carry: async (subject, bundle, created) => [
      {
        manifest: encodeBundleReferrer(subject, bundle, statement.predicateType, created),
        mediaType: mediaTypes.ociManifest,
        artifactType: mediaTypes.sigstoreBundle,
      },
    ],
  };
}
