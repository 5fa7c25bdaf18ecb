import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { isDayOver } from "../policy/day.ts";
import type { PolicyBase } from "../policy/schema.ts";
import { judgeApproval } from "./approval/judge.ts";
import type { ApprovedBase } from "./identify.ts";

/** What an image stands on, and what has become of that. */
export type Standing =
  /** On the newest version of its base. */
  | "current"
  /** On an older version that is still approved. */
  | "behind"
  /** On a base whose `until`, or what is signed of it, is over. */
  | "expired"
  /** On no approved base, on a version that nobody has approved, or on what is forbidden. */
  | "none"
  /** Its config describes other layers than are there. */
  | "false";

/** One image that runs, of what was asked for. */
export interface StandingImage {
  /** HOST/NAME@sha256:… */
  image: string;
  /** As it was asked for: a tag, or the same. */
  asked: string;
  platform: string;
  standing: Standing;
  base?: { name: string; image: string; digest: Digest; until?: string };
  /** Versions of the base that were approved since; of one that is behind. */
  versionsBehind?: number;
  matchedLayers: number;
  totalLayers: number;
}

/** The versions of a base that count and are newer than one of them. */
export interface NewerVersions {
  count: number;
  /** When the first of them was approved; absent where the policy lists them, and nobody says. */
  since?: Date;
}

/** @param bases the policy's catalogue, whose digests are listed from the oldest to the newest */
export function findNewerVersions(
  { name, digest, approval }: Pick<ApprovedBase, "name" | "digest" | "approval">,
  bases: readonly Pick<PolicyBase, "name" | "digests">[],
): NewerVersions {
  if (approval === undefined) {
    const digests = bases.find((base) => base.name === name)?.digests ?? [];
    return { count: digests.length - 1 - digests.lastIndexOf(digest) };
  }
  const [since] = approval.newer.toSorted((a, b) => a.getTime() - b.getTime());
  return { count: approval.newer.length, ...(since === undefined ? {} : { since }) };
}

/**
 * How an image stands by the base that its layers prove. Of versions with the same layers, which can't be told apart,
 * the newest counts: the image is all that it could be on that.
 * @param bases the policy's catalogue, whose digests are listed from the oldest to the newest
 */
export function judgeStanding(
  matched: readonly ApprovedBase[],
  bases: readonly Pick<PolicyBase, "name" | "digests">[],
  now: Date,
): Pick<StandingImage, "standing" | "base" | "versionsBehind"> {
  const behindOf = (base: ApprovedBase): number => findNewerVersions(base, bases).count;
  const isOver = ({ until, approval }: ApprovedBase): boolean =>
    (until !== undefined && isDayOver(until, now)) ||
    (approval !== undefined && judgeApproval(approval, now).refused.length > 0);
  const [best] = matched.toSorted((a, b) => Number(isOver(a)) - Number(isOver(b)) || behindOf(a) - behindOf(b));
  if (best === undefined) return { standing: "none" };
  const { name, image, digest, approval } = best;
  const until = best.until ?? (approval?.found.kind === "approved" ? approval.found.approval.endOfLife : undefined);
  const base = { name, image, digest, ...(until === undefined ? {} : { until }) };
  if (best.forbidden !== undefined || approval?.found.kind === "refused") return { standing: "none", base };
  const versionsBehind = behindOf(best);
  if (isOver(best)) return { standing: "expired", base };
  return versionsBehind === 0 ? { standing: "current", base } : { standing: "behind", base, versionsBehind };
}
