import { type Descriptor, emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { createdAnnotation, intotoPayloadType, predicateAnnotation } from "../predicates.ts";
import type { FoundReferrer } from "../schemes/scheme.ts";
import { envelopeMediaType } from "./envelope.ts";

/** Of a manifest that carries a signature; notation writes it as the type of the config alone. */
export const signatureType = "application/vnd.cncf.notary.signature";

/** The SHA-256 of each certificate, as a JSON list in a text: for who lists signatures. */
export const thumbprintAnnotation = "io.cncf.notary.x509chain.thumbprint#S256";

/** What notation, oras and goldenpath write on what carries a signature or a statement; none of it is signed. */
const knownAnnotations: ReadonlySet<string> = new Set([
  createdAnnotation,
  predicateAnnotation,
  thumbprintAnnotation,
  "org.opencontainers.image.title",
]);

/** The Notary Project's other envelope. No signature of its kind is read here: one form is enough to be strict about. */
const coseMediaType = "application/cose";

/** An envelope holds certificates and two digests. Bytes. */
const maxEnvelopeBytes = 1024 * 1024;

export function isSignature({ artifactType, config }: ImageManifest): boolean {
  return (artifactType ?? config.mediaType) === signatureType;
}

/** The envelope that a signature's manifest carries and nothing besides, or why it is no such manifest. */
export function findEnvelopeLayer(manifest: ImageManifest): Descriptor | string {
  const { config, layers } = manifest;
  const isEmpty = config.digest === emptyBlob.digest && config.size === emptyBlob.size;
  if (!isEmpty || ![signatureType, mediaTypes.ociEmpty].includes(config.mediaType))
    return "its config is not the empty one, and a signature has no other";
  if (hasForeignAnnotations(manifest)) return "it has annotations that are not a signature's";
  const [layer, ...more] = layers;
  if (layer === undefined || more.length > 0) return `it has ${layers.length} layers; a signature is one`;
  if (layer.mediaType === coseMediaType)
    return `its envelope is COSE (${coseMediaType}), and only JWS is read: sign with \`notation sign --signature-format jws\``;
  if (layer.mediaType !== envelopeMediaType) return `its layer is ${layer.mediaType}, not ${envelopeMediaType}`;
  if (layer.size > maxEnvelopeBytes)
    return `its envelope has ${layer.size} bytes; ${maxEnvelopeBytes} are read at most`;
  return layer;
}

/** Each referrer of a signature that holds a statement and nothing besides: that of a digest, or any. */
export function listStatements(
  below: readonly FoundReferrer[],
  digest?: string,
): { holder: FoundReferrer; statement: Descriptor }[] {
  return below.flatMap((holder) => {
    const { artifactType, config, layers } = holder.manifest;
    const [layer, ...more] = layers;
    const isBare =
      config.mediaType === mediaTypes.ociEmpty && config.digest === emptyBlob.digest && config.size === emptyBlob.size;
    if (hasForeignAnnotations(holder.manifest)) return [];
    if (!isBare || artifactType !== intotoPayloadType || layer?.mediaType !== intotoPayloadType || more.length > 0)
      return [];
    if (digest !== undefined && layer.digest !== digest) return [];
    return [{ holder, statement: { mediaType: layer.mediaType, digest: layer.digest, size: layer.size } }];
  });
}

function hasForeignAnnotations(manifest: ImageManifest): boolean {
  const { config, layers } = manifest;
  return [manifest, config, ...layers]
    .flatMap(({ annotations = {} }) => Object.keys(annotations))
    .some((name) => !knownAnnotations.has(name));
}
