import { samplePolicy } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { readEmbeddedRoot } from "../signing/trust-roots/embedded.ts";
import type { Policy, PolicyEnvironment } from "./schema.ts";
import type { PolicySection } from "./sections.ts";
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

const bound = {
  repository: "https://github.com/acme/*",
  refs: ["refs/heads/main"],
  workflows: ["https://github.com/acme/platform/.github/workflows/stage-build.yml@*"],
  to: ["registry.example/vetted/{name}"],
};

function weaknessesOf(requires: PolicyEnvironment["requires"], name?: string): string[] {
  return describeWeaknesses({ policy: withRequires(requires) }, name);
}

function withRequires(requires: PolicyEnvironment["requires"]) {
  const policy = samplePolicy();
  const build = { ...policy.build, sources: [bound] };
  return { ...policy, build, environments: { production: { ...production, requires } } };
}

test("the whole path, each stage with a signer and an age of its own, has none", () => {
  expect(weaknessesOf(whole)).toEqual([]);
  expect(weaknessesOf([{ stage: "promote", signers: ["promote"], maxAge: 1, environment: "staging" }])).toEqual([]);
});

test("a stage that is not required is named, and several are", () => {
  expect(weaknessesOf(whole.slice(0, 2))).toEqual(["environments.production.requires: scan is not required"]);
  expect(weaknessesOf(whole.slice(1, 2))).toEqual([
    "environments.production.requires: build and scan are not required",
  ]);
});

test("evidence that never grows old", () => {
  const [build, base] = whole;
  if (build === undefined || base === undefined) throw new TypeError("no stages");
  expect(weaknessesOf([build, base, { stage: "scan", signers: ["scan"] }])).toEqual([
    "environments.production.requires[2]: scan has no maxAge, so its evidence counts for as long as the policy does",
  ]);
});

test("a stage that is required, and can't run for want of a section", () => {
  const policy = withRequires(whole);
  const without = (...absent: PolicySection[]): string[] => describeWeaknesses({ policy: { ...policy, absent } });
  expect(without("scan")).toEqual([
    "environments.production.requires[2]: the policy has no section scan, without which scan does not run: nothing gets here",
  ]);
  expect(without("bases").map((each) => each.split(",")[0])).toEqual([
    "environments.production.requires[0]: the policy has no section bases",
    "environments.production.requires[1]: the policy has no section bases",
  ]);
  expect(without()).toEqual([]);
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
    "environments.production.requires[2]: base speaks for base and scan: who can sign for one can for both",
  ]);
});

test("the compact path's signer, in whatever order the stages are required: whoever breaks its scanner speaks for the build", () => {
  const ofJudge = whole.map((requirement) => ({ ...requirement, signers: ["judge"] }));
  const sentences = (requires: PolicyEnvironment["requires"]): string[] =>
    weaknessesOf(requires).map((each) => each.replace(/^[^:]*: /, ""));
  const said = [
    "judge speaks for build and base: who can sign for one can for both",
    "judge speaks for build and scan: whoever breaks its scanner speaks for the build",
  ];
  expect(sentences(ofJudge)).toEqual(said);
  expect(sentences(ofJudge.toReversed()).toSorted()).toEqual(said);
});

test("a host whose certificate nobody checks; and of one environment, what is its own", () => {
  const policy = {
    ...withRequires(whole.slice(0, 2)),
    registries: { plainHttp: [], hosts: { "r.example": { skipVerify: true } } },
  };
  expect(describeWeaknesses({ policy })).toContainEqual(
    "registries.hosts.r.example.skipVerify: whoever is on the way to it can read the logins",
  );
  expect(describeWeaknesses({ policy }, "production")).toEqual([
    "environments.production.requires: scan is not required",
  ]);
  expect(describeWeaknesses({ policy }, "staging")).toEqual([]);
});

