import { expect, test } from "vitest";
import { parseProblems } from "./answers.ts";

const encode = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

test.each([["<html>"], [""], ["null"], [{ errors: "x" }], [{ errors: [null, 7] }], [{ error: { code: "x" } }]])(
  "%j has no problems to tell",
  (body) => {
    expect(parseProblems(encode(body))).toEqual([]);
  },
);

test("a server's text becomes one short line, with nothing that a runner takes for a command", () => {
  const problems = parseProblems(
    encode({
      errors: [{ code: "DENIED\n::set-output", message: `a\r\n::error::b\u001b[31m\u2028c${"x".repeat(999)}` }],
    }),
  );
  expect(problems).toHaveLength(1);
  for (const { code, message } of problems) {
    expect(`${code}${message}`).not.toMatch(/[\p{Cc}\u2028]/u);
    expect(message.length).toBeLessThanOrEqual(200);
  }
});
