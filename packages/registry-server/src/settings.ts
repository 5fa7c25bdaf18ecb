import { type ErrorCode, refuse } from "./errors.ts";
import { type Digest, isWithinPrefix } from "./grammar.ts";

/**
 * What a registry serves and what it refuses: the differences between real registries that a client has to live with.
 * Each can be changed while the server runs (`server.settings`), and holds for the requests that come afterwards.
 */
export interface RegistrySettings {
  /** False: no referrers API and no `OCI-Subject`, so clients use the fallback tag (as with CNCF distribution). */
  referrers: boolean;
  /** Repositories, and what is under them, that are read-only for everyone: 403 DENIED. */
  readOnlyPrefixes: string[];
  /** True: no writes at all, as in maintenance: 405. */
  readOnly: boolean;
  /** The most entries on one page of tags, repositories and referrers. Undefined: as many as the client wants. */
  pageSize: number | undefined;
  /** Tags that can be set once, and neither moved nor deleted. Setting one to what it is already is taken. */
  immutableTags: ImmutableTags[];
  /** What fits into repositories. */
  quotas: Quota[];
  /** False: a mount is answered with 202, the start of an upload. */
  mount: boolean;
  /** False: the whole blob is sent, whatever range was asked for. */
  ranges: boolean;
  /** False: an upload cannot be asked where it is, and is gone once a request on it breaks off. */
  uploadResume: boolean;
  /**
   * False: `If-Match` and `If-None-Match` of a PUT or DELETE are not read (as with all hosted registries that are
   * known).
   */
  conditions: boolean;
  /** True: a tag `sha256-<hex>` that is not there leads to the manifest of that digest (as with GitLab). */
  digestTags: boolean;
  /** False: no ETag is sent. */
  etags: boolean;
  /** Every answer begins so much later. Milliseconds. */
  latency: number;
  /** More requests in one second get 429 with `Retry-After: 1`. Undefined: no limit. */
  requestsPerSecond: number | undefined;
}

export interface ImmutableTags {
  /** A regular expression (its source, or the object), found anywhere in `NAME:TAG`: `"^vetted/.*:v"`. */
  match: string | RegExp;
  /** How the refusal is put; absent: DENIED with 403, in words of this registry's own. */
  like?: "ecr" | "harbor" | "acr" | "quay" | "nexus";
}

export interface Quota {
  /** The repository itself, or what is under it. */
  prefix: string;
  /** For the blobs and manifests of all of them together, each counted once. */
  bytes: number;
}

const defaults: RegistrySettings = {
  referrers: true,
  readOnlyPrefixes: [],
  readOnly: false,
  pageSize: undefined,
  immutableTags: [],
  quotas: [],
  mount: true,
  ranges: true,
  uploadResume: true,
  conditions: true,
  digestTags: false,
  etags: true,
  latency: 0,
  requestsPerSecond: undefined,
};

export function createSettings(given: Partial<RegistrySettings>): RegistrySettings {
  const settings: Record<string, unknown> = { ...defaults };
  for (const key of Object.keys(defaults)) {
    const value = given[key as keyof RegistrySettings];
    if (value !== undefined) settings[key] = value;
  }
  return settings as unknown as RegistrySettings;
}

/** @throws RegistryError 403 or 405, for a request that would change something */
export function checkWritable(settings: RegistrySettings, name: string): void {
  if (settings.readOnly) refuse(405, "UNSUPPORTED", "the registry is read-only", { headers: { Allow: "GET, HEAD" } });
  if (settings.readOnlyPrefixes.some((prefix) => isWithinPrefix(name, prefix)))
    refuse(403, "DENIED", `${name} may not be written to`);
}

interface Refusal {
  status: number;
  code: ErrorCode;
  message: string;
  detail?: string;
}

/**
 * How registries refuse to move a tag, in the words that their clients see (the registry client's `refusals.ts` names
 * the sources).
 */
function refuseTag(like: ImmutableTags["like"], name: string, tag: string): Refusal {
  switch (like) {
    case "ecr": {
      const message = `The image tag '${tag}' already exists in the '${name}' repository and cannot be overwritten because the tag is immutable.`;
      return { status: 400, code: "TAG_INVALID", message };
    }
    case "harbor": {
      const short = name.slice(name.lastIndexOf("/") + 1);
      return {
        status: 412,
        code: "PRECONDITION",
        message: `Failed to process request due to '${short}:${tag}' configured as immutable.`,
      };
    }
    case "acr": {
      const message = "The operation is disallowed on this registry, repository or image.";
      return { status: 405, code: "REGISTRY_DISALLOWED_OPERATION", message };
    }
    case "quay":
      return { status: 409, code: "TAG_ALREADY_EXISTS", message: "tag was already pushed" };
    case "nexus": {
      const detail = `Repository does not allow updating assets: ${name}`;
      return { status: 400, code: "BLOB_UPLOAD_INVALID", message: "blob upload invalid", detail };
    }
    case undefined:
      return { status: 403, code: "DENIED", message: `tag ${tag} of ${name} is immutable` };
  }
}

/**
 * @throws RegistryError where the tag exists, points elsewhere and is not to be moved. `next` undefined: it is to be
 * deleted.
 */
export function checkTagMovable(
  settings: RegistrySettings,
  name: string,
  tag: string,
  current: Digest | undefined,
  next: Digest | undefined,
): void {
  if (current === undefined || current === next) return;
  const rule = settings.immutableTags.find(({ match }) => new RegExp(match).test(`${name}:${tag}`));
  if (rule === undefined) return;
  const { status, code, message, detail } = refuseTag(rule.like, name, tag);
  refuse(status, code, message, { detail });
}

/**
 * `holdings` gives what the repositories of a prefix hold, with the size of each. What is there already does not count
 * again.
 * @throws RegistryError 403 DENIED, put as Harbor does
 */
export function checkQuotas(
  settings: RegistrySettings,
  name: string,
  digest: Digest,
  size: number,
  holdings: (prefix: string) => ReadonlyMap<Digest, number>,
): void {
  for (const { prefix, bytes } of settings.quotas) {
    if (!isWithinPrefix(name, prefix)) continue;
    const held = holdings(prefix);
    const used = [...held.values()].reduce((sum, each) => sum + each, 0);
    if (held.has(digest) || used + size <= bytes) continue;
    refuse(
      403,
      "DENIED",
      `adding ${size} B of storage resource, which when updated to current usage of ${used} B will exceed the configured upper limit of ${bytes} B.`,
    );
  }
}

/** Counts requests second by second: true for those that are one too many. */
export function createRateLimit(settings: RegistrySettings): (now: number) => boolean {
  let second = 0;
  let count = 0;
  return (now) => {
    if (settings.requestsPerSecond === undefined) return false;
    const current = Math.floor(now / 1000);
    if (current !== second) {
      second = current;
      count = 0;
    }
    count += 1;
    return count > settings.requestsPerSecond;
  };
}
