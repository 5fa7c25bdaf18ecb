import type { Digest } from "@goldenpath/registry-client/oci/digest";

/**
 * What a layer's bytes have to be and are not: one that readers could take for different things, or that ends in the
 * middle. Its reader says which layer.
 */
export class MalformedLayer extends Error {
  /** What the layer unpacks to all the same, where it is the archive that is malformed and not its compression. */
  diffId: Digest | undefined;
}

/** A name or a link that no runtime could unpack where it says. */
export class UnsafeEntry extends MalformedLayer {}

/**
 * Bytes that come in chunks of any size, read as a format needs them. Each chunk is asked for when it is needed, so
 * whoever reads slowly is sent slowly.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  /** All that was read and not put back. */
  position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return true;
      this.#rest = value;
    }
    return false;
  }

  /** As many bytes as are at hand, at least one and no more than `most`; none at the end. */
  async some(most: number): Promise<Uint8Array> {
    if (await this.isAtEnd()) return this.#rest;
    return this.#take(Math.min(most, this.#rest.length));
  }

  /** @throws MalformedLayer where fewer are left */
  async exactly(count: number): Promise<Uint8Array> {
    if (this.#rest.length >= count) return this.#take(count);
    const whole = new Uint8Array(count);
    for (let filled = 0; filled < count; ) {
      const part = await this.some(count - filled);
      if (part.length === 0) throw new MalformedLayer("it ends in the middle");
      whole.set(part, filled);
      filled += part.length;
    }
    return whole;
  }

  /** The next bytes, which stay to be read: fewer than `count` only where no more are left. */
  async peek(count: number): Promise<Uint8Array> {
    while (this.#rest.length < count) {
      const { done, value } = await this.#source.next();
      if (done === true) break;
      this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
    }
    return this.#rest.subarray(0, count);
  }

  /** Puts back what was the last to be read. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([bytes, this.#rest]);
    this.position -= bytes.length;
  }

  /** Passes over all that is left. */
  async drain(): Promise<void> {
    while (!(await this.isAtEnd())) await this.some(Number.MAX_SAFE_INTEGER);
  }

  /** Tells the source that nobody will read on. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #take(count: number): Uint8Array {
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    this.position += count;
    return taken;
  }
}

/**
 * Runs a decompressor of zlib over the pieces that it is given, and yields what came of each; `bytesWritten` tells what
 * it has taken.
 */
export interface Expander {
  write(piece: Uint8Array): Promise<readonly Uint8Array[]>;
  end(): Promise<readonly Uint8Array[]>;
  bytesWritten(): number;
  destroy(): void;
}

export function createExpander(
  stream: NodeJS.ReadWriteStream & { bytesWritten: number; destroy(): unknown },
): Expander {
  let output: Uint8Array[] = [];
  let pending: { resolve(chunks: Uint8Array[]): void; reject(error: Error): void } | undefined;
  let failure: MalformedLayer | undefined;
  const settle = (): void => {
    const waiting = pending;
    pending = undefined;
    if (failure === undefined) {
      waiting?.resolve(output);
      output = [];
    } else waiting?.reject(failure);
  };
  stream.on("data", (chunk: Uint8Array) => output.push(chunk));
  stream.on("end", settle);
  // After an error zlib calls nobody back who still waits for a write.
  stream.on("error", (error) => {
    failure ??= new MalformedLayer(error.message);
    settle();
  });
  const whenDone = (start: () => void): Promise<Uint8Array[]> =>
    new Promise((resolve, reject) => {
      pending = { resolve, reject };
      if (failure === undefined) start();
      else settle();
    });
  return {
    write: (piece) => whenDone(() => void stream.write(piece, settle)),
    end: () => whenDone(() => void stream.end()),
    bytesWritten: () => stream.bytesWritten,
    destroy: () => void stream.destroy(),
  };
}
