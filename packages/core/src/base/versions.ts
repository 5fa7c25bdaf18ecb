/** How two versions of a package stand to each other, by its manager's own rules. */
export type VersionOrder = "older" | "same" | "newer";

function order(difference: number): VersionOrder {
  return difference < 0 ? "older" : difference > 0 ? "newer" : "same";
}

/** The first difference of two lists, place by place; the shorter one goes on with `none`. */
function compareEach<T>(
  a: readonly T[],
  b: readonly T[],
  none: T,
  compare: (a: T, b: T, at: number) => number,
): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const difference = compare(a[at] ?? none, b[at] ?? none, at);
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Of any length, as dates and commits are. */
function compareNumbers(a: string, b: string): number {
  const plainA = a.replace(/^0+/, "");
  const plainB = b.replace(/^0+/, "");
  return plainA.length - plainB.length || compareText(plainA, plainB);
}

/** dpkg's order: `[epoch:]upstream[-revision]` (deb-version(7)). What `version` is, seen from `than`. */
export function compareDpkgVersions(version: string, than: string): VersionOrder {
  const a = splitDpkg(version);
  const b = splitDpkg(than);
  return order(a.epoch - b.epoch || compareDpkgPart(a.upstream, b.upstream) || compareDpkgPart(a.revision, b.revision));
}

function splitDpkg(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon === -1 ? 0 : Number.parseInt(version, 10) || 0,
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? "" : rest.slice(dash + 1),
  };
}

/** Text and numbers in turn, the first one a text, which may be empty. */
function compareDpkgPart(a: string, b: string): number {
  return compareEach(a.split(/(\d+)/), b.split(/(\d+)/), "", (left, right, at) =>
    at % 2 === 0 ? compareDpkgText(left, right) : compareNumbers(left, right),
  );
}

function compareDpkgText(a: string, b: string): number {
  return compareEach([...a].map(weigh), [...b].map(weigh), 0, (left, right) => left - right);
}

/** `~` sorts before everything, the end included, and letters before the rest. */
function weigh(character: string): number {
  if (character === "~") return -1;
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
}

const apkVersion =
  /^(\d+(?:\.\d+)*)([a-z])?((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?$/;
const apkSuffixes = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"];

/** apk's order (apk-package(5)). Undefined where one of them is no version of apk's. */
export function compareApkVersions(version: string, than: string): VersionOrder | undefined {
  if (version === than) return "same";
  const a = splitApk(version);
  const b = splitApk(than);
  if (a === undefined || b === undefined) return undefined;
  return order(
    compareEach(a.numbers, b.numbers, "", compareApkNumbers) ||
      compareText(a.letter, b.letter) ||
      compareEach(a.suffixes, b.suffixes, "", compareApkSuffixes) ||
      compareNumbers(a.revision, b.revision),
  );
}

function splitApk(version: string) {
  const found = apkVersion.exec(version);
  if (found === null) return undefined;
  const [, numbers = "", letter = "", suffixes = ""] = found;
  return { numbers: numbers.split("."), letter, suffixes: suffixes.split("_"), revision: found[4] ?? "" };
}

/** With a zero in front, all but the first are read as decimals. */
function compareApkNumbers(a: string, b: string, at: number): number {
  const isDecimal = at > 0 && (a.startsWith("0") || b.startsWith("0"));
  return isDecimal ? compareText(a, b) : compareNumbers(a, b);
}

/** `rc2`, or nothing, which some are before. */
function compareApkSuffixes(a: string, b: string): number {
  const rank = (suffix: string): number => apkSuffixes.indexOf(suffix.replace(/\d+/, ""));
  return rank(a) - rank(b) || compareNumbers(a.replace(/\D+/, ""), b.replace(/\D+/, ""));
}
