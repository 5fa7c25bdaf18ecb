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
  /** What was noted of it as it passed. */
  notes?: readonly ContentNote[];
}

/** What somebody looked for in a file and found, without the thing itself. */
export interface ContentNote {
  what: string;
  /** From 1. */
  line: number;
  /** The first 32 bits of its SHA-256, in hex. */
  hash: string;
}

/** Sees a file's content as it passes, piece by piece, in buffers that are used again. */
export interface ContentWatch {
  add(bytes: Uint8Array): void;
  end(): readonly ContentNote[];
}

/** What one layer of an image has, in the archive's order. */
export interface LayerContents {
  diffId: Digest;
  entries: LayerEntry[];
}

/** All that is kept of the files of one image: databases of packages have some 10 MB. Bytes. */
const maxKept = 256 * 1024 * 1024;

/** Of one layer's files: beyond, a file keeps its first alone, which tells as well that it has some. */
export const maxNotes = 5000;

/** Which files' content is kept, of all layers of an image together. */
export interface KeptContent {
  /** Counts what is about to be kept. @throws InfrastructureError `layers-too-large` */
  add(bytes: number): void;
  /** Of the paths whose content is wanted, the largest that is kept, in bytes; undefined for the others. */
  largestOf(path: string): number | undefined;
  /** Who looks at the content of a file while it is read. */
  watch?: (() => ContentWatch) | undefined;
}

/** @param largestOf as in {@link KeptContent}: what is larger keeps its beginning */
export function keepContent(
  largestOf: KeptContent["largestOf"] = () => undefined,
  watch?: KeptContent["watch"],
): KeptContent {
  let kept = 0;
  return {
    largestOf,
    watch,
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
  let room = 0;
  let current: LayerEntry | undefined;
  let watch: ContentWatch | undefined;
  let noted = 0;
  const begin = (entry: TarEntry): void => {
    current = { ...entry, contentDigest: "" };
    entries.push(current);
    hash = entry.kind === "file" ? createHash("sha256") : undefined;
    const largest = entry.kind === "file" ? kept.largestOf(entry.path) : undefined;
    chunks = largest === undefined ? undefined : [];
    room = largest ?? 0;
    watch = entry.kind === "file" ? kept.watch?.() : undefined;
  };
  const add = (bytes: Uint8Array): void => {
    hash?.update(bytes);
    watch?.add(bytes);
    if (chunks === undefined || room === 0) return;
    // The chunk may be part of a buffer that is used again.
    const own = Buffer.from(bytes.subarray(0, room));
    kept.add(own.length);
    room -= own.length;
    chunks.push(own);
  };
  const end = (): void => {
    if (current === undefined) return;
    if (hash !== undefined) current.contentDigest = hash.digest("hex");
    if (chunks !== undefined) current.content = Buffer.concat(chunks);
    const all = watch?.end() ?? [];
    const notes = noted + all.length > maxNotes ? all.slice(0, 1) : all;
    noted += notes.length;
    if (notes.length > 0) current.notes = notes;
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
