import { expect, it, test } from "vitest";
import { cleanLog, cleanTerminal, quoteLine } from "./log.ts";

it.each([
  ["::set-output name=image::evil", "| ::set-output name=image::evil"],
  ["  ::error::x", "|   ::error::x"],
  ["a ##[error]b", "| a # #[error]b"],
  ["###[x]", "| ## #[x]"],
  ["10%\r::add-mask::x", "| 10% ::add-mask::x"],
  ["a\n::error::x", "| a ::error::x"],
  ["\u001b[31mred\u001b[0m", "| red"],
  ["\u001b]0;title\u0007x", "| x"],
  ["#\u001b[0m#[error]", "| # #[error]"],
  ["a\tb\u0000\u009b", "| a b\ufffd\ufffd"],
  ["", "| "],
])("%j → %j", (line, expected) => {
  expect(quoteLine(line)).toBe(expected);
});

it("cuts what is too long", () => {
  expect(quoteLine("x".repeat(10_000))).toHaveLength(4_096 + 3);
});

test.each([
  ["::error::x", "| ::error::x"],
  ["a\r\n \t::error::x", "a\n|   ::error::x"],
  ["a\r::error::x", "a\n| ::error::x"],
  // What .NET trims and JavaScript's \\s does not, the reverse, and what nobody sees.
  ["\u0085::error::x", "\n| ::error::x"],
  ["\u00a0\u3000\ufeff::error::x", "| \u00a0\u3000\ufffd::error::x"],
  ["\u200b::error::x", "| \ufffd::error::x"],
  ["\u001b[0m::error::x", "| ::error::x"],
  ["x ##[add-mask]linux", "x # #[add-mask]linux"],
  ["fe80::1 is an address", "fe80::1 is an address"],
  ["fine\nand lines", "fine\nand lines"],
])("%j is logged as %j", (text, expected) => {
  expect(cleanLog(text)).toBe(expected);
});

test("a terminal keeps our own colours where it has any, and gets no other sequence", () => {
  expect(cleanTerminal("\u001b[32mpass\u001b[0m \u001b[2J\u001b]0;t\u0007\u001b[5mx", true)).toBe(
    "\u001b[32mpass\u001b[0m x",
  );
  expect(cleanTerminal("\u001b[32mpass\u001b[0m", false)).toBe("pass");
});
