import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type ImageId } from "@goldenpath/registry-client/oci/reference";
import { findByBuildType } from "../build/strategies/find.ts";
import { mostRebases, runImage } from "../build/strategies/rebase.ts";
import type { RebasedView } from "../build/strategies/strategy.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { Provenance } from "../signing/provenance.ts";
import { readAnyBuilds } from "./binding.ts";
import { compareImages, findPair, findRebased, type Lineage, type LineageImage, listNamedImages } from "./lineage.ts";
import { evidenceAbout } from "./signed-view.ts";
import { describeWithdrawnOld } from "./withdrawn.ts";

/** What is to be attested: `image` is said to be `rebased` on these bases. */
interface ToldRebase {
  image: Digest;
  rebased: ImageId;
  bases: readonly ImageId[];
}

/**
 * What a rebase rests on: the source is that of the build which it goes back to. Whoever attests knows no environment;
 * it takes the word of whoever speaks for `build` in any, and the gate of each judges anew.
 */
export function describeRebased(policy: LoadedPolicy, lineage: Lineage, told: ToldRebase): RebasedView {
  const pair = findPair(lineage, told.image, told.rebased.digest);
  if ("problem" in pair) return { images: [], objections: [pair.problem] };
  const { now, old } = pair;
  const { images, build, objections } = followBuilds(policy, lineage, old);
  const bases = { now: told.bases, old: listBases(policy, old) };
  const against = [...describeWithdrawnOld(old, bases.old, policy), ...compareImages(now, old, bases), ...objections];
  return { images, ...(build === undefined ? {} : { source: sourceOf(build) }), objections: against };
}

/** From rebase to rebase to what was built. */
function followBuilds(
  policy: LoadedPolicy,
  lineage: Lineage,
  first: LineageImage,
): { images: ImageId[]; build?: Provenance; objections: string[] } {
  const images: ImageId[] = [];
  let image: LineageImage | undefined = first;
  while (image !== undefined && images.length < mostRebases) {
    const { repository, digest }: LineageImage = image;
    const where = `${formatRepository(repository)}@${digest}`;
    images.push({ repository, digest });
    const build = newestBuild(policy, image);
    if (build === undefined)
      return { images, objections: [`nobody who speaks for build has signed the provenance of ${where}`] };
    if (findByBuildType(build.buildType)?.isRebase !== true) return { images, build, objections: [] };
    const next = lineage.get(findRebased(build)?.digest ?? digest);
    image = next === undefined || "problem" in next || next === image ? undefined : next;
  }
  return { images, objections: ["it can't be told what was built before it was rebased"] };
}

function newestBuild({ policy }: LoadedPolicy, image: LineageImage): Provenance | undefined {
  return readAnyBuilds(policy, evidenceAbout(image, image.digest)).toSorted(
    (a, b) => b.finishedOn.getTime() - a.finishedOn.getTime(),
  )[0];
}

function listBases(policy: LoadedPolicy, image: LineageImage): ImageId[] {
  const build = newestBuild(policy, image);
  return build === undefined ? [] : listNamedImages(build, runImage);
}

function sourceOf({ sourceRepository, sourceCommit, sourceRef, event, callerId }: Provenance): RebasedView["source"] {
  return sourceCommit === undefined
    ? undefined
    : { repository: sourceRepository, version: sourceCommit, ref: sourceRef, event, callerId };
}
