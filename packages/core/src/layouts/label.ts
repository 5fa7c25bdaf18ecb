import { parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseImageConfig, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import { type ReadyImage, readAll } from "./read-layout.ts";
import { invalidImage } from "./storage.ts";

/**
 * The image with labels besides those that it has: where one of them has the same name, ours is taken, since what a
 * base says of its own commit is inherited by all that stands on it. Layers stay as they are; config and manifest are
 * written anew, so the digest is another one. Only of an image that is no index.
 * @throws InfrastructureError `built-image-invalid` of an index
 */
export async function labelImage(image: ReadyImage, labels: Readonly<Record<string, string>>): Promise<ReadyImage> {
  if (Object.keys(labels).length === 0) return image;
  const root = image.manifests.at(-1);
  if (root === undefined) throw new TypeError("an image has a manifest");
  if (root.kind === "index") throw invalidImage(root.digest, "it is an index, and one image is expected");
  const old = image.blobs.find(({ descriptor }) => descriptor.digest === root.manifest.config.digest);
  if (old?.open === undefined) throw new TypeError("an image that was read has its config");
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
  // Read before by rules under which this JSON has one meaning alone.
  const json = parseJson(text(await readAll(old.open()))) as { config?: { Labels?: object | null } | null };
  const inner = { ...json.config, Labels: { ...json.config?.Labels, ...labels } };
  const bytes = Buffer.from(stringifyJson({ ...json, config: inner }));
  const descriptor = { ...old.descriptor, digest: digestOf(bytes), size: bytes.length };
  const config = { ...root.manifest.config, digest: descriptor.digest, size: descriptor.size };
  const manifest = Buffer.from(stringifyJson({ ...(parseJson(text(root.bytes)) as object), config }));
  return {
    manifests: [parseManifest(manifest, root.mediaType, "with labels")],
    configs: [parseImageConfig(bytes, "with labels")],
    blobs: image.blobs.map((blob) => (blob === old ? { descriptor, open: () => bytes } : blob)),
  };
}
