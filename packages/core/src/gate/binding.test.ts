import {
  ago,
  environment,
  factsOf,
  minute,
  policy,
  provenance,
  repository,
  rulesOf,
  summary,
  whole,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { VerifiedStatement } from "../signing/types.ts";
import type { GateFacts } from "./facts.ts";
import { matchesWorkflow } from "./match-source.ts";

describe("matchesWorkflow", () => {
  const file = "https://github.com/acme/platform/.github/workflows/stage-build.yml";
  test.each([
    [`${file}@refs/heads/main`, `${file}@refs/heads/main2`],
    [`${file}@refs/heads/main`, `${file}@*`],
    [`${file}@refs/heads/main/x`, `${file}@refs/heads/*`],
    [file, `${file}@*`],
    [`${file}@`, `${file}@*`],
    [`${file}.x@refs/heads/main`, `${file}@refs/heads/main`],
    [
      "https://github.com/acme/platform/x/.github/workflows/a.yml@main",
      "https://github.com/acme/*/.github/workflows/a.yml@main",
    ],
    [`${file}@refs/heads/a@${file}@refs/heads/main`, `${file}@refs/heads/main`],
    ["local", `${file}@*`],
  ])("%s does not match %s", (workflow, pattern) => expect(matchesWorkflow(workflow, pattern)).toBe(false));

  test.each([
    [`${file}@refs/heads/main`, `${file}@refs/heads/*`],
    [`${file}@${"a".repeat(40)}`, `${file}@*`],
    [`${file}@refs/tags/v1.2.3`, "https://github.com/acme/*/.github/workflows/stage-build.yml@refs/tags/*"],
  ])("%s matches %s", (workflow, pattern) => expect(matchesWorkflow(workflow, pattern)).toBe(true));
});

describe("an environment that takes what another has promoted", () => {
  const promoted = { ...repository, name: "vetted/shop" };
  const sources = [
    { repository: "https://github.com/acme/*", to: ["registry.example/vetted/{name}", "eu.example/vetted/{name}"] },
  ];
  const eu: GateFacts["environment"] = {
    ...environment,
    from: ["registry.example/vetted"],
    to: ["eu.example/vetted"],
    requires: [{ stage: "promote", signers: ["promote"], environment: "production" }],
  };
  const bound = {
    ...policy,
    policy: {
      ...policy.policy,
      build: { ...policy.policy.build, sources },
      environments: { production: environment, eu },
    },
  };
  const facts = (name: string, built = provenance("build"), change: Partial<GateFacts> = {}): GateFacts => {
    const { sbom } = whole();
    const verdict = summary("promote", "promote", [sbom], { environment: "production" });
    return {
      ...factsOf([built, sbom, verdict], { environment: eu, environmentName: "eu", policy: bound }),
      image: { ...factsOf([]).image, repository: promoted },
      destination: { registry: "eu.example", name },
      ...change,
    };
  };

  test("another image than its source may become is refused there as well", () => {
    expect(rulesOf(facts("vetted/cart"))).toEqual(["gate.destination"]);
  });
  test("so is one whose provenance has not come along, or is a stranger's", () => {
    expect(rulesOf(facts("vetted/shop", provenance("scan")))).toEqual(["gate.destination"]);
  });
  test("so is one that its own certificate contradicts", () => {
    const identity = {
      issuer: "https://token.actions.githubusercontent.com",
      buildSignerUri: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
      buildSignerDigest: "c".repeat(40),
      runnerEnvironment: "github-hosted",
      sourceRepository: "https://github.com/acme/shop",
      sourceOwnerId: "4321",
      sourceRef: "refs/heads/main",
      sourceDigest: "a".repeat(40),
      buildConfigUri: "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main",
      buildTrigger: "push",
    };
    const built = provenance("build", { event: "push", callerId: identity.buildConfigUri });
    const of = (sourceRepository: string) => ({ ...built, identity: { ...identity, sourceRepository } });
    expect(rulesOf(facts("vetted/shop", of("https://github.com/acme/cart")))).toEqual(["gate.destination"]);
    expect(rulesOf(facts("vetted/shop", of("https://github.com/acme/shop")))).toEqual([]);
  });
  test("so is one of a lesser environment's builder, whose word counts there alone", () => {
    const dev = { ...environment, requires: [{ stage: "build" as const, signers: ["scan"] }], promoter: "base" };
    const policyWithDev = { ...bound, policy: { ...bound.policy, environments: { production: environment, eu, dev } } };
    expect(rulesOf({ ...facts("vetted/shop", provenance("scan")), policy: policyWithDev })).toEqual([
      "gate.destination",
    ]);
    expect(rulesOf({ ...facts("vetted/shop"), policy: policyWithDev })).toEqual([]);
  });
  test("the newest provenance decides: what a pull request's run had built first may be promoted once a push has built it", () => {
    const first = provenance("build", { event: "pull_request", finishedOn: ago(60 * minute) });
    const given = facts("vetted/shop");
    const statements = [first, ...(given.evidence.get(given.image.digest)?.statements ?? [])];
    expect(
      rulesOf({ ...given, evidence: new Map([[given.image.digest, { statements, lapsed: [], rejected: [] }]]) }),
    ).toEqual([]);
    const last = provenance("build", { event: "pull_request", finishedOn: ago(minute) });
    const turned = [last, ...statements];
    expect(
      rulesOf({
        ...given,
        evidence: new Map([[given.image.digest, { statements: turned, lapsed: [], rejected: [] }]]),
      }),
    ).toEqual(["gate.source"]);
  });
  describe("an older provenance, beside an honest one that is newer", () => {
    const of = (name: string, age: number): VerifiedStatement =>
      provenance("build", {
        source: { repository: `https://github.com/acme/${name}`, commit: "a".repeat(40), ref: "refs/heads/main" },
        finishedOn: ago(age * minute),
      });
    test.each<[string, [VerifiedStatement, VerifiedStatement], string[]]>([
      ["another team's, whose the image is as well", [of("shop", 1), of("cart", 60)], ["gate.destination"]],
      ["another team's that is as new", [of("shop", 1), of("cart", 1)], ["gate.destination"]],
      ["its twin: of its own source", [of("shop", 1), of("shop", 60)], []],
    ])("%s", (_what, both, rules) => {
      const given = facts("vetted/shop", both[0]);
      const statements = [both[1], ...(given.evidence.get(given.image.digest)?.statements ?? [])];
      expect(
        rulesOf({ ...given, evidence: new Map([[given.image.digest, { statements, lapsed: [], rejected: [] }]]) }),
      ).toEqual(rules);
      const { provenance: _own, ...others } = whole();
      expect(rulesOf(factsOf([...both, ...Object.values(others)], { policy: bound, destination: promoted }))).toEqual(
        rules,
      );
    });
  });
  describe("that names none of them, where several share a promoter", () => {
    const unnamed = { ...eu, requires: [{ stage: "promote" as const, signers: ["promote"] }] };
    const given = (by: "build" | "scan", others: Record<string, GateFacts["environment"]>): GateFacts => ({
      ...facts("vetted/shop", provenance(by)),
      environment: unnamed,
      policy: {
        ...bound,
        policy: { ...bound.policy, environments: { production: environment, eu: unnamed, ...others } },
      },
    });
    const dev = { ...environment, requires: [{ stage: "build" as const, signers: ["scan", "build"] }] };
    const open = { ...environment, requires: [{ stage: "base" as const, signers: ["base"] }] };
    test("a lesser environment's builder says nothing", () =>
      expect(rulesOf(given("scan", { dev }))).toEqual(["gate.destination"]));
    test("nobody does where one of them asks for no build", () => {
      expect(rulesOf(given("build", { open }))).toEqual(["gate.destination"]);
      expect(rulesOf({ ...given("build", { open }), environment: eu })).toEqual([]);
    });
    test("its twin: who builds for all of them", () => expect(rulesOf(given("build", { dev }))).toEqual([]));
  });
  test("its own image passes, and any where the policy binds nothing", () => {
    expect(rulesOf(facts("vetted/shop"))).toEqual([]);
    const loose = { ...bound, policy: { ...bound.policy, build: policy.policy.build } };
    expect(rulesOf(facts("vetted/cart", provenance("scan"), { policy: loose }))).toEqual([]);
  });
});
