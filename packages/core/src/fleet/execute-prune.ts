import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  isWithin,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { listAncestors } from "../gate/lineage.ts";
import { readingLimits } from "../signing/reading-bounds.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { type FleetSource, gatherFleet } from "./gather-fleet.ts";
import { listUntagged, type PrunableImage, type PruneFacts, type PrunePlan, planPrune } from "./plan-prune.ts";

/** Manifests that one image takes along: more are somebody's, and a part of them is no answer. */
const maxParts = 4 * readingLimits.referrers;
/** Images that are asked for at the same time. */
const concurrency = 8;

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
      const ancestors = [...evidence.statements, ...evidence.lapsed].flatMap(listAncestors);
      return { ...image, children: parts, evidence: [...new Set([...around, ...listRead(evidence)])], ancestors };
    },
  );
  const plan = planPrune({ ...facts, images: visited, now: source.now });
  const lost = await findLost(source.client, plan, facts.prefixes);
  return { ...plan, failures: [...failures, ...plan.failures, ...lost] };
}

/**
 * What images that stay were rebased from, and no tag points at: no list has it, no rule keeps it everywhere, and the gate
 * asks for it. What is gone from its registry is nothing to keep.
 */
async function findLost(
  client: RegistryClient,
  plan: PrunePlan,
  prefixes: readonly string[],
): Promise<PrunePlan["failures"]> {
  const own = listUntagged(plan).filter(({ ancestor }) =>
    prefixes.some((prefix) => isWithin(ancestor.repository, prefix)),
  );
  const found = await mapConcurrently(concurrency, own, async ({ ancestor: { repository, digest }, needs }) => {
    if ((await client.resolve({ ...repository, digest })) === undefined) return [];
    const problem = `${needs}, which stays, was rebased from it, and no tag that was looked at points at it: give it one, or look at its repository as well`;
    return [{ what: formatReference({ ...repository, digest }), problem }];
  });
  return found.flat();
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
