import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from "yaml";
import { readDockerfileMentions, readGivenSyntax } from "./dockerfile.ts";
import type { FileMentions, Mention, MentionUse } from "./mention.ts";

/** Where in a file of this kind an image stands; `*` is any key or place in a list. */
interface Place {
  path: readonly string[];
  use: MentionUse;
  /** The image is what follows this. */
  after?: string;
}

const composePlaces: readonly Place[] = [
  { path: ["services", "*", "image"], use: "run" },
  { path: ["services", "*", "build", "additional_contexts", "*"], use: "build", after: "docker-image://" },
];
const workflowPlaces: readonly Place[] = [
  { path: ["jobs", "*", "container"], use: "run" },
  { path: ["jobs", "*", "container", "image"], use: "run" },
  { path: ["jobs", "*", "services", "*", "image"], use: "run" },
  { path: ["jobs", "*", "steps", "*", "uses"], use: "run", after: "docker://" },
  // Of an action's own file: a composite one's steps, and one that is a container.
  { path: ["runs", "steps", "*", "uses"], use: "run", after: "docker://" },
  { path: ["runs", "image"], use: "run", after: "docker://" },
];

/**
 * A compose file's images; a service that is built and named has its own name there, which is none to judge. A
 * Dockerfile within it is read as one.
 */
export function readComposeMentions(file: string, text: string): FileMentions {
  return readPlaces(file, text, composePlaces, (path, beside) => !(path[2] === "image" && beside.has("build")));
}

export function readWorkflowMentions(file: string, text: string): FileMentions {
  return readPlaces(file, text, workflowPlaces, () => true);
}

/** What a value is in one map: the keys beside it. */
type Counts = (path: readonly string[], beside: ReadonlySet<string>) => boolean;

/** No file has as many values where images may stand; aliases of aliases would. */
const maxVisited = 50_000;

/** So many characters of a Dockerfile count as one value. */
const charactersOfValue = 64;

/** Maps that are merged into one another; one that is merged into itself would have no end. */
const maxMerged = 100;

const buildPath = ["services", "*", "build"];

function readPlaces(file: string, text: string, places: readonly Place[], counts: Counts): FileMentions {
  const lineCounter = new LineCounter();
  const lineOf = (offset: number): number => lineCounter.linePos(offset).line;
  // Whether a key is there twice the library finds out by comparing each with each.
  const options = { prettyErrors: false, version: "1.2", logLevel: "error", uniqueKeys: false, lineCounter } as const;
  const root = parseDocument(text, options);
  const fault = root.errors[0]?.pos[0] ?? findRepeatedKey(root);
  if (fault !== undefined)
    return { mentions: [], unread: [{ file, line: lineOf(fault), message: "it can't be read as YAML" }] };
  const document = { resolve: resolverOf(root), left: maxVisited };
  const found: FileMentions = { mentions: [], unread: [] };
  const patterns = [...places.map(({ path }) => path), buildPath];
  // As the tools read it: through aliases and merged maps, and nowhere but where images may stand.
  const walk = (given: unknown, path: readonly string[], beside: ReadonlySet<string>): void => {
    const leads = patterns.some((each) => each.length >= path.length && matches(path, each.slice(0, path.length)));
    if (!leads || --document.left < 0) return;
    const node = document.resolve(given);
    if (isMap(node)) {
      const fields = fieldsOf(node, document);
      const names = new Set(fields.keys());
      if (matches(path, buildPath)) readBuild(found, { file, lineOf }, fields, document);
      for (const [name, value] of fields) walk(value, [...path, name], names);
    } else if (isSeq(node))
      for (const [index, each] of node.items.entries()) walk(each, [...path, String(index)], beside);
    else if (isScalar(node) && typeof node.value === "string") {
      const line = lineOf(node.range?.[0] ?? 0);
      const place = places.find((each) => matches(path, each.path));
      if (place !== undefined && counts(path, beside)) take(found, { file, line }, node, place);
    }
  };
  walk(root.contents, [], new Set());
  if (document.left < 0) found.unread.push({ file, line: 1, message: "it names more than anybody can look at" });
  return found;
}

/** Where a key stands that its map has already; of two values nobody knows which a tool takes. */
function findRepeatedKey(root: ReturnType<typeof parseDocument>): number | undefined {
  let found: number | undefined;
  visit(root, {
    Map(_key, { items }) {
      const known = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (known.has(key.value)) {
          found = key.range?.[0] ?? 0;
          return visit.BREAK;
        }
        known.add(key.value);
      }
      return undefined;
    },
  });
  return found;
}

