import { isDeepStrictEqual } from "node:util";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { planRebase, type RebaseParts } from "./plan.ts";

/**
 * Is this image the old one on the new base, and nothing else? Told by digests: of its layers, packed and unpacked, the
 * first are the new base's, and the rest are what the old image has on the old base. And its config is the one that a
 * rebase writes; the history, by which nothing is run, may be another.
 * @returns what is against it, a sentence each
 */
export function compareRebased(parts: RebaseParts & { now: RebaseParts["image"] }): string[] {
  const { image, oldBase, newBase, now } = parts;
  const [before, after] = [diffIdsOf(oldBase), diffIdsOf(newBase)];
  if (before.length === 0 || !isDeepStrictEqual(diffIdsOf(image).slice(0, before.length), before))
    return ["the image that was rebased does not stand on the base that its provenance names"];
  if (after.length === 0 || !isDeepStrictEqual(diffIdsOf(now).slice(0, after.length), after))
    return ["the image does not stand on the base that its provenance names"];
  const expected = planRebase(parts);
  const layers = expected.manifest.layers.map(({ digest }) => digest);
  if (
    !isDeepStrictEqual(expected.config.rootfs.diff_ids, diffIdsOf(now)) ||
    !isDeepStrictEqual(
      layers,
      now.manifest.layers.map(({ digest }) => digest),
    )
  )
    return ["its layers are not those of the new base with those on top that the old image has on its base"];
  const { history: _history, ...wanted } = expected.config;
  const { history: _told, ...found } = now.config;
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
  return keys
    .filter((key) => !isDeepStrictEqual(wanted[key], found[key]))
    .map((key) => `its config has another '${key}' than a rebase of the old image leaves`);
}

const diffIdsOf = ({ config }: RebaseParts["image"]): readonly Digest[] => config.rootfs.diff_ids;
