import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type FleetSource, gatherFleet } from "./gather-fleet.ts";
import { type PrunableImage, type PruneFacts, type PrunePlan, planPrune } from "./plan-prune.ts";

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
    async ({ facts: image, image: { children }, evidence }): Promise<PrunableImage> => ({
      ...image,
      children: children.map(({ digest }) => digest).filter((digest) => digest !== image.digest),
      evidence: evidence.statements.map(({ referrer }) => referrer.digest),
    }),
  );
  const plan = planPrune({ ...facts, images: visited, now: source.now });
  return { ...plan, failures: [...failures, ...plan.failures] };
}
