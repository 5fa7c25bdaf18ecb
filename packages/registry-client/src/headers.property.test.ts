import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeScopes } from "./access.ts";
import { parseChallenges } from "./challenge.ts";
import { findNextLink, parseLinkHeader } from "./links.ts";
import { parseContentLength, parseContentRange, parseUploadRange } from "./ranges.ts";
import { maxRetryWait, parseRetryAfter, retryDelay } from "./retry.ts";

/** As much as a server can send in one header, and then some. */
const long = 40_000;
const characters = fc.constantFrom(...'aB1 \t,;="\\<>/-*:%\u0080\u0000ü');
const garbage = fc.oneof(
  fc.string({ unit: characters }),
  fc.string({ unit: "binary" }),
  // One piece over and over is what makes a reader slow that goes back.
  fc
    .tuple(fc.string({ unit: characters, minLength: 1, maxLength: 3 }), fc.string({ unit: characters, maxLength: 3 }))
    .map(([piece, end]) => `${piece.repeat(long / piece.length)}${end}`),
);

describe("challenges", () => {
  const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9._~-]{0,7}$/);
  const parameter = fc.record({
    key: token,
    value: fc.string({ unit: fc.constantFrom(...'aZ ,="\\:/?&;\t') }),
    blank: fc.constantFrom("", " ", "  \t"),
  });
  const challenge = fc.record({
    scheme: token,
    parameters: fc.uniqueArray(parameter, { minLength: 1, maxLength: 3, selector: ({ key }) => key.toLowerCase() }),
  });

  test("of one header or of several read back, however they are cased and spaced", () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), fc.constantFrom(",", ", ", " ,\t"), (challenges, comma) => {
        const headers = challenges.map(({ scheme, parameters }) => {
          const list = parameters.map(
            ({ key, value, blank }) => `${key}${blank}=${blank}"${value.replace(/["\\]/g, "\\$&")}"`,
          );
          return `${scheme} ${list.join(comma)}`;
        });
        const expected = challenges.map(({ scheme, parameters }) => [
          scheme.toLowerCase(),
          parameters.map(({ key, value }) => [key.toLowerCase(), value]),
        ]);
        for (const form of [headers, headers.join(comma), [headers.join(comma)]]) {
          expect(parseChallenges(form).map((each) => [each.scheme, [...each.parameters]])).toEqual(expected);
        }
      }),
    );
  });

  test("in anything at all are read to an end", () => {
    fc.assert(
      fc.property(fc.array(garbage, { maxLength: 2 }), (headers) => {
        const text = headers.join("\n").toLowerCase();
        for (const { scheme, parameters } of parseChallenges(headers)) {
          expect(text).toContain(scheme);
          for (const key of parameters.keys()) expect(text).toContain(key);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("links", () => {
  const target = fc.oneof(fc.webPath(), fc.webUrl()).map((each) => each.replaceAll(">", ""));
  const link = fc.record({
    target,
    rel: fc.constantFrom("next", "NEXT", "prev next", "prev", "nextish", "last"),
    quoted: fc.boolean(),
  });

  test("name the next page when one of them does, and its target as it is written", () => {
    fc.assert(
      fc.property(fc.array(link, { maxLength: 4 }), fc.boolean(), (links, several) => {
        const headers = links.map(
          ({ target: to, rel, quoted }) =>
            `<${to}>; title="a, <b>; rel=next"; rel=${quoted || rel.includes(" ") ? `"${rel}"` : rel}`,
        );
        const next = links.find(({ rel }) => rel.toLowerCase().split(" ").includes("next"))?.target;
        expect(findNextLink(several ? headers : headers.join(", "))).toBe(next === "" ? undefined : next);
      }),
    );
  });

  test("in anything at all are read to an end", () => {
    fc.assert(
      fc.property(garbage, (text) => {
        for (const each of parseLinkHeader(text)) expect(text).toContain(each.target);
      }),
      { numRuns: 60 },
    );
  });
});

describe("ranges and lengths", () => {
  const count = fc.nat({ max: 10 ** 14 });

  test("read back as what was written, and never end before they start or after the whole", () => {
    fc.assert(
      fc.property(
        count,
        count,
        fc.option(count, { nil: undefined }),
        fc.constantFrom("bytes", "Bytes", " BYTES "),
        (start, end, size, unit) => {
          const isRange = start <= end && (size === undefined || end < size);
          expect(parseContentRange(`${unit} ${start}-${end}/${size ?? "*"}`)).toEqual(
            isRange ? { start, end, size } : undefined,
          );
          expect(parseContentLength(String(end))).toBe(end);
          for (const form of ["", "bytes=", "bytes "]) expect(parseUploadRange(`${form}0-${end}`)).toBe(end + 1);
          if (start > 0) expect(parseUploadRange(`${start}-${start + end}`)).toBeUndefined();
        },
      ),
    );
  });

  test("in anything at all are safe whole numbers, or nothing", () => {
    fc.assert(
      fc.property(fc.oneof(garbage, fc.string({ unit: fc.constantFrom(..."0159-/*= bytes+.e") })), (text) => {
        const range = parseContentRange(text);
        if (range !== undefined) expect(range.end).toBeGreaterThanOrEqual(range.start);
        for (const each of [parseContentLength(text), parseUploadRange(text), range?.start, range?.end, range?.size]) {
          if (each !== undefined) expect(Number.isSafeInteger(each) && each >= 0).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("Retry-After", () => {
  const now = new Date("2026-07-01T12:00:00Z");

  test("in seconds and as a date is the same wait, never negative and never over the bound", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 6), max: 10 ** 9 }), (seconds) => {
        const expected = Math.min(Math.max(seconds * 1000, 0), maxRetryWait);
        expect(parseRetryAfter(new Date(now.getTime() + seconds * 1000).toUTCString(), now)).toBe(expected);
        expect(parseRetryAfter(String(seconds), now)).toBe(seconds < 0 ? undefined : expected);
      }),
    );
  });

  test("of anything at all is nothing, or a wait within the bound", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          garbage,
          fc.constantFrom("Infinity", "1e9", "0x10", "1.5", "Mon", "Thu, 99 Foo 2026", "9".repeat(400)),
        ),
        (text) => {
          const wait = parseRetryAfter(text, now);
          if (wait !== undefined) expect(wait >= 0 && wait <= maxRetryWait).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("bounds the delay that it becomes, which otherwise grows and is bounded as well", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const delay = retryDelay(attempt, undefined, random);
          expect(delay >= 250 && delay <= 15_000).toBe(true);
          expect(retryDelay(attempt + 1, undefined, random)).toBeGreaterThanOrEqual(delay);
        },
      ),
    );
  });
});

describe("mergeScopes", () => {
  const action = fc.constantFrom("pull", "push", "delete", "*");
  const scope = fc
    .tuple(
      fc.constantFrom("repository:a", "repository:b/c", "repository:localhost:5000/a", "registry:catalog"),
      fc.array(action, { minLength: 1, maxLength: 3 }),
    )
    .map(([thing, actions]) => `${thing}:${actions.join(",")}`);
  const rightsOf = (scopes: readonly string[]): Set<string> =>
    new Set(
      scopes.flatMap((each) =>
        each
          .slice(each.lastIndexOf(":") + 1)
          .split(",")
          .map((one) => `${each.slice(0, each.lastIndexOf(":"))}:${one}`),
      ),
    );

  test("gives every right that was asked for and no other, each thing once, in whatever order and however often they came", () => {
    fc.assert(
      fc.property(fc.array(scope), fc.array(scope), (one, other) => {
        const merged = mergeScopes([...one, ...other]);
        expect(rightsOf(merged)).toEqual(rightsOf([...one, ...other]));
        expect(new Set(merged.map((each) => each.slice(0, each.lastIndexOf(":")))).size).toBe(merged.length);
        expect(mergeScopes(merged)).toEqual(merged);
        expect(mergeScopes([...other, ...one]).toSorted()).toEqual(merged.toSorted());
      }),
    );
  });

  test("makes no right out of text that is no scope", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom(..."ab:,") }), { maxLength: 4 }), (texts) => {
        const asked = rightsOf(texts.filter((each) => each.includes(":")));
        for (const right of rightsOf(mergeScopes(texts))) expect(asked).toContain(right);
      }),
    );
  });
});
