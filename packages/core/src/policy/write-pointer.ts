import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { predicateTypes } from "../signing/predicates.ts";
import { type KeySigner, signStatement } from "../signing/schemes/key/sign.ts";
import { buildPointerStatement, pointerTag } from "./pointer.ts";
import { maxPointerBytes } from "./pointer-artifact.ts";
import type { PolicyPointer } from "./pointer-facts.ts";

/**
 * Signs a pointer and sets the tag, where that is still as it was read.
 * @throws InfrastructureError `tag-moved` where somebody has activated another meanwhile; the client's others
 */
export async function writePointer(
  client: RegistryClient,
  repository: Repository,
  pointer: PolicyPointer,
  signer: KeySigner,
  before: Manifest | undefined,
): Promise<void> {
  const bytes = await signStatement(buildPointerStatement(pointer), signer);
  if (bytes.byteLength > maxPointerBytes)
    throw new TypeError(`a pointer of ${bytes.byteLength} bytes is larger than what is read`);
  const config = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const layer = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bytes), size: bytes.byteLength };
  await client.pushBlob(repository, config, () => emptyBlob.bytes);
  await client.pushBlob(repository, layer, () => bytes, { isMissing: true });
  const content = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: mediaTypes.sigstoreBundle,
      config,
      layers: [{ ...layer, data: Buffer.from(bytes).toString("base64") }],
      annotations: {
        "org.opencontainers.image.created": pointer.activatedAt.toISOString().replace(/\.\d+Z$/, "Z"),
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": predicateTypes.policyInForce,
      },
    }),
  );
  const manifest = { bytes: content, mediaType: mediaTypes.ociManifest, digest: digestOf(content) };
  await client.setTag(repository, pointerTag, manifest, before?.digest);
}
