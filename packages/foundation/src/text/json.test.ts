import fc from "fast-check";
import { expect, test } from "vitest";
import { stringifyJson } from "./json.ts";

test("what is unfit to be shown is escaped, and is there again when it is parsed", () => {
  const value = { "a\u0085::error::x": "b\u202ec\u{e0041}\u2028\ud800 ##[error]d\u007f\ufeff", plain: "ümläut ⚠️ 😀" };
  const text = stringifyJson(value, 2);
  expect(text).not.toMatch(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|##\[/u);
  expect(text).toContain("ümläut ⚠️ 😀");
  expect(JSON.parse(text)).toEqual(value);
});

test("any value comes back", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      expect(JSON.parse(stringifyJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
