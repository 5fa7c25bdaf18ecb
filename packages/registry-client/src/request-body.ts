import type { Traffic } from "./client.ts";
import { runAsSource } from "./host-gate.ts";
import type { StallWatch } from "./stall.ts";

/** What is sent, of a known length in bytes; `open` starts it from the beginning each time it is called. */
export interface RequestBody {
  length: number;
  open(): AsyncIterable<Uint8Array>;
}

/** What failed was not the connection but where the content comes from, whose own error this carries. */
export class SourceFailure extends Error {}

/**
 * A body up to here is one write; a longer one goes in steps, so that a slow line is not taken for one that stands
 * still. Bytes.
 */
export const oneWrite = 64 * 1024;

/** Counts what is sent, and keeps the watch: while the source thinks, it is not the server that is silent. */
export async function* countBody(
  body: Uint8Array | RequestBody,
  host: string,
  traffic: Traffic,
  watch: StallWatch,
): AsyncGenerator<Uint8Array> {
  let source: AsyncIterator<Uint8Array> | undefined;
  let isDone = false;
  const failed = (cause: unknown): SourceFailure => new SourceFailure("the content could not be read", { cause });
  try {
    for (;;) {
      watch.disarm();
      let next: IteratorResult<Uint8Array>;
      try {
        next = await runAsSource(host, () => {
          source ??= (body instanceof Uint8Array ? slices(body) : body.open())[Symbol.asyncIterator]();
          return source.next();
        });
      } catch (error) {
        isDone = true;
        throw failed(error);
      }
      if (next.done === true) {
        isDone = true;
        break;
      }
      if (next.value.byteLength === 0) continue;
      traffic.bytesSent += next.value.byteLength;
      watch.arm();
      yield next.value;
      watch.disarm();
      watch.moved(next.value.byteLength);
    }
    watch.arm();
  } finally {
    // Whoever stops early (an answer that came before the end) has the source let go of what it holds.
    if (!isDone) await source?.return?.().catch(() => undefined);
  }
}

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += oneWrite) yield bytes.subarray(at, at + oneWrite);
}
