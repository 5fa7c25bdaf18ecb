import { CST, isMap, isScalar, isSeq, Lexer, type Node, parseDocument } from "yaml";

/** Where something stands in a text. Line and column start at 1; columns are UTF-16 units. */
export interface Position {
  line: number;
  column: number;
}

export interface YamlProblem extends Position {
  message: string;
}

export interface YamlText {
  /** Plain data: maps as objects, lists as arrays, no shared parts. */
  value: unknown;
  /** The position of what a path leads to, or of its key. Where the path ends early, that of the last thing on it. */
  locate(path: readonly PropertyKey[], at: "key" | "value"): Position;
}

const maxFlowDepth = 16;
const maxIndent = 200;
const maxItemsPerLine = 4;
const maxProblems = 25;

/**
 * Text → data, of the YAML that a reviewer reads without surprises: one document of maps with text keys, lists and
 * plain values. What lets a text mean something other than it seems to is refused: duplicate keys, anchors and aliases
 * (also the means of a bomb), tags, directives, explicit keys, tabs as indentation, a second document. Warnings are
 * errors.
 */
export function readStrictYaml(text: string): { problems: YamlProblem[] } | { yaml: YamlText } {
  const starts = lineStarts(text);
  const at = (offset: number): Position => positionOf(starts, offset);
  const lexical = findForbiddenToken(text);
  if (lexical !== undefined) return { problems: [{ ...at(lexical.offset), message: lexical.message }] };
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, {
      prettyErrors: false,
      uniqueKeys: false,
      version: "1.2",
      schema: "core",
      merge: false,
    });
  } catch (error) {
    return {
      problems: [
        {
          line: 1,
          column: 1,
          message: `it cannot be read as YAML: ${error instanceof Error ? error.message : String(error)}`,
        },
      ],
    };
  }
  // What the library warns about today (tags, directives) has been refused by now; a later version may warn about more.
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    return {
      problems: faults
        .slice(0, maxProblems)
        .map((fault) => ({ ...at(fault.pos[0]), message: describeFault(fault.code, fault.message) })),
    };
  }
  const problems: YamlProblem[] = [];
  checkKeys(document.contents, at, problems);
  if (problems.length > 0) return { problems: problems.slice(0, maxProblems) };
  return {
    yaml: { value: document.toJS(), locate: (path, which) => at(locateOffset(document.contents, path, which)) },
  };
}

/**
 * Looks at the tokens before anything is composed from them: the composer is recursive, and a text nested thousands
 * deep ends the process where no handler can catch it.
 */
function findForbiddenToken(text: string): { offset: number; message: string } | undefined {
  let offset = 0;
  let depth = 0;
  let items = 0;
  let documents = 0;
  let atLineStart = true;
  let isContent = false;
  for (const token of new Lexer().lex(text)) {
    if (isContent) {
      isContent = false;
      offset += token.length;
      atLineStart = token.endsWith("\n");
      if (atLineStart) items = 0;
      continue;
    }
    const type = CST.tokenType(token);
    if (type === "doc-mode" || type === "flow-error-end") continue;
    if (type === "scalar") {
      isContent = true;
      continue;
    }
    const refuse = (message: string): { offset: number; message: string } => ({ offset, message });
    if (type === "newline") items = 0;
    else if (type === "flow-map-start" || type === "flow-seq-start") depth += 1;
    else if (type === "flow-map-end" || type === "flow-seq-end") depth -= 1;
    else if (type === "seq-item-ind") items += 1;
    else if (type === "anchor") return refuse(`anchors are not allowed (${token}): write the value where it counts`);
    else if (type === "alias") return refuse(`aliases are not allowed (${token}): write the value where it counts`);
    else if (type === "tag") return refuse(`tags are not allowed (${token})`);
    else if (type === "explicit-key-ind") return refuse("keys with ? are not allowed: write KEY: VALUE");
    else if (type === "directive-line") return refuse("directives are not allowed: a policy is plain YAML 1.2");
    else if (type === "doc-start" && ++documents > 1)
      return refuse("a second document starts here: a policy is one YAML document");
    if (
      depth > maxFlowDepth ||
      items > maxItemsPerLine ||
      (atLineStart && type === "space" && token.length > maxIndent)
    ) {
      return refuse("this is nested too deeply for a policy");
    }
    atLineStart = type === "newline";
    offset += token.length;
  }
  return undefined;
}

function describeFault(code: string, message: string): string {
  if (code === "TAB_AS_INDENT") return "a tab is used as indentation: use spaces";
  if (code === "MULTIPLE_DOCS") return "a second document starts here: a policy is one YAML document";
  return message.charAt(0).toLowerCase() + message.slice(1);
}

/** Our own check, since the library's compares every key with every other. */
function checkKeys(node: unknown, at: (offset: number) => Position, problems: YamlProblem[]): void {
  if (isSeq(node)) for (const item of node.items) checkKeys(item, at, problems);
  if (!isMap(node)) return;
  const seen = new Map<string, Position>();
  for (const pair of node.items) {
    const position = at(offsetOf(pair.key) ?? offsetOf(node) ?? 0);
    if (!isScalar(pair.key) || typeof pair.key.value !== "string") {
      problems.push({ ...position, message: "a key must be text: put it in quotes" });
    } else {
      const earlier = seen.get(pair.key.value);
      if (earlier === undefined) seen.set(pair.key.value, position);
      else
        problems.push({
          ...position,
          message: `the key \`${pair.key.value}\` is there twice, first on line ${earlier.line}`,
        });
    }
    checkKeys(pair.value, at, problems);
  }
}

function locateOffset(root: unknown, path: readonly PropertyKey[], which: "key" | "value"): number {
  let node: unknown = root;
  let offset = offsetOf(root) ?? 0;
  for (const [index, part] of path.entries()) {
    const isLast = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
      if (pair === undefined) return offset;
      node = pair.value;
      const keyOffset = offsetOf(pair.key) ?? offset;
      // A map or list as value begins on a later line than the key that a reader looks for.
      offset = isLast && which === "value" && isScalar(node) ? (offsetOf(node) ?? keyOffset) : keyOffset;
    } else if (isSeq(node) && typeof part === "number") {
      node = node.items[part];
      offset = offsetOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let index = text.indexOf("\n"); index !== -1; index = text.indexOf("\n", index + 1)) starts.push(index + 1);
  return starts;
}

function positionOf(starts: readonly number[], offset: number): Position {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}
