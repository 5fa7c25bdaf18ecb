import { expect, test } from "vitest";
import { samplePolicy } from "../../../../test/support/policy.ts";
import type { PolicyEnvironment } from "./schema.ts";
import { describeWeaknesses } from "./weaknesses.ts";

const production = {
  from: ["registry.example/quarantine"],
  to: ["registry.example/vetted"],
  promoter: "promote",
  referrers: "all" as const,
};
const whole = [
  { stage: "build" as const, signers: ["build"], maxAge: 1 },
  { stage: "base" as const, signers: ["base"], maxAge: 1 },
  { stage: "scan" as const, signers: ["scan"], maxAge: 1 },
];

function weaknessesOf(requires: PolicyEnvironment["requires"], name?: string): string[] {
  return describeWeaknesses({ policy: withRequires(requires) }, name);
}

function withRequires(requires: PolicyEnvironment["requires"]) {
  return { ...samplePolicy(), environments: { production: { ...production, requires } } };
}

test("the whole path, each stage with a signer and an age of its own, has none", () => {
  expect(weaknessesOf(whole)).toEqual([]);
  expect(weaknessesOf([{ stage: "promote", signers: ["promote"], maxAge: 1, environment: "staging" }])).toEqual([]);
});

test("a stage that is not required is named, and several are", () => {
  expect(weaknessesOf(whole.slice(0, 2))).toEqual(["environments.production.requires: scan is not required"]);
  expect(weaknessesOf(whole.slice(1, 2))).toEqual(["environments.production.requires: build and scan are not required"]);
});

test("evidence that never grows old", () => {
  const [build, base] = whole;
  if (build === undefined || base === undefined) throw new TypeError("no stages");
  expect(weaknessesOf([build, base, { stage: "scan", signers: ["scan"] }])).toEqual([
    "environments.production.requires[2]: scan has no maxAge, so its evidence counts for as long as the policy does",
  ]);
});

test("a promotion into whichever environment", () => {
  expect(weaknessesOf([{ stage: "promote", signers: ["promote"], maxAge: 1 }])).toEqual([
    "environments.production.requires[0]: promote names no environment, so a promotion into any of them counts",
  ]);
});

test("a signer who speaks for two stages, and a promoter who speaks for one", () => {
  const [build, base] = whole;
  if (build === undefined || base === undefined) throw new TypeError("no stages");
  expect(weaknessesOf([build, base, { stage: "scan", signers: ["base", "promote"], maxAge: 1 }])).toEqual([
    "environments.production.requires[2]: promote signs promotions, and speaks for scan as well",
    "environments.production.requires[2]: base speaks for base and scan: who has one key has both",
  ]);
});

test("a host whose certificate nobody checks; and of one environment, what is its own", () => {
  const policy = { ...withRequires(whole.slice(0, 2)), registries: { plainHttp: [], hosts: { "r.example": { skipVerify: true } } } };
  expect(describeWeaknesses({ policy })).toContainEqual(
    "registries.hosts.r.example.skipVerify: whoever is on the way to it can read the logins",
  );
  expect(describeWeaknesses({ policy }, "production")).toEqual(["environments.production.requires: scan is not required"]);
  expect(describeWeaknesses({ policy }, "staging")).toEqual([]);
});
