import type { Ports, RegistryIdentities } from "@goldenpath/foundation/ports";
import type { Digest } from "./oci/digest.ts";
import type { Descriptor, Manifest } from "./oci/manifest.ts";
import type { Reference, Repository } from "./oci/reference.ts";

/**
 * The registry client: a small surface that base, scan, signing and promote share. Whatever it returns has been checked
 * against the digest asked for. Errors: `UserError` `image-not-found` (404 on a manifest), `registry-unauthorized`
 * (401/403), `reference-invalid` (neither tag nor digest), `docker-config-invalid`, `credential-helper-failed`;
 * `InfrastructureError` `registry-unreachable`, `registry-error` (408, 429 and 5xx after the retries, and any other
 * answer that is not the specification's), `tag-immutable`, `quota-exceeded`, `registry-read-only`, `tag-moved`,
 * `digest-mismatch`, `manifest-invalid`, `too-large`, `blob-not-found`, `redirect-refused`, `realm-refused` and
 * `token-invalid` (a registry that leads where it may not), `certificate-untrusted`, `client-certificate-refused`,
 * `aborted`; of this machine's settings `UserError` `host-settings-invalid`, `certificates-invalid`.
 */
export interface RegistryClient {
  /** Tag or digest → the manifest, its digest computed from the bytes. */
  fetchManifest(reference: Reference): Promise<Manifest>;
  /**
   * The digest behind a tag or digest, or undefined when there is none. Never trusts a digest header alone for anything
   * but "does it exist".
   */
  resolve(reference: Reference, options?: ResolveOptions): Promise<Digest | undefined>;
  /** A whole blob, verified, refused over `maxBytes`. */
  fetchBlob(repository: Repository, descriptor: Descriptor, maxBytes?: number): Promise<Uint8Array>;
  /** A blob as a stream; its end fails when the digest or the size is wrong. */
  openBlob(repository: Repository, descriptor: Descriptor): Promise<AsyncIterable<Uint8Array>>;
  hasBlob(repository: Repository, digest: Digest): Promise<boolean>;
  /** Nothing where it is there already. `content` opens the bytes from the start, each time that it is called. */
  pushBlob(
    repository: Repository,
    descriptor: Descriptor,
    content: () => AsyncIterable<Uint8Array> | Uint8Array,
    options?: TransferOptions,
  ): Promise<void>;
  /**
   * Brings a blob from one repository to another, in one registry by mount where it can, and else by streaming: nothing
   * touches the disk, both ends check the digest, and a connection that breaks is taken up where the registries let it.
   * What it was: there already, mounted, or copied.
   */
  copyBlob(from: Repository, to: Repository, descriptor: Descriptor, options?: TransferOptions): Promise<BlobTransfer>;
  /** True when the registry mounted the blob; false when it wants the bytes. */
  mountBlob(repository: Repository, digest: Digest, from: Repository): Promise<boolean>;
  /**
   * Puts a manifest under its digest, or under a tag (or a digest of another algorithm, which has to be its own); where
   * it has a `subject`, the referrers list of that subject has it afterwards, by API or by fallback tag.
   */
  pushManifest(repository: Repository, bytes: Uint8Array, mediaType: string, tag?: string): Promise<Digest>;
  /**
   * Referrers pushed together, each under its digest: one after another for one subject, several subjects at a time, so
   * in no order between subjects. Where the registry has no referrers API, each subject's list is written once for all
   * of them, and the waits for other writers pass together: what a promotion pushes of one image takes one such wait.
   * Not atomic: some may be there and not in the list when it fails; pushing all of them again mends that.
   */
  pushReferrers(repository: Repository, manifests: readonly ManifestContent[]): Promise<void>;
  /** What a tag points at, in one request; to be handed to {@link setTag} by who sets it right after. */
  readTag(repository: Repository, tag: string): Promise<SeenTag>;
  /**
   * Points a tag at a manifest, given that it points at `expected` (`undefined`: that it is not there) or at that
   * manifest already, which is no write. Where the registry compares and sets (If-Match), nobody can come in between;
   * elsewhere it is looked at just before. `seen` is what {@link readTag} has just said: it saves that look, and is as
   * good where the registry compares; elsewhere it widens the time in which another writer goes unnoticed, so nothing
   * long comes between.
   * @throws InfrastructureError `tag-moved`, `tag-immutable`
   */
  setTag(
    repository: Repository,
    tag: string,
    manifest: ManifestContent,
    expected: Digest | undefined,
    seen?: SeenTag,
  ): Promise<"set" | "unchanged">;
  /**
   * The digests of the manifests that say they refer to `subject`, from the referrers API, or from the fallback tag
   * where the API is missing or empty. `artifactType` is the server's word: fetch each manifest before believing it.
   */
  listReferrers(repository: Repository, subject: Digest, options?: ListOptions): Promise<Descriptor[]>;
  listTags(repository: Repository): Promise<string[]>;
  /**
   * What the registry's catalogue lists.
   * @param below the repository or parent that it is asked for, in messages
   * @throws UserError `catalog-unavailable`
   */
  listRepositories(below: Repository): Promise<Repository[]>;
  /** Deletes a manifest and the tags that point at it; false where the registry does not delete, or not for us. */
  deleteManifest(repository: Repository, digest: Digest): Promise<boolean>;
  /** What went over the wire so far; reports and benchmarks print it. */
  readonly traffic: Readonly<Traffic>;
  close(): Promise<void>;
}

