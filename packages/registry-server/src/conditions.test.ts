import { describe, expect, it } from "vitest";
import { matchesEtag, paginate, parseContentRange, parseRange } from "./conditions.ts";
import { RegistryError } from "./errors.ts";
import { digestOf } from "./testing.ts";

describe("parseRange", () => {
  it.each([
    [undefined, 10, undefined],
    ["items=0-1", 10, undefined],
    ["bytes=5-4", 10, undefined],
    ["bytes=-", 10, undefined],
    ["bytes=0-1,4-5", 10, undefined],
    ["bytes=x-1", 10, undefined],
    ["bytes=10-", 10, "unsatisfiable"],
    ["bytes=10-20", 10, "unsatisfiable"],
    ["bytes=-0", 10, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=0-0", 10, { start: 0, end: 1 }],
    ["bytes=3-", 10, { start: 3, end: 10 }],
    ["bytes=3-99", 10, { start: 3, end: 10 }],
    ["bytes=9-9", 10, { start: 9, end: 10 }],
    ["bytes=-3", 10, { start: 7, end: 10 }],
    ["bytes=-99", 10, { start: 0, end: 10 }],
  ])("%j of %d bytes → %j", (header, size, expected) => expect(parseRange(header, size)).toEqual(expected));
});

describe("parseContentRange", () => {
  it.each(["", "0", "0-", "-5", "5-4", "bytes 0-5/6", "bytes=0-5", "a-b", "0-5 "])("refuses %j", (header) =>
    expect(() => parseContentRange(header)).toThrow(RegistryError),
  );
  it("takes both ends", () => expect(parseContentRange("0-5")).toEqual({ first: 0, last: 5 }));
});

describe("matchesEtag", () => {
  const digest = digestOf("a");
  const other = digestOf("b");
  it.each([
    [`"${digest}"`, undefined, false, false],
    ["*", undefined, false, false],
    [`"${other}"`, digest, false, false],
    [digest, digest, false, false],
    [`W/"${digest}"`, digest, false, false],
    [`W/"${digest}"`, digest, true, true],
    [`"${digest}"`, digest, false, true],
    [`"${other}", "${digest}"`, digest, false, true],
    ["*", digest, false, true],
  ])("%s against %s (weakly: %s) → %s", (header, current, weakly, expected) =>
    expect(matchesEtag(header, current, weakly)).toBe(expected),
  );
});

describe("paginate", () => {
  const list = ["a", "b", "c"];
  it.each(["-1", "x", "", "1.5"])("refuses n=%j", (n) =>
    expect(() => paginate(list, new URLSearchParams({ n }))).toThrow(RegistryError),
  );
  it.each([
    [{}, undefined, ["a", "b", "c"], undefined],
    [{ n: "2" }, undefined, ["a", "b"], "b"],
    [{ n: "3" }, undefined, ["a", "b", "c"], undefined],
    [{ n: "0" }, undefined, [], undefined],
    [{ n: "1", last: "a" }, undefined, ["b"], "b"],
    [{ last: "aa" }, undefined, ["b", "c"], undefined],
    [{ last: "c" }, undefined, [], undefined],
    [{}, 1, ["a"], "a"],
    [{ n: "2" }, 1, ["a"], "a"],
  ])("%j, at most %s a page", (query, most, page, next) =>
    expect(paginate(list, new URLSearchParams(query), most)).toEqual({ page, next }),
  );
});
