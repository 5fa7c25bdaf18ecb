import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, MalformedLayer } from "./bytes.ts";
import { expandGzip } from "./gzip.ts";
import { expandZstd } from "./zstd.ts";

type Expand = (reader: ByteReader) => AsyncIterable<Uint8Array>;

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncIterable<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function expand(read: Expand, bytes: Uint8Array, sizes: readonly number[] = [bytes.length]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of read(new ByteReader(inPieces(bytes, sizes)))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const content = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc.nat({ max: 400_000 }).map((length) => new Uint8Array(length)),
);
const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });

describe.each<[string, Expand, (bytes: Uint8Array) => Buffer]>([
  ["gzip", expandGzip, gzipSync],
  ["zstd", expandZstd, zstdCompressSync],
])("%s", (_name, read, compress) => {
  test("gives every member or frame whole, however the bytes come", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), sizes, async (parts, pieces) => {
        expect((await expand(read, Buffer.concat(parts.map(compress)), pieces)).equals(Buffer.concat(parts))).toBe(
          true,
        );
      }),
      { numRuns: 60 },
    );
  });

  test("gives the same at every place where the bytes are split in two", async () => {
    const parts = [Buffer.from("first"), Buffer.alloc(0), Buffer.from("second part")];
    const bytes = Buffer.concat(parts.map(compress));
    for (let at = 1; at < bytes.length; at += 1) {
      expect((await expand(read, bytes, [at, bytes.length])).toString()).toBe("firstsecond part");
    }
  });

  test("is refused wherever it is cut off, and with anything behind it", async () => {
    const bytes = Buffer.concat([compress(Buffer.from("first")), compress(Buffer.from("second part"))]);
    const whole = compress(Buffer.from("first")).length;
    for (let at = 0; at < bytes.length; at += 1) {
      // Between two members it is whole, and another archive.
      if (at !== whole)
        await expect(expand(read, bytes.subarray(0, at)), `cut at ${at}`).rejects.toThrow(MalformedLayer);
    }
    for (const rest of [[0], [1, 2, 3, 4], new Array(100).fill(0), [0x1f, 0x8b], [0x28, 0xb5, 0x2f, 0xfd]]) {
      await expect(expand(read, Buffer.concat([bytes, Buffer.from(rest)]))).rejects.toThrow(MalformedLayer);
    }
  });
});
