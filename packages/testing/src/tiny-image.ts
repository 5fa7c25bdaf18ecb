import { gzipSync } from "node:zlib";
import { oncePer } from "@goldenpath/foundation/once-per";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { pack } from "tar-stream";

/** A layer of a few files, as tar. */
export interface TinyLayer {
  tar: Uint8Array;
  diffId: Digest;
}

/** Path → content; the same files are always the same bytes. */
export async function tinyLayer(files: Readonly<Record<string, string>>): Promise<TinyLayer> {
  const archive = pack();
  const mtime = new Date(0);
  // syft finds no dpkg database in a directory that has no entry of its own.
  for (const name of directoriesOf(Object.keys(files))) archive.entry({ name, type: "directory", mode: 0o755, mtime });
  for (const [name, content] of Object.entries(files)) archive.entry({ name, mtime }, content);
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  const tar = Buffer.concat(chunks);
  return { tar, diffId: digestOf(tar) };
}

/** A layer's blob: one that many images have is compressed once. */
export const packLayer = oncePer(({ tar }: TinyLayer): { bytes: Uint8Array; digest: Digest } => {
  const bytes = gzipSync(tar);
  return { bytes, digest: digestOf(bytes) };
});

export interface TinyImageOptions {
  architecture?: string;
  /** Docker's media types instead of OCI's. */
  docker?: boolean;
  tag?: string;
  /** Of its config: environment, user, labels. */
  config?: Readonly<Record<string, unknown>>;
}

/**
 * What the layers of each image unpack to that {@link pushTinyImage} pushed, by its manifest's digest: what the base
 * stage finds.
 */
export const pushedLayers = new Map<string, Digest[]>();

/** Pushes an image of these layers and returns its manifest's descriptor. */
export async function pushTinyImage(
  client: RegistryClient,
  repository: Repository,
  layers: readonly TinyLayer[],
  { architecture = "amd64", docker = false, tag, config: own = {} }: TinyImageOptions = {},
): Promise<Descriptor> {
  const push = async (mediaType: string, bytes: Uint8Array, digest = digestOf(bytes)): Promise<Descriptor> => {
    const descriptor = { mediaType, digest, size: bytes.byteLength };
    await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const layerType = docker ? "application/vnd.docker.image.rootfs.diff.tar.gzip" : mediaTypes.ociLayerTarGzip;
  const config = {
    architecture,
    os: "linux",
    config: own,
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const manifest = encode({
    schemaVersion: 2,
    mediaType,
    config: await push(docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig, encode(config)),
    layers: await Promise.all(layers.map(packLayer).map((packed) => push(layerType, packed.bytes, packed.digest))),
  });
  const digest = await client.pushManifest(repository, manifest, mediaType, tag);
  pushedLayers.set(
    digest,
    layers.map(({ diffId }) => diffId),
  );
  return { mediaType, digest, size: manifest.byteLength, platform: { os: "linux", architecture } };
}

/** Pushes an index of images that are in the repository, and returns its digest. */
export async function pushTinyIndex(
  client: RegistryClient,
  repository: Repository,
  manifests: readonly Descriptor[],
): Promise<Digest> {
  return client.pushManifest(
    repository,
    encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
    mediaTypes.ociIndex,
  );
}

/** Every directory above the paths, parents first. */
function directoriesOf(paths: readonly string[]): string[] {
  const directories = new Set<string>();
  for (const path of paths) {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1))
      directories.add(path.slice(0, slash));
  }
  return [...directories];
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
