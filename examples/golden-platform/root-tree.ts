import { posix } from "node:path";
import type { Distribution } from "./apt.ts";
import { addFile, addParents, type FileTree, type TreeEntry } from "./file-tree.ts";

/** One unpacked package: what it installs, and its control files. */
export interface UnpackedPackage {
  name: string;
  /** `DEBIAN/control`: the fields that scanners know a package by. */
  control: string;
  /** `DEBIAN/md5sums`, which not every package has. */
  md5sums: string | undefined;
  files: FileTree;
}

/** The user that applications run as. Its number is the one that the CNB project's own images use. */
export const runUser = { name: "cnb", uid: 1000, gid: 1000, home: "/home/cnb" } as const;

/** Directories that a merged /usr replaces by links, as Debian 12 and Ubuntu 22.04 and later are installed. */
const mergedDirectories = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** For people at a terminal; nothing in a container reads them. Copyright files stay: licences ask for them. */
const leftOut = /^usr\/share\/(?:bug|doc-base|groff|info|linda|lintian|locale|man)(?:\/|$)/;
const documentation = /^usr\/share\/doc\/[^/]+\//;

export function isForPeople(path: string): boolean {
  return leftOut.test(path) || (documentation.test(path) && !path.endsWith("/copyright"));
}

/**
 * Makes one root file system of the packages' files, and writes by hand what their maintainer scripts would have:
 * users, the bundle of certificates, the links of a merged /usr, and the packages' entries in `/var/lib/dpkg/status.d`,
 * without which scanners see none of them.
 * @throws Error where two packages have a different file at one path
 */
export function composeRoot(packages: readonly UnpackedPackage[], distribution: Distribution): FileTree {
  const root: FileTree = new Map();
  for (const unpacked of packages) {
    for (const [path, entry] of unpacked.files) {
      if (isForPeople(path)) continue;
      placeEntry(root, path, entry, unpacked.name);
    }
  }
  for (const name of mergedDirectories)
    if (root.has(`usr/${name}`)) root.set(name, { type: "symlink", target: `usr/${name}` });
  addAccounts(root);
  addCertificates(root);
  // glibc's own default asks DNS first, and then /etc/hosts is not read.
  addFile(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  root.set("tmp", { type: "directory", mode: 0o1777 });
  root.set("var/run", { type: "symlink", target: "/run" });
  for (const unpacked of packages) {
    addFile(root, `var/lib/dpkg/status.d/${unpacked.name}`, `${unpacked.control.trimEnd()}\n`);
    if (unpacked.md5sums !== undefined)
      addFile(root, `var/lib/dpkg/status.d/${unpacked.name}.md5sums`, unpacked.md5sums);
  }
  if (!root.has("etc/os-release"))
    throw new Error(`the packages of ${distribution.prettyName} bring no etc/os-release`);
  checkLinks(root);
  return root;
}

export function placeEntry(root: FileTree, path: string, entry: TreeEntry, owner: string): void {
  const [top, ...rest] = path.split("/");
  const merged = top !== undefined && mergedDirectories.includes(top);
  // A package that brings the link itself (base-files, from Debian 13 on) says what is done here anyway.
  if (merged && rest.length === 0 && entry.type === "symlink") return;
  const target = merged ? `usr/${path}` : path;
  const moved: TreeEntry =
    merged && entry.type === "symlink" && !posix.isAbsolute(entry.target)
      ? { ...entry, target: relinked(path, target, entry.target) }
      : entry;
  const present = root.get(target);
  if (present === undefined || present.type === "directory") {
    if (present !== undefined && moved.type !== "directory")
      throw new Error(`package ${owner} has a file where another has the directory /${target}`);
    addParents(root, target);
    root.set(target, moved);
  } else if (!isSame(present, moved)) {
    throw new Error(`package ${owner} and another one have different files at /${target}`);
  }
}

/**
 * A relative link that moves one directory down still has to reach what it pointed at; what it pointed at may have
 * moved as well.
 */
function relinked(from: string, to: string, target: string): string {
  const pointed = posix.normalize(posix.join(posix.dirname(from), target));
  const top = pointed.split("/")[0] ?? "";
  return posix.relative(posix.dirname(to), mergedDirectories.includes(top) ? `usr/${pointed}` : pointed);
}

function isSame(a: TreeEntry, b: TreeEntry): boolean {
  if (a.type === "file" && b.type === "file") return Buffer.compare(a.content, b.content) === 0;
  return a.type === "symlink" && b.type === "symlink" && a.target === b.target;
}

function addAccounts(root: FileTree): void {
  const { name, uid, gid, home } = runUser;
  // No program in this root can be logged in with; the shell's field has to say something.
  const shell = "/usr/sbin/nologin";
  const users = [
    ["root", 0, 0, "/root"],
    ["nobody", 65534, 65534, "/nonexistent"],
    [name, uid, gid, home],
  ] as const;
  addFile(
    root,
    "etc/passwd",
    users.map(([user, id, group, directory]) => `${user}:x:${id}:${group}:${user}:${directory}:${shell}\n`).join(""),
  );
  addFile(root, "etc/group", `root:x:0:\nnogroup:x:65534:\n${name}:x:${gid}:\n`);
  addParents(root, home.slice(1));
  root.set(home.slice(1), { type: "directory", mode: 0o755, uid, gid });
}

function addCertificates(root: FileTree): void {
  const bundle = bundleCertificates(root);
  if (bundle !== "") addFile(root, "etc/ssl/certs/ca-certificates.crt", bundle);
}

/**
 * What update-ca-certificates makes: every certificate of the package, in one file, where OpenSSL and Go look for it.
 */
export function bundleCertificates(files: FileTree): string {
  return [...files]
    .filter(([path]) => path.startsWith("usr/share/ca-certificates/") && path.endsWith(".crt"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, entry]) =>
      entry.type === "file" ? [`${Buffer.from(entry.content).toString("latin1").trimEnd()}\n`] : [],
    )
    .join("");
}

/**
 * A program is started through its interpreter and its libraries' links: one of them that leads nowhere makes an image
 * that can't start.
 */
function checkLinks(root: FileTree): void {
  for (const [path, entry] of root) {
    if (entry.type !== "symlink" || !/^usr\/lib(?:64)?\//.test(path)) continue;
    if (resolvePath(root, path) === undefined)
      throw new Error(`/${path} is a link to ${entry.target}, which the base does not have`);
  }
}

/** Follows links inside the tree alone. Undefined where the path leads nowhere. */
export function resolvePath(root: FileTree, path: string, depth = 0): string | undefined {
  if (depth > 40) return undefined;
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (let length = 1; length <= parts.length; length++) {
    const here = parts.slice(0, length).join("/");
    const entry = root.get(here);
    if (entry === undefined) return undefined;
    if (entry.type !== "symlink") continue;
    const target = posix.resolve("/", posix.dirname(here), entry.target);
    return resolvePath(root, posix.join(target, ...parts.slice(length)).slice(1), depth + 1);
  }
  return parts.join("/");
}
