import { parseJson } from "@goldenpath/foundation/text/json";

/** What is no HCL, or no JSON, as bake reads it; its message reads on from the place that it is at. */
export class UnfitHcl extends Error {
  readonly line: number;

  /** @param line from 1 */
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** A text between quotes, of a heredoc, or a whole number, which stands for its digits. */
export interface HclText {
  kind: "text";
  /** What it says; as it is written where that is not known. */
  value: string;
  /** Whether it is written out: it has nothing that is filled in when the file is used. */
  isWhole: boolean;
  /** From 1; of a heredoc that of its mark. */
  line: number;
  isHeredoc: boolean;
}

export type HclToken = HclText | { kind: "word" | "sign" | "end"; value: string; line: number };

/** Where a token ends in the file, and what it is; without one it is a comment, or white space. */
interface Lexeme {
  end: number;
  token?: HclToken;
}

/** What is neither a text nor a comment over several lines (HCL Native Syntax Specification, "Lexical Elements"). */
const lexeme =
  /(?<blank>[ \t\r]+|#[^\n]*|\/\/[^\n]*)|(?<end>\n)|<<(?<flush>-?)(?<mark>[\p{ID_Start}_][\p{ID_Continue}-]*)\r?\n|(?<word>[\p{ID_Start}_][\p{ID_Continue}-]*)|(?<number>\d[\w.]*)|(?<sign>.)/suy;

/**
 * The words, texts, signs and ends of lines of a file in HCL, or of one in JSON, whose texts have other escapes. Goes
 * over each character a fixed number of times, whatever stands there.
 * @throws UnfitHcl
 */
export function scanHcl(text: string, isJson: boolean): HclToken[] {
  const tokens: HclToken[] = [];
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const { end, token } = readLexeme(text, at, line, isJson);
    if (token !== undefined) tokens.push(token);
    for (let each = at; each < end; each += 1) if (text.charCodeAt(each) === 0x0a) line += 1;
    at = end;
  }
  return tokens;
}

function readLexeme(text: string, at: number, line: number, isJson: boolean): Lexeme {
  if (text[at] === '"') {
    const end = isJson ? endOfJsonText(text, at, line) : endOfQuoted(text, at, line);
    const written = text.slice(at, end);
    const { value, isWhole } = isJson ? readTemplate(String(parseJson(written))) : readQuoted(written.slice(1, -1));
    return { end, token: { kind: "text", value, isWhole, line, isHeredoc: false } };
  }
  if (text.startsWith("/*", at)) {
    const end = text.indexOf("*/", at + 2);
    if (end === -1) throw new UnfitHcl("a comment has no end", line);
    return { end: end + 2 };
  }
  lexeme.lastIndex = at;
  const { 0: whole = "", groups = {} } = lexeme.exec(text) ?? {};
  const end = at + whole.length;
  const { blank, mark, flush, word, number } = groups;
  if (blank !== undefined) return { end };
  if (mark !== undefined) return readHeredoc(text, end, line, mark, flush === "-");
  if (groups["end"] !== undefined) return { end, token: { kind: "end", value: "", line } };
  if (word !== undefined) return { end, token: { kind: "word", value: word, line } };
  if (number === undefined) return { end, token: { kind: "sign", value: whole, line } };
  // `1.0` and `1e3` are written otherwise by who hands them on.
  const isWhole = /^(?:0|[1-9]\d{0,14})$/.test(number);
  return { end, token: { kind: "text", value: number, isWhole, line, isHeredoc: false } };
}

function endOfJsonText(text: string, at: number, line: number): number {
  for (let next = at + 1; next < text.length; next += 1) {
    if (text[next] === '"') return next + 1;
    if (text[next] === "\\") next += 1;
  }
  throw new UnfitHcl("a text has no end", line);
}

function endOfQuoted(text: string, start: number, line: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (character === '"') return at + 1;
    if (character === "\n") break;
    if (character === "\\") at += 1;
    else if (character === "$" || character === "%") at = endOfSign(text, at, line) - 1;
  }
  throw new UnfitHcl("a text has no end on its line", line);
}

/** Past what a `$` or a `%` begins in a text: itself, doubled and a brace that stands for one, or all that is filled in. */
function endOfSign(text: string, at: number, line: number): number {
  const sign = text[at];
  if (text[at + 1] === "{") return endOfFilled(text, at + 2, line);
  if (text[at + 1] !== sign) return at + 1;
  // Nobody should have to know which of those belong together.
  if (text[at + 2] === sign) throw new UnfitHcl(`'${sign}' stands there more than twice`, line);
  return text[at + 2] === "{" ? at + 3 : at + 2;
}

