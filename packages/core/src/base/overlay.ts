import { addsRights, type BaseChange, compareTrees } from "../layers/changes.ts";
import { formatName } from "../layers/tar.ts";
import { type FileTree, findNode, resolvePath } from "../layers/tree.ts";
import { accountFileOf, onlyAddsLines } from "./added-lines.ts";
import { keepsLibraries } from "./loader-cache.ts";
import {
  apkDatabases,
  comparePackages,
  isDatabasePath,
  type PackageChange,
  type PackageComparison,
  readPackages,
} from "./packages.ts";
import { readRelease } from "./release.ts";

export interface OverlayFacts {
  /** The base's own layers, put together. */
  base: FileTree;
  /** All layers of the image. */
  image: FileTree;
  /** Of the policy: paths of files and folders, with a slash in front. */
  mayChange: readonly string[];
}

/** A change of the base that nothing makes harmless. */
export interface RefusedChange {
  change: BaseChange;
  /** Why what could make it harmless does not; empty where there is nothing to say. */
  why: string;
}

export interface OverlayDecision {
  refused: RefusedChange[];
  /** Packages of the base that the image says it has in a newer version: the files of these may differ. */
  upgraded: PackageChange[];
}

/** The paths of which {@link decideOverlay} needs the content. */
export function isContentNeeded(path: string): boolean {
  return (
    isDatabasePath(path) ||
    accountFileOf(path) !== undefined ||
    path === loaderCache ||
    osReleases.includes(path) ||
    path === apkWorld
  );
}

const loaderCache = "etc/ld.so.cache";
const apkWorld = "etc/apk/world";
const osReleases = ["usr/lib/os-release", "etc/os-release"];

/**
 * Folders whose files may go or change at any time, by the Filesystem Hierarchy Standard 3.0: temporary files, caches
 * that can be made again, logs. Package managers' lists are no program's data either.
 */
const volatileFolders = ["tmp", "var/tmp", "run", "var/run", "var/cache", "var/log", "var/lib/apt"];
/** Files over which every runtime puts its own when it starts a container. */
const runtimeFiles = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
/** What scripts of a package make, without a list that has it: where the package is newer, these may differ too. */
const generatedFiles: readonly { package: string; below: readonly string[] }[] = [
  { package: "ca-certificates", below: ["etc/ssl/certs", "etc/ca-certificates.conf"] },
  { package: "libc6", below: ["usr/lib/locale/locale-archive"] },
  { package: "libc-bin", below: ["usr/lib/locale/locale-archive"] },
];

/** Component by component: `/etc` is no part of `/etcetera`. */
function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

interface Scope extends OverlayFacts {
  packages: PackageComparison;
  /** Path → the packages of the base that have it. */
  owners: ReadonlyMap<string, readonly string[]>;
  upgraded: ReadonlySet<string>;
  /** Paths of the packages that the image has newly or in a newer version. */
  newFiles: ReadonlySet<string>;
}

/**
 * Is the base still what it was approved as, under the layers on top of it? Every path of the base that is gone or
 * other than in the base is refused, unless the policy lets it change or its content shows that it does no harm:
 *
 * - what is temporary, a cache or a log, and what a runtime replaces at its start;
 * - lines added to lists of accounts, for users and groups of their own;
 * - a loader's cache that takes the base's libraries from where they were;
 * - files of a package of the base that the image has in a newer version, as long as the database still has every
 *   package of the base, at the same version or a newer one; the database itself then; and what scripts of such a
 *   package are known to make.
 *
 * A database is the image's own word. What a package that claims to be newer really holds, the scan has to tell.
 */
