import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { keepYoungGeneration } from "@goldenpath/registry-client/garbage";
import { formatPlatform, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type Reference } from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import type { PolicyBase } from "../policy/schema.ts";
import { gatherPolicyBases } from "./approval/gather.ts";
import type { BasesPolicy } from "./approval/gather-versions.ts";
import { findRefusing } from "./forbidden.ts";
import { hasFalseLayer } from "./gather-false-layer.ts";
import { type ApprovedBase, identifyBase, platformOf } from "./identify.ts";
import { judgeStanding, type StandingImage } from "./standing.ts";

/** Images that are asked for at the same time; the client has a limit of its own for each host. */
const concurrency = 16;
/** From so many on their number would be seen in the memory that this takes. */
const many = 500;

export interface Standings {
  images: StandingImage[];
  /** What could not be looked at, and why: nobody knows how that stands. */
  unread: { asked: string; problem: string }[];
}

/**
 * What each image stands on: two requests for one of one platform (its manifest and its config), besides those for the
 * bases, which are asked once for all. Layers that are the base's own bytes are not downloaded; recompressed ones are.
 * @throws as {@link gatherPolicyBases}; what is wrong with one image is told, and the others are looked at
 */
export async function gatherStandings(
  client: RegistryClient,
  references: readonly Reference[],
  policy: BasesPolicy,
  now: Date,
): Promise<Standings> {
  const found: Standings = { images: [], unread: [] };
  const basesFailed = new Set<unknown>();
  const approvedFor = rememberBases(client, policy, now, basesFailed);
  const letGrow = references.length >= many ? keepYoungGeneration() : undefined;
  const answers = await mapConcurrently(concurrency, references, async (reference) => {
    const asked = formatReference(reference);
    try {
      const image = await fetchImageFacts(client, reference);
      const images: StandingImage[] = [];
      for (const child of image.children) {
        const approved = await approvedFor(platformOf(child));
        images.push(await judgeChild(client, { image, child, asked }, approved, policy.policy.bases, now));
      }
      return { images };
    } catch (error) {
      // Bases that can't be read are nobody's image: without them nothing can be said.
      if (!isKnownError(error) || basesFailed.has(error)) throw error;
      return { unread: { asked, problem: describeError(error) } };
    }
  }).finally(() => letGrow?.());
  for (const { images = [], unread } of answers) {
    found.images.push(...images);
    if (unread !== undefined) found.unread.push(unread);
  }
  return found;
}

/**
 * Each platform's bases are asked for once, by whichever image comes first.
 * @param failed gets what they could not be read for
 */
export function rememberBases(
  client: RegistryClient,
  policy: BasesPolicy,
  now: Date,
  failed: Set<unknown>,
): (platform: Platform) => Promise<ApprovedBase[]> {
  const known = new Map<string, Promise<ApprovedBase[]>>();
  return (platform) => {
    const key = formatPlatform(platform);
    const gathered =
      known.get(key) ??
      gatherPolicyBases(client, policy, [platform], now).catch((error: unknown) => {
        failed.add(error);
        throw error;
      });
    known.set(key, gathered);
    return gathered;
  };
}

async function judgeChild(
  client: RegistryClient,
  { image, child, asked }: { image: ImageFacts; child: ChildFacts; asked: string },
  approved: readonly ApprovedBase[],
  bases: readonly Pick<PolicyBase, "name" | "digests" | "approval">[],
  now: Date,
): Promise<StandingImage> {
  const platform = platformOf(child);
  const { diff_ids: diffIds } = child.config.rootfs;
  const match = identifyBase({ platform, diffIds }, approved);
  const facts = {
    image: formatReference({ ...image.reference, tag: undefined, digest: child.digest }),
    asked,
    platform: formatPlatform(platform),
    totalLayers: diffIds.length,
  };
  if (match !== undefined && (await hasFalseLayer(client, image.reference, child, match)))
    return { ...facts, standing: "false", matchedLayers: 0 };
  const [forbidden] = findRefusing({ platform, diffIds }, approved).toSorted(
    (a, b) => b.diffIds.length - a.diffIds.length,
  );
  const stands = forbidden === undefined ? (match?.bases ?? []) : [forbidden];
  return { ...facts, ...judgeStanding(stands, bases, now), matchedLayers: match?.matchedLayers ?? 0 };
}
