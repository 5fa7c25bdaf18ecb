import type { RunFacts } from "@goldenpath/foundation/ports";

/**
 * The OCI image specification's annotations of a commit, for labels. Nothing of the time or the tag is in them: the same
 * commit gives the same image.
 */
export function labelsOf({ sourceRepository, sourceCommit }: RunFacts): Record<string, string> {
  return {
    ...(sourceRepository === undefined ? {} : { "org.opencontainers.image.source": sourceRepository }),
    ...(sourceCommit === undefined ? {} : { "org.opencontainers.image.revision": sourceCommit }),
  };
}
