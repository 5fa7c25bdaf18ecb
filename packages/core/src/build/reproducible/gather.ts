import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { createBudget, type LayerBudget } from "../../layers/budget.ts";
import { keepContent } from "../../layers/contents.ts";
import { readLayerContents } from "../../layers/image-layer.ts";
import type { ImageListing, LayerListing } from "./compare.ts";

interface Place {
  client: RegistryClient;
  repository: Repository;
  signal: AbortSignal;
}

/**
 * What is to be compared of two images: of the layers that both have nothing is read.
 * @throws as {@link readLayerContents}
 */
export async function listImages(
  first: ChildFacts,
  second: ChildFacts,
  place: Place,
): Promise<[ImageListing, ImageListing]> {
  return [await listImage(first, second, place), await listImage(second, first, place)];
}

async function listImage(image: ChildFacts, other: ChildFacts, place: Place): Promise<ImageListing> {
  const budget = createBudget();
  const layers: LayerListing[] = [];
  for (const [index, layer] of image.manifest.layers.entries()) {
    const diffId = image.config.rootfs.diff_ids[index];
    if (diffId === undefined) throw new TypeError("an image has a diffID for each layer");
    const listing = { diffId, digest: layer.digest };
    const isSame = other.config.rootfs.diff_ids[index] === diffId;
    layers.push(isSame ? listing : { ...listing, entries: await list(layer, diffId, budget, place) });
  }
  return { config: image.config, layers };
}

async function list(
  layer: ChildFacts["manifest"]["layers"][number],
  diffId: LayerListing["diffId"],
  budget: LayerBudget,
  { client, repository, signal }: Place,
) {
  const kept = keepContent();
  return (await readLayerContents({ client, repository, layer, diffId, budget, kept, signal })).entries;
}
