import type { PlannedRequests, PromotionPlan, ReadFacts } from "./facts.ts";

/**
 * The least number of requests that a promotion takes, as the distribution specification has them; without logging in,
 * tries after the first, and the writing of lists in registries that keep none.
 *
 * Spent: each manifest, config and bundle at the source is read once; each list of referrers (of the image, of each
 * child that runs, and, with `referrers: all`, of each referrer that goes along) is one page, as is the list of tags
 * that may be cosign's. At the destination the policy in force is read in one request, the image's manifest is looked
 * at, and each tag; where the image is there already, its list of referrers; between registries each blob of what is
 * missing, since a promotion that was killed leaves blobs that no list has.
 *
 * Ahead: one look at the source, where anything is copied; a mount (POST) per blob in one registry; POST and PUT per
 * blob between two, and a GET for those that the gate has not read; a PUT per manifest. For the verification each
 * manifest, config and bundle of the image and its evidence is read once at the destination, and each list. The
 * promotion's statement: POST and PUT of its bundle, a PUT per subject. A tag: a GET to compare, and a PUT.
 */
export function countRequests(
  plan: Pick<PromotionPlan, "blobs" | "manifests" | "tags">,
  reads: ReadFacts,
): PlannedRequests {
  const isMissing = ({ action }: { action: string }): boolean => action !== "present";
  const held = new Set(reads.held);
  const blobs = plan.blobs.map(
    ({ digest, action }) => ({ present: 0, "server-side": 0, mount: 1, copy: held.has(digest) ? 2 : 3 })[action],
  );
  const manifests = plan.manifests.filter(({ action }) => action === "copy");
  const isAnythingMissing = plan.blobs.some(isMissing) || plan.manifests.some(isMissing);
  const copy = isAnythingMissing ? 1 + manifests.length + blobs.reduce((sum, requests) => sum + requests, 0) : 0;
  const sign = isAnythingMissing ? 2 + reads.subjects : 0;
  const tags = plan.tags.reduce((sum, { action }) => sum + (action === "unchanged" ? 1 : 2), 0);
  return {
    spent: reads.contents + reads.lists + reads.looks,
    ahead: copy + reads.verification + sign + tags,
    copy,
    verify: reads.verification,
    sign,
    tags,
  };
}
