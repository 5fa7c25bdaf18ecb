import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import type { ChildFacts } from "@goldenpath/registry-client/subject";

/** An image's layers, the lowest first, each with what its config says that it unpacks to. */
export function pairLayers({
  manifest,
  config,
}: Pick<ChildFacts, "manifest" | "config">): { layer: Descriptor; diffId: Digest }[] {
  const { diff_ids } = config.rootfs;
  // fetchImageFacts has seen to it that there are as many of the one as of the other.
  return manifest.layers.flatMap((layer, index) =>
    diff_ids[index] === undefined ? [] : [{ layer, diffId: diff_ids[index] }],
  );
}
