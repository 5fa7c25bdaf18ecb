import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor, ImageManifest } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";

/** What a policy says of caches: none are read or written, any of the repository's, or those that are attested. */
export const cacheModes = ["none", "unverified", "verified"] as const;
export type CacheMode = (typeof cacheModes)[number];

/** What an image was built from, as two SHA-256 in hex: all that the job has at hand, and the images, by their digests. */
export interface BuiltFrom {
  given: string;
  images: string;
}

/** A whole image that a build left. */
export interface CachedImage extends BuiltFrom {
  /** Of what was pushed: an index, or the image itself. */
  digest: Digest;
  /** Of the one image in it that runs. */
  child: Digest;
}

/** What an earlier build left, and counts for this one. Its bytes are held to its digest as they are read. */
export interface FoundCache {
  reference: PinnedReference;
  manifest: ImageManifest;
  /** The image of the build that left it, where that was a run of this very writer with the same lock files. */
  image?: CachedImage | undefined;
  /** @throws the client's errors */
  open(blob: Descriptor): Promise<AsyncIterable<Uint8Array>>;
  read(blob: Descriptor, maxBytes: number): Promise<Uint8Array>;
}

/** What a build leaves for later ones, in the format of the program that builds. */
export interface CacheParts {
  config: { mediaType: string; bytes: Uint8Array };
  layers: readonly CacheLayer[];
}

export interface CacheLayer {
  descriptor: Descriptor;
  /** From the beginning each time; undefined for what the cache that was found has, and so its repository. */
  open: (() => AsyncIterable<Uint8Array>) | undefined;
}

/** The cache of one build: the half that a strategy sees. */
export interface BuildCache {
  found: FoundCache | undefined;
  /** Whether what is left is kept at all: else nothing need be written down for it. */
  isKept: boolean;
  /** What was found can't be used after all: the build goes on without, and the result says why. */
  giveUp(why: unknown): void;
  /**
   * Keeps what the build left; that it can't be kept is said, and fails nothing.
   * @param image of the build, once it is pushed; undefined where there is none that could be taken again
   */
  keep(gather: () => Promise<CacheParts | undefined>, image?: Promise<CachedImage | undefined>): Promise<void>;
  /** What was found is all that is kept: nothing was built. */
  keepFound(): Promise<void>;
}
