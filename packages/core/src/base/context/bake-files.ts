import { parseJson, withoutByteOrderMark } from "@goldenpath/foundation/text/json";
import { readDockerfileMentions, readGivenSyntax } from "./dockerfile.ts";
import { type HclField, type HclValue, readHcl } from "./hcl.ts";
import { type HclText, UnfitHcl } from "./hcl-scan.ts";
import type { FileMentions } from "./mention.ts";

/**
 * A bake file, in HCL or JSON: images that stand for contexts, and Dockerfiles within it, with the arguments that their
 * targets give them (docs.docker.com/build/bake/reference).
 */
export function readBakeMentions(file: string, text: string): FileMentions {
  const isJson = /\.json$/i.test(file);
  const written = withoutByteOrderMark(text);
  const failed = (message: string, line: number): FileMentions => ({ mentions: [], unread: [{ file, line, message }] });
  try {
    if (isJson) parseJson(written);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return failed("it can't be read as JSON", 1);
  }
  try {
    const { root, texts } = readHcl(written, isJson);
    const targets = new Targets(file, root);
    const inner = [...targets.names].map((name) => targets.read(name));
    return merge([...texts.map((each) => readText(file, each, targets.inlines)), ...inner]);
  } catch (error) {
    if (!(error instanceof UnfitHcl)) throw error;
    return failed(`it can't be read as a bake file: ${error.message}`, error.line);
  }
}

const contextMark = "docker-image://";

/** A text wherever it stands: what a variable or a function has may become a context. */
function readText(file: string, text: HclText, inlines: ReadonlySet<HclValue>): FileMentions {
  const { line, value, isWhole } = text;
  // A Dockerfile is read as one.
  if (inlines.has(text) || !value.includes("docker-image:")) return { mentions: [], unread: [] };
  const name = value.slice(contextMark.length);
  if (isWhole && value.startsWith(contextMark) && name !== "")
    return { mentions: [{ file, line, name, use: "build" }], unread: [] };
  return { mentions: [], unread: [unresolved(file, line, `'${value}'`)] };
}

function unresolved(file: string, line: number, what: string): FileMentions["unread"][number] {
  return { file, line, message: `${what} can't be resolved: write it out` };
}

/** Each once: what several targets have from one. */
function merge(all: readonly FileMentions[]): FileMentions {
  const mentions = all.flatMap((each) => each.mentions);
  const unread = all.flatMap((each) => each.unread);
  return {
    mentions: [...new Map(mentions.map((each) => [`${each.line} ${each.use} ${each.name}`, each])).values()],
    unread: [...new Map(unread.map((each) => [`${each.line} ${each.message}`, each])).values()],
  };
}

/** What a target builds by its own and by those that it inherits from. */
interface Target {
  inline: HclValue | undefined;
  args: ReadonlyMap<string, string>;
  /** A line where arguments are given of which nobody knows the names. */
  composedArgs: number | undefined;
}

/** Targets that inherit from one another; so many nobody writes. */
const maxInherited = 50;
/** Arguments that are taken over, and characters of Dockerfiles that are read; each target may have those of another. */
const maxWork = 4_000_000;

class Targets {
  /** Dockerfiles within the file. */
  readonly inlines: ReadonlySet<HclValue>;
  readonly #file: string;
  readonly #bodies = new Map<string, HclField[][]>();
  readonly #done = new Map<string, Target>();
  #work = 0;