/** A manifest as it goes over the wire; every {@link Manifest} is one. */
export type ManifestContent = Pick<Manifest, "bytes" | "mediaType" | "digest">;

/**
 * A tag as it was seen: the digest of what is there, undefined when nothing is, and the registry's ETag where it sends
 * one.
 */
export interface SeenTag {
  digest: Digest | undefined;
  etag?: string;
}

export interface ResolveOptions {
  /**
   * It was there a moment ago: a HEAD that says otherwise is asked again as a GET, since some registries have no HEAD
   * and say 404.
   */
  wasThere?: boolean;
}

export interface ListOptions {
  /**
   * False: the repository's list of tags was just read, and has no fallback tag of this subject, so that it is not
   * asked for.
   */
  hasFallbackTag?: boolean;
  /**
   * What is wanted of a list that the registry makes by itself, from the manifests that it has. It is not asked about a
   * list under a tag: there whoever may push writes what each entry says.
   */
  choose?(listed: readonly Descriptor[]): readonly Descriptor[];
}

export interface TransferOptions {
  /** Bytes of content as they go out; those of a try that failed count as well. */
  onBytes?: (bytes: number) => void;
  /** Somebody has just asked, and it was not there: it is not asked for again before the first try. */
  isMissing?: boolean;
}

export type BlobTransfer = "present" | "mounted" | "copied";

/** How one registry host is spoken to: the policy's `registries.hosts`. */
export interface HostSettings {
  /** Certificates in PEM that are trusted for this host besides those that Node trusts. */
  ca?: string;
  /** The host's certificate is not checked. Not the same as plain http, which this does not allow. */
  skipVerify?: boolean;
  /** Requests to this host that are on their way at the same time. */
  connections?: number;
}

export interface Traffic {
  requests: number;
  bytesReceived: number;
  bytesSent: number;
}

export interface RegistryClientOptions {
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  /** Hosts (`host[:port]`) spoken to over plain http besides localhost: the policy's `registries.plainHttp`. */
  plainHttp?: readonly string[];
  /** By host (`host[:port]`). */
  hosts?: Readonly<Record<string, HostSettings>>;
  /** How often one request is tried in all. */
  attempts?: number;
  /** A connection or a body on which nothing moves for so long is given up. Milliseconds. */
  stallTimeout?: number;
  /** Logins of this job's own making, asked before those that `docker login` left. */
  identities?: Pick<RegistryIdentities, "find">;
}
