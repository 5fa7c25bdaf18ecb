import { InfrastructureError } from "@goldenpath/foundation/errors";
import { hasProblem } from "./answers.ts";
import { type Digest, digestAlgorithm, digestOf } from "./oci/digest.ts";
import { type ImageIndex, indexMediaTypes, parseReferrersIndex } from "./oci/manifest.ts";
import type { TransportResponse } from "./transport.ts";

/** A list of referrers, and how many entries of it were none. */
export interface ReferrerList {
  index: ImageIndex;
  dropped: number;
}

/**
 * Statuses that say: no such API here. The specification has 404
 * (https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#unavailable-referrers-api); gateways and
 * registries that take the path for something else have 400, 405, 415, 422 and 501, and Artifactory 406 where its
 * repository is not set up for it. Never what may be better in a while: 408, 429 and the other 5xx are tried again, and
 * are errors in the end.
 */
const absentStatuses: readonly number[] = [400, 404, 405, 406, 415, 422, 501];

/** What an answer of the referrers API means, by its status and headers alone. */
export type ReferrersAnswer =
  | "list"
  /** There is no API; `route`: and there is none for any subject of the repository. */
  | { absent: "here" | "route" }
  /**
   * Harbor 2.7 has a 401 without a challenge (https://github.com/goharbor/harbor/issues/18305), others 403: no API, if
   * the same login may read the image.
   */
  | "unless-unreadable"
  | "error";

export function classifyReferrersAnswer(response: TransportResponse): ReferrersAnswer {
  const { status } = response;
  if (status === 200) return "list";
  if (absentStatuses.includes(status)) {
    // A repository or image that does not exist yet says nothing about the API, and a 400 may be about this one
    // request.
    const isMissing = hasProblem(response, "NAME_UNKNOWN") || hasProblem(response, "MANIFEST_UNKNOWN");
    return { absent: status === 400 || isMissing ? "here" : "route" };
  }
  if (status === 403 || (status === 401 && response.headers("www-authenticate").length === 0))
    return "unless-unreadable";
  return "error";
}

/**
 * A page of the API with status 200 → its list; undefined where it is something else, such as a page for people. What
 * says that it is an index is held to it; what is served as JSON or as nothing in particular is looked at.
 * @throws InfrastructureError `manifest-invalid`
 */
export function readReferrersPage(response: TransportResponse, where: string): ReferrerList | undefined {
  const served = response.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (served === indexMediaTypes[0]) return requireIndex(parseReferrersIndex(response.bytes, where), where);
  if (/^(?:text\/html|application\/xhtml\+xml|image\/)/.test(served)) return undefined;
  try {
    const parsed = parseReferrersIndex(response.bytes, where);
    return parsed === "other" ? undefined : parsed;
  } catch (error) {
    if (error instanceof InfrastructureError && error.code === "manifest-invalid") return undefined;
    throw error;
  }
}

/**
 * What is behind a subject's fallback tag → its list; "other" where that is an image or another artifact, "subject"
 * where it is the subject itself: GitLab resolves `sha256-<hex>` to the manifest of that digest
 * (https://github.com/oras-project/oras-go/issues/1396). By the specification, a tag that is no image index means no
 * referrers.
 * @throws InfrastructureError `manifest-invalid` for what is no manifest at all
 */
export function readFallbackList(
  bytes: Uint8Array,
  subject: Digest,
  where: string,
): ReferrerList | "subject" | "other" {
  return digestOf(bytes, digestAlgorithm(subject)) === subject ? "subject" : parseReferrersIndex(bytes, where);
}

function requireIndex(parsed: ReferrerList | "other", where: string): ReferrerList {
  if (parsed !== "other") return parsed;
  throw new InfrastructureError(`${where} is not an index of referrers`, {
    code: "manifest-invalid",
    safeToRetry: false,
  });
}

/** `of the referrers of …` or a reference: where the list is. */
export function noteDropped(note: (message: string) => void, { dropped }: ReferrerList, where: string): void {
  if (dropped > 0)
    note(
      `${dropped} ${dropped === 1 ? "entry" : "entries"} ${where.startsWith("of ") ? where : `of ${where}`} cannot be read, and ${dropped === 1 ? "is" : "are"} passed over`,
    );
}