export function decideOverlay(facts: OverlayFacts): OverlayDecision {
  const packages = comparePackages(readPackages(facts.base), readPackages(facts.image));
  const owners = new Map<string, string[]>();
  for (const [key, { files }] of packages.base)
    for (const file of files) owners.set(file, [...(owners.get(file) ?? []), key]);
  const newer = packages.lost.length === 0 ? packages.upgraded : [];
  const upgraded = new Set(newer.map((each) => `${each.package.manager} ${each.package.name}`));
  const newFiles = new Set<string>();
  for (const [key, { files }] of packages.image) {
    if (upgraded.has(key) || !packages.base.has(key)) for (const file of files) newFiles.add(file);
  }
  const scope: Scope = { ...facts, packages, owners, upgraded, newFiles };
  const refused = compareTrees(facts.base, facts.image).flatMap((change): RefusedChange[] => {
    const why = judgeChange(change, scope);
    return why === undefined ? [] : [{ change, why }];
  });
  return { refused, upgraded: newer };
}

/** Undefined where a change is harmless. */
function judgeChange(change: BaseChange, scope: Scope): string | undefined {
  const { path, before, after } = change;
  if (scope.mayChange.some((allowed) => isAtOrBelow(path, Buffer.from(allowed.slice(1), "utf8").toString("latin1"))))
    return undefined;
  if (volatileFolders.some((folder) => path !== folder && isAtOrBelow(path, folder))) return undefined;
  if (runtimeFiles.includes(path) && before.kind === "file" && (after === undefined || after.kind === "file"))
    return undefined;
  // Whatever it holds, nobody may do more with it than with the base's own: only a newer package says so of its files.
  const isFromPackage = isPackageWork(change, scope);
  if (!isFromPackage && givesRights(change, scope))
    return "its owner, mode or attributes give rights that they did not give in the base";
  const accounts = accountFileOf(path);
  if (accounts !== undefined) return judgeAccounts(change, findNode(scope.base, accounts)?.file.content);
  if (path === loaderCache && keepsLibraries(before.content, after?.content, (each) => resolvePath(scope.base, each)))
    return undefined;
  if (path === apkWorld)
    return keepsLines(before.content, after?.content) ? undefined : "it does not have all of its lines any more";
  const database = judgeDatabase(path, scope);
  if (database !== "none") return database;
  if (isFromPackage) return osReleases.includes(path) ? judgeRelease(change) : undefined;
  return explainOwner(path, scope);
}

/** A copy of a file of accounts may have the rights of the file itself: shadow's tools make it so. */
function givesRights({ path, before, after }: BaseChange, { base }: Scope): boolean {
  const accounts = accountFileOf(path);
  const original = accounts === undefined ? undefined : findNode(base, accounts)?.file;
  return after !== undefined && addsRights(before, after) && addsRights(original ?? before, after);
}

/**
 * A copy is of the file as it was before the last change: what the base has now, or had then.
 * @param original the content of the file in the base, of a copy and of the file itself
 */
function judgeAccounts({ path, before, after }: BaseChange, original: Uint8Array | undefined): string | undefined {
  if (after === undefined) return "";
  // Of the file itself the two are one.
  const isHarmless = [...new Set([before.content, original])].some((content) =>
    onlyAddsLines(path, content, after.content),
  );
  return after.kind === "file" && isHarmless
    ? undefined
    : "it has more than lines for new users and groups, other than root, added at their place";
}

function keepsLines(before: Uint8Array | undefined, after: Uint8Array | undefined): boolean {
  if (before === undefined || after === undefined) return false;
  const lines = (bytes: Uint8Array): string[] => Buffer.from(bytes).toString("latin1").split("\n");
  const now = new Set(lines(after));
  return lines(before).every((line) => now.has(line));
}

/** `none` for a path that is no database's. */
function judgeDatabase(path: string, { packages, upgraded }: Scope): string | undefined {
  const isDpkg = isAtOrBelow(path, "var/lib/dpkg");
  if (!isDpkg && !apkDatabases.some((directory) => isAtOrBelow(path, directory))) return "none";
  const manager = isDpkg ? "dpkg" : "apk";
  const lost = packages.lost.filter((each) => each.package.manager === manager);
  if (lost.length > 0) return `it does not have every package of the base any more: ${listLost(lost)}`;
  if (![...packages.base.values()].some((each) => each.manager === manager))
    return "no package can be read from it in the base";
  const owner = /^var\/lib\/dpkg\/info\/([^/:]+)(?::([^/.]+))?\.[a-z0-9]+$/.exec(path);
  if (owner === null) return undefined;
  const [, name, architecture] = owner;
  const keys = [...packages.base.keys()].filter(
    (key) => key.startsWith(`dpkg ${name}:`) && (architecture === undefined || key.endsWith(`:${architecture}`)),
  );
  return keys.every((key) => upgraded.has(key))
    ? undefined
    : `it tells of package ${name}, which is the same as in the base`;
}

