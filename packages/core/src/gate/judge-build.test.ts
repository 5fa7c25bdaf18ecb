import { digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  ago,
  edited,
  environment,
  factsOf,
  finding,
  image,
  minute,
  policy,
  provenance,
  whole,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { dockerfile } from "../build/strategies/dockerfile.ts";
import { jib } from "../build/strategies/jib.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { ProvenanceFacts } from "../signing/provenance.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import type { StageDecision } from "./facts.ts";
import { decideBuildStage } from "./judge-build.ts";

const requirement = { stage: "build" as const, signers: ["build"], maxAge: 7 * 86_400_000 };
const { provenance: built, sbom } = whole();
const again = `Run attest again, as signer 'build', on registry.example/quarantine/shop@${image}.`;

function decide(
  statements: VerifiedStatement[],
  more: { evidence?: Partial<CollectedEvidence>; build?: Partial<Policy["build"]>; loaded?: LoadedPolicy } = {},
): StageDecision {
  const { loaded = policy, build = {} } = more;
  const own = { ...loaded, policy: { ...loaded.policy, build: { ...loaded.policy.build, ...build } } };
  return decideBuildStage({
    facts: factsOf([], { policy: own, environment: { ...environment, requires: [requirement] } }),
    digest: image,
    stage: "build",
    requirement,
    evidence: { statements, lapsed: [], rejected: [], ...more.evidence },
  });
}
const by = (more: Partial<ProvenanceFacts>): VerifiedStatement => provenance("build", more);
const of = (more: Partial<ProvenanceFacts>, ...others: Parameters<typeof decide>[1][]): StageDecision =>
  decide([by(more), sbom], ...others);
const rulesOf = ({ problems }: StageDecision): string[] => problems.map(({ rule }) => rule);

describe("what the build's evidence is", () => {
  test("a provenance and an SBOM, which is what a pass rests on", () => {
    expect(decide([built, sbom])).toEqual({ accepted: [built, sbom], problems: [] });
  });
  test("nothing where it is not whole: what is there is not accepted by half", () => {
    expect(decide([built])).toEqual({
      accepted: [],
      problems: [{ rule: "gate.incomplete", problem: "the SBOM is not there", wayOut: again }],
    });
    expect(decide([sbom])).toEqual({
      accepted: [],
      problems: [{ rule: "gate.missing", problem: "the build's provenance is not there", wayOut: again }],
    });
  });
  test("of SBOMs those that are CycloneDX documents", () => {
    const none = finding(predicateTypes.cyclonedx, "build", [image], {});
    expect(decide([built, none])).toEqual({
      accepted: [],
      problems: [
        {
          rule: "gate.malformed",
          problem: "the SBOM is signed by its stage and is malformed: it is not a CycloneDX document",
          wayOut: again,
        },
      ],
    });
    expect(decide([built, none, sbom]).accepted).toEqual([built, sbom]);
  });
  test("nothing of another kind that has the look of one", () => {
    const like = { ...built, statement: { ...built.statement, predicateType: predicateTypes.base } };
    expect(rulesOf(decide([like, sbom]))).toEqual(["gate.missing"]);
    expect(decide([like, built, sbom]).accepted).toEqual([built, sbom]);
  });
});

describe("a provenance that can't be read", () => {
  const broken = edited(built, ["runDetails", "metadata"]);
  test("refuses the image even beside a good one: it may be the newer", () => {
    for (const statements of [
      [broken, sbom],
      [broken, built, sbom],
    ]) {
      expect(decide(statements)).toMatchObject({
        accepted: [],
        problems: [
          {
            rule: "gate.malformed",
            problem: expect.stringMatching(/^a provenance is signed by its stage and is malformed: .*runDetails/),
          },
        ],
      });
    }
  });
  test("does so out of its signer's time as well, where that signer's word ever counted", () => {
    expect(rulesOf(decide([built, sbom], { evidence: { lapsed: [broken] } }))).toEqual(["gate.malformed"]);
    expect(rulesOf(decide([built, sbom], { evidence: { lapsed: [{ ...broken, signers: ["scan"] }] } }))).toEqual([]);
  });
});

describe("of several provenances", () => {
  const host = (age: number): VerifiedStatement => by({ buildEnvironment: "host", finishedOn: ago(age * minute) });
  // The good one is twenty minutes old.
  test.each<[what: string, age: number, rules: string[]]>([
    ["newer", 19, ["gate.build-environment"]],
    ["as new", 20, ["gate.build-environment"]],
    ["older", 21, []],
  ])(
    "one of a build where none may be counts where it is %s, in its signer's time or out of it",
    (_what, age, rules) => {
      expect(rulesOf(decide([built, host(age), sbom]))).toEqual(rules);
      expect(rulesOf(decide([host(age), built, sbom]))).toEqual(rules);
      expect(rulesOf(decide([built, sbom], { evidence: { lapsed: [host(age)] } }))).toEqual(rules);
    },
  );
  test("the newest is what a pass rests on, and all that are as new", () => {
    const older = by({ finishedOn: ago(30 * minute) });
    const twin = by({});
    expect(decide([older, built, twin, sbom]).accepted).toEqual([built, twin, sbom]);
  });
  test("out of its signer's time one is held to its source, but neither to its age nor to the policy it was made under", () => {
    const source = { repository: "https://github.com/evil/shop", commit: "a".repeat(40) };
    const past = (more: Partial<ProvenanceFacts>) =>
      rulesOf(decide([built, sbom], { evidence: { lapsed: [by({ finishedOn: ago(minute), ...more })] } }));
    expect(past({ source })).toEqual(["gate.source"]);
    expect(past({ policy: { uri: "p", digest: image, serial: 1 } })).toEqual([]);
  });
  test("what two of them say alike is told once", () => {
    expect(rulesOf(decide([host(20), host(20), sbom]))).toEqual(["gate.build-environment"]);
    expect(rulesOf(decide([host(20), sbom], { evidence: { lapsed: [host(20)] } }))).toEqual(["gate.build-environment"]);
  });
});

describe("what a provenance says", () => {
  const fromFile = { kind: "dockerfile" as const, name: "files", images: [], downloads: [] };
  const allowed: Pick<Policy["build"], "strategies" | "builders"> = {
    strategies: ["buildpacks", "dockerfile"],
    builders: [...policy.policy.build.builders, fromFile],
  };
  const files = { buildType: dockerfile.buildType, builders: [fromFile], materials: [] };

  test("of a strategy that the policy does not allow is refused", () => {
    expect(of({ ...files, buildType: jib.buildType }, { build: allowed })).toEqual({
      accepted: [],
      problems: [
        {
          rule: "gate.builder",
          problem: "the image was built by strategy 'jib', and the policy allows buildpacks, dockerfile",
          wayOut: `Build by buildpacks or dockerfile, or have the policy's owners add it to build.strategies. ${again}`,
        },
      ],
    });
    expect(rulesOf(of(files))).toEqual(["gate.builder"]);
    expect(rulesOf(of(files, { build: allowed }))).toEqual([]);
  });
  test("of a builder of another strategy is refused", () => {
    const { problems } = of({ ...files, builders: policy.policy.build.builders }, { build: allowed });
    expect(problems).toEqual([
      {
        rule: "gate.builder",
        problem: "the provenance names builder 'node'",
        wayOut: `Build with a builder of the policy (files). ${again}`,
      },
    ]);
  });
  test("of no strategy that is known is refused", () => {
    const buildType = "https://example.com/my-build/v1";
    expect(of({ buildType }).problems).toEqual([
      {
        rule: "gate.builder",
        problem: `the build is of type ${buildType}, which this gate does not know`,
        wayOut: again,
      },
    ]);
  });
  test("of no commit is refused", () => {
    const source = { repository: "https://github.com/acme/shop", commit: "main" };
    expect(of({ source }).problems).toEqual([
      { rule: "gate.source", problem: "the provenance names no commit of its source", wayOut: again },
    ]);
  });
  test("of where it was built is held to all that the policy accepts", () => {
    const isolation: Policy["build"]["isolation"] = ["container", "host-unisolated"];
    expect(of({ buildEnvironment: "host" }, { build: { isolation } }).problems).toEqual([
      {
        rule: "gate.build-environment",
        problem: "the image was built in 'host', and the policy accepts container, host-unisolated",
        wayOut: "Build in container or host-unisolated, or have the policy's owners add it to build.isolation.",
      },
    ]);
    expect(rulesOf(of({ buildEnvironment: "host-unisolated" }, { build: { isolation } }))).toEqual([]);
  });
  test("of when it was is told by its name", () => {
    expect(of({ finishedOn: ago(8 * 86_400_000) }).problems[0]?.problem).toMatch(/^the provenance is of .*8 days ago/);
    expect(of({ policy: { uri: "p", digest: image, serial: 6 } }).problems[0]?.problem).toBe(
      "the provenance was made under serial 6 of the policy; serial 7 counts",
    );
  });
});

test("a provenance under a policy that was superseded counts by when it was signed, or else by when it says it was made", () => {
  const version = { serial: 6, digest: digestOf("serial 6") };
  const supersededAt = ago(3 * 60 * minute);
  const loaded: LoadedPolicy = {
    ...policy,
    policy: { ...policy.policy, accepts: 86_400_000 },
    inForce: {
      repositories: ["registry.example/goldenpath-policy"],
      name: "acme",
      serial: 7,
      digest: policy.digest,
      source: policy.uri,
      artifact: digestOf("artifact"),
      activatedAt: supersededAt,
      predecessors: [{ ...version, activatedAt: ago(9 * 60 * minute), supersededAt }],
    },
  };
  // What is under way when the policy changes may still end within the hour.
  const at = (finished: number, signedAt?: number) => {
    const statement = by({ policy: { uri: "p", ...version }, finishedOn: ago(finished * minute) });
    const time = signedAt === undefined ? {} : { time: ago(signedAt * minute) };
    return rulesOf(decide([{ ...statement, ...time }, sbom], { loaded }));
  };
  expect(at(240, 119)).toEqual(["gate.policy-serial"]);
  expect(at(240, 121)).toEqual([]);
  expect(at(119)).toEqual(["gate.policy-serial"]);
  expect(at(121)).toEqual([]);
});
