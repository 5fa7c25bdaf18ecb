import { createHash, type Hash } from "node:crypto";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { noteStreamed } from "./garbage.ts";
import { digestAlgorithm, digestHex } from "./oci/digest.ts";
import type { Descriptor } from "./oci/manifest.ts";

/** Where an upload's bytes come from. */
export interface BlobContent {
  /** Reads as the subject of a sentence: `blob sha256:… of quay.io/acme/shop`. */
  what: string;
  /**
   * The bytes from `offset` on, anew each time that it is called; what it opens is let go by the iterator's `return`.
   */
  openAt(offset: number): AsyncIterable<Uint8Array>;
}

/**
 * The content that a caller of the client has: it opens at its beginning only, so what comes before an offset is read
 * and left out.
 */
export function contentFrom(what: string, open: () => AsyncIterable<Uint8Array> | Uint8Array): BlobContent {
  async function* openAt(offset: number): AsyncGenerator<Uint8Array> {
    const content = open();
    if (content instanceof Uint8Array) {
      yield content.subarray(offset);
      return;
    }
    let skip = offset;
    for await (const chunk of content) {
      if (chunk.byteLength > skip) yield skip === 0 ? chunk : chunk.subarray(skip);
      skip = Math.max(skip - chunk.byteLength, 0);
    }
  }
  return { what, openAt };
}

export interface VerifiedContent {
  /**
   * Bytes `start` to `end`, `end` excluded. The last bytes of the blob are given out only when all of them are known to
   * be right. Reading on where the last read ended goes on in the same opened content; anything else opens it again,
   * near `start`.
   * @throws InfrastructureError `digest-mismatch`; what the content throws
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /** How many bytes, from the first on, have been given out. */
  given(): number;
  /** Was this error the content's own? */
  isOwnFailure(error: unknown): boolean;
  close(): Promise<void>;
}

/** The state of the hash once `offset` bytes have gone into it. */
interface Checkpoint {
  offset: number;
  hash: Hash;
}

interface Cursor {
  source: AsyncIterator<Uint8Array>;
  /** So many bytes are in the hash. */
  at: number;
  hash: Hash;
  /** The next checkpoint that will be passed. */
  next: number;
  /** What is hashed and not given out yet: it ends at `at`. */
  rest: Uint8Array;
}

/** A larger piece would look like a standing connection to who watches one. Bytes. */
const maxPiece = 256 * 1024;
/** So far apart is the hash's state kept, and at most so many times. */
const checkpointDistance = 8 * 1024 * 1024;
const maxCheckpoints = 256;
const nothing = new Uint8Array();

/** What is known of a content so far. */
interface Reading {
  readonly content: BlobContent;
  readonly descriptor: Descriptor;
  /** Between two checkpoints. Bytes. */
  readonly distance: number;
  readonly checkpoints: [Checkpoint, ...Checkpoint[]];
  /** Where the last read ended. A read that is under way has its own. */
  resting: Cursor | undefined;
}

/**
 * Content of which any part can be read again, hashed once: to go on from an offset it is opened near that offset,
 * where the hash's state was kept. What is read a second time has to be what it was the first time, so that size and
 * digest are those of exactly what has been given out.
 */
export function createVerifiedContent(
  content: BlobContent,
  descriptor: Descriptor,
  onBytes?: (bytes: number) => void,
): VerifiedContent {
  const reading: Reading = {
    content,
    descriptor,
    distance: Math.max(checkpointDistance, Math.ceil(descriptor.size / maxCheckpoints)),
    checkpoints: [{ offset: 0, hash: createHash(digestAlgorithm(descriptor.digest)) }],
    resting: undefined,
  };
  const failures = new WeakSet<object>();
  let given = 0;

  async function* read(start: number, end: number): AsyncGenerator<Uint8Array> {
    let cursor: Cursor | undefined;
    let position = start;
    try {
      cursor = await takeCursor(reading, start);
      if (descriptor.size === 0) await checkEnd(reading, cursor);
      while (position < end) {
        if (cursor.rest.byteLength === 0) await fill(reading, cursor, position);
        const piece = takePiece(cursor, Math.min(end - position, maxPiece));
        position += piece.byteLength;
        given = Math.max(given, position);
        noteStreamed(piece.byteLength);
        onBytes?.(piece.byteLength);
        yield piece;
      }
    } catch (error) {
      if (typeof error === "object" && error !== null) failures.add(error);
      throw error;
    } finally {
      if (position === end && reading.resting === undefined) reading.resting = cursor;
      else if (cursor !== undefined) await letGo(reading, cursor);
    }
  }

  return {
    read,
    given: () => given,
    isOwnFailure: (error) => typeof error === "object" && error !== null && failures.has(error),
    async close() {
      const last = reading.resting;
      reading.resting = undefined;
      await last?.source.return?.();
    },
  };
}

