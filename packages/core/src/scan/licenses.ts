import { spdxIds } from "./spdx-ids.ts";

/**
 * What licences are refused in an expression of SPDX (`MIT OR (GPL-2.0-only AND Apache-2.0)`): of alternatives none may
 * be left that is not refused, and of what holds together one is enough. `unknown` where it is no expression, or has a
 * word in it that is no identifier of SPDX's list: `UNKNOWN`, `Proprietary`, a digest, `GPL`.
 * @param refused as {@link canonicalLicense} writes them
 * https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
 */
export function judgeLicense(expression: string, refused: ReadonlySet<string>): LicenseAnswer {
  // What is no identifier of SPDX can be refused by its very words.
  if (refused.has(canonicalLicense(expression))) return { kind: "refused", by: expression.trim() };
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  const reader: Reader = { tokens, at: 0, refused };
  const answer = readAlternatives(reader, 0);
  return answer === undefined || reader.at !== tokens.length ? { kind: "unknown" } : answer;
}

export type LicenseAnswer =
  | { kind: "fine" }
  | { kind: "unknown" }
  /** By which licence, as it stands in the expression. */
  | { kind: "refused"; by: string };

interface Reader {
  tokens: readonly string[];
  at: number;
  /** As {@link canonicalLicense} writes them. */
  refused: ReadonlySet<string>;
}

/** An expression nested deeper is nobody's licence. */
const maxDepth = 32;

function readAlternatives(reader: Reader, depth: number): LicenseAnswer | undefined {
  if (depth > maxDepth) return undefined;
  let answer = readTogether(reader, depth);
  while (answer !== undefined && isNext(reader, "OR")) {
    reader.at += 1;
    const other = readTogether(reader, depth);
    if (other === undefined) return undefined;
    answer = [answer, other].find(({ kind }) => kind === "fine") ?? [answer, other].find(isUnknown) ?? answer;
  }
  return answer;
}

function readTogether(reader: Reader, depth: number): LicenseAnswer | undefined {
  let answer = readOne(reader, depth);
  while (answer !== undefined && isNext(reader, "AND")) {
    reader.at += 1;
    const other = readOne(reader, depth);
    if (other === undefined) return undefined;
    answer = [answer, other].find(({ kind }) => kind === "refused") ?? [answer, other].find(isUnknown) ?? answer;
  }
  return answer;
}

function readOne(reader: Reader, depth: number): LicenseAnswer | undefined {
  const token = reader.tokens[reader.at];
  if (token === undefined) return undefined;
  reader.at += 1;
  if (token === "(") {
    const inner = readAlternatives(reader, depth + 1);
    if (inner === undefined || reader.tokens[reader.at] !== ")") return undefined;
    reader.at += 1;
    return inner;
  }
  if (!/^[A-Za-z0-9.:-]+\+?$/.test(token) || isWord(token)) return undefined;
  let exception = "";
  if (isNext(reader, "WITH")) {
    exception = reader.tokens[reader.at + 1] ?? "";
    if (!/^[A-Za-z0-9.:-]+$/.test(exception) || isWord(exception)) return undefined;
    reader.at += 2;
  }
  // With an exception it is another licence: refused as what it is with it, or as what it is without any.
  const written = exception === "" ? token : `${token} WITH ${exception}`;
  // GNU's "or later" is an identifier of its own; elsewhere a + is the licence, or a later one.
  const names = [token, written].map(canonicalLicense);
  const isRefused = names.some((name) => reader.refused.has(name) || reader.refused.has(name.replace(/\+$/, "")));
  if (isRefused) return { kind: "refused", by: written };
  return { kind: isLicenseId(token) ? "fine" : "unknown" };
}

/** True of an identifier of SPDX's list, with or without a `+`. */
export function isLicenseId(text: string): boolean {
  return spdxIds.has(text.toLowerCase().replace(/\+$/, ""));
}

/**
 * A licence as it is compared: without regard to case, as SPDX does, and GNU's by the identifiers of now. `GPL-2.0` and
 * `GPL-2.0+` are deprecated, and what most packages say.
 */
export function canonicalLicense(text: string): string {
  const name = text.trim().toLowerCase();
  const [, family, version, rest] = /^([al]?gpl|gfdl)-(\d\.\d)(\+|-with-[a-z-]+)?(?= |$)/.exec(name) ?? [];
  if (family === undefined) return name;
  const after = name.slice(`${family}-${version}${rest ?? ""}`.length);
  return `${family}-${version}${rest === "+" ? "-or-later" : "-only"}${after}`;
}

function isUnknown({ kind }: LicenseAnswer): boolean {
  return kind === "unknown";
}

function isWord(token: string): boolean {
  return /^(?:AND|OR|WITH)$/i.test(token);
}

function isNext(reader: Reader, word: string): boolean {
  return reader.tokens[reader.at]?.toUpperCase() === word;
}
