import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

const deflate = promisify(deflateRaw);

/** What is compressed by itself: as gzip's window is 32 KiB, an eighth of it at most has nothing before it. Bytes. */
const blockSize = 256 * 1024;
/** Parts of a block that are tried, as far from each other as they can be, and the size of one. Bytes. */
const samples = { count: 4, size: 8 * 1024 };
/** What has to be saved of a block, for it to be compressed. Jars, pictures and archives save less. */
const worthwhile = 0.1;

/** Of what deflate takes without compressing it, in one piece. Bytes. */
const maxStored = 0xffff;

/** RFC 1952, as Node's own writer has it: deflate, no name, no time, of Unix. */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
/** RFC 1951: the last block, of nothing, in the code that needs no table. */
const lastBlock = Buffer.from([3, 0]);

/**
 * Bytes → gzip (RFC 1952), one member, on as many cores as there are. The same bytes give the same gzip, however they
 * come and on however many cores: each 256 KiB are compressed by themselves, at zlib's usual level, or left as they
 * are where a tenth can't be saved. What is compressed already, as most of a Java application is, costs next to nothing.
 */
export async function* packGzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const packing: Promise<Uint8Array>[] = [];
  // Two for each core, so that none waits for whoever writes.
  const most = 2 * availableParallelism();
  let checksum = 0;
  let size = 0;
  yield header;
  try {
    for await (const block of blocksOf(chunks)) {
      checksum = crc32(block, checksum);
      size += block.length;
      if (packing.length >= most) yield await (packing.shift() as Promise<Uint8Array>);
      const packed = packBlock(block);
      // Whoever waits for it is told.
      packed.catch(() => undefined);
      packing.push(packed);
    }
    for (const packed of packing) yield await packed;
  } finally {
    // Nothing is at work any more on a thread of ours, whoever stopped.
    await Promise.allSettled(packing);
  }
  yield lastBlock;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield trailer;
}

/** Blocks of deflate that end with a whole byte, and are not the last. */
async function packBlock(block: Uint8Array): Promise<Uint8Array> {
  if (!(await saves(block))) return storeBlock(block);
  // In one piece: by itself, zlib hands over 16 KiB at a time.
  return deflate(block, { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: blockSize });
}

/** RFC 1951, 3.2.4: as it is, behind its length and that in one's complement. */
function storeBlock(block: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < block.length; at += maxStored) {
    const part = block.subarray(at, at + maxStored);
    const start = Buffer.alloc(5);
    start.writeUInt16LE(part.length, 1);
    start.writeUInt16LE(0xffff - part.length, 3);
    parts.push(start, part);
  }
  return Buffer.concat(parts);
}

async function saves(block: Uint8Array): Promise<boolean> {
  const step = Math.floor(block.length / samples.count);
  const starts = Array.from({ length: samples.count }, (_each, index) => index * step);
  const sample = Buffer.concat(starts.map((start) => block.subarray(start, start + Math.min(step, samples.size))));
  return (await deflate(sample)).length < sample.length * (1 - worthwhile);
}

/** The same bytes in pieces of {@link blockSize}; the last one has what is left. */
async function* blocksOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      const part = rest.subarray(0, blockSize - length);
      rest = rest.subarray(part.length);
      parts.push(part);
      length += part.length;
      if (length < blockSize) continue;
      yield parts.length === 1 ? part : Buffer.concat(parts);
      parts = [];
      length = 0;
    }
  }
  if (length > 0) yield Buffer.concat(parts);
}
