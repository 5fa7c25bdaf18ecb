import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { Digest } from "./grammar.ts";
import { BodyTooLongError, type Store, type Upload } from "./store.ts";

/** Everything in memory, for tests and short demos; gone with the process. */
export function createMemoryStore(): Store {
  const contents = new Map<Digest, Buffer>();

  const createUpload = (): Upload => {
    let chunks: Uint8Array[] = [];
    let size = 0;
    const discard = () => {
      chunks = [];
      size = 0;
    };
    return {
      get size() {
        return size;
      },
      async append(body, limit = Number.POSITIVE_INFINITY) {
        const end = size + limit;
        for await (const chunk of body) {
          const room = end - size;
          const taken = chunk.byteLength > room ? chunk.subarray(0, room) : chunk;
          chunks.push(taken);
          size += taken.byteLength;
          if (taken !== chunk) throw new BodyTooLongError(`the body is longer than ${limit} bytes`);
        }
      },
      async digest(algorithm) {
        const hash = createHash(algorithm);
        for (const chunk of chunks) hash.update(chunk);
        return `${algorithm}:${hash.digest("hex")}`;
      },
      async commit(digest) {
        if (!contents.has(digest)) contents.set(digest, Buffer.concat(chunks));
        discard();
      },
      async discard() {
        discard();
      },
    };
  };

  return {
    loadRepositories: async () => new Map(),
    createUpload: async () => createUpload(),
    async writeContent(digest, bytes) {
      contents.set(digest, Buffer.from(bytes));
    },
    async openContent(digest, start, end) {
      const content = contents.get(digest);
      if (content === undefined) return undefined;
      const asked = content.subarray(start, end);
      return asked.byteLength <= pieceBytes ? asked : Readable.from(slice(asked), { objectMode: false });
    },
    readContent: async (digest) => contents.get(digest),
    async removeContent(digest) {
      contents.delete(digest);
    },
  };
}

/** What goes out at once. */
const pieceBytes = 64 * 1024;

/** In pieces, so that a slow reader holds up the writer as it would with a file. */
function* slice(content: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < content.byteLength; offset += pieceBytes)
    yield content.subarray(offset, offset + pieceBytes);
}
