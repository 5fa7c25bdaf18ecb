import { attachEvidence, pushImage, transplantEvidence } from "@goldenpath/testing/chain";
import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { openStand } from "@goldenpath/testing/promotion";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseEntries, file, statusOf } from "../support/changed-base.ts";

/** Images that would get past a rule of the policy's own, in a registry, each beside the twin that the rule lets through. */

let stand: LayerStand;
const base = gzipLayer(
  tarOf(
    ...baseEntries.filter(({ name }) => name !== "var/lib/dpkg/status"),
    file("var/lib/dpkg/status", statusOf({ libc6: "2.36", libssl3: "3.0.11-1" })),
  ),
);

/** A policy with one rule of its own, of these lines. */
const withRule = (...lines: string[]): string =>
  [
    ...["rules:", "  - name: own", "    stage: base", "    message: it is wrong", "    remedy: put it right"],
    ...lines.map((line) => `    ${line}`),
  ]
    .join("\n")
    .concat("\n");

beforeAll(async () => {
  stand = await startLayerStand();
});
afterAll(() => stand.stop());

async function judge(rule: string, config: Record<string, unknown>, layers = [base]) {
  await stand.approve([base], [], rule);
  const image = await stand.push([...layers, gzipLayer(tarOf(file("srv/app", "app")))], "quarantine/shop", { config });
  return stand.enforce(image);
}

/** [what, the rule, the image's config, a part of the sentence, the twin's config] */
const cases: [string, string, Record<string, unknown>, string, Record<string, unknown>][] = [
  [
    "a label that is not there",
    `expression: config.labels["com.acme.owner"] != "nobody"`,
    {},
    "can't be decided: No such key: com.acme.owner",
    { Labels: { "com.acme.owner": "team-shop" } },
  ],
  [
    "a label by the name of what every object has",
    `expression: '!("constructor" in config.labels) && !("__proto__" in config.labels)'`,
    { Labels: { constructor: "x" } },
    "it is wrong",
    { Labels: { other: "x" } },
  ],
  [
    "a variable that is there twice: the last counts",
    `expression: config.env["MODE"] == "prod"`,
    { Env: ["MODE=prod", "MODE=debug"] },
    "it is wrong",
    { Env: ["MODE=debug", "MODE=prod"] },
  ],
  [
    "ports that are no set",
    `expression: config.ports.all(p, p != "22/tcp")`,
    { ExposedPorts: ["22/tcp"] },
    "can't be decided: No such key: ports",
    { ExposedPorts: { "8080/tcp": {} } },
  ],
  [
    "an entrypoint of another kind",
    `expression: config.entrypoint.all(p, p != "/bin/sh")`,
    { Entrypoint: "/bin/sh" },
    "can't be decided: No such key: entrypoint",
    { Entrypoint: ["/srv/app"] },
  ],
  [
    "a label that would end a pattern's patience",
    `expression: '!config.labels["a"].matches("^(a+)+$") || config.labels["a"] == "aaa"'`,
    { Labels: { a: "aa" } },
    "it is wrong",
    { Labels: { a: "aaa" } },
  ],
];

