/** What may stand before a package's name in a manifest or lock file, and after it. */
const before = /(?:^|[\s"'>:=]|node_modules\/)$/;
const after = /^(?:$|[\s"'<@=:;,~^!>[(])/;
/** Lines: a lock file has the version in the line of the name, or in the next one. */
const near = 2;

/**
 * The line of a manifest or lock file where a package is named, from 1: the first that has its version as well, or in
 * the next one, else the first that names it.
 */
export function findPackageLine(text: string, name: string, version: string): number | undefined {
  const lower = text.toLowerCase();
  const wanted = name.toLowerCase();
  if (wanted === "") return undefined;
  let first: number | undefined;
  for (let at = lower.indexOf(wanted); at !== -1; at = lower.indexOf(wanted, at + wanted.length)) {
    const end = at + wanted.length;
    const start = lower.lastIndexOf("\n", at - 1) + 1;
    if (!before.test(lower.slice(Math.max(start, at - 20), at)) || !after.test(lower.slice(end, end + 1))) continue;
    first ??= countLines(lower, at);
    if (version !== "" && linesFrom(lower, at).includes(version.toLowerCase())) return countLines(lower, at);
  }
  return first;
}

/** What is {@link near}. */
function linesFrom(text: string, at: number): string {
  let end = at - 1;
  for (let line = 0; line < near; line++) {
    end = text.indexOf("\n", end + 1);
    if (end === -1) return text.slice(at);
  }
  return text.slice(at, end);
}

/** The line of the last `FROM`, from 1: what an image stands on is chosen there. */
export function findFromLine(dockerfile: string): number | undefined {
  const at = dockerfile.split("\n").findLastIndex((line) => /^\s*FROM\s/i.test(line));
  return at === -1 ? undefined : at + 1;
}

function countLines(text: string, to: number): number {
  let lines = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < to; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
