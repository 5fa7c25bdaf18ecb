import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type Digest, digestAlgorithm, digestHex } from "./oci/digest.ts";
import { type Descriptor, type ImageIndex, type Manifest, maxManifestBytes, mediaTypes } from "./oci/manifest.ts";

/**
 * The tag under which a subject's referrers are listed where the registry has no referrers API (distribution
 * specification 1.1, referrers tag schema): algorithm and hexadecimal digits, the latter cut at 64.
 */
export function fallbackTag(subject: Digest): string {
  return `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`;
}

/**
 * The entry for a manifest in its subject's list: its artifact type (for an image without one, its config's type) and
 * all its annotations.
 */
export function referrerDescriptor(manifest: Manifest): Descriptor {
  const { artifactType, annotations } = manifest.manifest;
  const type = artifactType || (manifest.kind === "image" ? manifest.manifest.config.mediaType : undefined);
  return {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.byteLength,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/** Everything of `index` as it is, and after it those of `additions` whose digest it does not have. */
export function mergeIntoIndex(index: ImageIndex | undefined, additions: readonly Descriptor[]): ImageIndex {
  const manifests = [...(index?.manifests ?? [])];
  const present = new Set<string>(manifests.map((each) => each.digest));
  for (const addition of additions) {
    if (present.has(addition.digest)) continue;
    present.add(addition.digest);
    manifests.push(addition);
  }
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, ...index, manifests };
}

export function hasAll(index: ImageIndex | undefined, digests: readonly Digest[]): boolean {
  const present = new Set<string>(index?.manifests.map((each) => each.digest));
  return digests.every((digest) => present.has(digest));
}

/** @throws InfrastructureError `too-large`: a registry need not take more, and nobody would read it */
export function encodeIndex(index: ImageIndex, where: string): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(index));
  if (bytes.byteLength > maxManifestBytes) {
    throw new InfrastructureError(`the list of referrers at ${where} would grow over ${maxManifestBytes} bytes`, {
      code: "too-large",
      safeToRetry: false,
    });
  }
  return bytes;
}
