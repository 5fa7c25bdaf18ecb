import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect, test } from "vitest";
import { isKeptTag, keptTag } from "./kept-tag.ts";

const digest = digestOf("image");
const digits = digestHex(digest).slice(0, 12);

test("an image that a tag leaves stays under that tag and the first digits of its digest", () => {
  expect(keptTag("stable", digest)).toBe(`stable-${digits}`);
  expect(isKeptTag(`stable-${digits}`, digest)).toBe(true);
  expect(isKeptTag(`stable-${digits}`, digestOf("another"))).toBe(false);
  expect(isKeptTag(`stable-${digits}-1`, digest)).toBe(false);
  expect(isKeptTag(`stable${digits}`, digest)).toBe(false);
  expect(isKeptTag("stable", digest)).toBe(false);
});

test("a tag of any length is kept under one that is no longer than a tag may be", () => {
  expect(keptTag("a".repeat(128), digest)).toBe(`${"a".repeat(115)}-${digits}`);
  expect(keptTag("a".repeat(115), digest)).toBe(`${"a".repeat(115)}-${digits}`);
});