  constructor(file: string, root: HclValue) {
    this.#file = file;
    for (const named of listBodies(root).flatMap((each) => listValues(each, "target")))
      for (const { name = "", value } of listBodies(named).flat())
        this.#bodies.set(name, [...(this.#bodies.get(name) ?? []), ...listBodies(value)]);
    this.inlines = new Set([...this.#bodies.values()].flat().flatMap((each) => listValues(each, inlineName)));
  }

  get names(): Iterable<string> {
    return this.#bodies.keys();
  }

  read(name: string): FileMentions {
    const found = (this.#bodies.get(name) ?? []).flatMap((body) =>
      listValues(body, "contexts").map((each) => readContexts(this.#file, each)),
    );
    const { inline, args, composedArgs } = this.#resolve(name, 0);
    const buildArgs = Object.fromEntries(args);
    for (const body of this.#bodies.get(name) ?? [])
      for (const given of listValues(body, "args").flatMap(listBodies).flat())
        found.push(readGivenSyntax({ file: this.#file, line: given.line }, argumentsOf([given])));
    if (inline === undefined) return merge(found);
    if (composedArgs !== undefined)
      found.push({ mentions: [], unread: [unresolved(this.#file, composedArgs, `what target '${name}' gives`)] });
    if (inline.kind !== "text" || !inline.isWhole) {
      return merge([...found, { mentions: [], unread: [unresolved(this.#file, inline.line, inlineName)] }]);
    }
    this.#count(inline.value.length, inline.line);
    return merge([...found, readInline(this.#file, inline, buildArgs)]);
  }

  #count(work: number, line: number): void {
    this.#work += work;
    if (this.#work > maxWork)
      throw new UnfitHcl("its targets have more from each other than anybody can look at", line);
  }

  /** As bake merges them: of those that are inherited from the last one counts, and before it the target's own. */
  #resolve(name: string, depth: number): Target {
    const known = this.#done.get(name);
    if (known !== undefined) return known;
    const bodies = this.#bodies.get(name) ?? [];
    if (depth > maxInherited)
      throw new UnfitHcl(`more than ${maxInherited} targets inherit from each other`, bodies[0]?.[0]?.line ?? 1);
    const args = new Map<string, string>();
    const target: Target = { inline: undefined, args, composedArgs: undefined };
    // Of one that inherits from itself: bake refuses it.
    this.#done.set(name, target);
    for (const parent of bodies.flatMap((body) => this.#listInherited(body))) {
      const other = this.#resolve(parent, depth + 1);
      this.#count(other.args.size + 1, 1);
      for (const [key, value] of other.args) args.set(key, value);
      target.inline = other.inline ?? target.inline;
      target.composedArgs ??= other.composedArgs;
    }
    for (const body of bodies) {
      for (const given of listValues(body, "args")) {
        const fields = listBodies(given).flat();
        const isComposed = given.kind === "other" ? !given.isNull : fields.some((each) => each.name === undefined);
        if (isComposed || given.kind === "text") target.composedArgs = given.line;
        for (const [key, value] of Object.entries(argumentsOf(fields))) args.set(key, value);
      }
      target.inline = listValues(body, inlineName).at(-1) ?? target.inline;
    }
    return target;
  }

  #listInherited(body: readonly HclField[]): string[] {
    return listValues(body, "inherits").flatMap((value) => {
      if (value.kind === "other" && value.isNull) return [];
      const names = value.kind === "list" ? value.items : [value];
      return names.map((each) => {
        if (each.kind === "text" && each.isWhole) return each.value;
        throw new UnfitHcl("from what a target inherits can't be resolved: write it out", each.line);
      });
    });
  }
}

const inlineName = "dockerfile-inline";

/** JSON may have a list of bodies where HCL has several blocks of one name. */
function listBodies(value: HclValue): HclField[][] {
  if (value.kind === "fields") return [[...value.fields]];
  return value.kind === "list" ? value.items.flatMap(listBodies) : [];
}

function listValues(fields: readonly HclField[], name: string): HclValue[] {
  return fields.flatMap((each) =>
    each.name === name && !(each.value.kind === "other" && each.value.isNull) ? [each.value] : [],
  );
}

/** One that is composed, or is none and so the environment's, is `$NAME`: nobody here knows it. */
function argumentsOf(fields: readonly HclField[]): Record<string, string> {
  return Object.fromEntries(
    fields.flatMap(({ name, value }) =>
      name === undefined ? [] : [[name, value.kind === "text" && value.isWhole ? value.value : `$${name}`]],
    ),
  );
}

/** Contexts that may be images without saying so: what says `docker-image:` is read as a text. */
function readContexts(file: string, contexts: HclValue): FileMentions {
  const values = contexts.kind === "fields" ? contexts.fields.map(({ value }) => value) : [contexts];
  return {
    mentions: [],
    unread: values.flatMap((value) => {
      if (value.kind === "other") return value.isNull ? [] : [unresolved(file, value.line, "a context")];
      if (value.kind !== "text" || value.isWhole) return [];
      const [before = ""] = value.value.split(/[$%]\{/, 1);
      return contextMark.startsWith(before) ? [unresolved(file, value.line, `'${value.value}'`)] : [];
    }),
  };
}

/** Of a text on one line all that it names is there. */
function readInline(file: string, inline: HclText, buildArgs: Readonly<Record<string, string>>): FileMentions {
  const { line, isHeredoc, value } = inline;
  const found = readDockerfileMentions(file, value, { firstLine: line + (isHeredoc ? 1 : 0), buildArgs });
  if (isHeredoc) return found;
  return {
    mentions: found.mentions.map((each) => ({ ...each, line })),
    unread: found.unread.map((each) => ({ ...each, line })),
  };
}
