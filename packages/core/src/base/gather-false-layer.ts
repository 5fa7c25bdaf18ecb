import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { createBudget } from "../layers/budget.ts";
import { pairLayers } from "../layers/pair.ts";
import type { BaseMatch } from "./identify.ts";

/**
 * Whether one of the layers by which an image matches a base has another content than the image's config says. A config
 * is written by whoever built the image; what is pulled and unpacked are the layers. Those with the base's own bytes
 * need no look: most builders keep them, and then nothing is downloaded. For who only asks what an image stands on; the
 * base stage itself reads every layer (`readChildLayers`).
 * @throws what reading a layer and the registry client throw
 */
export async function hasFalseLayer(
  client: RegistryClient,
  repository: Repository,
  child: Pick<ChildFacts, "manifest" | "config">,
  match: BaseMatch,
): Promise<boolean> {
  const repacked = pairLayers(child)
    .slice(0, match.matchedLayers)
    .filter(({ layer }, index) => !match.bases.some((base) => base.layers[index] === layer.digest));
  if (repacked.length === 0) return false;
  // Only now, since it is seldom needed, and most of what has to be loaded.
  const { readImageLayer } = await import(/* webpackMode: "eager" */ "../layers/read.ts");
  const budget = createBudget();
  for (const { layer, diffId } of repacked) {
    const actual = await readImageLayer(client, repository, layer, diffId, budget, {});
    if (actual.diffId !== diffId) return true;
  }
  return false;
}
