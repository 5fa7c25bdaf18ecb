/** How two versions of a package stand to each other, by its manager's own rules. */
export type VersionOrder = "older" | "same" | "newer";

function order(difference: number): VersionOrder {
  return difference < 0 ? "older" : difference > 0 ? "newer" : "same";
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
    epoch: colon === -1 ? 0 : Number.parseInt(version.slice(0, colon), 10) || 0,
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? "" : rest.slice(dash + 1),
  };
}

/** Text and numbers in turn; `~` sorts before everything, the end included, and letters before the rest. */
function compareDpkgPart(a: string, b: string): number {
  const weigh = (character: string | undefined): number => {
    if (character === undefined || /\d/.test(character)) return 0;
    if (character === "~") return -1;
    return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
  };
  let restA = a;
  let restB = b;
  while (restA !== "" || restB !== "") {
    const textA = /^\D*/.exec(restA)?.[0] ?? "";
    const textB = /^\D*/.exec(restB)?.[0] ?? "";
    for (let at = 0; at < Math.max(textA.length, textB.length); at += 1) {
      const difference = weigh(textA[at]) - weigh(textB[at]);
      if (difference !== 0) return difference;
    }
    restA = restA.slice(textA.length);
    restB = restB.slice(textB.length);
    const digitsA = /^\d*/.exec(restA)?.[0] ?? "";
    const digitsB = /^\d*/.exec(restB)?.[0] ?? "";
    const difference = compareNumbers(digitsA, digitsB);
    if (difference !== 0) return difference;
    restA = restA.slice(digitsA.length);
    restB = restB.slice(digitsB.length);
  }
  return 0;
}

/** Of any length, as dates and commits are. */
function compareNumbers(a: string, b: string): number {
  const plainA = a.replace(/^0+/, "");
  const plainB = b.replace(/^0+/, "");
  return plainA.length - plainB.length || (plainA < plainB ? -1 : plainA > plainB ? 1 : 0);
}

const apkVersion =
  /^(\d+(?:\.\d+)*)([a-z])?((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?$/;
const apkSuffixes = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"];

/** apk's order (apk-package(5)). Undefined where one of them is no version of apk's. */
export function compareApkVersions(version: string, than: string): VersionOrder | undefined {
  if (version === than) return "same";
  const a = apkVersion.exec(version);
  const b = apkVersion.exec(than);
  if (a === null || b === null) return undefined;
  const numbersA = (a[1] ?? "").split(".");
  const numbersB = (b[1] ?? "").split(".");
  for (let at = 0; at < Math.min(numbersA.length, numbersB.length); at += 1) {
    const [left = "", right = ""] = [numbersA[at], numbersB[at]];
    // With a zero in front, all but the first are read as decimals.
    const isDecimal = at > 0 && (left.startsWith("0") || right.startsWith("0"));
    const difference = isDecimal ? (left < right ? -1 : left > right ? 1 : 0) : compareNumbers(left, right);
    if (difference !== 0) return order(difference);
  }
  const letter = (a[2] ?? "") < (b[2] ?? "") ? -1 : (a[2] ?? "") > (b[2] ?? "") ? 1 : 0;
  const difference =
    numbersA.length - numbersB.length ||
    letter ||
    compareApkSuffixes(a[3] ?? "", b[3] ?? "") ||
    compareNumbers(a[4] ?? "", b[4] ?? "");
  return order(difference);
}

function compareApkSuffixes(a: string, b: string): number {
  const split = (text: string): { rank: number; number: string }[] =>
    [...text.matchAll(/_([a-z]+)(\d*)/g)].map(([, name = "", number = ""]) => ({
      rank: apkSuffixes.indexOf(name),
      number,
    }));
  const [left, right] = [split(a), split(b)];
  const none = { rank: apkSuffixes.indexOf(""), number: "" };
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const [one, other] = [left[at] ?? none, right[at] ?? none];
    const difference = one.rank - other.rank || compareNumbers(one.number, other.number);
    if (difference !== 0) return difference;
  }
  return 0;
}
