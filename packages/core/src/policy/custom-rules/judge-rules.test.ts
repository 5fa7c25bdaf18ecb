import { InfrastructureError } from "@goldenpath/foundation/errors";
import { describe, expect, test } from "vitest";
import type { FactValues, RuleStage } from "./facts.ts";
import { judgeRules } from "./judge-rules.ts";
import type { CustomRule } from "./section.ts";

const rule = (expression: string, more: Partial<CustomRule> = {}): CustomRule => ({
  ...{ name: "own", stage: "base", expression, message: "it is wrong", remedy: "put it right" },
  ...more,
});
const layer = { digest: "sha256:1", diffId: "sha256:2", size: 10n, from: "base" };
const facts: FactValues = {
  image: { repository: "r.test/a", digest: "sha256:1", platform: "linux/amd64" },
  config: {
    ...{ user: "1000", workingDirectory: "", entrypoint: ["/app"], command: [], ports: ["8080/tcp"], volumes: [] },
    env: new Map([["PATH", "/bin"]]),
    labels: new Map([["com.acme.owner", "team-shop"]]),
  },
  layers: [layer, { ...layer, size: 20n, from: "application" }],
  base: { name: "golden", image: "r.test/golden", digest: "sha256:3" },
  packages: [{ manager: "dpkg", name: "libc6", version: "2" }],
  now: new Date("2026-05-10T12:00:00Z"),
};
const judge = (rules: readonly CustomRule[], given = facts, limit?: number, stage: RuleStage = "base"): string[] =>
  judgeRules(rules, stage, given, limit).map(({ problem }) => problem);
const ask = (expression: string, given = facts): string[] => judge([rule(expression)], given);

test("an image of which a rule is true passes, and one of which it is not is told what to do", () => {
  expect(ask('config.user == "1000"')).toEqual([]);
  const broken = { name: "own", rule: "base.rule", problem: "rule 'own': it is wrong", wayOut: "put it right" };
  expect(judgeRules([rule('config.user == "0"')], "base", facts)).toStrictEqual([broken]);
  const waiting = rule('config.user == "0"', { enforceFrom: "2026-06-01" });
  expect(judgeRules([waiting], "base", facts)).toStrictEqual([
    { ...broken, own: { entry: "own", from: "2026-06-01" } },
  ]);
});

test.each<[RuleStage, string]>([
  ["base", "base.rule"],
  ["scan", "scan.rule"],
  ["gate", "gate.rule"],
])("a rule is asked by its own stage, %s, and by no other", (stage, name) => {
  const rules = [rule("1 == 2", { stage })];
  for (const other of ["base", "scan", "gate"] as const)
    expect(judgeRules(rules, other, facts).map((each) => each.rule)).toEqual(other === stage ? [name] : []);
});

describe("`when`", () => {
  test.each([
    ["that holds has the rule asked", 'config.user == "1000"', ["rule 'own': it is wrong"]],
    ["that does not holds the rule back", 'config.user == "0"', []],
    [
      "that can't be decided refuses",
      'config.env["NONE"] == "1"',
      ["rule 'own': its `when` can't be decided: No such key: NONE"],
    ],
  ])("%s", (_name, when, problems) => {
    expect(judge([rule("1 == 2", { when })])).toEqual(problems);
  });
});

