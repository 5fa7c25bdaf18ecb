import {
  ago,
  edited,
  environment,
  factsOf,
  image,
  minute,
  policy,
  provenance,
  repository,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Policy, PolicyEnvironment } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { destinationOf, judgePromotedSource, listSources, readAnyBuilds, readBuilds } from "./binding.ts";
import type { GateFacts } from "./facts.ts";

const vetted = { registry: "registry.example", name: "vetted/shop" };
const eu: PolicyEnvironment = {
  ...environment,
  requires: [{ stage: "promote", signers: ["promote"], environment: "production" }],
};
const withBuild = (build: Partial<Policy["build"]>, environments: Policy["environments"] = {}): Policy => ({
  ...policy.policy,
  build: { ...policy.policy.build, ...build },
  environments: { production: environment, eu, ...environments },
});
const to = ["registry.example/vetted/{name}"];
const bound = withBuild({ sources: [{ repository: "https://github.com/acme/*", to }] });
const of = (repository: string, more: Parameters<typeof provenance>[1] = {}) =>
  provenance("build", { source: { repository, commit: "a".repeat(40), ref: "refs/heads/main" }, ...more });
const shop = of("https://github.com/acme/shop");
const cart = of("https://github.com/acme/cart");
const evil = of("https://github.com/evil/shop");

interface Given {
  statements?: VerifiedStatement[];
  lapsed?: VerifiedStatement[];
  own?: Policy;
  change?: Partial<GateFacts>;
}
function judge({ statements = [shop], lapsed = [], own = bound, change = {} }: Given) {
  const facts: GateFacts = {
    ...factsOf([], { environment: eu, environmentName: "eu", policy: { ...policy, policy: own } }),
    destination: vetted,
    ...change,
  };
  return judgePromotedSource(facts, { statements, lapsed, rejected: [] });
}
const rulesOf = (given: Given) => judge(given).map(({ rule }) => rule);

describe("where an environment takes what another has promoted, the build", () => {
  test("is held to what it may become, and named", () => {
    expect(judge({ statements: [cart] })).toMatchObject([{ rule: "gate.destination", thing: `build of ${image}` }]);
    expect(judge({})).toEqual([]);
  });
  test("has to be told of", () => {
    expect(judge({ statements: [] })).toEqual([
      {
        rule: "gate.destination",
        thing: `build of ${image}`,
        problem: "the build's provenance is not there, so that it can't be told what the image may become",
        wayOut: "Promote it with its evidence, from where that is.",
      },
    ]);
  });
  test("is nobody's where the environment does not say whose builds it takes", () => {
    const requires = [{ stage: "promote" as const, signers: ["promote"], environment: "elsewhere" }];
    expect(judge({ change: { environment: { ...eu, requires } } })).toMatchObject([
      {
        rule: "gate.destination",
        problem:
          "environment 'eu' does not say whose builds it takes, so that it can't be told what the image may become",
        wayOut: "Have the policy's owners name in its promote requirement the environment that it takes images from.",
      },
    ]);
  });
  test("is asked where only some of the sources are bound", () => {
    const own = withBuild({ sources: ["https://github.com/free/*", { repository: "https://github.com/acme/*", to }] });
    expect(rulesOf({ own, statements: [cart] })).toEqual(["gate.destination"]);
    expect(rulesOf({ own })).toEqual([]);
    expect(rulesOf({ own: withBuild({ sources: ["https://github.com/acme/*"] }), statements: [cart] })).toEqual([]);
  });
  test("is not asked before it is known where the image goes, nor where the environment asks for builds itself", () => {
    const statements = [evil];
    expect(rulesOf({ statements })).toEqual(["gate.source"]);
    expect(rulesOf({ statements, change: { destination: undefined } })).toEqual([]);
    expect(rulesOf({ statements, change: { environment } })).toEqual([]);
  });
  test("is held to the place where the image is, once it is there", () => {
    const at = (name: string): Partial<GateFacts> => ({
      place: "to",
      image: { ...factsOf([]).image, repository: { ...vetted, name } },
      destination: undefined,
    });
    expect(rulesOf({ change: at("vetted/cart") })).toEqual(["gate.destination"]);
    expect(rulesOf({ change: at("vetted/shop") })).toEqual([]);
  });
});

