import { type FileTree, findNode, resolvePath, type TreeNode } from "../layers/tree.ts";
import { compareApkVersions, compareDpkgVersions, type VersionOrder } from "./versions.ts";

export type PackageManager = "dpkg" | "apk";

/** A package, as a manager's database in an image has it: the image's own word. */
export interface InstalledPackage {
  manager: PackageManager;
  /** With its architecture, where it is of one: `libc6:amd64`. */
  name: string;
  /** More than one where two databases have it, or one database twice. */
  versions: string[];
  /** Where its files lie, by the database: byte strings without a slash in front, links on the way followed. */
  files: Set<string>;
}

/** By manager and name. */
export type InstalledPackages = ReadonlyMap<string, InstalledPackage>;

const dpkgRoot = "var/lib/dpkg";
export const apkDatabases = ["lib/apk/db", "usr/lib/apk/db"];

/**
 * The paths of which the content is needed to judge what upper layers did: databases of packages, and what maintainer
 * scripts and users add to.
 */
export function isDatabasePath(path: string): boolean {
  return (
    /^var\/lib\/dpkg\/(?:status|status\.d\/[^/]+|info\/[^/]+\.list)$/.test(path) ||
    apkDatabases.some((directory) => path === `${directory}/installed`)
  );
}

/**
 * What the databases in a root file system list: dpkg's (`status`, and `status.d` of distroless images), and apk's.
 * Only what is wholly installed counts.
 */
export function readPackages(tree: FileTree): InstalledPackages {
  const packages = new Map<string, InstalledPackage>();
  const add = (manager: PackageManager, name: string, version: string, files: readonly string[]): void => {
    const key = `${manager} ${name}`;
    const known = packages.get(key) ?? { manager, name, versions: [], files: new Set() };
    packages.set(key, known);
    known.versions.push(version);
    for (const file of files) {
      const place = resolvePath(tree, file);
      if (place !== undefined) known.files.add(place);
    }
  };
  readDpkg(tree, add);
  for (const directory of apkDatabases) readApk(textOf(findNode(tree, `${directory}/installed`)), add);
  return packages;
}

type Add = (manager: PackageManager, name: string, version: string, files: readonly string[]) => void;

function readDpkg(tree: FileTree, add: Add): void {
  const listed = (name: string, architecture: string): string[] =>
    [`${name}.list`, `${name}:${architecture}.list`].flatMap((file) =>
      textOf(findNode(tree, `${dpkgRoot}/info/${file}`)).split("\n"),
    );
  for (const { name, architecture, version } of readStanzas(textOf(findNode(tree, `${dpkgRoot}/status`)), false)) {
    const files = listed(name, architecture).filter((file) => file !== "" && file !== "/.");
    add("dpkg", `${name}:${architecture}`, version, files);
  }
  const inStatusD = findNode(tree, `${dpkgRoot}/status.d`)?.children ?? new Map<string, TreeNode>();
  for (const [file, node] of inStatusD) {
    if (file.endsWith(".md5sums")) continue;
    const sums = textOf(inStatusD.get(`${file}.md5sums`));
    const files = [...sums.matchAll(/^[0-9a-f]{32} [ *].+/gm)].map(([line]) => line.slice(34));
    for (const { name, architecture, version } of readStanzas(textOf(node), true))
      add("dpkg", `${name}:${architecture}`, version, files);
  }
}

/** @param isUnsaidInstalled whether what has no status is installed: distroless images say none */
function readStanzas(
  text: string,
  isUnsaidInstalled: boolean,
): { name: string; architecture: string; version: string }[] {
  return splitStanzas(text).flatMap(({ package: name, version, architecture = "", status }) => {
    const isInstalled = status === undefined ? isUnsaidInstalled : status.split(" ")[2] === "installed";
    return name === undefined || version === undefined || !isInstalled ? [] : [{ name, architecture, version }];
  });
}

/** Fields of a Debian control file by their names in lower case; of those with several lines, the first. */
function splitStanzas(text: string): Record<string, string>[] {
  return text.split(/\n[ \t]*\n/).map((stanza) =>
    Object.fromEntries(
      [...stanza.matchAll(/^[A-Za-z][A-Za-z0-9-]*:.*/gm)].map(([line]) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    ),
  );
}

/** https://wiki.alpinelinux.org/wiki/Apk_spec: `P:` name, `V:` version, `F:` a directory, `R:` a file in it. */
function readApk(text: string, add: Add): void {
  for (const stanza of text.split("\n\n")) {
    let [name, version, directory] = ["", "", ""];
    const files: string[] = [];
    for (const line of stanza.split("\n")) {
      const value = line.slice(2);
      if (line.startsWith("P:")) name = value;
      else if (line.startsWith("V:")) version = value;
      else if (line.startsWith("F:")) {
        directory = value;
        files.push(value);
      } else if (line.startsWith("R:")) files.push(`${directory}/${value}`);
    }
    if (name !== "" && version !== "") add("apk", name, version, files);
  }
}

function textOf(node: TreeNode | undefined): string {
  return node?.file.content === undefined ? "" : Buffer.from(node.file.content).toString("latin1");
}

/** A package of the base that the image has in another version, or has no more. */
export interface PackageChange {
  package: InstalledPackage;
  before: string;
  /** Undefined where it is gone. */
  after?: string;
  order: VersionOrder | "removed" | "unknown";
}

export interface PackageComparison {
  base: InstalledPackages;
  image: InstalledPackages;
  /** Of the base, in a newer version in the image: its own word. */
  upgraded: PackageChange[];
  /** Of the base, and gone from the image's databases, older there, or of a version that can't be compared. */
  lost: PackageChange[];
  /** In the image, and not in the base. */
  added: InstalledPackage[];
}

/** What the databases of an image say has become of the packages of its base. */
export function comparePackages(base: InstalledPackages, image: InstalledPackages): PackageComparison {
  const comparison: PackageComparison = { base, image, upgraded: [], lost: [], added: [] };
  for (const [key, before] of base) {
    const after = image.get(key);
    if (after === undefined) {
      comparison.lost.push({ package: before, before: before.versions.join(", "), order: "removed" });
      continue;
    }
    const orders = after.versions.flatMap((version) =>
      before.versions.map((than) => compareVersions(before.manager, version, than)),
    );
    const change = { package: before, before: before.versions.join(", "), after: after.versions.join(", ") };
    if (before.versions.toSorted().join() === after.versions.toSorted().join()) continue;
    const worst = ([undefined, "older", "same", "newer"] as const).find((each) => orders.includes(each)) ?? "unknown";
    if (worst === "newer") comparison.upgraded.push({ ...change, order: worst });
    else if (worst !== "same") comparison.lost.push({ ...change, order: worst });
  }
  for (const [key, each] of image) if (!base.has(key)) comparison.added.push(each);
  return comparison;
}

function compareVersions(manager: PackageManager, version: string, than: string): VersionOrder | undefined {
  return manager === "dpkg" ? compareDpkgVersions(version, than) : compareApkVersions(version, than);
}
