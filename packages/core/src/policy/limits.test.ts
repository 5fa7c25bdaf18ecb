import { samplePolicyText } from "@goldenpath/testing/policy";
import { expect, test } from "vitest";
import { maxPolicyBytes, parsePolicy } from "./parse.ts";

// What is too large for a policy, or would be, once it is read.

test.each([
  ["5 MB of comments", `${"# a comment\n".repeat(450_000)}${samplePolicyText}`, "is larger than"],
  ["5 MB on one line", `name: ${"a".repeat(5 * 1024 * 1024)}`, "is larger than"],
  ["a word that stands for nine lists of itself", "a: &a [x]\nb: &b [*a, *a]\n", "anchors are not allowed"],
  ["a merge", "a: &a { b: 1 }\nc: { <<: *a }\n", "anchors are not allowed"],
  ["lists in lists", `${"[".repeat(100_000)}`, "nested too deeply"],
  ["dashes in dashes", `${"- ".repeat(100_000)}x`, "nested too deeply"],
  ["a list of 150,000 that are wrong", `exceptions:\n${"- 1\n".repeat(150_000)}`, "exceptions[0]"],
  [
    "maps by indentation",
    Array.from({ length: 900 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"),
    "nested too deeply",
  ],
])("%s is refused by a limit", (_what, text, says) => {
  expect(() => parsePolicy(new TextEncoder().encode(text), "p.yaml")).toThrow(
    expect.objectContaining({ code: "policy-invalid", message: expect.stringContaining(says) }),
  );
});

test("what is as large as a policy may be is read", () => {
  const filled = `${samplePolicyText}\n# ${"x".repeat(maxPolicyBytes - samplePolicyText.length - 4)}\n`;
  expect(new TextEncoder().encode(filled).byteLength).toBeLessThanOrEqual(maxPolicyBytes);
  expect(parsePolicy(new TextEncoder().encode(filled), "p.yaml").name).toBe("acme");
});
