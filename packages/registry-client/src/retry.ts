/** How long one wait may be at most, whatever a server asks for. Milliseconds. */
export const maxRetryWait = 60_000;

/**
 * Of the server's errors, what does not pass by itself: not implemented, another HTTP version, no storage left (RFC
 * 4918 section 11.5 forbids to repeat that).
 */
const lastingStatuses: readonly number[] = [501, 505, 507];

/** Statuses after which the same request may do better later. */
export function isRetryStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status < 600 && !lastingStatuses.includes(status));
}

/**
 * Retry-After (RFC 9110 section 10.2.3), in seconds or as a date → milliseconds from `now` on, never negative and never
 * over {@link maxRetryWait}; undefined when it is neither.
 */
export function parseRetryAfter(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, maxRetryWait);
  // Date.parse takes far more than HTTP dates (a bare `-1` is a year): the three forms of RFC 9110 all begin with the
  // name of a day.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.min(Math.max(at - now.getTime(), 0), maxRetryWait);
}

/**
 * The wait before try number `attempt + 1`, in milliseconds: what the server asked for where it did; otherwise half a
 * second, doubled each time, up to 15 s. `random` (0 to 1) spreads the second kind over its upper half and adds up to a
 * tenth to the first, so that runners throttled together do not come back together.
 */
export function retryDelay(attempt: number, retryAfter: number | undefined, random: number): number {
  if (retryAfter !== undefined) return Math.round(retryAfter * (1 + random / 10));
  const full = Math.min(500 * 2 ** Math.min(attempt - 1, 10), 15_000);
  return Math.round(full * (0.5 + random / 2));
}

/** Codes of Node.js, undici and OpenSSL for a connection that failed or broke, and may not the next time. */
const connectionCodes: readonly string[] = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_RESPONSE",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
];

/**
 * Is this error of the transport worth another try? A name that does not resolve, or a certificate that is not trusted,
 * stays so.
 */
export function isRetryError(error: unknown): boolean {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const code = (cause as { code?: unknown }).code;
    if (typeof code === "string" && (connectionCodes.includes(code) || code.startsWith("HPE_"))) return true;
    if (cause instanceof AggregateError && cause.errors.some((each) => isRetryError(each))) return true;
  }
  return false;
}
