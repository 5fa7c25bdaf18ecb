import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  type Descriptor,
  emptyBlob,
  type Manifest,
  mediaTypes,
  parseManifest,
} from "@goldenpath/registry-client/oci/manifest";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { encodeBundleReferrer } from "./bundle-layer.ts";

/** Sigstore bundles about a digest that do not lie beside the image; none of them is believed. */
export type BundleSource = (subject: Digest) => Promise<readonly BesideBundle[]>;

export interface BesideBundle {
  bytes: Uint8Array;
  /** As the bundle says it itself: a label, as all referrers have. */
  predicateType: string;
}

export interface BesideClient extends RegistryClient {
  /** The referrer that a bundle from elsewhere would have, and the bundle; undefined for what the registry has. */
  beside(referrer: Digest): { manifest: Manifest; bundle: Descriptor; bytes: Uint8Array } | undefined;
}

/**
 * A client that lists, after what refers to an image in the registry, bundles from elsewhere as if each were a referrer.
 * So they are verified as every other, by the same code; they add to what is there, and hide nothing. Only an image is
 * asked about, never a referrer. Nothing is written anywhere.
 */
export function withBundles(client: RegistryClient, source: BundleSource, now: Date): BesideClient {
  const reader = rememberReads(client);
  const created = now.toISOString().replace(/\.\d+Z$/, "Z");
  const added = new Map<Digest, { manifest: Manifest; bundle: Descriptor; bytes: Uint8Array }>();
  const blobs = new Map<Digest, Uint8Array>([[emptyBlob.digest, emptyBlob.bytes]]);
  const add = (
    subject: Descriptor,
    { bytes, predicateType }: BesideBundle,
    listed: ReadonlySet<Digest>,
  ): Descriptor[] => {
    const bundle = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bytes), size: bytes.byteLength };
    const encoded = encodeBundleReferrer(subject, bundle, predicateType, created);
    const manifest = parseManifest(encoded, mediaTypes.ociManifest, "of a bundle");
    // Put there a moment ago, and so nothing from elsewhere any more.
    if (listed.has(manifest.digest)) return [];
    added.set(manifest.digest, { manifest, bundle, bytes });
    blobs.set(bundle.digest, bytes);
    const { mediaType, digest } = manifest;
    return [{ mediaType, digest, size: encoded.byteLength, artifactType: mediaTypes.sigstoreBundle }];
  };
  return {
    ...reader,
    beside: (referrer) => added.get(referrer),
    async listReferrers(repository, subject, options) {
      const listed = await reader.listReferrers(repository, subject, options);
      if (added.has(subject)) return listed;
      const { kind, manifest, mediaType, bytes } = await reader.fetchManifest({ ...repository, digest: subject });
      if (kind === "image" && manifest.subject !== undefined) return listed;
      const target = { mediaType, digest: subject, size: bytes.byteLength };
      const known = new Set(listed.map(({ digest }) => digest));
      return [...listed, ...(await source(subject)).flatMap((each) => add(target, each, known))];
    },
    async fetchManifest(reference) {
      const own = reference.digest === undefined ? undefined : added.get(reference.digest);
      return own?.manifest ?? reader.fetchManifest(reference);
    },
    async fetchBlob(repository, descriptor, most) {
      const own = blobs.get(descriptor.digest);
      const fits =
        own !== undefined && own.byteLength === descriptor.size && own.byteLength <= (most ?? own.byteLength);
      return fits ? own : reader.fetchBlob(repository, descriptor, most);
    },
  };
}
