/** What cannot be understood; its message reads on from the place that it is at. */
export class DockerfileProblem extends Error {
  readonly line: number;

  /** @param line from 1; 0 where it is the whole file */
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/**
 * Splits what follows an instruction by white space, as BuildKit does: quotes keep words together and stay in them, and
 * the escape character keeps what follows it.
 */
export function splitWords(text: string, escapedBy: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === escapedBy && quote !== "'" && at + 1 < text.length) {
      at += 1;
      word += character + text.charAt(at);
    } else if (quote !== "") {
      if (character === quote) quote = "";
      word += character;
    } else if (/\s/.test(character)) {
      if (word !== "") words.push(word);
      word = "";
    } else {
      if (character === "'" || character === '"') quote = character;
      word += character;
    }
  }
  return word === "" ? words : [...words, word];
}

type Values = ReadonlyMap<string, string>;

/**
 * A word with its quotes taken away and its variables filled in, as BuildKit does it for FROM and ARG: `$A`, `${A}`,
 * `${A:-x}`, `${A-x}`, `${A:+x}`, `${A+x}`, `${A:?x}`, `${A?x}`. What cuts pieces out of a value (`#`, `%`, `/`) is
 * refused: which image that is should be told by reading the file.
 * @throws DockerfileProblem
 */
export function expandWord(word: string, values: Values, escapedBy: string, line: number): string {
  const expander = new Expander(word, values, escapedBy, line);
  return expander.until(undefined);
}

/** Of an argument's value; no image's name comes near it, and values that are made of values would have no end. */
const maxExpanded = 32 * 1024;
/** Defaults of variables within each other. */
const maxDepth = 50;

class Expander {
  readonly #text: string;
  readonly #values: Values;
  readonly #escapedBy: string;
  readonly #line: number;
  #at = 0;
  #depth = 0;

  constructor(text: string, values: Values, escapedBy: string, line: number) {
    this.#text = text;
    this.#values = values;
    this.#escapedBy = escapedBy;
    this.#line = line;
  }

  #fail(why: string): never {
    throw new DockerfileProblem(`'${this.#text}' can't be resolved: ${why}`, this.#line);
  }

  #next(): string {
    const character = this.#text.charAt(this.#at);
    this.#at += 1;
    return character;
  }

  /** @param stop the character that ends it; undefined: the end of the text does */
  until(stop: "}" | undefined): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const character = this.#next();
      if (character === stop) return result;
      if (character === "$") result += this.#variable();
      else if (character === "'") result += this.#quoted("'");
      else if (character === '"') result += this.#quoted('"');
      else if (character === this.#escapedBy) result += this.#next();
      else result += character;
      if (result.length > maxExpanded) this.#fail(`it is longer than ${maxExpanded} characters`);
    }
    return stop === undefined ? result : this.#fail(`'${stop}' is missing`);
  }

  #quoted(quote: "'" | '"'): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const character = this.#next();
      if (character === quote) return result;
      if (quote === '"' && character === "$") result += this.#variable();
      else if (quote === '"' && character === this.#escapedBy) {
        const next = this.#text.charAt(this.#at);
        result += ['"', "$", this.#escapedBy].includes(next) ? this.#next() : character;
      } else result += character;
      if (result.length > maxExpanded) this.#fail(`it is longer than ${maxExpanded} characters`);
    }
    return this.#fail(`a ${quote} has no end`);
  }

  #variable(): string {
    if (this.#text.charAt(this.#at) !== "{") {
      const name = this.#name();
      return name === "" ? "$" : (this.#values.get(name) ?? "");
    }
    this.#at += 1;
    const name = this.#name();
    if (name === "") this.#fail("there is no name after ${");
    const operator = this.#next();
    const value = this.#values.get(name);
    if (operator === "}") return value ?? "";
    const colon = operator === ":";
    const modifier = colon ? this.#next() : operator;
    if (!["-", "+", "?"].includes(modifier))
      this.#fail("of what may follow a name in braces, :- :+ :? - + and ? are understood");
    if (++this.#depth > maxDepth) this.#fail(`more than ${maxDepth} variables stand in each other`);
    const word = this.until("}");
    this.#depth -= 1;
    const isSet = value !== undefined && !(colon && value === "");
    if (modifier === "-") return isSet ? (value ?? "") : word;
    if (modifier === "+") return isSet ? word : "";
    return isSet ? (value ?? "") : this.#fail(`${name} is not set`);
  }

  #name(): string {
    // Digits alone are a name (of nothing), and so is one of the shell's own signs: neither has a value here.
    const found = /^(?:[0-9]+|[@*#?$!-]|[\p{L}_][\p{L}\p{Nd}_]*)/u.exec(this.#text.slice(this.#at))?.[0] ?? "";
    this.#at += found.length;
    return found;
  }
}
