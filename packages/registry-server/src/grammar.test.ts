import { describe, expect, it } from "vitest";
import { isDigest, isRepositoryName, isTag, isWithinPrefix } from "./grammar.ts";

describe("isRepositoryName", () => {
  it.each([
    "",
    "A",
    "a/",
    "/a",
    "a//b",
    "a/../b",
    "..",
    ".a",
    "_a",
    "a_",
    "a___b",
    "a..b",
    "a b",
    "a/B",
    "a\n",
    "a%2fb",
    "a".repeat(256),
  ])("refuses %j", (name) => expect(isRepositoryName(name)).toBe(false));
  it.each(["a", "0", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a----b", "library/ubuntu", "a".repeat(255)])(
    "takes %j",
    (name) => expect(isRepositoryName(name)).toBe(true),
  );
});

describe("isTag", () => {
  it.each(["", ".", "..", "-a", ".a", "a/b", "a:b", "a b", "a".repeat(129)])("refuses %j", (tag) =>
    expect(isTag(tag)).toBe(false),
  );
  it.each(["a", "A", "_", "1.2.3", "v1_x-y", "sha256-abc.sig", "a".repeat(128)])("takes %j", (tag) =>
    expect(isTag(tag)).toBe(true),
  );
});

describe("isDigest", () => {
  const hex = "0123456789abcdef";
  it.each([
    "",
    `sha256:${hex}`,
    `sha256:${hex.repeat(8)}`,
    `sha512:${hex.repeat(4)}`,
    `sha256:${hex.toUpperCase().repeat(4)}`,
    `md5:${hex.repeat(2)}`,
    `sha256:${hex.repeat(4)}/..`,
  ])("refuses %j", (digest) => expect(isDigest(digest)).toBe(false));
  it.each([`sha256:${hex.repeat(4)}`, `sha512:${hex.repeat(8)}`])("takes %j", (digest) =>
    expect(isDigest(digest)).toBe(true),
  );
});

describe("isWithinPrefix", () => {
  it.each([
    ["vetted", "vetted", true],
    ["vetted/shop", "vetted", true],
    ["vetted/shop", "vetted/", true],
    ["vetted2", "vetted", false],
    ["shop/vetted", "vetted", false],
  ])("%s is within %s: %s", (name, prefix, expected) => expect(isWithinPrefix(name, prefix)).toBe(expected));
});
