import type { Readable } from "node:stream";
import type { Algorithm, Digest } from "./grammar.ts";

/** What a repository keeps of a manifest beside its bytes: enough to serve it and to list it as a referrer. */
export interface ManifestRecord {
  mediaType: string;
  /** Bytes. */
  size: number;
  subject?: Digest;
  artifactType?: string;
  annotations?: Record<string, string>;
}

/**
 * One repository: which content it holds, and what its tags point to. The content itself is shared by all repositories.
 */
export interface RepositoryState {
  /** Digest → size in bytes. */
  blobs: Map<Digest, number>;
  manifests: Map<Digest, ManifestRecord>;
  tags: Map<string, Digest>;
}

/**
 * A blob on its way in. Bytes that arrived stay when the connection breaks, so that the client can go on from there.
 */
export interface Upload {
  readonly size: number;
  /**
   * Adds a body's bytes. Rejects with the body's error when it breaks off; what came before is kept.
   * @param limit the most bytes to take; more reject with `BodyTooLongError`, the first `limit` are kept.
   */
  append(body: AsyncIterable<Uint8Array>, limit?: number): Promise<void>;
  /** The digest of all bytes so far. */
  digest(algorithm: Algorithm): Promise<Digest>;
  /** Makes the bytes the content of `digest`, which the caller has compared. The upload is gone afterwards. */
  commit(digest: Digest): Promise<void>;
  discard(): Promise<void>;
}

/** Where bytes and repositories live. Callers serialise what changes content or repositories. */
export interface Store {
  loadRepositories(): Promise<Map<string, RepositoryState>>;
  /** Absent where nothing is to outlive the process: a change is then made in place. */
  saveRepository?(name: string, state: RepositoryState): Promise<void>;
  createUpload(id: string, algorithm: Algorithm): Promise<Upload>;
  writeContent(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** The bytes from `start` up to and without `end`, or undefined when there is no such content. */
  openContent(digest: Digest, start: number, end: number): Promise<Readable | Uint8Array | undefined>;
  readContent(digest: Digest): Promise<Uint8Array | undefined>;
  removeContent(digest: Digest): Promise<void>;
}

export class BodyTooLongError extends Error {}

export function createRepositoryState(): RepositoryState {
  return { blobs: new Map(), manifests: new Map(), tags: new Map() };
}