test("a source that is bound to nothing, or to less", () => {
  const policy = withRequires(whole);
  const of = (source: (typeof policy.build.sources)[number] | string): string[] =>
    describeWeaknesses({ policy: { ...policy, build: { ...policy.build, sources: [source as typeof bound] } } });
  expect(of("https://github.com/acme/shop")).toEqual([
    "build.sources[0]: https://github.com/acme/shop has no refs: any branch and tag counts; no workflows: any that has the build's key attests; no to: it can become any image of an environment",
  ]);
  const { to: _to, ...rest } = bound;
  expect(of(rest as typeof bound)).toEqual([
    "build.sources[0]: https://github.com/acme/* has no to: it can become any image of an environment",
  ]);
});

test("environments that promote to one place, or one to a part of the other's", () => {
  const requires = whole;
  const environments = (to: string): PolicyEnvironment[] => [
    { ...production, requires },
    { ...production, requires, to: [to] },
  ];
  const of = (to: string): string[] => {
    const [first, second] = environments(to);
    if (first === undefined || second === undefined) throw new TypeError("no environments");
    return describeWeaknesses({
      policy: { ...withRequires(requires), environments: { production: first, staging: second } },
    });
  };
  for (const to of ["registry.example/vetted", "registry.example/vetted/shop", "registry.example"]) {
    expect(of(to)).toEqual([
      "environments.production.to and environments.staging.to share registry.example/vetted: the cluster tells their images apart by promote's statement alone",
    ]);
  }
  expect(of("registry.example/vetted2")).toEqual([]);
});

describe("whom a Sigstore trusts", () => {
  const told = (section: Policy["sigstore"][string]) =>
    describeWeaknesses({ policy: samplePolicy({ sigstore: { own: section } }) }).filter((note) =>
      note.startsWith("sigstore."),
    );
  const settings = { proof: "timestamp", rekorVersion: 2, privateNames: false } as const;
  const root = { digest: `sha256:${"0".repeat(64)}`, version: 1 } as const;

  test("is told where somebody else says it", () => {
    expect(told({ ...settings, tuf: { mirror: "https://tuf.acme.example", root, target: "x.json" } })).toEqual([
      "sigstore.own.tuf: whoever keeps https://tuf.acme.example says whom it trusts, without a change of this policy",
    ]);
    expect(told({ ...settings, embedded: "github" })).toEqual([
      "sigstore.own.embedded: whom it trusts comes with goldenpath's version, without a change of this policy",
    ]);
    expect(told({ ...settings, trustedRoot: readEmbeddedRoot("github") })).toEqual([]);
    expect(told({ ...settings, file: { path: "root.json", digest: root.digest } })).toEqual([]);
  });

  test("is told where no signature can have the entry in a log that is asked for", () => {
    const without = [expect.stringMatching(/^sigstore\.own: its trusted root has no log, .* nothing counts$/)];
    expect(told({ ...settings, proof: "log", trustedRoot: readEmbeddedRoot("github") })).toEqual(without);
    expect(told({ ...settings, proof: "log", trustedRoot: readEmbeddedRoot("public") })).toEqual([]);
  });
});

test("what nobody says, and is let pass", () => {
  const policy = withRequires(whole);
  const gate = { name: "exploited", kev: true as const, missing: "pass" as const };
  const [production] = Object.values(policy.environments);
  if (production === undefined) throw new TypeError("no environment");
  const lenient = {
    ...policy,
    environments: { production: { ...production, refuse: [{ ...gate, missing: "refuse" as const }, gate] } },
    scan: {
      ...policy.scan,
      refuse: [gate],
      licenses: { refuse: ["AGPL-3.0-only"], unknown: "pass" as const },
      vex: { signers: ["security"], unmatched: "tell" as const },
    },
  };
  expect(describeWeaknesses({ policy: lenient }).map((each) => each.split(": ")[0])).toEqual([
    "scan.refuse[0].missing",
    "environments.production.refuse[1].missing",
    "scan.licenses.unknown",
    "scan.vex.unmatched",
  ]);
  expect(describeWeaknesses({ policy: lenient }, "production")).toEqual([]);
});
