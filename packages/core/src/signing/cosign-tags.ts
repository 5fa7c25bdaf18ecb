import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";

/**
 * How cosign attached things before there were referrers, and what admission engines of before bundles read: one
 * manifest under a tag made of the image's digest, with a layer for each signature.
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
export interface CosignTag {
  /** Behind the digest, in the tag. */
  suffix: "att" | "sig";
  layerType: string;
}

/** In-toto statements, each in a DSSE envelope. */
export const attestationTag: CosignTag = { suffix: "att", layerType: "application/vnd.dsse.envelope.v1+json" };
/** Signatures over a payload that names the image, which is no statement. */
export const signatureTag: CosignTag = {
  suffix: "sig",
  layerType: "application/vnd.dev.cosign.simplesigning.v1+json",
};

export const signatureAnnotation = "dev.cosignproject.cosign/signature";

/** More than any path leaves on one image. */
export const maxTagLayers = 200;
const maxConfigBytes = 256 * 1024;
const configType = "application/vnd.oci.image.config.v1+json";

export const nameCosignTag = (subject: Digest, { suffix }: CosignTag): string => `${fallbackTag(subject)}.${suffix}`;

/** Why a manifest is not one of cosign's for such a tag; undefined where it is. */
export function judgeTagManifest(
  { artifactType, config, layers, subject }: ImageManifest,
  { layerType }: CosignTag,
): string | undefined {
  if (artifactType !== undefined || subject !== undefined) return "it is an artifact of another kind";
  if (config.mediaType !== configType || config.size > maxConfigBytes) return `its config is ${config.mediaType}`;
  if (layers.length === 0 || layers.length > maxTagLayers)
    return `it has ${layers.length} layers, and ${maxTagLayers} are read at most`;
  const other = layers.find(({ mediaType }) => mediaType !== layerType);
  return other === undefined ? undefined : `it has a layer of type ${other.mediaType}`;
}

/** The manifest with these layers, and its config: an image's of no platform, as cosign's tools write it. */
export function encodeTagManifest(layers: readonly Descriptor[]): { manifest: Uint8Array; config: Uint8Array } {
  const epoch = "0001-01-01T00:00:00Z";
  const config = encode({
    architecture: "",
    created: epoch,
    history: layers.map(() => ({ created: epoch })),
    os: "",
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
    config: {},
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: configType, size: config.byteLength, digest: digestOf(config) },
    layers,
  });
  return { manifest, config };
}

/** What cosign signs of an image: its digest, and the repository that it was signed in. */
export function encodeSimpleSigning(repository: string, digest: Digest): Uint8Array {
  return encode({
    critical: {
      identity: { "docker-reference": repository },
      image: { "docker-manifest-digest": digest },
      type: "cosign container image signature",
    },
    optional: null,
  });
}

function encode(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}
