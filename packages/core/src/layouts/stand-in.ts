import { chmod, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import type { ReadyBlob, ReadyImage } from "./read-layout.ts";
import { invalidImage } from "./storage.ts";

const blockSize = 512;

/** A layer of a base: what it is unpacked, and as the base's repository has it. */
export interface BaseLayer {
  diffId: Digest;
  descriptor: Descriptor;
}

/**
 * Writes a base as an archive of the form of `docker save`, for a builder that only puts layers on it and needs none of
 * its bytes: the config is the base's own, and each layer is a few bytes that stand for it, compressed, which jib takes
 * over as they are. {@link putBaseLayers} takes them out again.
 */
export async function writeStandIn(path: string, config: Uint8Array, diffIds: readonly Digest[]): Promise<void> {
  const nameOf = (diffId: Digest): string => `${digestHex(diffId)}.tar.gz`;
  const list = [{ Config: "config.json", RepoTags: null, Layers: diffIds.map(nameOf) }];
  const entries: [string, Uint8Array][] = [
    ...[...new Set(diffIds)].map((diffId): [string, Uint8Array] => [nameOf(diffId), gzipSync(`for ${diffId}\n`)]),
    ["config.json", config],
    ["manifest.json", Buffer.from(JSON.stringify(list))],
  ];
  const blocks = entries.flatMap(([name, bytes]) => [
    renderHeader(name, bytes.length),
    bytes,
    Buffer.alloc((blockSize - (bytes.length % blockSize)) % blockSize),
  ]);
  await writeFile(path, Buffer.concat([...blocks, Buffer.alloc(2 * blockSize)]), { flag: "wx" });
  // The umask may keep others out, and the build's user is another one.
  await chmod(path, 0o644);
}

/**
 * The image with the base's own layers where it has stand-ins, or whatever else it has there: its config names them
 * already, by what they are unpacked. Only of an image that stands on the base, and is no index.
 * @throws InfrastructureError `built-image-invalid` of an index
 */
export function putBaseLayers(image: ReadyImage, base: readonly BaseLayer[]): ReadyImage {
  const root = image.manifests.at(-1);
  if (root === undefined) throw new TypeError("an image has a manifest");
  if (root.kind === "index") throw invalidImage(root.digest, "it is an index, and one image is expected");
  const ofBase = base.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size }));
  // Read before by rules under which this JSON has one meaning alone.
  const json = parseJson(Buffer.from(root.bytes).toString("utf8")) as { layers: object[] };
  const layers = [...ofBase, ...json.layers.slice(base.length)];
  const manifest = parseManifest(Buffer.from(stringifyJson({ ...json, layers })), root.mediaType, "on its base");
  if (manifest.kind === "index") throw new TypeError("a manifest stays one");
  const blobs = new Map<Digest, ReadyBlob>(image.blobs.map((blob) => [blob.descriptor.digest, blob]));
  for (const descriptor of ofBase) blobs.set(descriptor.digest, { descriptor, open: undefined });
  const named = new Set([manifest.manifest.config, ...manifest.manifest.layers].map(({ digest }) => digest));
  return {
    manifests: [manifest],
    configs: image.configs,
    blobs: [...blobs.values()].filter(({ descriptor }) => named.has(descriptor.digest)),
  };
}

/** Of a plain file, by POSIX (ustar); names are shorter than 100 bytes, and sizes than 8 GiB. */
function renderHeader(name: string, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;
  block.write(name, 0, "latin1");
  block.write(octal(0o644, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(" ".repeat(8), 148);
  block.write("0", 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
