import { type Descriptor, emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { createdAnnotation, predicateAnnotation } from "./predicates.ts";
import { maxBundleBytes } from "./schemes/scheme.ts";

/** What cosign and goldenpath write on a referrer that carries a bundle. */
const bundleAnnotations: ReadonlySet<string> = new Set([
  "org.opencontainers.image.created",
  "dev.sigstore.bundle.content",
  predicateAnnotation,
]);

/** The bundle that a referrer like cosign's carries and nothing besides, or why it is no such referrer. */
export function findBundleLayer(manifest: ImageManifest): Descriptor | string {
  const { config } = manifest;
  // The bundle's signature says nothing about what it is wrapped in: a wrapping that could carry something of its own
  // is nobody's word.
  if (config.mediaType !== mediaTypes.ociEmpty || config.digest !== emptyBlob.digest || config.size !== emptyBlob.size)
    return "its config is not the empty one, and a bundle has no other";
  const foreign = [manifest, config, ...manifest.layers]
    .flatMap((part) => Object.keys(part.annotations ?? {}))
    .find((name) => !bundleAnnotations.has(name));
  if (foreign !== undefined) return "it has annotations that are not a bundle's";
  const [layer, ...more] = manifest.layers;
  if (layer === undefined || more.length > 0) return `it has ${manifest.layers.length} layers; a bundle is one`;
  if (layer.mediaType !== mediaTypes.sigstoreBundle) return `its layer is ${layer.mediaType}, not a Sigstore bundle`;
  if (layer.size > maxBundleBytes) return `its bundle has ${layer.size} bytes, and ${maxBundleBytes} are read at most`;
  return layer;
}

/**
 * The referrer's manifest as cosign 3 writes it: annotations are for people and tools that list, and nothing is decided
 * on them.
 */
export function encodeBundleReferrer(
  subject: Descriptor,
  bundle: Descriptor,
  predicateType: string,
  created: string,
): Uint8Array {
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
