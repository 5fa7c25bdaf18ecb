import { describe, expect, test } from "vitest";
import { parseQuery } from "./query.ts";
import { isInRange, parseRange } from "./ranges.ts";

const within = (version: string, range: string, type = "npm"): boolean | undefined =>
  isInRange(version, parseRange(range) ?? [], type);

test.each(["", "<", "<1,", "1||", "^1.0", "<1 >2", "1.*", "=>1", "1||*"])("'%s' is no range", (text) => {
  expect(parseRange(text)).toBeUndefined();
});

describe("a version is in a range", () => {
  test.each<[version: string, range: string, type?: string]>([
    ["4.17.20", "<4.17.21"],
    ["4.17.20", ">=4.17.20"],
    ["4.17.20", "<=4.17.20"],
    ["4.17.20", "4.17.20"],
    ["v4.17.20", "4.17.20", "golang"],
    ["1.0.0-rc.1", "<1.0.0"],
    ["1.0.0-beta.2", "<1.0.0-rc.1"],
    ["1.0.0-alpha", "<1.0.0-beta"],
    ["2.0", "=2.0.0", "maven"],
    ["2.0.0.Final", "=2.0.0", "maven"],
    ["2.0-SNAPSHOT", "<2.0", "maven"],
    ["1.0.0+build.5", "=1.0.0"],
    ["2.14.1", ">=2.0,<2.17.1", "maven"],
    ["3.0.1", "<2||>=3.0,<3.0.2"],
    ["10.0", ">9"],
    ["1.0.10", ">1.0.9"],
    ["1!1.0", ">2.0", "pypi"],
    ["1:1.0-1", ">2.0-1", "deb"],
    ["2.36-9+deb12u1", "<2.36-9+deb12u10", "deb"],
    ["1.0~rc1-1", "<1.0-1", "deb"],
    ["1.2.3-r1", "<1.2.3-r2", "apk"],
    ["1.0", "*"],
    ["whatever", "*"],
    ["whatever", "whatever"],
    ["1.5", "!=1.4"],
  ])("%s in %s", (version, range, type) => {
    expect(within(version, range, type)).toBe(true);
  });
});

describe("a version is not", () => {
  test.each<[version: string, range: string, type?: string]>([
    ["4.17.21", "<4.17.21"],
    ["1.0.0", "<1.0.0-rc.1"],
    ["1.0", "!=1.0.0"],
    ["2.17.1", ">=2.0,<2.17.1", "maven"],
    ["3.0.2", "<2||>=3.0,<3.0.2"],
    ["2.36-9+deb12u13", "<2.36-9+deb12u10", "deb"],
    ["1.0.0-rc.1", "=1.0.0"],
  ])("%s in %s", (version, range, type) => {
    expect(within(version, range, type)).toBe(false);
  });
});

test("nobody can tell of a version without a number, unless something else decides", () => {
  expect(within("main", "<2")).toBeUndefined();
  expect(within("main", "<2||main")).toBe(true);
  expect(within("1.0", "<dev||<1.1")).toBe(true);
});

describe("what is looked for", () => {
  test.each([
    "lodash",
    "pkg:npm",
    "pkg:npm/",
    "pkg:npm/lodash@",
    "pkg:npm/lodash?x=y",
    "pkg:npm/lodash#sub",
    "CVE 2026 1",
    "--all",
    "pkg:npm/%E0%A4%A@1",
  ])("'%s' is nothing", (text) => {
    expect(() => parseQuery(text)).toThrow(/neither|range/);
  });

  test.each<[string, object]>([
    ["CVE-2026-1234", { kind: "vulnerability", id: "CVE-2026-1234" }],
    ["GHSA-35jh-r3h4-6jhm", { kind: "vulnerability" }],
    ["RHSA-2026:1234", { kind: "vulnerability" }],
    ["pkg:npm/@acme/left@<2", { purl: { type: "npm", namespace: "@acme", name: "left" } }],
    ["pkg:npm/%40acme/left", { purl: { type: "npm", namespace: "@acme", name: "left" }, range: [[]] }],
    ["pkg:maven/org.a/b@>=1,<2", { purl: { type: "maven", namespace: "org.a", name: "b" } }],
    ["pkg:golang/github.com/acme/x@<v1.2.0", { purl: { namespace: "github.com/acme", name: "x" } }],
  ])("%s", (text, expected) => {
    expect(parseQuery(text)).toMatchObject(expected);
  });
});
