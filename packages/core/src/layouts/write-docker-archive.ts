import { type FileHandle, open } from "node:fs/promises";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { findLayerType } from "@goldenpath/registry-client/oci/layer-types";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { createBudget, layerLimits, requireDisk } from "../layers/budget.ts";
import { falseLayer, readImageLayer } from "../layers/read.ts";
import { maxConfigBytes } from "./read-layout.ts";

const blockSize = 512;

/**
 * Writes an image as an archive of the form of `docker save`, for a builder that has no login and so gets its base as a
 * file. Layers that are all compressed by gzip stay as the registry has them, which jib takes over byte for byte; else
 * all are written without compression, which is how every reader takes them.
 * @throws what reading a layer and the client throw, and InfrastructureError `disk-too-small`
 */
export async function writeDockerArchive(
  client: Pick<RegistryClient, "fetchBlob" | "openBlob">,
  repository: Repository,
  { manifest, config }: Pick<ChildFacts, "manifest" | "config">,
  path: string,
  { signal }: Pick<Context, "signal">,
): Promise<void> {
  const isPacked = manifest.layers.every(({ mediaType }) => findLayerType(mediaType)?.compression === "gzip");
  const total = manifest.layers.reduce((sum, { size }) => sum + size, 0);
  const file = await open(path, "wx", 0o644);
  try {
    await requireDisk(path, total, layerLimits);
    const names = new Map<Digest, string>();
    const budget = createBudget();
    const layers: string[] = [];
    for (const [index, layer] of manifest.layers.entries()) {
      signal.throwIfAborted();
      const name = names.get(layer.digest) ?? `${digestHex(layer.digest)}${isPacked ? ".tar.gz" : ".tar"}`;
      layers.push(name);
      if (names.has(layer.digest)) continue;
      names.set(layer.digest, name);
      const entry = await beginEntry(file, name);
      if (isPacked) for await (const chunk of await client.openBlob(repository, layer)) await entry.write(chunk);
      else {
        const diffId = config.rootfs.diff_ids[index] as Digest;
        const visitor = { bytes: (chunk: Uint8Array) => entry.write(chunk) };
        const read = await readImageLayer(client, repository, layer, diffId, budget, visitor, signal);
        if (read.diffId !== diffId)
          throw falseLayer(`layer ${index + 1} of ${formatRepository(repository)}`, diffId, read.diffId);
      }
      await entry.end();
    }
    await writeEntry(file, "config.json", await client.fetchBlob(repository, manifest.config, maxConfigBytes));
    const list = [{ Config: "config.json", RepoTags: null, Layers: layers }];
    await writeEntry(file, "manifest.json", Buffer.from(JSON.stringify(list)));
    const { size: end } = await file.stat();
    await file.write(Buffer.alloc(2 * blockSize), 0, 2 * blockSize, end);
  } finally {
    await file.close();
  }
}

async function writeEntry(file: FileHandle, name: string, bytes: Uint8Array): Promise<void> {
  const entry = await beginEntry(file, name);
  await entry.write(bytes);
  await entry.end();
}

/** Its size is written when it is known: into its header, which comes before it. */
async function beginEntry(file: FileHandle, name: string) {
  const { size: start } = await file.stat();
  let size = 0;
  await file.write(Buffer.alloc(blockSize), 0, blockSize, start);
  return {
    async write(chunk: Uint8Array): Promise<void> {
      for (let at = 0; at < chunk.length; ) {
        const { bytesWritten } = await file.write(chunk, at, chunk.length - at, start + blockSize + size);
        at += bytesWritten;
        size += bytesWritten;
      }
    },
    async end(): Promise<void> {
      const padding = (blockSize - (size % blockSize)) % blockSize;
      await file.write(Buffer.alloc(padding), 0, padding, start + blockSize + size);
      await file.write(renderHeader(name, size), 0, blockSize, start);
    },
  };
}

/** Of a plain file, by POSIX (ustar); names are shorter than 100 bytes. A size beyond 8 GiB is in GNU's base 256. */
function renderHeader(name: string, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;
  block.write(name, 0, "latin1");
  block.write(octal(0o644, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  if (size < 8 ** 11) block.write(octal(size, 12), 124);
  else {
    block.writeUInt8(0x80, 124);
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write(octal(0, 12), 136);
  block.write(" ".repeat(8), 148);
  block.write("0", 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