/** A service's Dockerfile within the file, with the arguments that the service gives it. */
function readBuild(
  found: FileMentions,
  { file, lineOf }: { file: string; lineOf(offset: number): number },
  fields: ReadonlyMap<string, unknown>,
  document: Resolved,
): void {
  // An alias may stand for many arguments, or a long Dockerfile, in as many services.
  const args = readArguments(document.resolve(fields.get("args")), document);
  const lineAt = (node: unknown): number => lineOf(isNode(node) ? (node.range?.[0] ?? 0) : 0);
  const read = [readGivenSyntax({ file, line: lineAt(fields.get("args")) }, args)];
  const node = document.resolve(fields.get("dockerfile_inline"));
  if (isScalar(node) && typeof node.value === "string") {
    document.left -= Math.ceil(node.value.length / charactersOfValue);
    if (document.left < 0) return;
    const isBlock = node.type === "BLOCK_LITERAL" || node.type === "BLOCK_FOLDED";
    const place = { firstLine: lineAt(node) + (isBlock ? 1 : 0), buildArgs: args };
    read.push(readDockerfileMentions(file, fillInline(node.value), place));
  }
  for (const { mentions, unread } of read) {
    found.mentions.push(...mentions);
    found.unread.push(...unread);
  }
}

/**
 * `args`, a map or a list of `NAME=value` (compose-spec, build.md): one without a value is the environment's, and
 * `$NAME` here, as nobody knows it.
 */
function readArguments(args: unknown, document: Resolved): Record<string, string> {
  const given: [string, string][] = [];
  if (isMap(args) || isSeq(args)) document.left -= args.items.length;
  if (document.left < 0) return {};
  if (isMap(args))
    for (const [name, value] of fieldsOf(args, document)) {
      const node = document.resolve(value);
      const known = isScalar(node) && node.value !== null;
      given.push([name, known ? fillDefaults(String(node.value)) : `$${name}`]);
    }
  else if (isSeq(args))
    for (const item of args.items) {
      const node = document.resolve(item);
      const [, name = "", value] =
        /^([^=]*)(?:=(.*))?$/s.exec(isScalar(node) ? fillDefaults(String(node.value)) : "") ?? [];
      given.push([name, value ?? `$${name}`]);
    }
  return Object.fromEntries(given);
}

/** What stands behind aliases. The library looks through the whole document for each. */
function resolverOf(root: ReturnType<typeof parseDocument>): (node: unknown) => unknown {
  const anchors = new Map<string, unknown>();
  const targets = new Map<unknown, unknown>();
  visit(root, {
    Node(_key, node) {
      if (isAlias(node)) targets.set(node, anchors.get(node.source));
      else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return (node) => (isAlias(node) ? targets.get(node) : node);
}

interface Resolved {
  resolve(node: unknown): unknown;
  /** So many values are looked at yet. */
  left: number;
}

/** A map's own fields, and those that it takes from others by `<<`, of which the first that has one counts. */
function fieldsOf(map: YAMLMap, document: Resolved, depth = 0): Map<string, unknown> {
  const nameOf = (key: unknown): string => (isScalar(key) ? String(key.value) : "");
  const fields = new Map(map.items.map(({ key, value }) => [nameOf(key), value as unknown]));
  const merged = fields.get("<<");
  fields.delete("<<");
  if (merged === undefined) return fields;
  document.left -= depth > maxMerged ? maxVisited : 1 + fields.size;
  if (document.left < 0) return fields;
  const from = document.resolve(merged);
  for (const each of isSeq(from) ? from.items.map(document.resolve) : [from])
    if (isMap(each))
      for (const [name, value] of fieldsOf(each, document, depth + 1)) if (!fields.has(name)) fields.set(name, value);
  return fields;
}

/** As compose hands it on: it fills in variables itself, of which nobody here knows the value, and `$$` is a `$`. */
function fillInline(text: string): string {
  return text.replaceAll(/\$(?:\$|\w+|\{\w+(?::?-([^{}$]*)|[^}]*)\})/g, (whole, given: string | undefined) =>
    whole === "$$" ? "$" : (given ?? "UNSET-VARIABLE"),
  );
}

function take(found: FileMentions, at: Pick<Mention, "file" | "line">, node: Scalar, { use, after = "" }: Place): void {
  const written = String(node.value).trim();
  // A list's entry has its name before it.
  const filled = fillDefaults(written).replace(/^[^=/:$]*=(?=docker-image:|\$)/, "");
  if (!filled.startsWith(after)) {
    // Where it begins with what nobody knows, it may be an image.
    if (use === "build" && /^[\w-]*:?\$/.test(filled))
      found.unread.push({ ...at, use, message: `'${written}' can't be resolved: it has a variable without a value` });
    return;
  }
  const name = filled.slice(after.length);
  if (name === "") return;
  if (/\$/.test(name))
    found.unread.push({ ...at, use, message: `'${written}' can't be resolved: it has a variable without a value` });
  else found.mentions.push({ ...at, name, use });
}

/** `${TAG:-1.2}` → `1.2`, as compose has it where nobody sets the variable. */
function fillDefaults(text: string): string {
  return text.replaceAll(/\$\{\w+:?-([^{}$]*)\}/g, "$1");
}

function matches(path: readonly string[], pattern: readonly string[]): boolean {
  return path.length === pattern.length && pattern.every((part, index) => part === "*" || part === path[index]);
}
