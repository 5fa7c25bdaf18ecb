/** A piece of a build script, in Groovy or in Kotlin. */
export interface Token {
  kind: "word" | "text" | "sign" | "end";
  /** Of a text what it says, of anything else itself; of the end of a line, or a semicolon, nothing. */
  value: string;
  /** A text in which something is replaced when the script runs: what it will say is not known. */
  isTemplate?: boolean;
  /** From 1. */
  line: number;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };
const word = /[\p{L}\p{N}_$]+/uy;

/**
 * What both languages have in common, as far as a reader needs it that looks for plugins: words, texts in any kind of
 * quotes, signs, ends of lines; without comments. Groovy's texts between slashes and dollars are not known, so a
 * quote in one opens a text here, which ends with its line.
 */
export function tokenize(script: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let at = 0;
  const countLines = (text: string): void => {
    for (const character of text) if (character === "\n") line += 1;
  };
  while (at < script.length) {
    const character = script.charAt(at);
    const pair = script.slice(at, at + 2);
    if (character === "\n" || character === ";") {
      tokens.push({ kind: "end", value: "", line });
      if (character === "\n") line += 1;
      at += 1;
    } else if (/\s/.test(character)) at += 1;
    else if (pair === "//" || (pair === "#!" && at === 0)) at = endOf(script, at, "\n");
    else if (pair === "/*") {
      const end = endOf(script, at + 2, "*/") + 2;
      countLines(script.slice(at, end));
      at = end;
    } else if (character === '"' || character === "'") {
      const text = readText(script, at);
      tokens.push({ kind: "text", value: text.value, line, ...(text.isTemplate ? { isTemplate: true } : {}) });
      countLines(script.slice(at, text.end));
      at = text.end;
    } else if (character === "`") {
      const end = endOf(script, at + 1, "`");
      tokens.push({ kind: "word", value: script.slice(at + 1, end), line });
      at = end + 1;
    } else {
      word.lastIndex = at;
      const value = word.exec(script)?.[0];
      tokens.push(value === undefined ? { kind: "sign", value: character, line } : { kind: "word", value, line });
      at += value?.length ?? 1;
    }
  }
  return tokens;
}

function endOf(script: string, from: number, mark: string): number {
  const end = script.indexOf(mark, from);
  return end === -1 ? script.length : end;
}

function readText(script: string, start: number): { value: string; isTemplate: boolean; end: number } {
  const quote = script.charAt(start);
  const isLong = script.startsWith(quote.repeat(3), start);
  const mark = isLong ? quote.repeat(3) : quote;
  let value = "";
  let isTemplate = false;
  let at = start + mark.length;
  while (at < script.length && !script.startsWith(mark, at) && (isLong || script.charAt(at) !== "\n")) {
    const character = script.charAt(at);
    if (character === "\\" && !(isLong && quote === '"')) {
      const next = script.charAt(at + 1);
      value += escapes[next] ?? next;
      at += 2;
      continue;
    }
    if (character === "$" && quote === '"' && /[{\p{L}_]/u.test(script.charAt(at + 1))) isTemplate = true;
    value += character;
    at += 1;
  }
  return { value, isTemplate, end: script.startsWith(mark, at) ? at + mark.length : at };
}

/** A statement of a script, and the block that it opens. */
export interface Statement {
  tokens: readonly Token[];
  /** Undefined where it opens none. */
  block: readonly Statement[] | undefined;
  line: number;
}

const maxNesting = 100;

/** Its message reads on from the file's name. */
export class UnfitScript extends Error {}

/**
 * The statements of a script. What stands between round brackets is one with what it belongs to, over lines as well.
 * @throws UnfitScript where brackets do not fit, or are nested too deep
 */
export function parseScript(script: string): Statement[] {
  const tokens = tokenize(script);
  let at = 0;
  const parseBlock = (depth: number): Statement[] => {
    if (depth > maxNesting) throw new UnfitScript(`it is nested deeper than ${maxNesting} blocks`);
    const statements: Statement[] = [];
    let current: Token[] = [];
    let round = 0;
    const finish = (block?: Statement[]): void => {
      const line = current[0]?.line;
      if (line !== undefined) statements.push({ tokens: current, block, line });
      current = [];
    };
    for (; at < tokens.length; at++) {
      const token = tokens[at] as Token;
      const sign = token.kind === "sign" ? token.value : "";
      if (sign === "(" || sign === "[") round += 1;
      if (sign === ")" || sign === "]") round -= 1;
      if (sign === "{") {
        at += 1;
        const block = parseBlock(depth + 1);
        if (tokens[at]?.value !== "}") throw new UnfitScript("a block that it opens has no end");
        if (round <= 0) finish(block);
      } else if (sign === "}") {
        break;
      } else if (token.kind === "end") {
        if (round <= 0) finish();
      } else current.push(token);
    }
    finish();
    return statements;
  };
  const statements = parseBlock(0);
  if (at < tokens.length) throw new UnfitScript("it closes a block that it did not open");
  return statements;
}