/**
 * Past the brace that ends what is filled into a text: there may be texts again in it, and braces of its own. What else
 * could hide that brace is not read: a file that has it there is refused.
 */
function endOfFilled(text: string, begin: number, line: number): number {
  const open = ["}"];
  for (let at = begin; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (open.at(-1) === '"') {
      if (character === "\n") break;
      if (character === '"') open.pop();
      else if (character === "\\") at += 1;
      else if (character === "$" || character === "%") {
        if (text[at + 1] === "{") open.push("}");
        at = text[at + 1] === "{" ? at + 1 : endOfSign(text, at, line) - 1;
      }
    } else if (character === "}") open.pop();
    else if (character === "{") open.push("}");
    else if (character === '"') open.push('"');
    else if (/^(?:#|\/[/*]|<<)/.test(text.slice(at, at + 2)))
      throw new UnfitHcl("a comment or a text over several lines stands in what is filled into a text", line);
    if (open.length === 0) return at + 1;
  }
  throw new UnfitHcl("what is filled into a text has no end", line);
}

/** Lines up to one that is the mark, with whatever white space around it; `<<-` takes away what all lines begin with. */
function readHeredoc(text: string, begin: number, line: number, mark: string, isFlush: boolean): Lexeme {
  const lines: string[] = [];
  for (let at = begin; at < text.length; ) {
    const next = text.indexOf("\n", at);
    const end = next === -1 ? text.length : next;
    const each = text.slice(at, end);
    if (isMark(each, mark)) {
      const indents = isFlush ? lines.flatMap((one) => (one.trim() === "" ? [] : [one.search(/\S/)])) : [];
      const indent = indents.reduce((least, one) => Math.min(least, one), isFlush ? Number.POSITIVE_INFINITY : 0);
      const { value, isWhole } = readTemplate(lines.map((one) => `${one.slice(indent)}\n`).join(""));
      // The line's end stays: it is that of the attribute, too.
      return { end, token: { kind: "text", value, isWhole, line, isHeredoc: true } };
    }
    requireFilledWithin(each, line + lines.length + 1);
    lines.push(each);
    at = end + 1;
  }
  throw new UnfitHcl(`the text that ${mark} ends has no end`, line);
}

/** As HCL's scanner has it, by Go's white space, which is not all that JavaScript takes for some. */
function isMark(line: string, mark: string): boolean {
  const at = line.indexOf(mark);
  const isBlank = (text: string): boolean => /^\p{White_Space}*$/u.test(text);
  return at !== -1 && isBlank(line.slice(0, at)) && isBlank(line.slice(at + mark.length));
}

/** What is filled in over several lines would take the mark for a part of itself. */
function requireFilledWithin(line: string, at: number): void {
  const sign = /(?:\$+|%+)\{?/g;
  for (let found = sign.exec(line); found !== null; found = sign.exec(line))
    if (found[0].endsWith("{") && found[0].length !== "$${".length)
      sign.lastIndex = endOfFilled(line, sign.lastIndex, at);
}

/** What `${…}` and `%{…}` fill in is bake's to know; `$${` and `%%{` stand for `${` and `%{`. */
function readTemplate(text: string): Pick<HclText, "value" | "isWhole"> {
  let isWhole = true;
  const value = text.replaceAll(/(?:\$+|%+)\{?/g, (run) => {
    if (!run.endsWith("{")) return run;
    // Of more than two HCL's own readers don't agree which belong together.
    if (run.length !== "$${".length) isWhole = false;
    return run.slice(1);
  });
  return isWhole ? { value, isWhole } : { value: text, isWhole };
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

function readQuoted(written: string): Pick<HclText, "value" | "isWhole"> {
  const { value: filled, isWhole: isFilled } = readTemplate(written);
  let isWhole = isFilled;
  const value = filled.replaceAll(/\\(?:u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/gs, (whole, short, long, sign) => {
    const code = Number.parseInt(short ?? long ?? "", 16);
    if (whole[1] === "u" || whole[1] === "U") {
      if (code <= 0x10ffff) return String.fromCodePoint(code);
    } else if (Object.hasOwn(escapes, sign)) return escapes[sign] ?? "";
    isWhole = false;
    return whole;
  });
  return isWhole ? { value, isWhole } : { value: written, isWhole };
}
