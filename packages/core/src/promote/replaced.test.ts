import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { assertReplaced, parseReplaced } from "./replaced.ts";

const to = { registry: "registry.test", name: "vetted/shop" };
const [old, next, other] = ["old", "next", "other"].map((each) => digestOf(each)) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
];

describe("nothing is replaced", () => {
  test.each([
    ["where a tag is at another image", [{ tag: "prod", current: other }], [`vetted/shop:prod is at ${other}`]],
    ["where a tag is gone", [{ tag: "prod" }], ["vetted/shop:prod is at nothing"]],
    [
      "where one of several is elsewhere, and each that is gets its name",
      [{ tag: "1.0.0", current: old }, { tag: "prod", current: other }, { tag: "latest" }],
      [`vetted/shop:prod is at ${other}`, "vetted/shop:latest is at nothing"],
    ],
  ])("%s", (_what, tags, says) => {
    const refused = (): void => assertReplaced(tags, next, old, to);
    expect(refused).toThrow(expect.objectContaining({ code: "tag-moved" }));
    for (const each of says) expect(refused).toThrow(each);
    expect(refused).not.toThrow("1.0.0 is at");
  });

  test.each([["prod"], ["registry.test/vetted/shop:prod"], ["sha256:12"], ["registry.test/vetted/shop@sha256:12"]])(
    "by %s, which is no digest",
    (text) => {
      expect(() => parseReplaced(text)).toThrow("input 'replaces'");
    },
  );
});

test("their twins: tags that are at the old image, or at the new one by a run before, or that nobody has asked for", () => {
  assertReplaced(
    [
      { tag: "prod", current: old },
      { tag: "1.0.0", current: next },
    ],
    next,
    old,
    to,
  );
  assertReplaced([], next, old, to);
  expect(parseReplaced(old)).toBe(old);
  expect(parseReplaced(`registry.test/vetted/shop:prod@${old}`)).toBe(old);
});
