import { describe, expect, test } from "vitest";
import { costOf, maxExpression, readExpression } from "./expression.ts";
import type { RuleStage } from "./facts.ts";

const problemOf = (text: string, stage: RuleStage = "base"): string | undefined => {
  const read = readExpression(text, stage);
  return "problem" in read ? read.problem : undefined;
};

describe("an expression is refused before anything is asked of it", () => {
  test.each<[name: string, text: string, message: RegExp, twin: string, stage?: RuleStage]>([
    ["that is none", "config.user ==", /^column 15: Unexpected token/, 'config.user == "1"'],
    ["over several lines", 'config.user != "" &&\n  confg.user != "0"', /^line 2, column 3: Unknown.*`config`/, "true"],
    ["with a fact that nobody has", "foo == 1", /^column 1: .*there is: image, config/, "true"],
    ["with a field mistyped", 'config.usr == "a"', /^column 8: No such key: usr; did you mean `user`/, "true"],
    [
      "with a field of an entry mistyped",
      'packages.all(p, p.nam != "x")',
      /^column 19: No such key: nam; did you mean `name`/,
      'packages.all(p, p.name != "x")',
    ],
    [
      "with another stage's fact",
      "findings.size() == 0",
      /`?findings.*: it is a fact of stage scan, and this rule is judged by base/,
      "packages.size() == 0",
    ],
    ["that says a text", "config.user", /type string, and not true or false/, 'config.user == "x"'],
    ["that compares apples with pears", 'layers.size() == "3"', /^column 1: no such overload/, "layers.size() == 3"],
    ["that calls what is not there", 'config.user.foo("a")', /^column 1: /, 'config.user.contains("a")'],
    ["that makes texts longer", 'config.user + "x" == "ax"', /`\+` is for numbers/, "layers.size() + 1 == 2"],
    ["that makes lists longer", "size(layers + layers) == 2", /`\+` is for numbers/, "size(layers) == 2"],
    ["that splits", 'config.user.split("").size() == 1', /`split` can't be called/, "config.user.size() == 1"],
    ["that binds", "cel.bind(a, 1, a == 1)", /`bind` can't be called/, "1 == 1"],
    [
      "that goes over lists three deep",
      "layers.all(a, layers.all(b, layers.all(c, a.size == b.size && b.size == c.size)))",
      /^column 29: `all` stands in 2 others/,
      "layers.all(a, layers.all(b, a.size == b.size))",
    ],
    [
      "that hides the third in what is gone over",
      "layers.all(a, layers.all(b, layers.map(c, c.size).size() == 1))",
      /`map` stands in 2 others/,
      "layers.map(c, c.size).all(a, layers.all(b, b.size == a))",
    ],
    ["that is too long", `true ${"|| true ".repeat(maxExpression / 8)}`, /longer than/, "true"],
    ["that has too many parts", `true${" || true".repeat(300)}`, /^line|^column \d+: .*AST/i, "true"],
    ["that is too deep", `${"(".repeat(200)}true${")".repeat(200)}`, /depth/i, "((true))"],
  ])("%s", (_name, text, message, twin, stage) => {
    expect(problemOf(text, stage)).toMatch(message);
    expect(problemOf(twin, stage)).toBeUndefined();
  });
});

test("what has an expression of facts of another stage is right for that one", () => {
  expect(problemOf("findings.size() == 0", "scan")).toBeUndefined();
  expect(problemOf("evidence.size() > 0 && environment == 'production'", "gate")).toBeUndefined();
});

describe("what it may cost", () => {
  const costs = (text: string, longest: number, characters = 0): number => {
    const read = readExpression(text, "base");
    if ("problem" in read) throw new TypeError(read.problem);
    return costOf(read.expression, { longest, characters });
  };

  test("grows with the list, and with each in each by its square", () => {
    const one = costs("layers.all(a, a.size > 0)", 1000);
    expect(costs("layers.all(a, a.size > 0)", 2000) / one).toBeCloseTo(2, 1);
    const each = costs("layers.all(a, layers.all(b, a.size == b.size))", 1000);
    expect(costs("layers.all(a, layers.all(b, a.size == b.size))", 2000) / each).toBeCloseTo(4, 1);
  });

  test("does not multiply what stands before the list's entries", () => {
    expect(costs("layers.map(c, c.size).all(a, a > 0)", 1000)).toBeLessThan(20_000);
  });

  test("counts a look into a list as one at each entry, and a long text by its length", () => {
    expect(costs('"a" in config.ports', 5000)).toBeGreaterThanOrEqual(5000);
    expect(costs('config.user.matches("a")', 1, 1_000_000)).toBeGreaterThan(1000);
  });
});
