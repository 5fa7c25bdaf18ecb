import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InfrastructureError } from "../errors.ts";
import { type Digest, digestAlgorithm, digestHex } from "../oci/digest.ts";
import { type Descriptor, mediaTypes } from "../oci/manifest.ts";
import { formatReference, type Repository } from "../oci/reference.ts";
import type { Context } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";

/** Layers that are fetched at once: more only makes a registry's other clients wait. */
const parallelLayers = 3;

/**
 * Writes one image as an OCI layout (image-spec 1.1, image-layout.md): tools that read it need no registry, no login and no proxy of their own, and every byte
 * in it has been verified against its digest on the way. Layers go to disk as they come.
 * @throws InfrastructureError `layout-invalid` (not a single image, or a full disk), and what the client throws
 */
export async function writeImageLayout(
  client: RegistryClient,
  repository: Repository,
  digest: Digest,
  directory: string,
  context: Pick<Context, "ports" | "signal">,
): Promise<void> {
  const where = formatReference({ ...repository, digest });
  const manifest = await client.fetchManifest({ ...repository, digest });
  if (manifest.kind !== "image" || manifest.digest !== digest) {
    throw new InfrastructureError(`${where} is not a single image that can be written to disk`, {
      code: "layout-invalid",
      safeToRetry: false,
    });
  }
  const root: Descriptor = { mediaType: manifest.mediaType, digest, size: manifest.bytes.byteLength };
  const blobs = new Map<Digest, Descriptor>([manifest.manifest.config, ...manifest.manifest.layers].map((blob) => [blob.digest, blob]));
  const task = context.ports.progress.start(`fetching ${where}`, {
    amount: [...blobs.values()].reduce((sum, blob) => sum + blob.size, 0),
    unit: "bytes",
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  try {
    for (const algorithm of new Set([digest, ...blobs.keys()].map(digestAlgorithm)))
      await mkdir(join(directory, "blobs", algorithm), { recursive: true });
    await writeFile(blobPath(directory, digest), manifest.bytes);
    const waiting = [...blobs.values()];
    const work = async (): Promise<void> => {
      for (let blob = waiting.shift(); blob !== undefined; blob = waiting.shift()) {
        signal.throwIfAborted();
        await writeBlob(client, repository, blob, directory, signal, (bytes) => task.advance(bytes));
      }
    };
    let failure: { error: unknown } | undefined;
    const fail = (error: unknown): void => {
      failure ??= { error };
      stop.abort();
    };
    // All have ended when this goes on: none may write into a directory that its owner removes.
    await Promise.all(Array.from({ length: parallelLayers }, () => work().catch(fail)));
    if (failure !== undefined) throw failure.error;
    await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [root] };
    await writeFile(join(directory, "index.json"), JSON.stringify(index));
    task.done();
  } catch (error) {
    task.failed();
    throw asFullDisk(error, directory);
  }
}

async function writeBlob(
  client: RegistryClient,
  repository: Repository,
  blob: Descriptor,
  directory: string,
  signal: AbortSignal,
  advance: (bytes: number) => void,
): Promise<void> {
  const content = await client.openBlob(repository, blob);
  const counted = async function* (): AsyncIterable<Uint8Array> {
    for await (const chunk of content) {
      advance(chunk.byteLength);
      yield chunk;
    }
  };
  await pipeline(Readable.from(counted(), { objectMode: false }), createWriteStream(blobPath(directory, blob.digest), { flags: "wx" }), {
    signal,
  });
}

function blobPath(directory: string, digest: Digest): string {
  return join(directory, "blobs", digestAlgorithm(digest), digestHex(digest));
}

function asFullDisk(error: unknown, directory: string): unknown {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOSPC") return error;
  return new InfrastructureError(`there is no space left for the image in ${dirname(directory)}`, {
    code: "layout-invalid",
    wayOut: "Free space on the runner, or let its temporary directory be on a larger disk.",
    cause: error,
  });
}