describe("what can't be decided is no pass", () => {
  const { base: _base, packages: _packages, ...without } = facts;
  test.each<[name: string, expression: string, given: FactValues, says: RegExp, twin: string]>([
    ["a label that is not there", 'config.labels["x"] != "y"', facts, /No such key: x/, '!("x" in config.labels)'],
    ["a name of all objects", 'config.labels["constructor"] != ""', facts, /No such key: constructor/, "true"],
    ["no base", 'base.name != "old"', without, /base/, "true"],
    ["no packages", 'packages.all(p, p.name != "bash")', without, /packages/, "true"],
    [
      "no time of approval",
      'base.approvedAt > timestamp("2020-01-01T00:00:00Z")',
      facts,
      /approvedAt/,
      "!has(base.approvedAt)",
    ],
    ["an index beyond the list", 'config.entrypoint[3] != "sh"', facts, /./, 'config.entrypoint[0] != "sh"'],
    ["a division by nothing", "10 / (layers.size() - 2) > 0", facts, /zero/, "10 / layers.size() > 0"],
    ["a pattern that is none", 'config.user.matches("(")', facts, /regular expression/, 'config.user.matches("^1")'],
    ["a number that is none", "int(config.entrypoint[0]) > 0", facts, /int/, "int(config.user) > 0"],
    ["an expression that is not one of CEL", "config.user ==", facts, /column 15/, "true"],
    ["a value that is neither true nor false", "config.user", facts, /not true or false/, "true"],
  ])("%s", (_name, expression, given, says, twin) => {
    const [problem = ""] = ask(expression, given);
    expect(problem).toMatch(/^rule 'own': its `expression` can't be decided: /);
    expect(problem).toMatch(says);
    expect(ask(twin, given)).toEqual([]);
  });

  test("and its way out is said", () => {
    const [broken] = judgeRules([rule('base.name != "old"')], "base", without);
    expect(broken?.wayOut).toBe(
      "Have the image say what the rule asks for, or have the policy's owners ask with has(), or with `in` for a label.",
    );
  });

  test("a fault of ours is none of the image's, and thrown", () => {
    const labels = new Map([["a", "b"]]);
    const asked = { ...facts, config: { ...(facts["config"] as object), labels } };
    expect(ask('config.labels["a"] == "b"', asked)).toEqual([]);
    labels.get = () => {
      throw new TypeError("a fault of ours");
    };
    expect(() => ask('config.labels["a"] == "b"', asked)).toThrow("a fault of ours");
  });

  test("what is there and nothing at all is looked at", () => {
    expect(ask('config.user == "1000"', { ...facts, nothing: null } as FactValues)).toEqual([]);
  });

  test("and each rule is asked, whatever the one before has said", () => {
    expect(judge([rule("1 == 2"), rule("true"), rule('config.env["A"] == ""', { name: "b" })])).toEqual([
      "rule 'own': it is wrong",
      expect.stringContaining("rule 'b': its `expression`"),
    ]);
  });
});

describe("one that never ends", () => {
  const many = (count: number): FactValues => ({
    ...facts,
    packages: Array.from({ length: count }, (_, index) => ({ manager: "dpkg", name: `p${index}`, version: "1" })),
  });
  const each = "packages.all(a, packages.all(b, a.name != b.name || a.version == b.version))";

  test("each with each over more packages than are looked at is refused unasked", () => {
    expect(ask(each, many(20_000))).toEqual([
      expect.stringMatching(/can't be decided: it would look at \d+ things .* at most 20000000/),
    ]);
    expect(ask(each, many(100))).toEqual([]);
  });

  test("so are texts that are too long to be compared so often, and maps that are too long", () => {
    const pairs = "packages.all(a, packages.all(b, config.user.contains(a.name) || a.name != b.name || true))";
    const user = (characters: number): FactValues => ({
      ...many(100),
      config: { ...(facts["config"] as object), user: "u".repeat(characters) },
    });
    expect(ask(pairs, user(10))).toEqual([]);
    expect(ask(pairs, user(10_000_000))).toEqual([expect.stringContaining("it would look at")]);
    const keys = 'config.labels.all(a, config.labels.all(b, a != b || a != ""))';
    const labels = (count: number, text = ""): FactValues => ({
      ...facts,
      config: {
        ...(facts["config"] as object),
        labels: new Map(Array.from({ length: count }, (_, index) => [`l${index}`, text])),
      },
    });
    expect(ask(keys, labels(100))).toEqual([]);
    expect(ask(keys, labels(20_000))).toEqual([expect.stringContaining("it would look at")]);
    const values = "config.labels.all(a, config.labels.all(b, config.labels[a] == config.labels[b]))";
    expect(ask(values, labels(10, "v".repeat(10)))).toEqual([]);
    expect(ask(values, labels(2, "v".repeat(10_000_000)))).toEqual([expect.stringContaining("it would look at")]);
  });

  test("a pattern that goes back again and again is cut off, as an error and no verdict", () => {
    // Seconds on any machine without a limit, and not for ever: what cuts it off is asked here.
    const slow = rule(`"${"a".repeat(28)}!".matches("^(a+)+$")`);
    expect(() => judge([slow], facts, 200)).toThrow(InfrastructureError);
    expect(() => judge([slow], facts, 200)).toThrow(
      expect.objectContaining({
        code: "rule-timeout",
        wayOut: "Have the policy's owners ask for less in it: above all in the patterns of matches().",
      }),
    );
    expect(() => judge([slow], facts, 200)).toThrow(/rule 'own' of the policy was not done within 200 ms/);
    expect(judge([rule(`"${"a".repeat(25)}".matches("^a+$")`)], facts, 200)).toEqual([]);
  });

  test("each with each is cut off as well", () => {
    expect(() => judge([rule(each)], many(1200), 20)).toThrow(/not done within 20 ms/);
  });
});
