import { createZstdDecompress } from "node:zlib";
import { type ByteReader, createExpander, MalformedLayer } from "./bytes.ts";

const frameMagic = 0xfd2fb528;
/** 16 of them: `0x184D2A50` to `0x184D2A5F`. */
const skippableMagic = 0x184d2a5;

/** A block becomes 128 KiB at the most: so much is in memory before it is counted. */
const blocksAtOnce = 16;
const bytesAtOnce = 256 * 1024;
const maxBlock = 128 * 1024;

/**
 * Zstandard (RFC 8878) → what it holds: every frame, one after the other, up to the end; skippable frames are passed
 * over. Node's own reader stops after the first frame and drops the rest in silence, so frames are told apart here, by
 * their own headers.
 * @throws MalformedLayer
 */
export async function* expandZstd(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (let isFirst = true; isFirst || !(await reader.isAtEnd()); isFirst = false) {
    const start = Buffer.from(await reader.peek(4));
    const magic = start.length < 4 ? 0 : start.readUInt32LE();
    if (magic === frameMagic) yield* expandFrame(reader);
    else if (magic >>> 4 === skippableMagic) await skipFrame(reader);
    else
      throw new MalformedLayer(isFirst ? "it is not zstd" : "after the end of its zstd frames there is something else");
  }
}

async function skipFrame(reader: ByteReader): Promise<void> {
  const header = Buffer.from(await reader.exactly(8));
  for (let left = header.readUInt32LE(4); left > 0; ) {
    const passed = await reader.some(left);
    if (passed.length === 0) throw new MalformedLayer("it ends in the middle");
    left -= passed.length;
  }
}

async function* expandFrame(reader: ByteReader): AsyncGenerator<Uint8Array> {
  const expander = createExpander(createZstdDecompress());
  try {
    const { header, hasChecksum } = await readFrameHeader(reader);
    let pieces: Uint8Array[] = [header];
    let blocks = 0;
    let bytes = 0;
    for (let isLast = false; !isLast; ) {
      const block = await reader.exactly(3);
      const [low = 0, middle = 0, high = 0] = block;
      const value = low | (middle << 8) | (high << 16);
      isLast = (value & 1) === 1;
      const type = (value >> 1) & 3;
      const size = value >> 3;
      if (type === 3 || size > maxBlock) throw new MalformedLayer("a zstd block is of an unknown kind");
      // A block of one repeated byte states what it becomes, not what it has.
      const content = await reader.exactly(type === 1 ? 1 : size);
      pieces.push(block, content);
      blocks += 1;
      bytes += content.length;
      if (isLast && hasChecksum) pieces.push(await reader.exactly(4));
      if (!isLast && blocks < blocksAtOnce && bytes < bytesAtOnce) continue;
      yield* await expander.write(Buffer.concat(pieces));
      pieces = [];
      blocks = 0;
      bytes = 0;
    }
    yield* await expander.end();
  } finally {
    expander.destroy();
  }
}

async function readFrameHeader(reader: ByteReader): Promise<{ header: Uint8Array; hasChecksum: boolean }> {
  const start = await reader.exactly(5);
  const descriptor = start[4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw new MalformedLayer("a zstd frame is of an unknown kind");
  if ((descriptor & 0x03) !== 0) throw new MalformedLayer("a zstd frame needs a dictionary");
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const rest = await reader.exactly((isSingleSegment ? 0 : 1) + contentSize);
  return { header: Buffer.concat([start, rest]), hasChecksum: (descriptor & 0x04) !== 0 };
}
