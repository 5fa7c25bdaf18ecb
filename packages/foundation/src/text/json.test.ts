import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { DeepJson, parseJson, readAnswerAs, stringifyJson } from "./json.ts";

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

const answer = z.object({ token: z.string(), of: z.object({ id: z.number() }) });

test.each([
  ["no JSON", "a secret {", "all of it"],
  ["JSON of another kind", '"a secret"', "all of it"],
  ["JSON nested without end", "[".repeat(200_000), "all of it"],
  ["fields of other kinds", '{"token":1,"of":{"id":"a secret"}}', "token, of.id"],
])("of an answer that is %s, where it is wrong is told, and nothing of what it says", (_what, text, wrong) => {
  expect(readAnswerAs(text, answer)).toEqual({ wrong });
});

test("of an answer that is wrong in a thousand places, the first few are told", () => {
  const text = JSON.stringify(Array.from({ length: 1000 }, () => "a secret"));
  expect(readAnswerAs(text, z.array(z.number()))).toEqual({ wrong: "0, 1, 2, 3, 4, and 995 more" });
});

test("an answer as documented is read, without what is not", () => {
  expect(readAnswerAs('{"token":"t","of":{"id":1,"more":2}}', answer)).toEqual({
    value: { token: "t", of: { id: 1 } },
  });
});

test("a document may be as wide as it likes, and no deeper than all can read", () => {
  const nested = (depth: number): string => `${'[{"a":'.repeat(depth / 2)}1${"}]".repeat(depth / 2)}`;
  expect(() => parseJson(`${"[".repeat(129)}${"]".repeat(129)}`)).toThrow(DeepJson);
  expect(parseJson(`${"[".repeat(128)}${"]".repeat(128)}`)).toBeInstanceOf(Array);
  expect(() => parseJson(nested(130))).toThrow("it is nested deeper than 128 levels");
  expect(() => parseJson(`{"wide":[${"[],".repeat(500)}[]],"deep":${nested(128)}}`)).toThrow(DeepJson);
  expect(parseJson(nested(128))).toBeInstanceOf(Array);
  expect(parseJson(`[${"{},".repeat(500)}"${"[{".repeat(500)}"]`)).toHaveLength(501);
});
