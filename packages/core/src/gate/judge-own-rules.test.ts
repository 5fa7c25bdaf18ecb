import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  environment,
  factsOf,
  minute,
  policy,
  provenance,
  rulesOf,
  signed,
  type Whole,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { CustomRule } from "../policy/custom-rules/section.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { describeGate } from "./verify.ts";

const rule = (expression: string, more: Partial<CustomRule> = {}): CustomRule => ({
  ...{ name: "own", stage: "gate", expression, message: "it is wrong", remedy: "put it right" },
  ...more,
});
const withRules = (rules: CustomRule[], enforceFrom = {}): LoadedPolicy => ({
  ...policy,
  policy: { ...policy.policy, rules, enforceFrom },
});
const forProduction: LoadedPolicy = {
  ...policy,
  policy: { ...policy.policy, environments: { production: environment } },
};
const ask = (given: CustomRule, statements: (all: Whole) => VerifiedStatement[] = Object.values): string[] =>
  rulesOf(factsOf(statements(whole()), { policy: withRules([given]) }));

describe("a rule of the gate refuses, and lets its twin through", () => {
  test.each<[name: string, refuses: string, passes: string]>([
    ["by the environment", 'environment != "production"', 'environment == "production"'],
    [
      "by where the image is",
      'image.repository.startsWith("registry.example/vetted/")',
      'image.repository == "registry.example/quarantine/shop"',
    ],
    [
      "by who signed",
      'evidence.exists(e, e.stage == "scan" && "security" in e.signers)',
      'evidence.exists(e, e.stage == "scan" && "scan" in e.signers)',
    ],
    [
      "by what it was built from",
      'source.repository == "https://github.com/acme/other"',
      'source.repository.startsWith("https://github.com/acme/")',
    ],
    [
      "by a time that nobody dates",
      'evidence.all(e, now - e.signedAt < duration("1h"))',
      "evidence.all(e, !has(e.signedAt))",
    ],
  ])("%s", (_name, refuses, passes) => {
    expect(ask(rule(refuses))).toEqual(["gate.rule"]);
    expect(ask(rule(passes))).toEqual([]);
  });

  test("with its message, its way out and the image that it is about", () => {
    const facts = factsOf(Object.values(whole()), { policy: withRules([rule("1 == 2")]) });
    expect(decideGate(facts)).toMatchObject({
      verdict: "fail",
      violations: [
        {
          ...{ rule: "gate.rule", problem: "rule 'own': it is wrong", wayOut: "put it right" },
          thing: `registry.example/quarantine/shop@${facts.image.digest}`,
        },
      ],
    });
  });
});

test("what is signed by nobody whose word counts for the stage is no fact", () => {
  const isThere = rule('evidence.exists(e, e.stage == "base" && "build" in e.signers)');
  const forged = (all: Whole) => [
    ...without(all, "base", "baseVerdict"),
    signed(all.base.statement, ["build"]),
    signed(all.baseVerdict.statement, ["build"]),
  ];
  expect(ask(isThere, forged)).toContain("gate.rule");
  expect(ask(rule('evidence.exists(e, e.stage == "base" && "base" in e.signers)'))).toEqual([]);
});

test("when it was signed is a fact where somebody else dates it", () => {
  const dated = (minutes: number) => (all: Whole) =>
    Object.values(all).map((each) => ({ ...each, time: ago(minutes * minute) }));
  const young = rule('evidence.all(e, has(e.signedAt) && now - e.signedAt < duration("9m"))');
  expect(ask(young, dated(8))).toEqual([]);
  expect(ask(young, dated(9))).toEqual(["gate.rule"]);
});

test("the platform of an image in an index is that of its own config, whatever the index says of it", () => {
  const [digest, child] = [digestOf("an index"), digestOf("a child")];
  const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } };
  const platform = { os: "linux", architecture: "arm64" };
  const reference = { registry: "registry.example", name: "quarantine/shop", digest };
  const image = { reference, mediaType: "x/y", size: 1, children: [{ platform, digest: child, config }] };
  const asked = { environmentName: "production", policy: forProduction, now: ago(0), place: "from" } as const;
  const facts = describeGate(image as unknown as ImageFacts, new Map(), asked);
  expect(facts.image.platforms).toEqual(new Map([[child, "linux/amd64"]]));
});

