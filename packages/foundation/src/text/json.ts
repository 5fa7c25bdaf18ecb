import { z } from "zod";
import { isPlain } from "./clean.ts";

/**
 * What JSON.stringify leaves as it is, and no terminal, editor or log should get; inside JSON such characters stand in
 * strings alone, where they can be escaped.
 */
const unfit = /[[\u{7f}-\u{9f}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\u{fe0e}\u{fe0f}]]/gv;

/**
 * A value as JSON that says the same and can be printed anywhere: what is unfit to be shown is escaped, and so is what
 * a runner takes for a command (`##[`). Whoever parses it gets what was put in.
 */
export function stringifyJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  return (isPlain(text) ? text : text.replace(unfit, escapeUnits)).replaceAll("##[", "#\\u0023[");
}

function escapeUnits(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
}

/**
 * Deeper than any document that goldenpath reads goes, and far from where whoever walks it runs out of stack (Go's own
 * reader stops at 10,000).
 */
export const maxJsonDepth = 128;

/** Its message reads on from the name of what was read: "it is nested deeper than …". */
export class DeepJson extends SyntaxError {}

/**
 * JSON from outside → value, as JSON.parse has it, which takes any depth: whoever walks the value then calls itself as
 * often.
 * @throws DeepJson; SyntaxError of JSON.parse
 */
export function parseJson(text: string): unknown {
  // Before it is parsed: what is a bomb is not built first.
  if (opensMoreThan(text, maxJsonDepth) && isDeeperThan(text, maxJsonDepth))
    throw new DeepJson(`it is nested deeper than ${maxJsonDepth} levels`);
  return JSON.parse(text);
}

/** Most documents have fewer brackets in all than one may have inside each other: those need no walk. */
function opensMoreThan(text: string, most: number): boolean {
  let opened = 0;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1))
      if (++opened > most) return true;
  }
  return false;
}

function isDeeperThan(text: string, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22:
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > most) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
  return false;
}

/** Where the string that begins at `start` has its closing quote; the text's length where it has none. */
export function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at;
    while (text.charCodeAt(before - 1) === 0x5c) before--;
    // After an even number of backslashes the quote is one.
    if ((at - before) % 2 === 0) return at;
  }
  return text.length;
}

/**
 * Takes every field that is null out of it, in place, and gives it back: Go's decoder, by which registries and their
 * tools read, has null for a field that is not there (encoding/json, Unmarshal), and its encoder writes an empty list
 * so. Nulls in lists stay: there they are an entry.
 */
export function withoutNulls<T>(value: T): T {
  if (Array.isArray(value)) for (const each of value) withoutNulls(each);
  else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      if (inner === null) delete (value as Record<string, unknown>)[name];
      else withoutNulls(inner);
    }
  }
  return value;
}

/**
 * What a person writes may begin with a byte order mark (Windows' editors, PowerShell): it says nothing more of UTF-8,
 * and JSON.parse does not take it.
 */
export function withoutByteOrderMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/**
 * What a service answers → what its documentation says it answers; or where it is something else, as paths alone, since
 * there may be a secret among the values ("all of it" where it is no JSON).
 */
export function readAnswerAs<T extends z.ZodType>(text: string, schema: T): { value: z.output<T> } | { wrong: string } {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return { wrong: "all of it" };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { value: parsed.data };
  const paths = new Set(parsed.error.issues.map(({ path }) => path.join(".") || "all of it"));
  const told = [...paths].slice(0, maxIssues);
  return { wrong: [...told, ...(paths.size > maxIssues ? [`and ${paths.size - maxIssues} more`] : [])].join(", ") };
}

/** Complaints that a message repeats. */
const maxIssues = 5;

/** What is wrong by a schema, in one line: the first few of it, as a stranger's document can have millions. */
export function describeIssues({ issues }: Pick<z.ZodError, "issues">): string {
  const told = issues
    .slice(0, maxIssues)
    .map(({ path, message }) => (path.length === 0 ? message : `${message} at ${z.core.toDotPath(path)}`));
  return [...told, ...(issues.length > maxIssues ? [`and ${issues.length - maxIssues} more`] : [])].join("; ");
}