function listLost(lost: readonly PackageChange[]): string {
  const shown = lost.slice(0, 5).map(({ package: each, before, after, order }) => {
    const name = formatName(each.name);
    return order === "removed" ? `${name} is gone` : `${name} is ${after}, and was ${before}`;
  });
  return `${shown.join("; ")}${lost.length > shown.length ? `; and ${lost.length - shown.length} more` : ""}`;
}

/**
 * Whether the databases explain a change: all packages of the base that have the path are newer in the image, and what
 * is there now belongs to a new or newer one.
 */
function isPackageWork({ path, before, after }: BaseChange, scope: Scope): boolean {
  const { owners, upgraded, newFiles, packages } = scope;
  // No package manager puts something else in the place of a folder, but for documentation that moved.
  if (
    before.kind === "directory" &&
    after !== undefined &&
    after.kind !== "directory" &&
    !isAtOrBelow(path, "usr/share/doc")
  )
    return false;
  const belongsToUpgraded = (each: string): boolean => owners.get(each)?.every((key) => upgraded.has(key)) === true;
  const source = sourceOf(path);
  if (belongsToUpgraded(path) || belongsToUpgraded(source))
    return after === undefined || newFiles.has(path) || source !== path;
  const isGenerated = generatedFiles.some(
    (each) =>
      each.below.some((folder) => isAtOrBelow(path, folder)) &&
      [...upgraded].some((key) => nameOf(key).split(":")[0] === each.package),
  );
  if (isGenerated) return true;
  if (packages.lost.length > 0 || owners.has(path) || after === undefined) return false;
  // update-alternatives chooses among what is installed; busybox's links give way to programs of their own.
  if (isAtOrBelow(path, "etc/alternatives") && before.kind === "symlink" && after.kind === "symlink") {
    const place = resolvePath(scope.image, after.target);
    return place !== undefined && after.target.startsWith("/") && newFiles.has(place);
  }
  const isBusybox = /(?:^|\/)bin\/busybox$/.test(before.target) && packages.base.has("apk busybox");
  return isBusybox && newFiles.has(path);
}

/**
 * `x/__pycache__/y.cpython-312.pyc` → `x/y.py`: Python's own copy of a file, which packages make after they are
 * installed. Of any other path the path itself.
 */
function sourceOf(path: string): string {
  return path.replace(/\/__pycache__\/([^/]+?)\.cpython-\d+(?:\.opt-[12])?\.pyc$/, "/$1.py");
}

/** Of a package's key. */
function nameOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}

/**
 * A newer release of the same distribution, and not another one: vulnerabilities are looked up by what stands there.
 */
function judgeRelease({ before, after }: BaseChange): string | undefined {
  const read = (bytes: Uint8Array | undefined) =>
    bytes === undefined ? undefined : readRelease(Buffer.from(bytes).toString("latin1"));
  const [was, is] = [read(before.content), read(after?.content)];
  const isKept = was !== undefined && was.id === is?.id && was.version === is.version;
  return isKept ? undefined : "it names another distribution or release";
}

function explainOwner(path: string, { owners, upgraded, packages }: Scope): string {
  const [owner] = (owners.get(path) ?? []).filter((key) => !upgraded.has(key));
  if (owner === undefined) return "";
  const name = formatName(nameOf(owner));
  if (packages.lost.length > 0)
    return `it is a file of package ${name}, and the package database is not whole: ${listLost(packages.lost)}`;
  return `it is a file of package ${name}, which the image does not have in a newer version`;
}
