import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { findByBuildType } from "../build/strategies/find.ts";
import { rebasedImage } from "../build/strategies/rebase.ts";
import { readBuilds } from "../gate/binding.ts";
import { type Lineage, listNamedImages } from "../gate/lineage.ts";
import { evidenceAbout } from "../gate/signed-view.ts";
import type { Policy, PolicyEnvironment } from "../policy/schema.ts";
import type { Provenance } from "../signing/provenance.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { type BuildFacts, orderBuilds, readHeld } from "./tag-order.ts";

/** When an image came to be: what was built, and where that was put on another base since. */
export interface ImageAge {
  /** Of an image that was rebased, those of what it goes back to: a rebase is no run of the source. */
  builds: BuildFacts;
  /** What it was rebased from, by the word of who attested it. */
  ancestors: readonly Digest[];
  /** When it was rebased last. */
  rebasedOn?: Date;
}

export const unknownAge: ImageAge = { builds: [], ancestors: [] };

export const isRebase = ({ buildType }: Pick<Provenance, "buildType">): boolean =>
  findByBuildType(buildType)?.isRebase === true;

interface AgeFacts {
  policy: Policy;
  environment: PolicyEnvironment;
  /** About the image. */
  evidence: Pick<CollectedEvidence, "statements" | "lapsed">;
  /** What it goes back to, where it could be looked at; without it nothing is known of a rebase's build. */
  lineage: Lineage | undefined;
  /** A tag is at it: what is out of its signer's time tells as well ({@link readHeld}). */
  isHeld: boolean;
}

export function readAge({ policy, environment, evidence, lineage, isHeld }: AgeFacts): ImageAge {
  const read = isHeld ? readHeld : readBuilds;
  const signed = read(policy, environment, evidence);
  const rebases = signed.filter(isRebase);
  const [last] = rebases.toSorted((a, b) => b.finishedOn.getTime() - a.finishedOn.getTime());
  const own = signed.filter((each) => !isRebase(each));
  if (last === undefined) return { builds: own, ancestors: [] };
  const origins = rebases.map((each) => {
    const digest = listNamedImages(each, rebasedImage).at(-1)?.digest;
    const image = digest === undefined ? undefined : lineage?.get(digest);
    if (digest === undefined || image === undefined || "problem" in image) return [];
    return read(policy, environment, evidenceAbout(image, digest)).filter((build) => !isRebase(build));
  });
  const ancestors = rebases.flatMap((each) => listNamedImages(each, rebasedImage).map(({ digest }) => digest));
  // Of one of which nothing is known nobody can tell how new it is.
  const builds = origins.some((each) => each.length === 0) ? [] : [...own, ...origins.flat()];
  return { builds, ancestors: [...new Set(ancestors)], rebasedOn: last.finishedOn };
}

interface AgedImage {
  digest: Digest;
  age: ImageAge;
}

/**
 * How one image stands to another: by what was built; and of one build, what was rebased from the other is later, and of
 * two that were rebased, what was rebased last.
 */
export function orderImages(current: AgedImage, next: AgedImage): ReturnType<typeof orderBuilds> {
  const order = orderBuilds(current.age.builds, next.age.builds);
  const isOneBuild = order === "later" && orderBuilds(next.age.builds, current.age.builds) === "later";
  if (!isOneBuild || current.age.rebasedOn === undefined) return order;
  if (current.age.ancestors.includes(next.digest)) return "earlier";
  if (next.age.ancestors.includes(current.digest)) return "later";
  const { rebasedOn } = next.age;
  return rebasedOn !== undefined && rebasedOn.getTime() >= current.age.rebasedOn.getTime() ? "later" : "earlier";
}
