import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { compareTrees } from "../../layers/changes.ts";
import { formatName, formatPath } from "../../layers/tar.ts";
import { type FileTree, findNode, resolvePath, type TreeFile } from "../../layers/tree.ts";
import { comparePackages, readPackages } from "../packages.ts";
import { readRelease } from "../release.ts";
import { judgeBuildpacks } from "./buildpacks.ts";

/** Why an image can't be put on another base, and what to do instead. */
export interface RebaseRefusal {
  problem: string;
  wayOut: string;
}

export interface RebaseFacts {
  labels: Readonly<Record<string, string>>;
  /** The last layer of the old base, unpacked. */
  topLayer: Digest | undefined;
  /** Of the new base. */
  newLabels: Readonly<Record<string, string>>;
  /** So many of the image's layers, the lowest, are the old base's, and so many of the result's the new one's. */
  baseLayers: number;
  newLayers: number;
  /** The old base's layers put together, and all of the image's. */
  oldBase: FileTree;
  image: FileTree;
  newBase: FileTree;
  /** The application's layers on the new base. */
  result: FileTree;
}

/** Of the CNB lifecycle, as it writes it where an extension of the build image made the run image. */
const rebasableLabel = "io.buildpacks.rebasable";

const rebuild = "Rebuild the image on the new base from its source.";

/**
 * May the layers of an application that were built on one base stand on another? What was compiled and installed
 * against the old one must find all of that in the new one: the same release, each package (the C library
 * among them) in the same version or a newer one. And no layer of the application may lay something of the old base
 * over the new one: a package database, say, which would hide from scans what is installed. What nobody can tell
 * refuses.
 */
export function judgeRebase(facts: RebaseFacts): RebaseRefusal[] {
  const { labels, topLayer, newLabels } = facts;
  const refused: RebaseRefusal[] = [];
  if (labels[rebasableLabel]?.trim().toLowerCase() === "false") {
    refused.push({
      problem: `its label ${rebasableLabel} says that it can't stand on another base: an extension has changed the one that it was built on`,
      wayOut: rebuild,
    });
  }
  refused.push(...judgeBuildpacks(labels, { topLayer }, newLabels).map((problem) => ({ problem, wayOut: rebuild })));
  return [...refused, ...judgeRelease(facts), ...judgePackages(facts), ...judgeLayers(facts)];
}

function judgeRelease({ oldBase, newBase }: RebaseFacts): RebaseRefusal[] {
  const before = nameRelease(oldBase);
  const after = nameRelease(newBase);
  const wayOut = "Choose a version of the base of the same release (--onto), or rebuild the image from its source.";
  if (before === undefined || after === undefined) {
    const which = before === undefined ? "old" : "new";
    return [
      { problem: `the ${which} base does not say in etc/os-release which distribution and release it is`, wayOut },
    ];
  }
  return before === after ? [] : [{ problem: `the old base is ${before}, and the new one ${after}`, wayOut }];
}

/** `debian 12`; undefined also where no version is said. */
function nameRelease(tree: FileTree): string | undefined {
  const release = readRelease(readLinked(tree, "etc/os-release") ?? readLinked(tree, "usr/lib/os-release") ?? "");
  return release === undefined || release.version === "" ? undefined : `${release.id} ${release.version}`;
}

function readLinked(tree: FileTree, path: string): string | undefined {
  const place = resolvePath(tree, path);
  const file = place === undefined ? undefined : findNode(tree, place)?.file;
  if (file?.kind === "symlink") {
    const target = file.target.startsWith("/") ? file.target : `${path.slice(0, path.lastIndexOf("/"))}/${file.target}`;
    const linked = resolvePath(tree, target);
    const end = linked === undefined ? undefined : findNode(tree, linked)?.file;
    return end?.content === undefined ? undefined : Buffer.from(end.content).toString("latin1");
  }
  return file?.content === undefined ? undefined : Buffer.from(file.content).toString("latin1");
}

function judgePackages({ oldBase, newBase }: RebaseFacts): RebaseRefusal[] {
  const { base, lost } = comparePackages(readPackages(oldBase), readPackages(newBase));
  if (base.size === 0) {
    return [
      {
        problem:
          "the old base has no package database of dpkg or apk, so that nobody can tell what the image needs of it",
        wayOut: rebuild,
      },
    ];
  }
  return lost.slice(0, maxTold).map(({ package: { name }, before, after }) => ({
    problem: `package ${formatName(name)} of the old base (${formatName(before)}) is ${after === undefined ? "not in the new one" : `${formatName(after)} in the new one, which is not newer`}`,
    wayOut: "Have the platform team put it into the base, or rebuild the image from its source.",
  }));
}

const maxTold = 10;

/**
 * What the application's layers lay over the base does no harm where the new base has there what the old one had. What
 * they take away from the new base alone, by a file, a folder in place of a link, or a whiteout, nobody meant.
 */
function judgeLayers({ oldBase, image, newBase, result, baseLayers, newLayers }: RebaseFacts): RebaseRefusal[] {
  const ofOld = compareTrees(oldBase, image);
  const changed = ofOld
    .filter(({ path, before }) => !isSameFile(before, findNode(newBase, path)?.file))
    .map(({ path, how, layer }) => {
      const done = how === "removed" ? "removed" : "changed";
      return `layer ${layer + 1} of the image has ${done} ${formatPath(path)} of the old base, which is another file in the new one`;
    });
  const known = new Set(ofOld.map(({ path }) => path));
  const hidden = compareTrees(newBase, result)
    .filter(({ path }) => !known.has(path))
    .map(
      ({ path, layer }) =>
        `layer ${layer - newLayers + baseLayers + 1} of the image would hide ${formatPath(path)} of the new base, where the old one has nothing like it`,
    );
  return [...changed, ...hidden].slice(0, maxTold).map((problem) => ({ problem, wayOut: rebuild }));
}

function isSameFile(a: TreeFile, b: TreeFile | undefined): boolean {
  const describe = ({ kind, mode, uid, gid, contentDigest, target, device, attributes }: TreeFile): string =>
    JSON.stringify([kind, mode, uid, gid, contentDigest, target, device, Object.entries(attributes).toSorted()]);
  return b !== undefined && describe(a) === describe(b);
}