describe("what is out of its signer's time", () => {
  test("tells against the image", () => {
    expect(rulesOf({ lapsed: [cart] })).toEqual(["gate.destination"]);
    expect(rulesOf({ lapsed: [shop] })).toEqual([]);
  });
  test("is told once where it says the same as what counts", () => {
    expect(rulesOf({ statements: [cart], lapsed: [cart] })).toEqual(["gate.destination"]);
  });
  test("is no way back to an older build where it is of another source", () => {
    const newer = { finishedOn: ago(minute) };
    expect(rulesOf({ lapsed: [of("https://github.com/evil/shop", newer)] })).toEqual(["gate.source"]);
    expect(rulesOf({ lapsed: [of("https://github.com/acme/shop", newer)] })).toEqual([]);
  });
  test("does not stand for a build that is not there", () => {
    expect(rulesOf({ statements: [], lapsed: [shop] })).toEqual(["gate.destination"]);
  });
});

describe("who speaks for a build", () => {
  const builds = (environment: PolicyEnvironment, statements: VerifiedStatement[], own = bound) =>
    readBuilds(own, environment, { statements }).map(({ sourceRepository }) => sourceRepository);
  const read = ["https://github.com/acme/shop"];

  test("whoever is asked for builds, be it besides others", () => {
    expect(builds(environment, [{ ...shop, signers: ["scan"] }])).toEqual([]);
    expect(builds(environment, [{ ...shop, signers: ["scan", "build"] }])).toEqual(read);
  });
  test("of what they sign the provenance alone, whatever else looks like one", () => {
    const statement = { ...shop.statement, predicateType: predicateTypes.cyclonedx };
    expect(builds(environment, [{ ...shop, statement }])).toEqual([]);
    expect(builds(environment, [{ ...shop, statement }, shop])).toEqual(read);
  });
  test("and of that what can be read", () => {
    const broken = edited(shop, ["runDetails", "metadata"]);
    expect(builds(environment, [broken])).toEqual([]);
    expect(builds(environment, [broken, shop])).toEqual(read);
  });
  test("the promoter's environment, by a promotion alone, and no other stage that its signer speaks for", () => {
    const requires = (stage: "promote" | "scan") => ({ ...eu, requires: [{ stage, signers: ["promote"] }] });
    const others = { environments: { production: environment } };
    expect(builds(requires("scan"), [shop], { ...bound, ...others })).toEqual([]);
    expect(builds(requires("promote"), [shop], { ...bound, ...others })).toEqual(read);
  });
  test("not an environment that takes images from itself alone", () => {
    const own: PolicyEnvironment = {
      ...eu,
      requires: [{ stage: "promote", signers: ["promote"], environment: "own" }],
    };
    const alone = { ...bound, environments: { own } };
    expect(builds(own, [shop], alone)).toEqual([]);
    const besides: PolicyEnvironment = { ...own, requires: [...own.requires, ...eu.requires] };
    expect(builds(besides, [shop], { ...bound, environments: { own: besides, production: environment } })).toEqual(
      read,
    );
  });
  test("whoever does in any environment, but not for another stage", () => {
    const any = (by: string) => readAnyBuilds(bound, { statements: [{ ...shop, signers: [by] }] });
    expect(any("scan")).toEqual([]);
    expect(any("promote")).toEqual([]);
    expect(any("build").map(({ sourceRepository }) => sourceRepository)).toEqual(read);
  });
});

test("where the image goes is where it is, once it is there, and before that what the promotion says", () => {
  expect(destinationOf(factsOf([], { place: "to", destination: vetted }))).toEqual(repository);
  expect(destinationOf(factsOf([], { destination: vetted }))).toEqual(vetted);
  expect(destinationOf(factsOf([]))).toBeUndefined();
});

test("a source in short is one that asks for nothing more", () => {
  const long = { repository: "https://github.com/acme/blog", refs: ["refs/heads/main"] };
  expect(listSources(withBuild({ sources: ["https://github.com/acme/shop", long] }))).toEqual([
    { repository: "https://github.com/acme/shop" },
    long,
  ]);
});
