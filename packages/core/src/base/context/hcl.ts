import { type HclText, type HclToken, scanHcl, UnfitHcl } from "./hcl-scan.ts";

/** Attributes and blocks of a body, or of an object: the two are read alike, as JSON has them. */
export interface HclFields {
  kind: "fields";
  fields: readonly HclField[];
  line: number;
}

export type HclValue =
  | HclText
  | HclFields
  | { kind: "list"; items: readonly HclValue[]; line: number }
  /** A word, or what is composed: nobody knows its value without running it. */
  | { kind: "other"; isNull: boolean; line: number };

export interface HclField {
  /** Undefined where it is composed. */
  name: string | undefined;
  /** Of a block with labels that of its first label's one field: `target "a" { … }` is `target = { a = { … } }`. */
  value: HclValue;
  line: number;
}

export interface HclFile {
  /** All texts, wherever they stand, names in quotes too. */
  texts: readonly HclText[];
  root: HclValue;
}

/** Deeper than any such file goes, and far from where a reader that calls itself runs out of stack. */
const maxDepth = 100;

/**
 * A file in HCL, or one in JSON that is known to be JSON.
 * @throws UnfitHcl
 */
export function readHcl(text: string, isJson: boolean): HclFile {
  const tokens = scanHcl(text, isJson);
  const reader = new HclReader(tokens);
  return {
    texts: tokens.flatMap((each) => (each.kind === "text" ? [each] : [])),
    root: isJson ? reader.value() : reader.file(),
  };
}

class HclReader {
  readonly #tokens: readonly HclToken[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly HclToken[]) {
    this.#tokens = tokens;
  }

  file(): HclValue {
    return { kind: "fields", fields: this.#fields(undefined), line: 1 };
  }

  value(): HclValue {
    this.#passEnds();
    const first = this.#tokens[this.#at];
    const line = first?.line ?? 1;
    const value = first === undefined ? undefined : this.#primary(first);
    const next = this.#at;
    this.#passRest();
    // What more follows makes something else of it: a call, a condition, a sum.
    if (value !== undefined && next === this.#at) return value;
    return { kind: "other", isNull: first?.value === "null" && this.#at === next + 1, line };
  }

  #primary(first: HclToken): HclValue | undefined {
    if (first.kind === "text") {
      this.#at += 1;
      return first;
    }
    const { value, line } = first;
    if (first.kind !== "sign" || (value !== "{" && value !== "[")) return undefined;
    this.#at += 1;
    if (this.#isLoop()) {
      this.#passToClosing(line);
      return { kind: "other", isNull: false, line };
    }
    return value === "{"
      ? { kind: "fields", fields: this.#deeper(line, () => this.#fields("}")), line }
      : { kind: "list", items: this.#deeper(line, () => this.#items(line)), line };
  }

  #deeper<T>(line: number, read: () => T): T {
    if (++this.#depth > maxDepth) throw new UnfitHcl(`it is nested deeper than ${maxDepth} levels`, line);
    const result = read();
    this.#depth -= 1;
    return result;
  }

  #fields(closing: "}" | undefined): HclField[] {
    const fields: HclField[] = [];
    for (;;) {
      this.#passEnds(",");
      const token = this.#tokens[this.#at];
      if (token === undefined && closing === undefined) return fields;
      if (token === undefined) throw new UnfitHcl("a brace has no end", this.#tokens.at(-1)?.line ?? 1);
      if (closing !== undefined && isSign(token, closing)) {
        this.#at += 1;
        return fields;
      }
      fields.push(this.#field(token));
    }
  }

  #field({ line }: HclToken): HclField {
    const names: (string | undefined)[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined || token.kind === "end" || isSign(token, "}"))
        throw new UnfitHcl("a name has no value", token?.line ?? line);
      if (isSign(token, "{")) return this.#block(names, token.line);
      this.#at += 1;
      if (isSign(token, "=") || isSign(token, ":"))
        return { name: names.length === 1 ? names[0] : undefined, value: this.value(), line };
      if (token.kind === "word" || (token.kind === "text" && token.isWhole)) names.push(token.value);
      else {
        names.push(undefined);
        if (isSign(token, "(") || isSign(token, "[")) this.#passToClosing(token.line);
      }
    }
  }

  #block(names: readonly (string | undefined)[], line: number): HclField {
    this.#at += 1;
    let value: HclValue = { kind: "fields", fields: this.#deeper(line, () => this.#fields("}")), line };
    if (names.length > maxDepth) throw new UnfitHcl(`it is nested deeper than ${maxDepth} levels`, line);
    for (const name of names.slice(1).toReversed()) value = { kind: "fields", fields: [{ name, value, line }], line };
    return { name: names[0], value, line };
  }

  #items(line: number): HclValue[] {
    const items: HclValue[] = [];
    for (;;) {
      this.#passEnds(",");
      const token = this.#tokens[this.#at];
      if (token === undefined) throw new UnfitHcl("a list has no end", line);
      if (isSign(token, "]")) {
        this.#at += 1;
        return items;
      }
      const before = this.#at;
      items.push(this.value());
      if (this.#at === before) throw new UnfitHcl(`'${token.value}' closes what is not open`, token.line);
    }
  }

  /** `{for k, v in x : k => v}` */
  #isLoop(): boolean {
    let at = this.#at;
    while (this.#tokens[at]?.kind === "end") at += 1;
    const first = this.#tokens[at];
    return first?.kind === "word" && first.value === "for" && this.#tokens[at + 1]?.kind === "word";
  }

  #passEnds(separator?: string): void {
    for (let token = this.#tokens[this.#at]; token !== undefined; token = this.#tokens[this.#at]) {
      if (token.kind !== "end" && !(separator !== undefined && isSign(token, separator))) return;
      this.#at += 1;
    }
  }

  /** To what ends a value: the line, a comma, or what closes that which it stands in. */
  #passRest(): void {
    for (let token = this.#tokens[this.#at]; token !== undefined; token = this.#tokens[this.#at]) {
      if (token.kind === "end" || (token.kind === "sign" && [",", "}", "]", ")"].includes(token.value))) return;
      this.#at += 1;
      if (token.kind === "sign" && ["(", "[", "{"].includes(token.value)) this.#passToClosing(token.line);
    }
  }

  /** Past what closes that which has been opened. */
  #passToClosing(line: number): void {
    for (let open = 1; open > 0; this.#at += 1) {
      const token = this.#tokens[this.#at];
      if (token === undefined) throw new UnfitHcl("a bracket has no end", line);
      if (token.kind !== "sign") continue;
      if (["(", "[", "{"].includes(token.value)) open += 1;
      else if ([")", "]", "}"].includes(token.value)) open -= 1;
    }
  }
}

function isSign(token: HclToken, value: string): boolean {
  return token.kind === "sign" && token.value === value;
}
