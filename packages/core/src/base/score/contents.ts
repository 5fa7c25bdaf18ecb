import { formatPath } from "../../layers/tar.ts";
import type { FileTree, TreeNode } from "../../layers/tree.ts";
import { readPackages } from "../packages.ts";

/** What is in a root file system that an application may not need. Paths are for people. */
export interface ScoredContents {
  /** Bytes of its files. */
  size: number;
  /** Packages of the system, by dpkg's or apk's database; undefined where another manager's is there, or none can be read. */
  packages?: number;
  shells: string[];
  packageManagers: string[];
  compilers: string[];
  /** Files that run with another's rights: the set-id bits, or capabilities. */
  setId: string[];
}

const programFolders = ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"];
const shells = new Set(["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox", "toybox"]);
const packageManagers = new Set(
  [
    "apt",
    "apt-get",
    "dpkg",
    "apk",
    "dnf",
    "microdnf",
    "tdnf",
    "yum",
    "rpm",
    "zypper",
    "pacman",
    "opkg",
    "nix",
    "brew",
  ].concat(
    // Of languages: what installs at run time is as good as what installs from the system.
    ["npm", "yarn", "pnpm", "corepack", "pip", "pip3", "gem", "composer"],
  ),
);
const compilers = new Set(
  [
    "cc",
    "gcc",
    "c++",
    "g++",
    "clang",
    "clang++",
    "tcc",
    "ld",
    "as",
    "make",
    "cmake",
    "go",
    "rustc",
    "cargo",
    "javac",
    "ghc",
  ].concat(["dotnet-sdk", "kotlinc", "scalac", "swiftc"]),
);
/** Databases of packages that nobody here reads. */
const foreignDatabases = ["var/lib/rpm", "usr/lib/sysimage/rpm", "var/lib/pacman/local"];

/** What of a tree nobody needs in production. Links count as what they are called: so they are started. */
export function describeContents(tree: FileTree): ScoredContents {
  const found: ScoredContents = { size: 0, shells: [], packageManagers: [], compilers: [], setId: [] };
  const seen = new Set<object>();
  const walk = (node: TreeNode, path: string): void => {
    const { file } = node;
    if (file.kind === "file" && !seen.has(file)) {
      seen.add(file);
      found.size += file.size;
      if ((file.mode & 0o6000) !== 0 || file.attributes["security.capability"] !== undefined)
        found.setId.push(formatPath(path));
    }
    for (const [name, child] of node.children) walk(child, path === "" ? name : `${path}/${name}`);
  };
  walk(tree.root, "");
  for (const folder of programFolders) {
    const programs = follow(tree, folder);
    for (const [name, { file }] of programs?.children ?? []) {
      if (file.kind === "directory") continue;
      // `python3.11` and `gcc-12` are called by their versions; a shell or manager is not.
      const plain = name.replace(/-\d[\d.]*$/, "");
      if (shells.has(name)) found.shells.push(formatPath(`${folder}/${name}`));
      if (packageManagers.has(name)) found.packageManagers.push(formatPath(`${folder}/${name}`));
      if (compilers.has(plain)) found.compilers.push(formatPath(`${folder}/${name}`));
    }
  }
  const isForeign = foreignDatabases.some((each) => (follow(tree, each)?.children.size ?? 0) > 0);
  const { size: packages } = readPackages(tree);
  return { ...found, ...(isForeign || packages === 0 ? {} : { packages }) };
}

/** A folder that is no link itself: one that is a link leads to another of the list. */
function follow(tree: FileTree, path: string): TreeNode | undefined {
  let node: TreeNode | undefined = tree.root;
  for (const part of path.split("/")) node = node?.children.get(part);
  return node?.file.kind === "directory" ? node : undefined;
}
