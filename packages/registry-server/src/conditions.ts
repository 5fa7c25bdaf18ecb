import { type ErrorCode, refuse } from "./errors.ts";
import type { Digest } from "./grammar.ts";
import type { Exchange } from "./reply.ts";

export function formatEtag(digest: Digest): string {
  return `"${digest}"`;
}

/**
 * Whether an `If-Match`/`If-None-Match` value names the digest (`undefined`: there is nothing), by RFC 9110 section
 * 13.1.
 */
export function matchesEtag(header: string, digest: Digest | undefined, weakly: boolean): boolean {
  if (digest === undefined) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((item) => {
    const tag = item.trim();
    return tag === formatEtag(digest) || (weakly && tag === `W/${formatEtag(digest)}`);
  });
}

/** The `ETag` header, where the registry sends one. */
export function etagHeader(digest: Digest, settings: { etags: boolean }): Record<string, string> {
  return settings.etags ? { ETag: formatEtag(digest) } : {};
}

/**
 * Compare-and-set: refuses a change of a tag or manifest unless it is now what the client says it is.
 * @throws RegistryError 412
 */
export function checkPreconditions(
  exchange: Exchange,
  reference: string,
  current: Digest | undefined,
  settings: { conditions: boolean; etags: boolean },
): void {
  if (!settings.conditions) return;
  const match = exchange.headers["if-match"];
  const noneMatch = exchange.headers["if-none-match"];
  const failed =
    (match !== undefined && !matchesEtag(match, current, false)) ||
    (noneMatch !== undefined && matchesEtag(noneMatch, current, true));
  if (!failed) return;
  const message = current === undefined ? `'${reference}' does not exist` : `'${reference}' is ${current}`;
  refuse(412, "DENIED", message, current === undefined ? {} : { headers: etagHeader(current, settings) });
}

export function isNotModified(exchange: Exchange, digest: Digest): boolean {
  const header = exchange.headers["if-none-match"];
  return header !== undefined && matchesEtag(header, digest, true);
}

/** Bytes `start` up to and without `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * The one range that a `Range` header asks for, cut to the content's size; undefined where the whole content is the
 * right answer (no header, another unit, a syntax error, several ranges: RFC 9110 section 14.2); `unsatisfiable` where
 * it lies outside.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const found = /^bytes=\s*([0-9]*)-([0-9]*)\s*$/i.exec(header ?? "");
  if (found === null) return undefined;
  const [, first = "", last = ""] = found;
  if (first === "") {
    if (last === "") return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  if (last !== "" && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return "unsatisfiable";
  return { start: Number(first), end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/**
 * The first and the last byte of an upload's `Content-Range`, which has the specification's own form `<start>-<end>`.
 */
export function parseContentRange(header: string): { first: number; last: number } {
  const found = /^([0-9]{1,15})-([0-9]{1,15})$/.exec(header);
  if (found === null || Number(found[2]) < Number(found[1])) {
    return refuse(400, "BLOB_UPLOAD_INVALID", `Content-Range '${header}' is not FIRST-LAST`);
  }
  return { first: Number(found[1]), last: Number(found[2]) };
}

/**
 * One page of a sorted list: what comes after `last`, at most `n`.
 * @throws RegistryError 400 when `n` is not a number
 */
export function paginate(
  sorted: readonly string[],
  query: URLSearchParams,
  most: number = Number.POSITIVE_INFINITY,
): { page: string[]; next: string | undefined } {
  const n = query.get("n");
  if (n !== null && !/^[0-9]{1,9}$/.test(n))
    return refuse(400, "UNSUPPORTED" satisfies ErrorCode, `n='${n}' is not a number`);
  const last = query.get("last");
  const rest = last === null ? sorted : sorted.filter((item) => item > last);
  const page = rest.slice(0, Math.min(n === null ? Number.POSITIVE_INFINITY : Number(n), most));
  return { page, next: page.length > 0 && page.length < rest.length ? page.at(-1) : undefined };
}

/** `Link: <…>; rel="next"` (RFC 8288) for the page after `last`. */
export function renderNextLink(exchange: Exchange, last: string): Record<string, string> {
  const query = new URLSearchParams(exchange.query);
  query.set("last", last);
  return { Link: `<${encodeURI(exchange.path)}?${query}>; rel="next"` };
}
