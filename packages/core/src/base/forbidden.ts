import { type Enforcement, findLaterDay, findOwnDay, type OwnDay } from "../policy/enforcement.ts";
import type { ForbiddenBase } from "../policy/forbidden-section.ts";
import type { Violation } from "../result.ts";
import { type ApprovedBase, type ImageLayers, identifyBase, standsOn } from "./identify.ts";

type Found = Pick<Violation, "rule" | "problem" | "wayOut"> & { own?: OwnDay };

type ForbiddenVersion = ApprovedBase & Required<Pick<ApprovedBase, "forbidden">>;
const isForbiddenVersion = (base: ApprovedBase): base is ForbiddenVersion => base.forbidden !== undefined;

/** What an entry of a policy's `forbiddenBases` says of its versions, on a day. */
export function tellForbidden(
  { name, lineage, reason, enforceFrom }: ForbiddenBase,
  policy: { enforceFrom?: Enforcement | undefined },
  now: Date,
): NonNullable<ApprovedBase["forbidden"]> {
  const waits =
    findLaterDay("base.forbidden", policy.enforceFrom, now, findOwnDay(name, { enforceFrom })) !== undefined;
  return { lineage, reason, enforceFrom, waits };
}

/**
 * The forbidden bases that an image stands on: each whose lineage is forbidden, and each that is longer than every
 * approved base that it stands on. Those that only warn yet are among them.
 */
export function findForbidden(image: ImageLayers, known: readonly ApprovedBase[]): ForbiddenVersion[] {
  const found = known.filter(isForbiddenVersion).filter((base) => standsOn(image, base));
  if (found.length === 0) return [];
  const approved = known.filter((base) => !isForbiddenVersion(base));
  const length = identifyBase(image, approved)?.matchedLayers ?? 0;
  return found.filter((base) => base.forbidden.lineage || base.diffIds.length > length);
}

/** Those of them that refuse by now. */
export function findRefusing(image: ImageLayers, known: readonly ApprovedBase[]): ApprovedBase[] {
  return findForbidden(image, known).filter(({ forbidden }) => !forbidden.waits);
}

/** Each forbidden base by its name once: its versions of the same layers are one. */
export function judgeForbidden(image: ImageLayers, known: readonly ApprovedBase[]): Found[] {
  const byName = new Map(findForbidden(image, known).map((base) => [base.name, base]));
  return [...byName.values()].map(({ name, image: repository, digest, forbidden }) => {
    const why = forbidden.reason === undefined ? "" : `: ${forbidden.reason}`;
    const own = findOwnDay(name, forbidden);
    return {
      rule: "base.forbidden",
      problem: `it stands on '${name}' (${repository}@${digest}), which the policy forbids${why}`,
      wayOut: "Rebuild it on an approved base that does not stand on it.",
      ...(own === undefined ? {} : { own }),
    };
  });
}

/**
 * An image to build in has compilers, and whatever else runs strangers' code; it often stands on a golden base itself, so
 * that its layers alone say nothing against it.
 */
export function judgeBuildImage(
  child: ImageLayers & { labels: Readonly<Record<string, string>> },
  { buildImages }: { buildImages: readonly ApprovedBase[] },
): Found[] {
  const builder = identifyBase(child, buildImages)?.bases[0];
  const isSaid = child.labels[builderLabel] !== undefined;
  if (builder === undefined && !isSaid) return [];
  const problem =
    builder === undefined
      ? `its label ${builderLabel} says that it is a builder image, or stands on one`
      : `it stands on the image of builder '${builder.name}' (${builder.image}@${builder.digest}), which is to build in`;
  return [
    { rule: "base.build-image", problem, wayOut: "Rebuild it on a run image: the builder's `runImage` names one." },
  ];
}

/** That of the Platform specification for builder images. */
const builderLabel = "io.buildpacks.builder.metadata";
