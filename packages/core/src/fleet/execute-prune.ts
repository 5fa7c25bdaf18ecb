import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { readingLimits } from "../signing/reading-bounds.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { type FleetSource, gatherFleet } from "./gather-fleet.ts";
import { type PrunableImage, type PruneFacts, type PrunePlan, planPrune } from "./plan-prune.ts";

/** Manifests that one image takes along: more are somebody's, and a part of them is no answer. */
const maxParts = 4 * readingLimits.referrers;

/**
 * Looks at all that is there, and says what may go; what could not be looked at is in the failures. Nothing is taken away.
 * @throws as gatherFleet
 */
export async function pruneFleet(
  source: FleetSource,
  repositories: readonly Repository[],
  facts: Omit<PruneFacts, "images" | "now">,
): Promise<PrunePlan> {
  const { visited, failures } = await gatherFleet(
    source,
    repositories,
    async ({ facts: image, image: { children, attestations = [] }, evidence, client }): Promise<PrunableImage> => {
      const named = [...children, ...attestations].map(({ digest }) => digest);
      const parts = [...new Set(named)].filter((digest) => digest !== image.digest);
      const { repository, digest } = image;
      const around = await listReferring(client, repository, [digest, ...parts]);
      return { ...image, children: parts, evidence: [...new Set([...around, ...listRead(evidence)])] };
    },
  );
  const plan = planPrune({ ...facts, images: visited, now: source.now });
  return { ...plan, failures: [...failures, ...plan.failures] };
}

/** What was read as evidence, by whatever way it was found: some lies under tags. */
function listRead({ statements, lapsed, rejected }: CollectedEvidence): Digest[] {
  return [
    ...[...statements, ...lapsed].map(({ referrer }) => referrer.digest),
    ...rejected.map((each) => each.referrer),
  ];
}

/** All that refers to these, to what refers to them, and so on, whoever made it. */
async function listReferring(
  client: RegistryClient,
  repository: Repository,
  subjects: readonly Digest[],
): Promise<Digest[]> {
  const seen = new Set<Digest>(subjects);
  for (const subject of seen) {
    for (const { digest } of await client.listReferrers(repository, subject)) seen.add(digest);
    if (seen.size > maxParts) {
      const where = formatReference({ ...repository, digest: subject });
      throw new InfrastructureError(`${formatRepository(repository)}: over ${maxParts} manifests go with ${where}`, {
        code: "too-much-evidence",
        safeToRetry: false,
        wayOut: "Look at what refers to the image (`oras discover`), and take away what nobody of yours made.",
      });
    }
  }
  return [...seen].slice(subjects.length);
}
