import { trimEnd } from "@goldenpath/foundation/text/clean";
import { DockerfileProblem, splitWords } from "./words.ts";

/** One instruction, its continued lines as one. */
export interface Instruction {
  /** In lower case: `from`. */
  name: string;
  /** `--from=build`, without quotes. */
  flags: readonly string[];
  /** What follows the flags. */
  rest: string;
  /** Where it begins, from 1. */
  line: number;
}

export interface InstructionFile {
  instructions: readonly Instruction[];
  /** The character that continues a line: `\`, or a backtick where the file says so. */
  escapedBy: string;
  /** What `# syntax=` names, and where. */
  syntax: { image: string; line: number } | undefined;
}

const names: readonly string[] = [
  ...["add", "arg", "cmd", "copy", "entrypoint", "env", "expose", "from", "healthcheck", "label", "maintainer"],
  ...["onbuild", "run", "shell", "stopsignal", "user", "volume", "workdir"],
];

/** They may be followed by lines that are no instructions. */
const withHeredocs: readonly string[] = ["add", "copy", "run"];

/**
 * Reads a Dockerfile line by line by the rules of BuildKit's own reader: directives, comments within continued lines,
 * heredocs, flags. Editors' parsers are lenient, and what they take for a comment or a heredoc's text may be an
 * instruction to BuildKit; where a line can be read in two ways, this one refuses it.
 * @throws DockerfileProblem
 */
export function readInstructions(text: string): InstructionFile {
  const lines = text
    .replace(/^\u{feff}/u, "")
    .split("\n")
    .map((line) => trimEnd(line, "\r"));
  requireSameSpace(lines);
  const { escapedBy, syntax } = readDirectives(lines);
  const instructions: Instruction[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = at + 1;
    let logical = "";
    let isContinued = true;
    for (let isFirst = true; isContinued && at < lines.length; isFirst = false) {
      const given = lines[at] ?? "";
      at += 1;
      if (/^\s*#/.test(given)) {
        if (isFirst) break;
        continue;
      }
      if (!isFirst && given.trim() === "") continue;
      const { content, continues } = cutContinuation(isFirst ? given.trimStart() : given, escapedBy);
      logical += content;
      isContinued = continues;
    }
    if (logical.trim() === "") continue;
    const instruction = parseInstruction(logical, escapedBy, line);
    for (const heredoc of findHeredocs(instruction, logical)) at = skipHeredoc(lines, at, heredoc, line);
    instructions.push(instruction);
  }
  if (instructions.length === 0) throw new DockerfileProblem("there are no instructions in it", 0);
  return { instructions, escapedBy, syntax };
}

/**
 * Of all characters Go and ECMAScript disagree on two alone: U+0085 is white space to BuildKit and not here, U+FEFF the
 * other way round. With either a line is a comment, empty or two words to one of them, and not to the other.
 */
function requireSameSpace(lines: readonly string[]): void {
  const at = lines.findIndex((line) => /[\u0085\ufeff]/.test(line));
  if (at === -1) return;
  const name = lines[at]?.includes("\u0085") === true ? "U+0085" : "U+FEFF";
  throw new DockerfileProblem(`it has the character ${name}, which is white space to some and not to others`, at + 1);
}

/** As ECMAScript has white space, and as Go's expressions have it: of ASCII alone, and without U+000B. */
const directive = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/s;
const plainDirective = /^#[\t\f\r ]*([a-zA-Z][a-zA-Z0-9]*)[\t\f\r ]*=[\t\f\r ]*[!-~]/;

/** Comments of the form `# name=value` before anything else. The first line may be a `#!` for `syntax` alone. */
function readDirectives(lines: readonly string[]): Pick<InstructionFile, "escapedBy" | "syntax"> {
  const read = (from: number): Map<string, { value: string; line: number }> => {
    const found = new Map<string, { value: string; line: number }>();
    for (let at = from; at < lines.length; at += 1) {
      const given = (lines[at] ?? "").trim();
      const [, name = "", value = ""] = directive.exec(given) ?? [];
      if (!["syntax", "escape", "check"].includes(name.toLowerCase())) break;
      if (!plainDirective.test(given))
        throw new DockerfileProblem(`'# ${name}=' has other white space in it than blanks and tabs`, at + 1);
      if (found.has(name.toLowerCase())) throw new DockerfileProblem(`a second '# ${name}='`, at + 1);
      found.set(name.toLowerCase(), { value, line: at + 1 });
    }
    return found;
  };
  const own = read(0);
  const escapedBy = own.get("escape")?.value ?? "\\";
  if (escapedBy !== "\\" && escapedBy !== "`")
    throw new DockerfileProblem(`'# escape=${escapedBy}': it is \\ or a backtick`, own.get("escape")?.line ?? 0);
  const syntax = (lines[0]?.startsWith("#!") === true ? read(1) : own).get("syntax");
  return {
    escapedBy,
    syntax: syntax === undefined ? undefined : { image: syntax.value.split(" ")[0] ?? "", line: syntax.line },
  };
}

function cutContinuation(line: string, escapedBy: string): { content: string; continues: boolean } {
  const trimmed = trimEnd(line, " \t");
  const continues = trimmed.endsWith(escapedBy) && !trimmed.endsWith(escapedBy + escapedBy);
  return continues ? { content: trimmed.slice(0, -1), continues } : { content: line, continues };
}

