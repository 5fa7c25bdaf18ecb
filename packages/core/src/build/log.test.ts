import { expect, it } from "vitest";
import { quoteLine } from "./log.ts";

it.each([
  ["::set-output name=image::evil", "| ::set-output name=image::evil"],
  ["  ::error::x", "|   ::error::x"],
  ["a ##[error]b", "| a # #[error]b"],
  ["###[x]", "| ## #[x]"],
  ["10%\r::add-mask::x", "| 10%::add-mask::x"],
  ["a\n::error::x", "| a::error::x"],
  ["\u001b[31mred\u001b[0m", "| red"],
  ["\u001b]0;title\u0007x", "| x"],
  ["#\u001b[0m#[error]", "| # #[error]"],
  ["a\tb\u0000\u009b", "| a\tb"],
  ["", "| "],
])("%j → %j", (line, expected) => {
  expect(quoteLine(line)).toBe(expected);
});

it("cuts what is too long", () => {
  expect(quoteLine("x".repeat(10_000))).toHaveLength(4_096 + 3);
});