async function takeCursor(reading: Reading, start: number): Promise<Cursor> {
  const { content, checkpoints, resting: last } = reading;
  reading.resting = undefined;
  if (last !== undefined && last.at - last.rest.byteLength === start) return last;
  if (last !== undefined) await letGo(reading, last);
  const index = checkpoints.findLastIndex((checkpoint) => checkpoint.offset <= start);
  const { offset, hash } = checkpoints[index] ?? checkpoints[0];
  return {
    source: content.openAt(offset)[Symbol.asyncIterator](),
    at: offset,
    hash: hash.copy(),
    next: index + 1,
    rest: nothing,
  };
}

/** The next bytes of what is hashed, `most` at the most. */
function takePiece(cursor: Cursor, most: number): Uint8Array {
  const { rest } = cursor;
  if (rest.byteLength <= most) {
    cursor.rest = nothing;
    return rest;
  }
  cursor.rest = rest.subarray(most);
  return rest.subarray(0, most);
}

async function letGo(reading: Reading, cursor: Cursor): Promise<void> {
  keepState(reading, cursor, 1);
  await cursor.source.return?.();
}

function keepState({ checkpoints }: Reading, cursor: Cursor, atLeast: number): void {
  const last = checkpoints.at(-1) ?? checkpoints[0];
  if (cursor.at - last.offset < atLeast) return;
  checkpoints.push({ offset: cursor.at, hash: cursor.hash.copy() });
  cursor.next = checkpoints.length;
}

/** Brings bytes into `cursor.rest`, the first of which is the one at `position`. */
async function fill(reading: Reading, cursor: Cursor, position: number): Promise<void> {
  const { size } = reading.descriptor;
  while (cursor.rest.byteLength === 0) {
    const next = await cursor.source.next();
    if (next.done === true) throw mismatch(reading, `it has ${cursor.at} bytes, not ${size}`);
    if (cursor.at + next.value.byteLength > size) throw mismatch(reading, `it has more than ${size} bytes`);
    const begin = cursor.at;
    hashChunk(reading, cursor, next.value);
    if (cursor.at === size && next.value.byteLength > 0) await checkEnd(reading, cursor);
    if (cursor.at > position) cursor.rest = begin < position ? next.value.subarray(position - begin) : next.value;
  }
}

function hashChunk(reading: Reading, cursor: Cursor, chunk: Uint8Array): void {
  const { checkpoints } = reading;
  let from = 0;
  for (; ; cursor.next++) {
    const known = checkpoints[cursor.next];
    if (known === undefined || known.offset > cursor.at + chunk.byteLength - from) break;
    // Kept by another read, while this one was further on.
    if (known.offset <= cursor.at) continue;
    const upTo = from + known.offset - cursor.at;
    cursor.hash.update(chunk.subarray(from, upTo));
    cursor.at = known.offset;
    from = upTo;
    if (hexOf(cursor.hash) !== hexOf(known.hash))
      throw mismatch(reading, "it has other bytes each time that it is read");
  }
  cursor.hash.update(from === 0 ? chunk : chunk.subarray(from));
  cursor.at += chunk.byteLength - from;
  if (cursor.next >= checkpoints.length) keepState(reading, cursor, reading.distance);
}

async function checkEnd(reading: Reading, cursor: Cursor): Promise<void> {
  const { digest, size } = reading.descriptor;
  for (let next = await cursor.source.next(); next.done !== true; next = await cursor.source.next()) {
    if (next.value.byteLength > 0) throw mismatch(reading, `it has more than ${size} bytes`);
  }
  const hex = hexOf(cursor.hash);
  if (hex !== digestHex(digest)) throw mismatch(reading, `its bytes have the digest ${digestAlgorithm(digest)}:${hex}`);
}

function mismatch({ content }: Reading, why: string): InfrastructureError {
  return new InfrastructureError(`${content.what} is something else than its descriptor says: ${why}`, {
    code: "digest-mismatch",
    safeToRetry: false,
  });
}

function hexOf(hash: Hash): string {
  return hash.copy().digest("hex");
}
