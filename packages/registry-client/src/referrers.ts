import type { ListOptions } from "./client.ts";
import type { DownloadContext } from "./download.ts";
import { referrerDescriptor } from "./fallback-index.ts";
import { createFallbackLists } from "./fallback-list.ts";
import type { Digest } from "./oci/digest.ts";
import type { Descriptor, Manifest } from "./oci/manifest.ts";
import type { Repository } from "./oci/reference.ts";
import { createReferrersApi } from "./referrers-api.ts";

/**
 * A manifest with a subject, after its push; `isPromised`: the registry answered with `OCI-Subject`, so that it would
 * list it by itself.
 */
export interface PushedReferrer {
  manifest: Manifest;
  isPromised: boolean;
}

export interface Referrers {
  list(repository: Repository, subject: Digest, options?: ListOptions): Promise<Descriptor[]>;
  /** To be called after the push of manifests that have this subject: makes sure that the subject's list has them. */
  announce(repository: Repository, subject: Digest, pushed: readonly PushedReferrer[]): Promise<void>;
}

/**
 * The referrers of subjects: by the API where the registry has one, and otherwise in the fallback tag.
 *
 * Whether there is an API is found out once for each repository, not for each host: Artifactory, Nexus, GitLab and
 * gateways serve repositories of one host from different places. It costs at most one request for each.
 */
export function createReferrers(context: DownloadContext): Referrers {
  const api = createReferrersApi(context);
  const fallback = createFallbackLists(context);
  return {
    async list(repository, subject, options: ListOptions = {}) {
      const known = api.standing(repository);
      const listed = known === "absent" ? undefined : await api.list(repository, subject);
      // Some registries serve the API, and list nothing that they were not told by the fallback tag.
      if (listed !== undefined && listed.length > 0 && known !== "unkept")
        return [...(options.choose?.(listed) ?? listed)];
      if (options.hasFallbackTag === false) return listed ?? [];
      const tagged = await fallback.list(repository, subject);
      return [...new Map([...tagged, ...(listed ?? [])].map((each) => [each.digest, each])).values()];
    },
    async announce(repository, subject, pushed) {
      const promised = pushed.filter((each) => each.isPromised).map(({ manifest }) => manifest);
      const isKept = promised.length > 0 && (await api.keepsPromise(repository, subject, promised));
      const unlisted = isKept ? pushed.filter((each) => !each.isPromised) : pushed;
      await fallback.add(
        repository,
        subject,
        unlisted.map(({ manifest }) => referrerDescriptor(manifest)),
      );
    },
  };
}
