import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform, type ImageConfig, type ImageManifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type ImageId, isSameRepository } from "@goldenpath/registry-client/oci/reference";
import { isSamePlatform, platformOf } from "../base/identify.ts";
import { compareRebased } from "../base/rebase/compare.ts";
import { rebasedImage } from "../build/strategies/rebase.ts";
import type { JudgedBuild } from "../build/strategies/strategy.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { readProvenance } from "../signing/provenance.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { readImageUri } from "../signing/verification-summary.ts";

/** An image of one platform, down to its layers' digests. */
export interface LineageChild {
  digest: Digest;
  manifest: ImageManifest;
  config: ImageConfig;
}

/** An image of a base that a provenance names. */
export interface LineageBase extends ImageId {
  child: LineageChild;
}

/** An image that was rebased, or is the result of that, with what is signed about it. */
export interface LineageImage extends ImageId {
  children: readonly LineageChild[];
  evidence: ReadonlyMap<Digest, CollectedEvidence>;
  /** Of all bases that its provenances name, those that there are. */
  bases: readonly LineageBase[];
}

/** An image and what it was rebased from, by their digests; or why one of them could not be looked at. */
export type Lineage = ReadonlyMap<Digest, LineageImage | { problem: string }>;

/** The images that a provenance names under a name, by digest and repository, in its order. */
export function listNamedImages({ dependencies }: Pick<JudgedBuild, "dependencies">, name: string): ImageId[] {
  return dependencies
    .filter((each) => each.name === name)
    .flatMap(({ uri, digest }) => readImageUri(uri, digest) ?? []);
}

/** What an image was rebased from, by its provenance: the first that it names; others are what that was rebased from. */
export function findRebased(build: Pick<JudgedBuild, "dependencies">): ImageId | undefined {
  return listNamedImages(build, rebasedImage)[0];
}

/** An image and the one that it is said to be rebased from, where both could be looked at; else why not. */
export function findPair(
  lineage: Lineage | undefined,
  image: Digest,
  rebased: Digest | undefined,
): { now: LineageImage; old: LineageImage } | { problem: string } {
  const now = lineage?.get(image);
  const old = rebased === undefined ? undefined : lineage?.get(rebased);
  if (now !== undefined && old !== undefined && !("problem" in now) && !("problem" in old)) return { now, old };
  const why = old !== undefined && "problem" in old ? `: ${old.problem}` : "";
  return { problem: `the image that was rebased can't be looked at${why}` };
}

/** Images that one was rebased from, by the word of who attested it: each may have been withdrawn. */
export function listAncestors({ statement }: Pick<VerifiedStatement, "statement">): ImageId[] {
  if (statement.predicateType !== predicateTypes.provenance) return [];
  const read = readProvenance(statement);
  return "problem" in read ? [] : listNamedImages(read, rebasedImage);
}

/** What of the old image one digest of the new one is of: of an index the index, of an image in it that of its platform. */
export function findOldDigest(now: LineageImage, old: LineageImage, digest: Digest): Digest {
  const child = digest === now.digest ? undefined : now.children.find((each) => each.digest === digest);
  const before = child === undefined ? undefined : findForPlatform(old, child);
  return before?.digest ?? old.digest;
}

function findForPlatform({ children }: LineageImage, child: LineageChild): LineageChild | undefined {
  return children.find((each) => isSamePlatform(platformOf(each), platformOf(child)));
}

/**
 * Is one image the other on another base, platform by platform, and nothing else? What is against it, a sentence each.
 * @param bases by their digests as the provenances name them
 */
export function compareImages(
  now: LineageImage,
  old: LineageImage,
  bases: { now: readonly ImageId[]; old: readonly ImageId[] },
): string[] {
  if (now.digest === old.digest) return ["it is said to be rebased from itself"];
  if (now.children.length !== old.children.length)
    return [`it has ${now.children.length} images that run, and the image that was rebased ${old.children.length}`];
  return now.children.flatMap((child) => {
    const where = formatPlatform(platformOf(child));
    const before = findForPlatform(old, child);
    if (before === undefined) return [`the image that was rebased has none for ${where}`];
    if (before.digest === child.digest) return [];
    const [oldBase, newBase] = [findBase(old, before, bases.old), findBase(now, child, bases.now)];
    if (oldBase === undefined || newBase === undefined) {
      const which = oldBase === undefined ? "the image that was rebased" : "it";
      return [`of no base that the provenances name, and that is there, ${which} has the layers (${where})`];
    }
    const newName = `${formatRepository(newBase.repository)}@${newBase.child.digest}`;
    const named = { newName, newDigest: newBase.child.digest };
    return compareRebased({ image: before, oldBase: oldBase.child, newBase: newBase.child, now: child, ...named }).map(
      (problem) => `${problem} (${where})`,
    );
  });
}

/** Of the bases that are named, the one that an image has the most layers of, all of them its first. */
function findBase(image: LineageImage, child: LineageChild, named: readonly ImageId[]): LineageBase | undefined {
  const own = child.config.rootfs.diff_ids;
  const size = ({ child: { config } }: LineageBase): number => config.rootfs.diff_ids.length;
  return image.bases
    .filter(({ digest, repository }) =>
      named.some((each) => each.digest === digest && isSameRepository(each.repository, repository)),
    )
    .filter((base) => isSamePlatform(platformOf(base.child), platformOf(child)))
    .filter(({ child: { config } }) => config.rootfs.diff_ids.every((diffId, index) => diffId === own[index]))
    .toSorted((a, b) => size(b) - size(a))[0];
}
