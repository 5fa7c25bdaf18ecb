import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const files = [
  [".python-version", /^\s*(?:(?:c?python|pypy)-)?(\d+(?:\.\d+)*)/m],
  ["runtime.txt", /^\s*python-(\d+(?:\.\d+)*)/m],
  ["pyproject.toml", /^\s*requires-python\s*=\s*["']([^"']+)["']/m],
];

/**
 * The Python that the application names, by the first file that names one.
 * @returns {{ file: string, text: string, takes: (version: string) => boolean } | undefined} `takes` is asked with a
 *   minor version, `3.11`
 */
export function findWantedVersion(directory) {
  for (const [file, pattern] of files) {
    const path = join(directory, file);
    const text = existsSync(path) ? pattern.exec(readFileSync(path, "utf8"))?.[1] : undefined;
    if (text !== undefined) return { file, text, takes: (version) => takes(text, version) };
  }
  return undefined;
}

/** A version is that minor one, and a range is read as far as its bounds: pip reads it to the end. */
function takes(text, version) {
  return text.split(",").every((each) => {
    const [, operator, major, minor] = /^\s*(>=|<=|==|~=|!=|<|>|)\s*(\d+)(?:\.(\d+))?/.exec(each) ?? [];
    if (major === undefined) return true;
    const difference = compare(version, `${major}.${minor ?? 0}`);
    const isMajorAlone = minor === undefined;
    if (operator === ">=") return difference >= 0;
    if (operator === "<=") return difference <= 0 || isMajorAlone;
    if (operator === "<") return difference < 0;
    if (operator === ">" || operator === "!=") return true;
    if (operator === "~=") return difference >= 0;
    return isMajorAlone ? version.startsWith(`${major}.`) : difference === 0;
  });
}

function compare(a, b) {
  const [[majorA, minorA], [majorB, minorB]] = [a, b].map((text) => text.split(".").map(Number));
  return majorA - majorB || minorA - minorB;
}