describe("an image that a rule is to refuse", () => {
  test.each(cases)("%s", async (_what, rule, config, sentence, twin) => {
    const refused = await judge(withRule(rule), config);
    expect({ verdict: refused.verdict, rules: refused.rules }).toEqual({ verdict: "fail", rules: ["base.rule"] });
    expect(refused.problems.join()).toContain(sentence);
    const passed = await judge(withRule(rule), twin);
    expect({ verdict: passed.verdict, problems: passed.problems }).toEqual({ verdict: "pass", problems: [] });
  });

  test("by its packages, which are read from the layers and not from a label", async () => {
    const rule = (name: string) => withRule(`expression: packages.all(p, p.name != "${name}")`);
    const labels = { Labels: { "com.acme.packages": "none" } };
    expect((await judge(rule("libssl3"), labels)).problems.join()).toContain("rule 'own': it is wrong");
    expect((await judge(rule("openssl"), labels)).verdict).toBe("pass");
  });

  test("by its layers' sizes and whose they are, by the manifest and the base's layers", async () => {
    const rule = (size: number) => withRule(`expression: layers.all(l, l.from == "base" || l.size < ${size})`);
    expect((await judge(rule(10), {})).rules).toEqual(["base.rule"]);
    expect((await judge(rule(1_000_000), {})).verdict).toBe("pass");
  });

  test("on a foreign base there are no packages, and what asks for them refuses", async () => {
    const rule = withRule('expression: packages.all(p, p.name != "openssl")');
    const foreign = gzipLayer(tarOf(file("etc/os-release", "ID=other")));
    const { rules, problems } = await judge(rule, {}, [foreign]);
    expect(rules).toEqual(["base.approved", "base.rule"]);
    expect(problems.join()).toContain("can't be decided");
    expect((await judge(rule, {})).verdict).toBe("pass");
  });

  test("a rule that never ends is an error, and no verdict that could be signed", async () => {
    const slow = `'config.labels["a"].matches("^(a+)+$")'`;
    const { verdict, code } = await judge(withRule(`expression: ${slow}`), { Labels: { a: `${"a".repeat(60)}!` } });
    expect({ verdict, code }).toEqual({ verdict: "error", code: "rule-timeout" });
    expect((await judge(withRule(`expression: ${slow}`), { Labels: { a: "aaa" } })).verdict).toBe("pass");
  }, 60_000);
});

describe("a rule that asks in which repository an image is", () => {
  test("by a verdict of where it is not asked, copied with the image to where it is; one of there is taken", async () => {
    const promotion = await openStand({
      policy: async (from) => ({
        more: withRule(`when: image.repository == "${from}/shop"`, 'expression: config.user == "1000"'),
      }),
    });
    try {
      const { client, policy, keys, from } = promotion;
      const other = await pushImage(client, `${from}/other`);
      await attachEvidence({ client, image: other, policy, keys });
      const copy = await pushImage(client, `${from}/shop`);
      expect(copy.digest).toBe(other.digest);
      await transplantEvidence(client, other, copy);
      const { outcome } = await promotion.promote(copy);
      expect(outcome.result.violations).toMatchObject([
        { rule: "gate.repository", problem: expect.stringContaining(`is about the image in ${from}/other`) },
      ]);
      await attachEvidence({ client, image: copy, policy, keys, pieces: ["base", "baseVerdict"] });
      expect((await promotion.promote(copy)).outcome.result).toMatchObject({ verdict: "pass", violations: [] });
    } finally {
      await promotion.close();
    }
  });
});

describe("a rule that waits, and one that is set aside", () => {
  const rule = withRule('expression: config.user == "1000"');
  const root = { User: "0" };

  test("warns until its day, and refuses from then on", async () => {
    const waiting = await judge(`${rule}enforceFrom:\n  base.rule: 2999-01-01\n`, root);
    expect(waiting).toMatchObject({ verdict: "pass", rules: ["base.rule"] });
    expect((await judge(`${rule}enforceFrom:\n  base.rule: 2020-01-01\n`, root)).verdict).toBe("fail");
  });

  test("by an exception for this repository and this rule, and for no other", async () => {
    const excepted = (repository: string, gate: string) =>
      `${rule}  - { name: other, stage: base, expression: "true", message: m, remedy: r }\nexceptions:\n  - { rule: base.rule, repository: ${stand.server.host}/${repository}, gate: ${gate}, reason: r, owner: o, expires: 2999-01-01 }\n`;
    expect((await judge(excepted("quarantine/shop", "own"), root)).verdict).toBe("pass");
    expect((await judge(excepted("quarantine/shop2", "own"), root)).verdict).toBe("fail");
    expect((await judge(excepted("quarantine/shop", "other"), root)).verdict).toBe("fail");
  });
});
