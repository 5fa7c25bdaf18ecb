import type { RegistryClient } from "./client.ts";
import { digestOf } from "./oci/digest.ts";
import { type Descriptor, emptyBlob, mediaTypes } from "./oci/manifest.ts";
import type { Repository } from "./oci/reference.ts";

/** Small images, made and pushed by the tests of everything that talks to a registry. */

export const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text);

export function describeBytes(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
}

export interface ImageOptions {
  /** The text of each layer: not a tar archive, which no registry minds. */
  layerType?: string;
  layers?: readonly string[];
  os?: string;
  architecture?: string;
  labels?: Record<string, string>;
  /** In the place of a diffID for each layer. */
  diffIds?: readonly string[];
  subject?: Descriptor;
}

export interface BuiltManifest {
  descriptor: Descriptor;
  bytes: Uint8Array;
  blobs: { descriptor: Descriptor; bytes: Uint8Array }[];
}

export function buildImage(options: ImageOptions = {}): BuiltManifest {
  const {
    layers = ["layer"],
    layerType = mediaTypes.ociLayerTar,
    os = "linux",
    architecture = "amd64",
    labels = {},
  } = options;
  const layerBlobs = layers.map((text) => {
    const bytes = encodeText(text);
    return { descriptor: describeBytes(bytes, layerType), bytes };
  });
  const diff_ids = options.diffIds ?? layerBlobs.map((blob) => blob.descriptor.digest);
  const configBytes = encodeText(
    JSON.stringify({ os, architecture, config: { Labels: labels }, rootfs: { type: "layers", diff_ids } }),
  );
  const config = { descriptor: describeBytes(configBytes, mediaTypes.ociConfig), bytes: configBytes };
  const { subject } = options;
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: config.descriptor,
    layers: layerBlobs.map((blob) => blob.descriptor),
    ...(subject === undefined ? {} : { subject }),
  };
  return { ...encodeManifest(manifest), blobs: [config, ...layerBlobs] };
}

/** A manifest without anything in it but a type and a subject, as signatures and attestations are attached. */
export function buildReferrer(
  subject: Descriptor,
  artifactType: string,
  annotations: Record<string, string> = {},
): BuiltManifest {
  const empty: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config: empty,
    layers: [empty],
    subject,
    annotations,
  };
  return { ...encodeManifest(manifest), blobs: [{ descriptor: empty, bytes: emptyBlob.bytes }] };
}

export function buildIndex(manifests: readonly Descriptor[]): BuiltManifest {
  return { ...encodeManifest({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), blobs: [] };
}

function encodeManifest(manifest: { schemaVersion: number; mediaType: string; [field: string]: unknown }): {
  descriptor: Descriptor;
  bytes: Uint8Array;
} {
  const bytes = encodeText(JSON.stringify(manifest));
  return { descriptor: describeBytes(bytes, manifest.mediaType), bytes };
}

export async function pushBuilt(
  client: RegistryClient,
  repository: Repository,
  built: BuiltManifest,
  tag?: string,
): Promise<Descriptor> {
  for (const blob of built.blobs) await client.pushBlob(repository, blob.descriptor, () => blob.bytes);
  await client.pushManifest(repository, built.bytes, built.descriptor.mediaType, tag);
  return built.descriptor;
}
