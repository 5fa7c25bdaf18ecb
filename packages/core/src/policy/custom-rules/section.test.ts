import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { diffPolicies } from "../diff.ts";
import { parsePolicy } from "../parse.ts";

const base = `  - name: user
    stage: base
    expression: config.user != "0"
    message: it starts as root
    remedy: Set a user.
`;
const parse = (rules: string, more = "") =>
  parsePolicy(new TextEncoder().encode(`${samplePolicyText.trimEnd()}\n${more}rules:\n${rules}`), "p.yaml");
const lineOf = (part: string): number =>
  `${samplePolicyText.trimEnd()}\nrules:\n${base}`.split("\n").findIndex((line) => line.includes(part)) + 1;

describe("rules of a policy", () => {
  test("are refused at the file's line and column, and the place in the expression, with the nearest right name", () => {
    expect(() => parse(base.replace("config.user", "config.usr"))).toThrow(
      `p.yaml:${lineOf("expression:")}:17: rules[0].expression: column 8: No such key: usr; did you mean \`user\`?`,
    );
    expect(parse(base).rules).toMatchObject([{ name: "user", stage: "base" }]);
  });

  test.each<[string, string, string, string]>([
    ["a name twice", base + base, base + base.replace("name: user", "name: other"), "'user' is another rule's name"],
    [
      "an environment that nobody has",
      base.replace("stage: base", "stage: gate\n    environments: [prod]").replace('config.user != "0"', "1 == 1"),
      base
        .replace("stage: base", "stage: gate\n    environments: [production]")
        .replace('config.user != "0"', "1 == 1"),
      "'prod' is no environment of this policy",
    ],
    [
      "environments of a stage that has none",
      base.replace("stage: base", "stage: base\n    environments: [production]"),
      base,
      "is for rules of stage gate",
    ],
    ["no way out", base.replace("remedy: Set a user.", 'remedy: ""'), base, "must not be empty"],
    [
      "a `when` that says no truth",
      `${base}    when: config.user\n`,
      `${base}    when: config.user != ""\n`,
      "type string",
    ],
  ])("%s is refused, and its twin taken", (_name, refused, twin, message) => {
    expect(() => parse(refused)).toThrow(message);
    expect(parse(twin).rules.length).toBeGreaterThan(0);
  });

  test("an exception of a rule that there is not is a slip, and its twin is none", () => {
    const excepted = (gate: string, rule = "base.rule") =>
      `exceptions:\n  - { rule: ${rule}, repository: r.test/shop, gate: ${gate}, reason: r, owner: o, expires: 2027-01-01 }\n`;
    const sample = samplePolicyText.replace(/^exceptions:\n(?: .*\n)*/m, "");
    const withException = (more: string) => () =>
      parsePolicy(new TextEncoder().encode(`${sample.trimEnd()}\n${more}rules:\n${base}`), "p.yaml");
    expect(withException(excepted("usr"))).toThrow("'usr' is no rule of stage base of this policy (there is: user)");
    expect(withException(excepted("user", "scan.rule"))).toThrow("'user' is no rule of stage scan");
    expect(withException(excepted("user", "base.approved"))).toThrow("base.rule and scan.rule know rules");
    expect(withException(excepted("user"))).not.toThrow();
  });
});

describe("a change of them", () => {
  const diff = (before: string, after: string) =>
    diffPolicies({ policy: parse(before), digest: digestOf("a") }, { policy: parse(after), digest: digestOf("b") })
      .filter(({ key }) => key.startsWith("rules"))
      .map(({ direction, says }) => `${direction}: ${says}`);
  const two = base + base.replace("name: user", "name: other");

  test("that adds one shuts out, and the other way round", () => {
    expect(diff(base, two)).toEqual(["narrowing: new: the rule other of the policy's own refuses"]);
    expect(diff(two, base)).toEqual(["widening: no more: the rule other of the policy's own refuses"]);
  });

  test("of an expression or of whom it is asked is what nobody can tell", () => {
    const [expression] = diff(base, base.replace('"0"', '"1"'));
    expect(expression).toMatch(/^unknown: images pass of which this holds: config\.user != "1" \(before: /);
    const asked = (when: string) => `${base}    when: 'image.platform == "${when}"'\n`;
    expect(diff(asked("linux/amd64"), asked("linux/arm64"))[0]).toMatch(/^unknown: it is asked of/);
    expect(diff(base, asked("linux/amd64"))[0]).toMatch(/^widening: new: it is asked of/);
    expect(diff(asked("linux/amd64"), base)[0]).toMatch(/^narrowing: no more: it is asked of/);
  });

  test("of its words changes nothing", () => {
    expect(diff(base, base.replace("Set a user.", "Set one."))).toEqual([expect.stringMatching(/^neither: /)]);
  });
});
