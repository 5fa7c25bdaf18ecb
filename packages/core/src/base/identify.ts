import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageConfig, Platform } from "@goldenpath/registry-client/oci/manifest";
import type { ForbiddenBase } from "../policy/forbidden-section.ts";
import type { ApprovalState } from "./approval/judge.ts";

/**
 * One version of a base for one platform: approved by the policy, or as its approvers have signed; or one that is known
 * since nothing may stand on it.
 */
export interface ApprovedBase {
  /** The policy's name for it. */
  name: string;
  /** HOST/NAME */
  image: string;
  /** As the policy approves it: of an index or of this platform's image. */
  digest: Digest;
  /** This platform's image, by its own digest. */
  child: Digest;
  /** The last day (UTC) on which images may stand on it. */
  until?: string;
  /** As its config says. */
  platform: Platform;
  /** Of its layers unpacked, the lowest first. */
  diffIds: readonly Digest[];
  /** Of its layers as they are in the registry, in the same order. */
  layers: readonly Digest[];
  /** Paths that layers on top of it may change, with a slash in front. */
  mayChange?: readonly string[];
  /** Where the base counts by signed approvals: what is signed of this version, which may be nothing. */
  approval?: ApprovalState;
  /** Where the policy forbids it; `waits`: its day has not come, so that it only warns. */
  forbidden?: Pick<ForbiddenBase, "lineage" | "reason" | "enforceFrom"> & { waits: boolean };
}

export interface BaseMatch {
  /**
   * Every approved version that has exactly these layers, in the policy's order; where there is none, those that are
   * forbidden. Never empty.
   */
  bases: readonly [ApprovedBase, ...ApprovedBase[]];
  matchedLayers: number;
  totalLayers: number;
}

export interface ImageLayers {
  platform: Platform;
  diffIds: readonly Digest[];
}

/**
 * The base that an image stands on: the approved one for its platform of which the diffIDs, all of them, are the
 * image's first. diffIDs are digests of the layers' contents, so a name or label has no part in it, and recompression
 * does no harm. Of several the longest counts: a base is often itself built on another approved one. One that is forbidden
 * counts as an approved one does, unless those layers are an approved base's as well: they can't be told apart. One that
 * only warns yet is none: it would hide what the base below it is refused for. A base without layers is a prefix of
 * everything and therefore of nothing.
 */
export function identifyBase(image: ImageLayers, approved: readonly ApprovedBase[]): BaseMatch | undefined {
  const matching = approved.filter((base) => base.forbidden?.waits !== true && standsOn(image, base));
  const matchedLayers = Math.max(0, ...matching.map((base) => base.diffIds.length));
  const longest = matching.filter((base) => base.diffIds.length === matchedLayers);
  const counting = longest.filter((base) => base.forbidden === undefined);
  const [first, ...others] = counting.length > 0 ? counting : longest;
  return first === undefined
    ? undefined
    : { bases: [first, ...others], matchedLayers, totalLayers: image.diffIds.length };
}

/** Whether its first layers are those of a base, all of them. */
export function standsOn(image: ImageLayers, base: ApprovedBase): boolean {
  return (
    base.diffIds.length > 0 &&
    base.diffIds.every((diffId, index) => diffId === image.diffIds[index]) &&
    isSamePlatform(base.platform, image.platform)
  );
}

/** The approved base that shares the most of its first layers with the image without being its base: for messages. */
export function findNearestBase(
  image: ImageLayers,
  approved: readonly ApprovedBase[],
): { base: ApprovedBase; sharedLayers: number } | undefined {
  const shared = (base: ApprovedBase): number => {
    const end = base.diffIds.findIndex((diffId, index) => diffId !== image.diffIds[index]);
    return end === -1 ? base.diffIds.length : end;
  };
  const [nearest] = approved
    .filter((base) => base.forbidden === undefined && isSamePlatform(base.platform, image.platform))
    .map((base) => ({ base, sharedLayers: shared(base) }))
    .filter(({ sharedLayers }) => sharedLayers > 0)
    .toSorted((a, b) => b.sharedLayers - a.sharedLayers);
  return nearest;
}

/** What the config says of itself. */
export function platformOf({ config }: { config: Pick<ImageConfig, "os" | "architecture" | "variant"> }): Platform {
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant === undefined ? {} : { variant: config.variant }),
  };
}

export function isSamePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && variantOf(a) === variantOf(b);
}

/**
 * The variants that everybody leaves out are the same as those that somebody writes (containerd's normalisation of
 * platforms).
 */
function variantOf({ architecture, variant = "" }: Platform): string {
  if (architecture === "arm64" && (variant === "8" || variant === "v8")) return "";
  if (architecture === "arm" && (variant === "" || variant === "7")) return "v7";
  if (architecture === "amd64" && variant === "v1") return "";
  return variant;
}
