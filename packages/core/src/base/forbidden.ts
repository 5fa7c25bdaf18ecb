import type { OwnDay } from "../policy/enforcement.ts";
import { findOwnDay } from "../policy/enforcement.ts";
import type { Violation } from "../result.ts";
import { type ApprovedBase, type ImageLayers, identifyBase, standsOn } from "./identify.ts";

type Found = Pick<Violation, "rule" | "problem" | "wayOut"> & { own?: OwnDay };

/**
 * The forbidden bases that an image stands on: the one that its layers prove, and each below it that is forbidden with
 * all that stands on it.
 */
export function findForbidden(image: ImageLayers, known: readonly ApprovedBase[]): ApprovedBase[] {
  const nearest = new Set(identifyBase(image, known)?.bases);
  return known.filter(
    (base) => base.forbidden !== undefined && (nearest.has(base) || (base.forbidden.lineage && standsOn(image, base))),
  );
}

/** Each forbidden base by its name once: its versions of the same layers are one. */
export function judgeForbidden(image: ImageLayers, known: readonly ApprovedBase[]): Found[] {
  const byName = new Map(findForbidden(image, known).map((base) => [base.name, base]));
  return [...byName.values()].map(({ name, image: repository, digest, forbidden }) => {
    const why = forbidden?.reason === undefined ? "" : `: ${forbidden.reason}`;
    const own = findOwnDay(name, forbidden ?? {});
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