test("a single image's platform is a fact as well, which nothing is told with", () => {
  const digest = digestOf("a single image");
  const config = { os: "linux", architecture: "arm64", variant: "v8", rootfs: { type: "layers", diff_ids: [] } };
  const reference = { registry: "registry.example", name: "quarantine/shop", digest };
  const image = { reference, mediaType: "x/y", size: 1, children: [{ digest, config }] } as unknown as ImageFacts;
  const told = (expression: string) => {
    const policy = { ...forProduction, policy: { ...forProduction.policy, rules: [rule(expression)] } };
    const asked = { environmentName: "production", policy, now: ago(0), place: "from" };
    const facts = describeGate(image, new Map(), asked as Parameters<typeof describeGate>[2]);
    return decideGate(facts).violations.filter(({ rule: name }) => name === "gate.rule");
  };
  expect(told('image.platform.startsWith("linux/arm64")')).toEqual([]);
  const [refused, ...others] = told('image.platform == "linux/amd64"');
  expect(others).toEqual([]);
  expect(refused?.problem).toContain("it is wrong");
  expect(refused).not.toHaveProperty("platform");
});

test("of the platforms of an index each is a fact, and what is told is told with it", () => {
  const children = [digestOf("one"), digestOf("two")] as const;
  const platforms = new Map([[children[0], "linux/amd64"]]);
  const decided = (expression: string) =>
    decideGate(
      factsOf([], { policy: withRules([rule(expression)]), image: { children, platforms } }),
    ).violations.filter(({ rule: name }) => name === "gate.rule");
  const told = decided('image.platform != "linux/amd64"');
  expect(told.map(({ thing, platform }) => [thing.split("@")[1], platform])).toEqual([
    [children[0], "linux/amd64"],
    [children[1], undefined],
  ]);
  expect(told.map(({ problem }) => problem.includes("it is wrong"))).toEqual([true, false]);
  expect(told.map((each) => "platform" in each)).toEqual([true, false]);
});

test("what provenance does not say is no fact, and neither is what two say", () => {
  const silent = rule("!has(source.event) && !has(source.ref)");
  const saying = (more: Parameters<typeof provenance>[1]) => (all: Whole) => [
    ...without(all, "provenance"),
    provenance("build", more),
  ];
  const source = { repository: "https://github.com/acme/shop", commit: "a".repeat(40) };
  expect(ask(silent, saying({ source }))).toEqual([]);
  for (const unsaid of ['source.event != "pull_request"', 'source.ref != "refs/heads/other"'])
    expect(ask(rule(unsaid), saying({ source })), "who asks for it all the same refuses").toEqual(["gate.rule"]);
  expect(ask(silent, saying({ source: { ...source, ref: "" } })), "nor is what is empty").toEqual([]);
  expect(ask(silent, saying({ source, event: "push" }))).toEqual(["gate.rule"]);
  expect(ask(silent, saying({ source: { ...source, ref: "refs/heads/main" } }))).toEqual(["gate.rule"]);
  const named = rule('source.repository == "https://github.com/acme/shop"');
  expect(ask(named, (all) => [...Object.values(all), provenance("build")])).toEqual(["gate.rule"]);
});

test("without accepted provenance there is no source, and who asks for it refuses", () => {
  const of = rule('source.repository != "https://github.com/acme/bad"');
  expect(ask(of)).toEqual([]);
  expect(ask(of, (all) => without(all, "provenance"))).toContain("gate.rule");
});

test("a rule is asked in its environments alone, and by the gate alone", () => {
  expect(ask(rule("1 == 2", { environments: ["staging"] }))).toEqual([]);
  expect(ask(rule("1 == 2", { environments: ["staging", "production"] }))).toEqual(["gate.rule"]);
  expect(ask(rule("1 == 2", { stage: "base" }))).toEqual([]);
});

test("it is asked of each image of an index", () => {
  const children = [digestOf("one"), digestOf("two")];
  const facts = factsOf(Object.values(whole()), { policy: withRules([rule("1 == 2")]), image: { children } });
  const own = decideGate(facts).violations.filter(({ rule: name }) => name === "gate.rule");
  expect(own.map(({ thing }) => thing.split("@")[1])).toEqual(children);
});

test("it warns until the day of gate.rule", () => {
  const on = (day: string) =>
    decideGate(factsOf(Object.values(whole()), { policy: withRules([rule("1 == 2")], { "gate.rule": day }) }));
  expect(on("2026-05-02")).toMatchObject({ verdict: "pass", violations: [{ enforcedFrom: "2026-05-02" }] });
  expect(on("2026-05-01")).toMatchObject({ verdict: "fail" });
});
