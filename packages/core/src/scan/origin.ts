import { describeError } from "../errors.ts";
import { parseRepository } from "../oci/reference.ts";
import type { Policy } from "../policy/schema.ts";
import type { Log } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";
import { fetchImageFacts } from "../registry/subject.ts";

export interface BaseLayers {
  /** The base's name in the policy. */
  name: string;
  diffIds: readonly string[];
}

/** The layers of every approved base that can be read. One that can't is passed over: who a finding comes from words a way out, and decides nothing. */
export async function fetchBaseLayers(client: RegistryClient, bases: Policy["bases"], log: Log): Promise<BaseLayers[]> {
  const layers: BaseLayers[] = [];
  for (const base of bases) {
    for (const digest of base.digests) {
      try {
        const { children } = await fetchImageFacts(client, { ...parseRepository(base.image), digest });
        layers.push(...children.map(({ config }) => ({ name: base.name, diffIds: config.rootfs.diff_ids })));
      } catch (error) {
        log.debug(`base ${base.name} ${digest} can't be read: ${describeError(error)}`);
      }
    }
  }
  return layers;
}

/** The base that an image stands on: that of which the layers, all of them, are the image's first, and the most. */
export function longestBase(bases: readonly BaseLayers[], diffIds: readonly string[]): BaseLayers | undefined {
  const matching = bases.filter((base) => base.diffIds.length > 0 && base.diffIds.every((layer, index) => diffIds[index] === layer));
  return matching.toSorted((a, b) => b.diffIds.length - a.diffIds.length)[0];
}
