import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { gatherPolicyBases } from "../base/approval/gather.ts";
import { hasFalseLayer } from "../base/gather-false-layer.ts";
import { identifyBase, platformOf } from "../base/identify.ts";
import type { FoundBase } from "../build/strategies/strategy.ts";
import type { LoadedPolicy } from "../policy/schema.ts";

/**
 * The attesting job's own look at an image: per child the approved base that its layers start with, or undefined. A
 * base that only the config claims, while the layers hold something else, is none, and so is one that is forbidden.
 * @throws as gatherPolicyBases and hasFalseLayer do: a base that cannot be looked at is an error, not "another base"
 */
export async function gatherBases(
  client: RegistryClient,
  image: ImageFacts,
  policy: LoadedPolicy,
  now: Date,
): Promise<(FoundBase | undefined)[]> {
  const repository: Repository = { registry: image.reference.registry, name: image.reference.name };
  const approved = await gatherPolicyBases(client, policy, image.children.map(platformOf), now);
  const found: (FoundBase | undefined)[] = [];
  for (const child of image.children) {
    const match = identifyBase({ platform: platformOf(child), diffIds: child.config.rootfs.diff_ids }, approved);
    if (
      match === undefined ||
      match.bases[0].forbidden !== undefined ||
      (await hasFalseLayer(client, repository, child, match))
    ) {
      found.push(undefined);
      continue;
    }
    const [base] = match.bases;
    found.push({
      names: match.bases.map((each) => each.name),
      repository: parseRepository(base.image),
      digest: base.digest,
    });
  }
  return found;
}
