import { UserError } from "@goldenpath/foundation/errors";

/** Far more than anybody writes by hand, and few enough that each file of an application can be held to all of them. */
const maxPatterns = 2_000;
const maxPatternLength = 1_000;

/**
 * gitignore patterns → does a path (relative, `/` between components) match, itself or by a folder above it? The last
 * pattern that matches decides; `!` turns it round. Each pattern takes time by its length times the path's, whatever is
 * in it: as an expression, a row of stars would try every way to share the path out.
 * @param file that has the patterns, for messages
 * @throws UserError `project-invalid`
 */
export function createMatcher(lines: readonly string[], file: string): (path: string, isDirectory: boolean) => boolean {
  if (lines.length > maxPatterns) throw tooMuch(file, `${lines.length} patterns, and ${maxPatterns} are read at most`);
  const rules = lines.flatMap((line) => {
    if (line.length > maxPatternLength)
      throw tooMuch(file, `a pattern of ${line.length} characters, and ${maxPatternLength} are read at most`);
    const trimmed = trimBlanks(line);
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    const negated = trimmed.startsWith("!");
    const body = negated ? trimmed.slice(1) : trimmed;
    const directoryOnly = body.endsWith("/");
    const bare = directoryOnly ? body.slice(0, -1) : body;
    if (bare === "") return [];
    return [{ negated, directoryOnly, parts: parsePattern(bare) }];
  });
  return (path, isDirectory) => {
    // By rule, the folders above the path and the path itself, from the top.
    const found = rules.map(({ parts }) => matchComponents(parts, path));
    const count = path.split("/").length;
    for (let component = 0; component < count; component++) {
      const isFolder = isDirectory || component < count - 1;
      const last = rules.findLastIndex(
        (rule, index) => (!rule.directoryOnly || isFolder) && found[index]?.[component] === true,
      );
      if (last !== -1 && rules[last]?.negated === false) return true;
    }
    return false;
  };
}

function tooMuch(file: string, what: string): UserError {
  return new UserError(`${file} has ${what}`, {
    code: "project-invalid",
    wayOut: "Name whole folders, in fewer and shorter patterns.",
  });
}

/** Blanks at the end do not count, unless the first of them is escaped. */
function trimBlanks(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === " " && line[end - 2] !== "\\") end--;
  return line.slice(0, end);
}

/** What one part of a pattern stands for. */
type Part =
  /** One character of which this holds. */
  | { kind: "one"; is: (character: string) => boolean }
  /** `*`: any number of characters within a component. */
  | { kind: "star" }
  /** `**` and a slash: any number of whole components, none as well. */
  | { kind: "components" }
  /** `**` at the end: whatever is inside. */
  | { kind: "rest" };

/** A pattern with a slash before its end is tied to the top; one without holds at every depth. */
function parsePattern(pattern: string): Part[] {
  const text = pattern.startsWith("/") ? pattern.slice(1) : pattern;
  const parts: Part[] = pattern.includes("/") ? [] : [{ kind: "components" }];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? "";
    const before = at === 0 || text[at - 1] === "/";
    if (before && text.startsWith("**/", at)) {
      parts.push({ kind: "components" });
      at += 2;
    } else if (before && text.startsWith("**", at) && at + 2 === text.length) {
      parts.push({ kind: "rest" });
      at += 1;
    } else if (character === "*") {
      // Several in a row are one.
      if (parts.at(-1)?.kind !== "star") parts.push({ kind: "star" });
    } else if (character === "?") parts.push({ kind: "one", is: (each) => each !== "/" });
    else if (character === "[") {
      const set = parseSet(text, at);
      parts.push({ kind: "one", is: set?.is ?? ((each) => each === "[") });
      at = set?.end ?? at;
    } else {
      if (character === "\\" && at + 1 < text.length) at += 1;
      const literal = text[at] ?? "";
      parts.push({ kind: "one", is: (each) => each === literal });
    }
  }
  return parts;
}

/**
 * `[a-z]`, `[!ab]`, `[]]` from its bracket on; undefined where it has no end in its component. Nothing is in a range
 * that runs backwards.
 */
function parseSet(text: string, start: number): { is: (character: string) => boolean; end: number } | undefined {
  const isNegated = text[start + 1] === "!" || text[start + 1] === "^";
  const first = start + (isNegated ? 2 : 1);
  const slash = text.indexOf("/", first);
  // A bracket at once is one of the characters.
  const end = text.indexOf("]", first + 1);
  const bare = text[first] === "]" && (end === -1 || (slash !== -1 && end > slash));
  if (bare) return undefined;
  if (end === -1 || (slash !== -1 && end > slash)) return undefined;
  const ranges: [string, string][] = [];
  for (let at = first; at < end; at++) {
    const from = text[at] ?? "";
    if (text[at + 1] === "-" && at + 2 < end) {
      ranges.push([from, text[at + 2] ?? ""]);
      at += 2;
    } else ranges.push([from, from]);
  }
  const isIn = (character: string): boolean => ranges.some(([from, to]) => character >= from && character <= to);
  return { is: (character) => character !== "/" && isIn(character) !== isNegated, end };
}

/**
 * Whether it matches the path up to each of its slashes, and all of it. All the places in the pattern where it could
 * stand after each character are kept at once, and no others are looked at: place `2 * i` is before part `i`, and
 * `2 * i + 1` inside of the components that part `i` passes over, which end only with a slash.
 */
function matchComponents(parts: readonly Part[], path: string): boolean[] {
  const matched: boolean[] = [];
  const end = 2 * parts.length;
  /** After how many characters each place was entered last: none is kept twice. */
  const entered = new Int32Array(end + 1).fill(-1);
  let places: number[] = [];
  enter(parts, { places, entered, after: 0 }, 0);
  for (let at = 0; at < path.length; at++) {
    const character = path.charAt(at);
    if (character === "/") matched.push(entered[end] === at);
    const next = { places: [], entered, after: at + 1 };
    for (const place of places) takeCharacter(parts, place, next, character);
    places = next.places;
    if (places.length === 0) return matched;
  }
  matched.push(entered[end] === path.length);
  return matched;
}

interface Places {
  places: number[];
  entered: Int32Array;
  after: number;
}

function takeCharacter(parts: readonly Part[], place: number, next: Places, character: string): void {
  const i = place >> 1;
  const part = parts[i];
  if (part === undefined || (part.kind === "one" && !part.is(character))) return;
  if (part.kind === "star" && character === "/") return;
  if (part.kind === "components") enter(parts, next, 2 * i + 1);
  else if (part.kind !== "one") enter(parts, next, 2 * i);
  if (part.kind === "one" || part.kind === "rest" || (part.kind === "components" && character === "/"))
    enter(parts, next, 2 * i + 2);
}

/** With what comes after it: a star and whole components may stand for nothing. */
function enter(parts: readonly Part[], { places, entered, after }: Places, first: number): void {
  for (let place = first; entered[place] !== after; place += 2) {
    entered[place] = after;
    places.push(place);
    const kind = place % 2 === 0 ? parts[place / 2]?.kind : undefined;
    if (kind !== "star" && kind !== "components") return;
  }
}
