import { isMap, isPair, isScalar, isSeq, type Node, parseDocument, type Scalar, visit } from "yaml";
import { readDockerfileMentions } from "./dockerfile.ts";
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
  { path: ["runs", "image"], use: "run", after: "docker://" },
];

/**
 * A compose file's images; a service that is built and named has its own name there, which is none to judge. A
 * Dockerfile within it is read as one.
 */
export function readComposeMentions(file: string, text: string): FileMentions {
  return readPlaces(file, text, composePlaces, (path, root) => {
    const service = root.getIn(path.slice(0, 2));
    return !(path[2] === "image" && isMap(service) && service.has("build"));
  });
}

export function readWorkflowMentions(file: string, text: string): FileMentions {
  return readPlaces(file, text, workflowPlaces, () => true);
}

type Root = ReturnType<typeof parseDocument>;

function readPlaces(
  file: string,
  text: string,
  places: readonly Place[],
  counts: (path: readonly string[], root: Root) => boolean,
): FileMentions {
  const lineOf = (offset: number): number => text.slice(0, offset).split("\n").length;
  const root = parseDocument(text, { prettyErrors: false, version: "1.2", logLevel: "error" });
  const [fault] = root.errors;
  if (fault !== undefined)
    return { mentions: [], unread: [{ file, line: lineOf(fault.pos[0]), message: "it can't be read as YAML" }] };
  const found: FileMentions = { mentions: [], unread: [] };
  visit(root, {
    Scalar(key, node, ancestors) {
      // A key of a map is no value.
      if (key === "key" || typeof node.value !== "string") return;
      const path = pathOf(ancestors as readonly Node[], node);
      const line = lineOf(node.range?.[0] ?? 0);
      if (matches(path, ["services", "*", "build", "dockerfile_inline"])) {
        const inline = readDockerfileMentions(file, node.value, line + (node.type === "BLOCK_LITERAL" ? 1 : 0));
        found.mentions.push(...inline.mentions);
        found.unread.push(...inline.unread);
        return;
      }
      const place = places.find((each) => matches(path, each.path));
      if (place === undefined || !counts(path, root)) return;
      take(found, { file, line }, node, place);
    },
    Alias(_key, node, ancestors) {
      const path = pathOf(ancestors as readonly Node[], node);
      const line = lineOf(node.range?.[0] ?? 0);
      const place = places.find((each) => matches(path, each.path));
      if (place !== undefined)
        found.unread.push({ file, line, use: place.use, message: "an alias stands for an image: write it out" });
    },
  });
  return found;
}

function take(found: FileMentions, at: Pick<Mention, "file" | "line">, node: Scalar, { use, after = "" }: Place): void {
  const written = String(node.value);
  if (!written.startsWith(after)) return;
  const name = fillDefaults(written.slice(after.length));
  if (name === "") return;
  if (/\$/.test(name))
    found.unread.push({ ...at, use, message: `'${written}' can't be resolved: it has a variable without a value` });
  else found.mentions.push({ ...at, name, use });
}

/** `${TAG:-1.2}` → `1.2`, as compose has it where nobody sets the variable. */
function fillDefaults(text: string): string {
  return text.replaceAll(/\$\{\w+:?-([^{}$]*)\}/g, "$1");
}

/** The keys from the root to a node: names, and places in lists. */
function pathOf(ancestors: readonly Node[], node: Node): string[] {
  return ancestors.flatMap((each, index) => {
    if (isPair(each)) return [isScalar(each.key) ? String(each.key.value) : ""];
    return isSeq(each) ? [String(each.items.indexOf(ancestors[index + 1] ?? node))] : [];
  });
}

function matches(path: readonly string[], pattern: readonly string[]): boolean {
  return path.length === pattern.length && pattern.every((part, index) => part === "*" || part === path[index]);
}
