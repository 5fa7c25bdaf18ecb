import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LoadFacts, type LoadSample, percentile, summariseLoad } from "./summarise-load.ts";

const good = (milliseconds: number, kind = "GET blob"): LoadSample => ({
  kind,
  isGood: true,
  status: 200,
  milliseconds,
});
const facts = (samples: LoadSample[], more: Partial<LoadFacts> = {}): LoadFacts => ({
  clients: 2,
  duration: 2000,
  elapsed: 2000,
  maxRequests: 100,
  maxBytes: 100,
  samples,
  cutOff: 0,
  peakInFlight: 2,
  waited: 0,
  endedBy: "duration",
  requests: samples.length,
  bytes: 4_000_000,
  ...more,
});

describe("percentile, by the nearest rank", () => {
  test.each([
    [[], 0.5, undefined],
    [[7], 0.5, 7],
    [[7], 0.95, 7],
    [[1, 2, 3, 4], 0.5, 2],
    [[1, 2, 3, 4, 5], 0.5, 3],
    [Array.from({ length: 20 }, (_, index) => index + 1), 0.95, 19],
    [Array.from({ length: 100 }, (_, index) => index + 1), 0.95, 95],
    [[1, 2, 3], 1, 3],
    [[1, 2, 3], 0, 1],
  ])("of %j, %d", (sorted, part, expected) => {
    expect(percentile(sorted, part)).toBe(expected);
  });

  test("is one of the values, and at least the part of them are no larger", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, part) => {
          const sorted = values.toSorted((a, b) => a - b);
          const found = percentile(sorted, part);
          expect(sorted).toContain(found);
          expect(sorted.filter((value) => value <= (found ?? Number.NaN)).length).toBeGreaterThanOrEqual(
            part * sorted.length,
          );
        },
      ),
    );
  });
});

test("failures are counted by kind, and are not in the latency", () => {
  const report = summariseLoad(
    facts([
      good(10),
      good(20),
      { kind: "GET blob", isGood: false, status: 503, milliseconds: 5000 },
      { kind: "GET blob", isGood: false, status: 503, milliseconds: 5000 },
      { kind: "GET blob", isGood: false, failure: "registry-unreachable", milliseconds: 9000 },
      { kind: "GET blob", isGood: false, status: 200, failure: "wrong-bytes", milliseconds: 1 },
    ]),
  );
  expect(report).toMatchObject({
    requests: 6,
    successes: 2,
    errors: { 503: 2, "registry-unreachable": 1, "wrong-bytes": 1 },
  });
  expect(report.latency).toEqual({ median: 10, p95: 20, max: 20 });
  expect(report).toMatchObject({ requestsPerSecond: 3, megabytesPerSecond: 2 });
});

test("429s with the Retry-After that they named, each once, and those that named none", () => {
  const throttled = (retryAfter?: string): LoadSample => ({
    kind: "HEAD manifest",
    isGood: false,
    status: 429,
    milliseconds: 1,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
  const report = summariseLoad(facts([throttled("7"), throttled("7"), throttled("9"), throttled()], { waited: 4 }));
  expect(report.throttled).toEqual({ count: 4, unnamed: 1, retryAfter: ["7", "9"], waited: 4 });
  expect(report.errors).toEqual({ 429: 4 });
  expect(report.latency).toBeUndefined();
});

test("nothing at all divides by nothing", () => {
  expect(summariseLoad(facts([], { elapsed: 0, bytes: 0 }))).toMatchObject({
    requestsPerSecond: 0,
    megabytesPerSecond: 0,
    successes: 0,
    kinds: [],
  });
});

test("each kind has its own latency", () => {
  const report = summariseLoad(
    facts([good(1), good(3, "PUT blob"), { kind: "PUT blob", isGood: false, status: 500, milliseconds: 90 }]),
  );
  expect(report.kinds).toEqual([
    { kind: "GET blob", requests: 1, latency: { median: 1, p95: 1, max: 1 } },
    { kind: "PUT blob", requests: 2, latency: { median: 3, p95: 3, max: 3 } },
  ]);
});
