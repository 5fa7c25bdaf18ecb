import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

/** One request, as the routes see it. */
export interface Exchange {
  method: string;
  /** Decoded, without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** The request's body; it can be read once, and fails when the client goes away in the middle. */
  body: AsyncIterable<Uint8Array>;
}

/**
 * One answer: plain data, so that faults can change it before it is sent. A body always comes with its
 * `Content-Length`.
 */
export interface Reply {
  status: number;
  headers: Record<string, string | string[]>;
  body?: Uint8Array | Readable;
  /** What a manifest that was put refers to; not sent. */
  subject?: string;
}

export function emptyReply(status: number, headers: Record<string, string | string[]> = {}): Reply {
  return { status, headers: status === 204 || status === 304 ? headers : { ...headers, "Content-Length": "0" } };
}

export function bytesReply(
  status: number,
  body: Uint8Array,
  contentType: string,
  headers: Record<string, string | string[]> = {},
): Reply {
  return {
    status,
    headers: { "Content-Type": contentType, "Content-Length": String(body.byteLength), ...headers },
    body,
  };
}

export function jsonReply(
  status: number,
  value: unknown,
  headers: Record<string, string | string[]> = {},
  contentType = "application/json",
): Reply {
  return bytesReply(status, Buffer.from(JSON.stringify(value)), contentType, headers);
}