function parseInstruction(logical: string, escapedBy: string, line: number): Instruction {
  const [, word = "", after = ""] = /^([^\t\v\f\r ]+)[\t\v\f\r ]*(.*)$/s.exec(logical.trim()) ?? [];
  const name = word.toLowerCase();
  if (!names.includes(name)) throw new DockerfileProblem(`'${word}' is no instruction`, line);
  return { name, ...takeFlags(after, escapedBy, line), line };
}

/** Words before the first that does not begin with `--`. */
function takeFlags(text: string, escapedBy: string, line: number): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let rest = text.trimStart();
  while (rest.startsWith("--")) {
    const { word, length } = takeFlag(rest, escapedBy);
    // BuildKit looks for their ends byte by byte, and so splits letters that it takes for spaces.
    if (!/^[!-~ ]*$/.test(word)) throw new DockerfileProblem(`a flag has other than ASCII in it: '${word}'`, line);
    rest = rest.slice(length).trimStart();
    if (word === "--") break;
    flags.push(word);
  }
  return { flags, rest: rest.trim() };
}

function takeFlag(text: string, escapedBy: string): { word: string; length: number } {
  let word = "";
  let quote = "";
  let at = 0;
  for (; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === escapedBy) {
      at += 1;
      word += text.charAt(at);
    } else if (quote !== "") {
      if (character === quote) quote = "";
      else word += character;
    } else if (character === "'" || character === '"') quote = character;
    else if (/\s/.test(character)) break;
    else word += character;
  }
  return { word, length: at };
}

interface Heredoc {
  name: string;
  /** `<<-`: tabs before its end are no part of it. */
  isIndented: boolean;
}

/** @throws DockerfileProblem where it is not plain whether, or by what, the lines after it end */
function findHeredocs({ name, line, rest }: Instruction, logical: string): Heredoc[] {
  const inner = name === "onbuild" ? (/^\S+/.exec(rest)?.[0] ?? "").toLowerCase() : name;
  if (!withHeredocs.includes(inner) || !logical.includes("<<")) return [];
  const refuse = (why: string): never => {
    throw new DockerfileProblem(`where its heredoc ends can't be told: ${why}`, line);
  };
  if (/\$\{(?![A-Za-z_][A-Za-z0-9_]*\})/.test(logical))
    refuse("a variable in the same line has more than a name in its braces");
  const words = splitHeredocWords(logical);
  // A quote without an end: then BuildKit sees no heredoc at all, and a reader does.
  if (words === undefined) return /(?:^|\s)\d*<</.test(logical) ? refuse("a quote has no end") : [];
  return words.flatMap((word) => {
    const [, dash, end = ""] = /^\d*<<(-?)\s*([^<]*)$/s.exec(word) ?? [];
    if (dash === undefined || end === "") return [];
    const plain = /^(?:([\w.+-]+)|'([\w.+ -]+)'|"([\w.+ -]+)")$/.exec(end);
    const found = plain?.[1] ?? plain?.[2] ?? plain?.[3] ?? refuse(`'${end}' is no plain word`);
    return [{ name: found, isIndented: dash === "-" }];
  });
}

/** Words with their quotes; white space after `<<` is no end of one. Undefined where a quote has no end. */
function splitHeredocWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === "'" || character === '"') {
      const end = endOfQuote(text, at);
      if (end === undefined) return undefined;
      word += text.slice(at, end + 1);
      at = end;
    } else if (character === "\\") {
      word += character + text.charAt(at + 1);
      at += 1;
    } else if (text.startsWith("<<", at)) {
      const found = /^<<[ \t\r\n]*/.exec(text.slice(at))?.[0] ?? "<<";
      word += found;
      at += found.length - 1;
    } else if (/\s/.test(character)) {
      if (word !== "") words.push(word);
      word = "";
    } else word += character;
  }
  return word === "" ? words : [...words, word];
}

function endOfQuote(text: string, from: number): number | undefined {
  const quote = text.charAt(from);
  for (let at = from + 1; at < text.length; at += 1) {
    if (text.charAt(at) === "\\" && quote === '"') at += 1;
    else if (text.charAt(at) === quote) return at;
  }
  return undefined;
}

function skipHeredoc(lines: readonly string[], from: number, { name, isIndented }: Heredoc, line: number): number {
  for (let at = from; at < lines.length; at += 1) {
    const given = lines[at] ?? "";
    if ((isIndented ? given.replace(/^\t+/, "") : given) === name) return at + 1;
  }
  throw new DockerfileProblem(`its heredoc has no end '${name}'`, line);
}

/** Of an instruction that may be in JSON (`["a", "b"]`) or words. */
export function listArguments({ rest }: Instruction, escapedBy: string): string[] {
  if (rest.startsWith("[")) {
    const quoted = /^\[\s*(?:"(?:[^"\\]|\\.)*"\s*(?:,\s*"(?:[^"\\]|\\.)*"\s*)*)?\]$/s;
    if (quoted.test(rest)) return [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map((match) => match[1] ?? "");
  }
  return splitWords(rest, escapedBy);
}
