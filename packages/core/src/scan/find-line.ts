/** What may stand before a package's name in a manifest or lock file, and after it. */
const before = /(?:^|[\s"'>:=]|node_modules\/)$/;
const after = /^(?:$|[\s"'<@=:;,~^!>[(])/;
/** Characters: whoever has written a file for readers has no longer lines, and a line in one piece is no place. */
const maxLine = 4096;

/**
 * A manifest or lock file as {@link findPackageLine} looks at it, cut once for all of its packages. Lines that are too
 * long are empty: a file in a single line would else be gone through once more for each time that it has a name.
 */
export function cutLines(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split("\n")
    .map((line) => (line.length > maxLine ? "" : line));
}

/**
 * The line of a manifest or lock file where a package is named, from 1: the first that has its version as well, or in
 * the next one, as lock files do, else the first that names it.
 * @param lines of {@link cutLines}
 */
export function findPackageLine(lines: readonly string[], name: string, version: string): number | undefined {
  const wanted = name.toLowerCase();
  const wantedVersion = version.toLowerCase();
  if (wanted === "") return undefined;
  let first: number | undefined;
  for (const [index, line] of lines.entries()) {
    const at = findName(line, wanted);
    if (at === -1) continue;
    first ??= index + 1;
    const isThisVersion = line.includes(wantedVersion, at) || lines[index + 1]?.includes(wantedVersion) === true;
    if (version !== "" && isThisVersion) return index + 1;
  }
  return first;
}

/** Where in a line a package is named, or -1: not where the name is a part of another. */
function findName(line: string, name: string): number {
  for (let at = line.indexOf(name); at !== -1; at = line.indexOf(name, at + name.length)) {
    const end = at + name.length;
    if (before.test(line.slice(Math.max(0, at - 20), at)) && after.test(line.slice(end, end + 1))) return at;
  }
  return -1;
}

/** The line of the last `FROM`, from 1: what an image stands on is chosen there. */
export function findFromLine(dockerfile: string): number | undefined {
  const at = dockerfile.split("\n").findLastIndex((line) => /^\s*FROM\s/i.test(line));
  return at === -1 ? undefined : at + 1;
}
