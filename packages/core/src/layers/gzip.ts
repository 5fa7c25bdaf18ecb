import { crc32, createInflateRaw } from "node:zlib";
import { type ByteReader, createExpander, MalformedLayer } from "./bytes.ts";

/**
 * Compressed bytes that are given to zlib at once: what they can become (a thousand times as much) is in memory before
 * it is counted.
 */
const pieceSize = 16 * 1024;

const flag = { headerChecksum: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 };

/**
 * gzip (RFC 1952) → what it holds: every member, one after the other, up to the end. Node's own reader passes over
 * whatever follows the last member in silence; here that is no gzip, as it is none for Go's. Checksum and size of each
 * member are checked.
 * @throws MalformedLayer
 */
export async function* expandGzip(reader: ByteReader): AsyncGenerator<Uint8Array> {
  do {
    await skipHeader(reader);
    yield* expandMember(reader);
  } while (!(await reader.isAtEnd()));
}

async function skipHeader(reader: ByteReader): Promise<void> {
  const read: Uint8Array[] = [];
  const take = async (count: number): Promise<Uint8Array> => {
    const bytes = await reader.exactly(count);
    read.push(bytes);
    return bytes;
  };
  const takeText = async (): Promise<void> => {
    for (let length = 0; (await take(1))[0] !== 0; length += 1)
      if (length > 64 * 1024) throw new MalformedLayer("a gzip header has no end");
  };
  const [magic1, magic2, method, flags = 0] = await take(10);
  if (magic1 !== 0x1f || magic2 !== 0x8b) {
    throw new MalformedLayer(
      reader.position <= 10 ? "it is not gzip" : "after the end of its gzip stream there is something else",
    );
  }
  if (method !== 8 || (flags & flag.reserved) !== 0) throw new MalformedLayer("a gzip header is of an unknown kind");
  if ((flags & flag.extra) !== 0) {
    const [low = 0, high = 0] = await take(2);
    await take(low + high * 256);
  }
  if ((flags & flag.name) !== 0) await takeText();
  if ((flags & flag.comment) !== 0) await takeText();
  if ((flags & flag.headerChecksum) !== 0) {
    const stated = Buffer.from(await reader.exactly(2)).readUInt16LE();
    if (stated !== (crc32(Buffer.concat(read)) & 0xffff))
      throw new MalformedLayer("the checksum of a gzip header is wrong");
  }
}

async function* expandMember(reader: ByteReader): AsyncGenerator<Uint8Array> {
  const inflate = createExpander(createInflateRaw({ chunkSize: 256 * 1024 }));
  let checksum = 0;
  let size = 0;
  let given = 0;
  try {
    for (;;) {
      const piece = await reader.some(pieceSize);
      if (piece.length === 0) throw new MalformedLayer("it ends in the middle");
      given += piece.length;
      for (const chunk of await inflate.write(piece)) {
        checksum = crc32(chunk, checksum);
        size += chunk.length;
        yield chunk;
      }
      // Only at the end of the member is something left over, and where the piece ends with it, all of the next one is.
      const unused = given - inflate.bytesWritten();
      if (unused === 0) continue;
      reader.unread(piece.subarray(piece.length - unused));
      break;
    }
  } finally {
    inflate.destroy();
  }
  const trailer = Buffer.from(await reader.exactly(8));
  if (trailer.readUInt32LE(0) !== checksum || trailer.readUInt32LE(4) !== size % 2 ** 32) {
    throw new MalformedLayer("the checksum of its gzip stream is wrong");
  }
}
