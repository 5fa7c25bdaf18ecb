import { createHash, type Hash } from "node:crypto";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { TarEntry, TarEvent } from "./tar.ts";

/** An entry of a layer, with what is in it. */
export interface LayerEntry extends TarEntry {
  /** SHA-256 of a file's content; empty for everything else. */
  contentDigest: string;
  /** The content itself, of the files that were asked for. */
  content?: Uint8Array;
}

/** What one layer of an image has, in the archive's order. */
export interface LayerContents {
  diffId: Digest;
  entries: LayerEntry[];
}

/** All that is kept of the files of one image: databases of packages have some 10 MB. Bytes. */
const maxKept = 256 * 1024 * 1024;

/** Which files' content is kept, of all layers of an image together. */
export interface KeptContent {
  /** Counts what is about to be kept. @throws InfrastructureError `layers-too-large` */
  add(bytes: number): void;
  /** True for the paths whose content is wanted. */
  isWanted(path: string): boolean;
}

export function keepContent(isWanted: (path: string) => boolean = () => false): KeptContent {
  let kept = 0;
  return {
    isWanted,
    add(bytes) {
      kept += bytes;
      if (kept <= maxKept) return;
      throw new InfrastructureError(
        `the package databases and tables of contents of the image have more than ${maxKept} bytes`,
        {
          code: "layers-too-large",
          safeToRetry: false,
          wayOut: "Make the image smaller.",
        },
      );
    },
  };
}

/** Collects the entries of one layer as it is read; each file's content is hashed on the way. */
export function createCollector(kept: KeptContent): { entries: LayerEntry[]; take(events: Iterable<TarEvent>): void } {
  const entries: LayerEntry[] = [];
  let hash: Hash | undefined;
  let chunks: Uint8Array[] | undefined;
  let current: LayerEntry | undefined;
  const begin = (entry: TarEntry): void => {
    current = { ...entry, contentDigest: "" };
    entries.push(current);
    hash = entry.kind === "file" ? createHash("sha256") : undefined;
    chunks = entry.kind === "file" && kept.isWanted(entry.path) ? [] : undefined;
  };
  const add = (bytes: Uint8Array): void => {
    hash?.update(bytes);
    if (chunks === undefined) return;
    kept.add(bytes.length);
    // The chunk may be part of a buffer that is used again.
    chunks.push(Buffer.from(bytes));
  };
  const end = (): void => {
    if (current === undefined) return;
    if (hash !== undefined) current.contentDigest = hash.digest("hex");
    if (chunks !== undefined) current.content = Buffer.concat(chunks);
  };
  return {
    entries,
    take(events) {
      for (const event of events) {
        if (event.kind === "entry") begin(event.entry);
        else if (event.kind === "content") add(event.bytes);
        else end();
      }
    },
  };
}
