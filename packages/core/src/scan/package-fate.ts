import type { InstalledPackage, InstalledPackages } from "../base/packages.ts";
import { type FileTree, findNode, resolvePath, type TreeFile } from "../layers/tree.ts";
import type { PackageFate } from "./base-view.ts";
import type { Finding } from "./finding.ts";

/** The base's root file system and the image's, with what the package databases in them say. */
export interface FateFacts {
  base: { tree: FileTree; packages: InstalledPackages };
  image: { tree: FileTree; packages: InstalledPackages };
}

const managerOf: Readonly<Record<string, InstalledPackage["manager"]>> = { deb: "dpkg", apk: "apk" };

/**
 * Whether the layers above a base really changed the package of one of its findings. A package that has programs or
 * libraries must have changed among these: a changelog that is another says nothing. Of a package that is gone, all of
 * them must be gone. What no database lists the files of is judged by the files in which it was seen; where there is
 * neither, it counts as unchanged.
 */
export function tellFate(facts: FateFacts, finding: Finding): PackageFate {
  const manager = managerOf[finding.package.type];
  if (manager === undefined) return tellByPlace(facts, finding);
  const before = findPackage(facts.base.packages, manager, finding);
  const after = findPackage(facts.image.packages, manager, finding);
  if (before === undefined) return { kind: "unchanged", claim: "whose files in the base can't be told" };
  const files = significantFiles(facts.base.tree, [...before.files]);
  if (files.length === 0) return { kind: "unchanged", claim: "whose files no package database lists" };
  const changed = files.filter((path) => isChanged(facts, path));
  if (after === undefined) {
    const says = "the image's package database has it no more";
    return changed.length === files.length
      ? { kind: "changed", says: `${says}, and its files are gone or others` }
      : {
          kind: "unchanged",
          claim: `${says}, and ${describe(files.length - changed.length)} of the base's version still there`,
        };
  }
  const versions = after.versions.join(", ");
  if (after.versions.includes(finding.package.version)) {
    return {
      kind: "unchanged",
      claim: "the image has the same version, and another system than the base says it is of",
    };
  }
  const says = `the image's package database says ${versions}`;
  return changed.length > 0
    ? { kind: "changed", says: `${says}, and ${describe(changed.length)} not the base's any more` }
    : { kind: "unchanged", claim: `${says}, and its files are those of the base's version still` };
}

function tellByPlace(facts: FateFacts, finding: Finding): PackageFate {
  // rpm's database is not read here, and a change of that one file says nothing of a package.
  if (finding.package.type === "rpm" || finding.paths.length === 0) {
    return { kind: "unchanged", claim: "whether its files changed can't be told" };
  }
  const kept = finding.paths.filter((path) => !isChanged(facts, encodePath(path)));
  return kept.length === 0
    ? { kind: "changed", says: `the image has other files at ${finding.paths.join(", ")}` }
    : { kind: "unchanged", claim: `the base's ${kept.join(", ")} is still there` };
}

function findPackage(
  packages: InstalledPackages,
  manager: string,
  { package: { name, purl = "" } }: Finding,
): InstalledPackage | undefined {
  const architecture = /[?&]arch=([^&]+)/.exec(purl)?.[1];
  const exact = packages.get(`${manager} ${name}:${architecture}`) ?? packages.get(`${manager} ${name}`);
  return exact ?? [...packages.values()].find((each) => each.manager === manager && each.name.split(":")[0] === name);
}

/** A package's programs and libraries; of one that has none, its files but for documentation. */
function significantFiles(tree: FileTree, paths: readonly string[]): string[] {
  const files = paths.flatMap((path) => {
    const file = findNode(tree, path)?.file;
    return file?.kind === "file" ? [{ path, file }] : [];
  });
  const programs = files.filter(({ path, file }) => isProgram(path, file));
  const chosen =
    programs.length > 0
      ? programs
      : files.filter(({ path }) => !/^usr\/share\/(?:doc|man|info|locale|lintian)\//.test(path));
  return chosen.map(({ path }) => path);
}

function isProgram(path: string, file: TreeFile): boolean {
  return (file.mode & 0o111) !== 0 || /\.so(?:\.[^/]*)?$/.test(path);
}

function isChanged({ base, image }: FateFacts, path: string): boolean {
  const place = resolvePath(base.tree, path);
  const before = place === undefined ? undefined : findNode(base.tree, place);
  if (place === undefined || before === undefined) return false;
  const after = findNode(image.tree, place);
  return (
    after === undefined ||
    after.file.kind !== before.file.kind ||
    after.file.contentDigest !== before.file.contentDigest
  );
}

/** Trees have names as byte strings, and scanners write them in UTF-8. */
function encodePath(path: string): string {
  return Buffer.from(path.replace(/^\/+/, ""), "utf8").toString("latin1");
}

function describe(count: number): string {
  return count === 1 ? "one of its programs and libraries is" : `${count} of its programs and libraries are`;
}
