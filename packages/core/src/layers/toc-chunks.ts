import { createHash, type Hash } from "node:crypto";
import { MalformedLayer } from "./bytes.ts";
import type { TarEvent } from "./tar.ts";
import type { TocChunk, TocChunks } from "./toc.ts";

/**
 * Compares the parts of files that a table of contents tells with the archive's own bytes, as the archive is read once
 * more: a runtime takes each part by the digest that the table has for it.
 * @throws MalformedLayer where a part is another one
 */
export function createChunkChecker(chunks: TocChunks): { take(events: Iterable<TarEvent>): void } {
  let index = -1;
  let waiting: readonly TocChunk[] = [];
  let hash: Hash | undefined;
  let left = 0;
  const begin = (): void => {
    left = waiting[0]?.size ?? 0;
    hash = waiting[0]?.digest === undefined ? undefined : createHash("sha256");
  };
  const add = (bytes: Uint8Array): void => {
    for (let rest = bytes; rest.length > 0 && waiting.length > 0; ) {
      const part = rest.subarray(0, left);
      rest = rest.subarray(part.length);
      left -= part.length;
      if (hash === undefined && part.some((byte) => byte !== 0)) throw different();
      hash?.update(part);
      if (left > 0) continue;
      if (hash !== undefined && `sha256:${hash.digest("hex")}` !== waiting[0]?.digest) throw different();
      waiting = waiting.slice(1);
      begin();
    }
  };
  return {
    take(events) {
      for (const event of events) {
        if (event.kind === "content") add(event.bytes);
        else if (event.kind === "entry") {
          index += 1;
          waiting = chunks.get(index) ?? [];
          begin();
        }
      }
    },
  };
}

function different(): MalformedLayer {
  return new MalformedLayer("its table of contents tells another content of a file's part than its archive");
}
