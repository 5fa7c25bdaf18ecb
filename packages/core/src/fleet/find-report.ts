import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { type FleetFailure, type FleetImage, nameImage } from "./facts.ts";
import type { SourcePlace } from "./gather-places.ts";
import type { FleetHit } from "./judge-find.ts";

/** A hit with its image, and who is to do what where. */
export interface PlacedHit extends FleetHit {
  image: FleetImage;
  owner: string;
  place?: SourcePlace;
}

export interface FindReport {
  query: string;
  /** Images that were looked at. */
  looked: number;
  hits: PlacedHit[];
  failures: FleetFailure[];
  /** Notes on what could not be asked for besides: owners and places. */
  notes: string[];
  /** That the registries were asked, all together. */
  requests: number;
}

/** Whom nobody names. */
export const nobody = "(nobody says)";

/** By a base's name, the images that stand on it and have to be rebased: each once. */
export function listRebases(hits: readonly PlacedHit[]): Map<string, PlacedHit[]> {
  const rebases = hits.filter(({ action }) => action === "rebase");
  const once = new Map(rebases.map((hit) => [`${hit.base?.name ?? ""} ${nameImage(hit.image)}`, hit]));
  return Map.groupBy(once.values(), ({ base }) => (base === undefined ? "(its base)" : `${base.name} ${base.image}`));
}

/** As JSON, for programs. */
export function describeFound({ query, looked, hits, failures, notes, requests }: FindReport): Record<string, unknown> {
  return {
    query,
    looked,
    requests,
    rebase: Object.fromEntries(
      [...listRebases(hits)].map(([base, own]) => [base, own.map(({ image }) => nameImage(image)).toSorted()]),
    ),
    hits: hits.map(({ image, owner, place, action, base, package: found, ...more }) => ({
      image: nameImage(image),
      repository: formatRepository(image.repository),
      tags: image.tags,
      environments: image.environments,
      owner,
      source: image.source,
      action,
      ...(base === undefined ? {} : { base }),
      package: found,
      ...(place === undefined ? {} : { place }),
      ...more,
    })),
    failures,
    notes,
  };
}
