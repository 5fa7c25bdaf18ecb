import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { foreseeRebase } from "../../gate/foresee-rebase.ts";
import { describeGate, gatherEvidence, gatherImageLineage } from "../../gate/verify.ts";
import type { FleetSource } from "../gather-fleet.ts";
import type { RolloutImage } from "./facts.ts";

/**
 * What the gate will have against an image of a wave, whatever becomes of it on the way there: a wave that has to fail
 * would only keep all others waiting. In requests: its manifests and evidence, and those of what it was rebased from.
 * @throws as `gatherLineage`
 */
export async function foreseeRefusal(
  { client, policy, now }: FleetSource,
  { repository, digest }: Pick<RolloutImage, "repository" | "digest">,
  environmentName: string,
): Promise<string | undefined> {
  const image = await fetchImageFacts(client, { ...repository, digest });
  const evidence = await gatherEvidence(client, image, policy, now);
  const lineage = await gatherImageLineage(client, image, evidence, policy, now);
  const asked = { environmentName, policy, now, place: "from", destination: repository, lineage } as const;
  return foreseeRebase(describeGate(image, evidence, asked));
}
