import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRetryError, isRetryStatus, maxRetryWait, parseRetryAfter, retryDelay } from "./retry.ts";

const now = new Date("2026-05-01T12:00:00Z");

test.each([
  ["0", 0],
  ["3", 3_000],
  [" 3 ", 3_000],
  ["86400", maxRetryWait],
  ["9".repeat(40), maxRetryWait],
  ["Fri, 01 May 2026 12:00:07 GMT", 7_000],
  ["Friday, 01-May-26 12:00:07 GMT", 7_000],
  ["Fri, 01 May 2026 11:00:00 GMT", 0],
  ["Sat, 02 May 2026 12:00:00 GMT", maxRetryWait],
  ["-1", undefined],
  ["1.5", undefined],
  ["soon", undefined],
  ["Friday", undefined],
  ["2026-05-01", undefined],
  ["", undefined],
  [undefined, undefined],
])("Retry-After %j is %j ms", (header, expected) => {
  expect(parseRetryAfter(header, now)).toBe(expected);
});

test("a wait is never shorter than asked for, never negative, and bounded", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.option(fc.integer({ min: 0, max: maxRetryWait }), { nil: undefined }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempt, retryAfter, random) => {
        const delay = retryDelay(attempt, retryAfter, random);
        expect(delay).toBeGreaterThanOrEqual(retryAfter ?? 250);
        expect(delay).toBeLessThanOrEqual(maxRetryWait * 1.1);
      },
    ),
  );
  expect([1, 2, 3, 9].map((attempt) => retryDelay(attempt, undefined, 1))).toEqual([500, 1_000, 2_000, 15_000]);
});

test.each([408, 429, 500, 502, 503, 504, 506, 508, 520, 599])("%d is worth another try", (status) => {
  expect(isRetryStatus(status)).toBe(true);
});

test.each([200, 301, 400, 401, 403, 404, 405, 409, 412, 416, 501, 505, 507, 600])("%d is not", (status) => {
  expect(isRetryStatus(status)).toBe(false);
});

describe("isRetryError", () => {
  const withCode = (code: string, cause?: unknown) => Object.assign(new Error(code, { cause }), { code });

  test("looks into causes and bundles", () => {
    expect(isRetryError(withCode("ECONNRESET"))).toBe(true);
    expect(isRetryError(new TypeError("failed", { cause: withCode("UND_ERR_SOCKET") }))).toBe(true);
    expect(isRetryError(new AggregateError([withCode("ENOTFOUND"), withCode("ECONNREFUSED")]))).toBe(true);
  });

  test("leaves what will not change: an unknown name, a certificate that is not trusted, a bug", () => {
    expect(isRetryError(withCode("ENOTFOUND"))).toBe(false);
    expect(isRetryError(withCode("DEPTH_ZERO_SELF_SIGNED_CERT"))).toBe(false);
    expect(isRetryError(new TypeError("undefined is not a function"))).toBe(false);
    expect(isRetryError("ECONNRESET")).toBe(false);
    const loop = new Error("loop");
    loop.cause = loop;
    expect(isRetryError(loop)).toBe(false);
  });
});
