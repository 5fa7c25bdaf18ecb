import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type FleetFailure, type FleetImage, nameImage } from "./facts.ts";
import { type FindReport, nobody, type PlacedHit } from "./find-report.ts";
import { type FleetSource, gatherFleet } from "./gather-fleet.ts";
import type { SourcePlaces } from "./gather-places.ts";
import { type FleetHit, findInImage } from "./judge-find.ts";
import type { FleetQuery } from "./query.ts";

/** Source repositories that are asked at the same time. */
const concurrency = 4;

/**
 * Looks for a package or a vulnerability in all that is there for the policy's environments, by what is signed alone:
 * no layer is read and no scanner asked.
 * @throws as gatherFleet
 */
export async function findInFleet(
  source: FleetSource,
  repositories: readonly Repository[],
  { query, text }: { query: FleetQuery; text: string },
  places: SourcePlaces,
): Promise<FindReport> {
  const { visited, failures } = await gatherFleet(source, repositories, async ({ facts, image, evidence }) => ({
    facts,
    ...findInImage(query, { image, evidence, policy: source.policy.policy }),
  }));
  const untold = visited.flatMap(({ facts, problems }): FleetFailure[] =>
    problems.map((problem) => ({ what: nameImage(facts), problem })),
  );
  const found = visited.flatMap(({ facts, hits }) => hits.map((hit) => ({ ...hit, image: facts })));
  const hits = await mapConcurrently(concurrency, found, (hit) => placeHit(hit, places));
  return {
    query: text,
    looked: visited.length,
    hits,
    failures: [...failures, ...untold],
    notes: [...new Set(places.problems)],
    requests: source.client.traffic.requests,
  };
}

/** Where a hit is mended, and who owns it: by the policy's word, by the file's, by the repository's. */
export async function placeHit<T extends Pick<FleetHit, "package" | "action"> & { image: FleetImage }>(
  hit: T,
  places: SourcePlaces,
): Promise<T & Pick<PlacedHit, "owner" | "place">> {
  const { source, owner: named } = hit.image;
  const place = source === undefined || hit.action === "rebase" ? undefined : await places.find(source, hit.package);
  const owner = named ?? (source === undefined ? undefined : await places.findOwner(source, place?.file)) ?? nobody;
  return { ...hit, owner, ...(place === undefined ? {} : { place }) };
}
