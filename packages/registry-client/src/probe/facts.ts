import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import type { Digest } from "../oci/digest.ts";

/**
 * What the probe saw, before anybody judges it. Everything that a server said is in printable characters, cut short and
 * without the login's secrets by the time it is here.
 */
export interface Seen {
  /** The request, as a person would write it: `PUT manifests/TAG`. */
  asked: string;
  /** Absent where there was no answer. */
  status?: number;
  /** Why there was none, or why it can't be used: an error's code, `registry-unreachable`. */
  failure?: ErrorCode;
  /** The headers that say something about the registry, by lower-case name. */
  headers: Readonly<Record<string, string>>;
  /** The first of the answer's errors: `MANIFEST_UNKNOWN manifest unknown`. */
  problem?: string;
}

/** What reading something back gave: its bytes, others, nothing (404), or no answer that tells. */
export type Kept = "right" | "wrong" | "absent" | "unknown";

/** An answer to something that was sent, and what is there afterwards. */
export interface Stored {
  answer: Seen;
  kept: Kept;
}

export interface LoginKind {
  /** `bearer`, `basic`, … */
  scheme: string;
  realm?: string;
  service?: string;
}

export const manifestKinds = ["oci-image", "oci-index", "oci-artifact", "docker-image", "docker-list"] as const;
export type ManifestKind = (typeof manifestKinds)[number];

/** Absent: not asked, since that would have been a write, or since something that it rests on did not work. */
export interface ProbeFacts {
  /** `host[:port]` */
  registry: string;
  /** `https://host/v2/` */
  endpoint: string;
  /** The repository that was asked about, and written to. */
  repository: string;
  write: boolean;
  version: Seen;
  logins: readonly LoginKind[];
  /** The version endpoint again, as whoever is logged in. */
  login?: Seen;
  blobs?: BlobFacts;
  range?: RangeFacts;
  manifests?: ManifestFacts;
  referrers?: ReferrerFacts;
  tags?: TagFacts;
  conditions?: ConditionFacts;
  deletion?: DeletionFacts;
}

export interface BlobFacts {
  /** POST, then PUT with all bytes. */
  upload: Stored;
  /** POST with the digest and all bytes. */
  single?: Stored;
  chunks?: ChunkFacts;
  /** DELETE of an upload that was begun. */
  cancel?: { answer: Seen; after: Seen };
  /** Bytes under a digest that is not theirs. */
  wrongBytes?: Stored;
  sha512?: Stored;
  /** `source`: what the upload to the other repository got; without it there is nothing to mount. */
  mount?: { source: Stored; answer?: Seen; kept?: Kept };
}

export interface ChunkFacts {
  start: Seen;
  /** Bytes in the first chunk. */
  size: number;
  first?: Seen;
  /** GET of the upload, after the first chunk. */
  status?: Seen;
  second?: Seen;
  end?: Stored;
}

export interface RangeFacts {
  answer: Seen;
  /** The bytes that came: those asked for, the whole blob, others, or none. */
  bytes: "range" | "whole" | "other" | "none";
  /** Host and port that the bytes came from, where it is another than the registry's own. */
  redirectedTo?: string;
}

export interface ManifestFacts {
  kinds: Partial<Record<ManifestKind, Stored>>;
  /** One of 4 MiB. */
  large?: Stored;
  /** Under a digest that is not its own. */
  wrongDigest?: Stored;
  sha512?: Stored;
  /** One whose layer nobody has pushed. */
  missingBlob?: Stored;
  /** GET with If-None-Match and the ETag that was just given. */
  notModified?: { etag?: string; answer?: Seen };
}

export interface ReferrerFacts {
  /** PUT of a manifest with a subject. */
  push?: Seen;
  list: Seen;
  /** Is the list an index? */
  isIndex: boolean;
  /** Does it have what was pushed? */
  isListed?: boolean;
  /** The list, asked for one artifact type. */
  filtered?: Seen;
}

export interface TagFacts {
  list: Seen;
  /** How many of the tags that were set are in it, of how many. Without writing there are none. */
  found: number;
  set: number;
  /** Tags on the first page when one was asked for. */
  firstPage?: number;
  page?: Seen;
  /** Did the pages together have every tag that was set, in so many requests? */
  pagesFound?: number;
  pages?: number;
  /** A second PUT to one tag, with another manifest, and which of the two it shows then. */
  move?: { first: Seen; second: Seen; shows: "first" | "second" | "neither" };
}

export interface ConditionFacts {
  /** The tag's, before. */
  etag?: string;
  /** PUT of a new tag with `If-None-Match: *`. */
  create: Seen;
  /** PUT over it with an If-Match that names what it is not. */
  wrongMatch: Seen;
  /** PUT over it with `If-None-Match: *`. */
  noneMatch: Seen;
  /** PUT over it with the If-Match that is right. */
  rightMatch?: Seen;
  /** Did the tag show the first manifest still, after the refusals? */
  isUnmoved: boolean;
}

export interface DeletionFacts {
  tag?: { answer: Seen; after: Seen };
  manifest?: { answer: Seen; after: Seen };
  blob?: { answer: Seen; after: Seen };
}

/** Something that the probe put into the registry. */
export interface Made {
  kind: "tag" | "manifest" | "blob" | "upload";
  /** Repository name. */
  repository: string;
  /** The tag, the digest, or for an upload its URL, which is not shown. */
  reference: string;
  /** Of a tag: what it shows. */
  digest?: Digest;
}
