import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { ByteReader } from "./bytes.ts";
import { expandGzip } from "./gzip.ts";
import { packGzip } from "./pack-gzip.ts";

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const text = Buffer.from("a line of a log\n".repeat(50_000));
const jar = randomBytes(700_000);

describe("bytes packed as gzip", () => {
  it.each([
    ["nothing", Buffer.alloc(0)],
    ["less than a block", Buffer.from("hello\n")],
    ["a block to the byte", randomBytes(256 * 1024)],
    ["text", text],
    ["what is compressed already", jar],
    ["both", Buffer.concat([text, jar, text])],
  ])("are the same again: %s", async (_what, bytes) => {
    const packed = await collect(packGzip(inChunks(bytes, 100_000)));
    expect(gunzipSync(packed).equals(bytes)).toBe(true);
    // Ours takes one member after the other, and nothing that is none.
    expect((await collect(expandGzip(new ByteReader(inChunks(packed, 10_000))))).equals(bytes)).toBe(true);
  });

  it("are the same gzip however they come", async () => {
    const bytes = Buffer.concat([text, jar]);
    const whole = await collect(packGzip(inChunks(bytes, bytes.length)));
    for (const size of [1000, 262_144, 300_001])
      expect((await collect(packGzip(inChunks(bytes, size)))).equals(whole), `in chunks of ${size}`).toBe(true);
  });

  it("get no larger than by a line a block where there is nothing to save, and small where there is", async () => {
    expect((await collect(packGzip(inChunks(jar, 65_536)))).length).toBeLessThan(jar.length + 200);
    expect((await collect(packGzip(inChunks(text, 65_536)))).length).toBeLessThan(text.length / 50);
  });

  it("pass on what is wrong with them", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield text;
      throw new Error("the disk is gone");
    }
    await expect(collect(packGzip(broken()))).rejects.toThrow("the disk is gone");
  });
});
