import type { SourcePlace } from "@goldenpath/foundation/errors";

export interface PlaceSearch {
  /** The end of a build's output, clean. */
  lines: readonly string[];
  /** Where the application was built: absolute paths are below it, and all others count from it. */
  directory: string;
  /** Whether the application has this file, from its folder: a compiler names those of others as well. */
  isFile(path: string): boolean;
  /** A place in the application, from the checkout's root. */
  inCheckout(place: SourcePlace): SourcePlace;
}

const maxPlaces = 20;

/** Ways to name a place in one line: file, line and what is wrong. */
const inOneLine: readonly RegExp[] = [
  // gcc, clang, swiftc, javac, and whoever writes as they do.
  /^(?<file>[^\s:()][^:()]*?):(?<line>\d+):(?:\d+:)? (?:fatal )?error: (?<message>.+)$/i,
  // Go's compiler, which says no more of an error than what it is.
  /^(?:vet: )?(?<file>[^\s:()]+\.go):(?<line>\d+):\d+: (?<message>.+)$/,
  // TypeScript's and C#'s compilers, the former also as it writes for people.
  /^(?<file>[^\s:()][^:()]*?)\((?<line>\d+),\d+\): error (?<message>.+?)(?: \[[^\]]+\])?$/,
  /^(?<file>[^\s:()][^:()]*?):(?<line>\d+):\d+ - error (?<message>.+)$/,
  // Shells: dash, and bash.
  /^(?<file>[^\s:()]+): (?:line )?(?<line>\d+): (?<message>syntax error.*)$/i,
  // Ruby; PHP; nginx.
  /^(?:\S*ruby: )?(?<file>[^\s:()]+\.rb):(?<line>\d+): (?<message>syntax error.*)$/i,
  /^(?:PHP )?(?:Parse|Fatal) error: +(?<message>.+) in (?<file>\S+) on line (?<line>\d+)$/,
  /^nginx: \[emerg\] (?<message>.+) in (?<file>\S+):(?<line>\d+)$/,
];

/** And where what is wrong is in another line: of the next ones, or the one before. */
const first: readonly RegExp[] = [
  // Python.
  /^\s*File "(?<file>[^"]+)", line (?<line>\d+)/,
  // Node.js.
  /^(?:file:\/\/)?(?<file>[^\s:()]+\.[cm]?js):(?<line>\d+)$/,
  // Rust's compiler.
  /^\s*--> (?<file>[^\s:()]+):(?<line>\d+):\d+$/,
];
const said = /^\s*(?<message>(?:\w+Error|error(?:\[\w+\])?): .+)$/;
/** How far away it is. Lines. */
const [before, after] = [1, 6];

/**
 * The lines of the application that compilers and interpreters complain about. Output is the build's own word: what is
 * read out of it is only shown, and only for files that the application has.
 */
export function findPlaces({ lines, directory, isFile, inCheckout }: PlaceSearch): SourcePlace[] {
  const places = new Map<string, SourcePlace>();
  for (const [index, line] of lines.entries()) {
    // A regular expression takes its time over a line that no compiler wrote.
    if (line.length > 1000) continue;
    const found = matchFirst(inOneLine, line) ?? matchFirst(first, line);
    const file = found?.["file"] === undefined ? undefined : within(found["file"], directory);
    if (found === undefined || file === undefined || !isFile(file)) continue;
    const message = found["message"] ?? nearby(lines, index);
    if (message === undefined) continue;
    const place = inCheckout({ file, line: Number(found["line"]), message });
    places.set(JSON.stringify(place), place);
    if (places.size >= maxPlaces) break;
  }
  return [...places.values()];
}

function matchFirst(patterns: readonly RegExp[], line: string): Record<string, string> | undefined {
  for (const pattern of patterns) {
    const groups = pattern.exec(line)?.groups;
    if (groups !== undefined) return groups;
  }
  return undefined;
}

function nearby(lines: readonly string[], index: number): string | undefined {
  const around = [...lines.slice(index + 1, index + 1 + after), ...lines.slice(Math.max(0, index - before), index)];
  return around.map((line) => said.exec(line)?.groups?.["message"]).find((message) => message !== undefined);
}

/** From the application's folder; undefined for what is elsewhere. */
function within(path: string, directory: string): string | undefined {
  const own = path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path.replace(/^(?:\.\/)+/, "");
  const isElsewhere = own === "" || own.startsWith("/") || own.split("/").some((part) => part === "..");
  return isElsewhere ? undefined : own;
}
