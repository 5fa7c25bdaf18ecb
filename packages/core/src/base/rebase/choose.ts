import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform, type ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import type { LoadedPolicy } from "../../policy/schema.ts";
import { findWithdrawn } from "../../policy/withdrawals.ts";
import { isHeld } from "../decide.ts";
import { findRefusing } from "../forbidden.ts";
import { type ApprovedBase, identifyBase, isSamePlatform, platformOf } from "../identify.ts";
import type { RebaseRefusal } from "./judge.ts";

export type ChosenBases = { old: ApprovedBase; next: ApprovedBase } | { refused: RebaseRefusal };

interface ChooseOptions {
  onto?: Digest | undefined;
  now: Date;
}

/** What the image stands on, and what it is to stand on: a version of the same base that still counts. */
export function chooseBases(
  child: { config: ImageConfig },
  approved: readonly ApprovedBase[],
  loaded: Pick<LoadedPolicy, "inForce">,
  { onto, now }: ChooseOptions,
): ChosenBases {
  const platform = platformOf(child);
  // What is refused from a day on is left before it.
  const known = approved.map((base) =>
    base.forbidden === undefined ? base : { ...base, forbidden: { ...base.forbidden, waits: false } },
  );
  const match = identifyBase({ platform, diffIds: child.config.rootfs.diff_ids }, known);
  const catalogue = "Look at what it stands on by goldenpath base of, and at the bases of the policy.";
  if (match === undefined)
    return { refused: { problem: "its first layers are those of no base of the policy", wayOut: catalogue } };
  const [old] = match.bases;
  if (match.bases.some(({ name }) => name !== old.name)) {
    const names = [...new Set(match.bases.map(({ name }) => `'${name}'`))].join(" and ");
    return { refused: { problem: `its first layers are those of more than one base: ${names}`, wayOut: catalogue } };
  }
  const counts = (base: ApprovedBase): boolean =>
    isHeld(base, now) &&
    findRefusing(base, approved).length === 0 &&
    [base.digest, base.child].every((digest) => findWithdrawn(loaded, digest) === undefined);
  // A version that is forbidden is another's by its repository alone: it has a name of its own.
  const versions = approved.filter(
    (base) =>
      (old.forbidden !== undefined || base.name === old.name) &&
      base.image === old.image &&
      isSamePlatform(base.platform, platform),
  );
  const next = versions.findLast(
    (base) => counts(base) && (onto === undefined || [base.digest, base.child].includes(onto)),
  );
  if (next !== undefined) return { old, next };
  const asked = onto === undefined ? "no version" : `${onto} is no version`;
  return {
    refused: {
      problem: `${asked} of base '${old.name}' for ${formatPlatform(platform)} that is approved, and not withdrawn, forbidden or over`,
      wayOut: "Have the platform team approve a version (goldenpath base approve, or the policy's digests).",
    },
  };
}
