/** Bytes `start` to `end`, both included, of a whole of `size` bytes (undefined where the server does not say). */
export interface ContentRange {
  start: number;
  end: number;
  size: number | undefined;
}

/**
 * `bytes 10-19/100`, `bytes 10-19/*` (RFC 9110 section 14.4) → its numbers; undefined for anything else, also for a
 * range that ends before it starts.
 */
export function parseContentRange(header: string): ContentRange | undefined {
  const match = /^\s*bytes\s+(\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)\s*$/i.exec(header);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]);
  const size = match[3] === "*" ? undefined : Number(match[3]);
  return end < start || (size !== undefined && end >= size) ? undefined : { start, end, size };
}

/** A Content-Length header → bytes; undefined when it is missing or not a number. */
export function parseContentLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header.trim()) ? Number(header) : undefined;
}

/**
 * The Range header of an upload's state → how many bytes the registry has, counted from the first. The specification's
 * form is `0-9` for ten bytes; some registries write `bytes=0-9` or `bytes 0-9`. Undefined for anything else, as for
 * the `0--1` by which olareg says that it has none.
 */
export function parseUploadRange(header: string | undefined): number | undefined {
  // Blanks beside blanks can be shared out in as many ways as there are: so no longer than any range is.
  if ((header?.length ?? 0) > 100) return undefined;
  const match = /^\s*(?:bytes\s*[=\s]\s*)?0-(\d{1,15})(?:\/(?:\d{1,15}|\*))?\s*$/i.exec(header ?? "");
  return match === null ? undefined : Number(match[1]) + 1;
}
