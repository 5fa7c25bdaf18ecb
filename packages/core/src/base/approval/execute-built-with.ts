import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { type FleetSource, gatherFleet } from "../../fleet/gather-fleet.ts";
import { readBases } from "../../gate/withdrawn.ts";
import { predicateTypes } from "../../signing/predicates.ts";

/** What was built in an image that builds run in, by what was signed of it. */
export interface BuiltWith {
  /** HOST/NAME@sha256:… */
  image: string;
  tags: readonly string[];
  /** The versions that its provenance names, of those that were asked about. */
  builders: readonly string[];
}

/**
 * What was built with one of these versions of a builder, of all images that the tags of these repositories point at: by
 * their signed provenance, since no layer tells. An image whose provenance is not there, or can't be read, may have been.
 * @throws as `gatherFleet`
 */
export async function listBuiltWith(
  source: FleetSource,
  versions: readonly Digest[],
  repositories: readonly Repository[],
): Promise<{ images: BuiltWith[]; unread: { asked: string; problem: string }[] }> {
  const asked: readonly string[] = versions;
  const { visited, failures } = await gatherFleet(source, repositories, async ({ facts, image, evidence }) => {
    const signed = [...evidence.statements, ...evidence.lapsed].filter(
      ({ statement }) => statement.predicateType === predicateTypes.provenance,
    );
    const named = signed.map((each) => readBases(each));
    const builders = asked.filter((version) => named.some((each) => each !== "unreadable" && each.includes(version)));
    const name = formatReference({ ...image.reference, tag: undefined });
    const problem =
      named.length === 0
        ? "no signer of the policy says how it was built"
        : named.includes("unreadable")
          ? "its provenance can't be read"
          : undefined;
    return { name, tags: facts.tags, builders, problem };
  });
  return {
    images: visited.flatMap(({ name, tags, builders }) =>
      builders.length === 0 ? [] : [{ image: name, tags, builders }],
    ),
    unread: [
      ...failures.map(({ what, problem }) => ({ asked: what, problem })),
      ...visited.flatMap(({ name, builders, problem }) =>
        problem === undefined || builders.length > 0 ? [] : [{ asked: name, problem }],
      ),
    ],
  };
}
