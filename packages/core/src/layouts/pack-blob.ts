import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createDigester, type Digest } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { packGzip } from "../layers/pack-gzip.ts";
import type { ReadyBlob } from "./read-layout.ts";

export interface PackedBlob extends ReadyBlob {
  /** Of what went in. */
  diffId: Digest;
}

/** Compresses a layer into a file that is not there yet. The same bytes give the same blob, on whatever machine. */
export async function packBlob(chunks: AsyncIterable<Uint8Array>, target: string): Promise<PackedBlob> {
  const [plain, packed] = [createDigester(), createDigester()];
  let size = 0;
  await pipeline(
    chunks,
    tap((chunk) => plain.update(chunk)),
    packGzip,
    tap((chunk) => {
      packed.update(chunk);
      size += chunk.length;
    }),
    createWriteStream(target, { flags: "wx", mode: 0o600 }),
  );
  const descriptor = { mediaType: mediaTypes.ociLayerTarGzip, digest: packed.digest(), size };
  return { descriptor, open: () => createReadStream(target), diffId: plain.digest() };
}

function tap(see: (chunk: Uint8Array) => void) {
  return async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      see(chunk);
      yield chunk;
    }
  };
}
