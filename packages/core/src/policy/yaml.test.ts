import { samplePolicyText } from "@goldenpath/testing/policy";
import { expectPlaced, type PlacedCase, parseText, refusalOf } from "@goldenpath/testing/policy-refusal";
import { describe, expect, test } from "vitest";
import { maxPolicyBytes } from "./parse.ts";

describe("a file that is refused before anything of a policy is looked at", () => {
  const cases: PlacedCase[] = [
    [
      "a key that is there twice",
      "serial: 7",
      "serial: 7\nserial: 9",
      "serial: 9",
      "the key `serial` is there twice, first on line 3",
    ],
    ["a name that is there twice", "  promote:\n", "  build:\n", "build:", "the key `build` is there twice"],
    ["a key that is a number", "  production:", "  1:", "1:\n    from", "a key must be text"],
    ["a key that is a list", "  production:", "  [a]:", "[a]", "a key must be text"],
    ["a tab as indentation", "  failOn: high", "\tfailOn: high", "\tfailOn", "a tab is used as indentation"],
    ["an anchor", "serial: 7", "serial: &x 7", "&x", "anchors are not allowed (&x)"],
    ["an alias", "serial: 7", "serial: *x", "*x", "aliases are not allowed (*x)"],
    ["a tag", "serial: 7", "serial: !!int 7", "!!int", "tags are not allowed (!!int)"],
    ["an explicit key", "serial: 7", "? serial\n: 7", "? serial", "keys with ? are not allowed"],
    ["a second document", "signers:\n", "---\nsigners:\n", "---", "a second document starts here"],
    ["an open bracket", "plainHttp: [registry.test:5000]", "plainHttp: [registry.test:5000", "signers:", ""],
    ["a merge key", "failOn: high", "failOn: high\n  <<: {}", "<<", "scan.<<: unknown key"],
    ["a prototype", "failOn: high", "failOn: high\n  __proto__: {}", "__proto__", "scan.__proto__: unknown key"],
  ];

  test.each(cases)("%s", (...placed) => expectPlaced(placed));

  test.each([
    ["", "policy p.yaml is empty"],
    ["  \n\n", "policy p.yaml is empty"],
    ["# only a comment\n", "expected a map with `version: 1`, found nothing"],
    ["- a\n", "expected a map with `version: 1`, found a list"],
    ["just text", "expected a map with `version: 1`, found 'just text'"],
    ["%YAML 1.1\n---\na: 1\n", "directives are not allowed"],
    ["a: 1\n...\nb: 1\n", "a second document starts here"],
  ])("%j", (text, message) => {
    expect(refusalOf(text).message).toContain(message);
  });

  test("that is not UTF-8", () => {
    expect(refusalOf(Uint8Array.of(0x61, 0x3a, 0xff)).message).toBe("policy p.yaml is not UTF-8 text");
  });

  test("that is too large, and not that is just not", () => {
    const filler = (size: number): string => `${samplePolicyText}#${"x".repeat(size - samplePolicyText.length - 1)}`;
    expect(refusalOf(filler(maxPolicyBytes + 1)).message).toContain("larger than 1048576 bytes");
    expect(parseText(filler(maxPolicyBytes)).serial).toBe(7);
  });

  // A composer that went down into these would end the process, not throw.
  test.each([
    ["lists in brackets", `a: ${"[".repeat(500_000)}`],
    ["lists in brackets, over lines", `a:\n${"[\n".repeat(300_000)}`],
    ["maps in brackets", "{a: ".repeat(200_000)],
    ["lists in lists", "- ".repeat(500_000)],
    ["explicit keys", "? ".repeat(500_000)],
    ["anchors", "&a ".repeat(300_000)],
    ["indentation", Array.from({ length: 1_400 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
  ])("that is a bomb of %s", (_what, text) => {
    expect(refusalOf(text).message).toMatch(/nested too deeply|not allowed/);
  });

  test("that has more keys than anybody could compare with each other", () => {
    const text = Array.from({ length: 80_000 }, (_, index) => `k${index}: 1`).join("\n");
    expect(refusalOf(text).message).toMatch(/many problems:\n[\s\S]*\nand more$/);
  });
});
