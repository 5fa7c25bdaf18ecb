import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type ImageId, parseReference } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import type { RebasedView } from "../build/strategies/strategy.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { describeRebased } from "./describe-rebased.ts";
import { gatherImageLineage } from "./verify.ts";

/**
 * What the attesting job sees of a rebase for itself: the image that was rebased, with its layers, its bases and what is
 * signed about it.
 * @param from HOST/NAME@sha256:…, as the input `rebased-from` has it
 * @param bases the approved ones that the image's layers start with
 * @throws UserError `reference-invalid`, `input-invalid`, and as gatherLineage
 */
export async function gatherRebased(
  client: RegistryClient,
  image: ImageFacts,
  policy: LoadedPolicy,
  { from, bases, now }: { from: string; bases: readonly ImageId[]; now: Date },
): Promise<RebasedView> {
  const { registry, name, digest } = parseReference(from, "input 'rebased-from':");
  if (digest === undefined) {
    throw new UserError(`input 'rebased-from' is '${from}', which names no digest`, {
      code: "input-invalid",
      wayOut: "Write it as HOST/NAME@sha256:DIGEST: what goldenpath base rebase says it was.",
    });
  }
  const rebased = { repository: { registry, name }, digest };
  const lineage = await gatherImageLineage(client, image, new Map(), policy, now, { rebased, bases });
  return describeRebased(policy, lineage ?? new Map(), { image: image.reference.digest, rebased, bases });
}
