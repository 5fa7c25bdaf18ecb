import { digestHex } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  environment,
  image,
  minute,
  now,
  policy,
  provenance,
  repository,
  signed,
  summary,
  whole,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { image as strategy } from "../build/strategies/image.ts";
import { buildImportStatement } from "../imports/statement.ts";
import type { LoadedPolicy, Policy, PolicyEnvironment } from "../policy/schema.ts";
import type { VerifiedStatement } from "../signing/types.ts";

const vendor = { registry: "docker.io", name: "library/redis" };
const staging: PolicyEnvironment = {
  ...environment,
  requires: [{ stage: "build", signers: ["build"] }],
  to: ["registry.example/staging"],
};
const production: PolicyEnvironment = {
  ...environment,
  from: ["registry.example/quarantine"],
  requires: [{ stage: "promote", signers: ["promote"], environment: "staging" }],
};
const loaded: LoadedPolicy = {
  ...policy,
  policy: {
    ...policy.policy,
    build: {
      ...policy.policy.build,
      strategies: ["image"],
      sources: ["oci://docker.io/library/redis"],
      builders: [{ kind: "image", name: "vendors", import: { signers: ["importer"] } }],
    },
    environments: { staging, production },
  },
};

function evidence(until: string): VerifiedStatement[] {
  const about = { image: { repository, digest: image, children: [] }, source: { repository: vendor, digest: image } };
  const why = { reason: "sessions", owner: "team-shop", until, importedOn: ago(60 * minute) };
  const imported = signed(buildImportStatement({ ...about, ...why, policy: loaded }), ["importer"]);
  const built = provenance("build", {
    buildType: strategy.buildType,
    buildEnvironment: "elsewhere",
    builders: loaded.policy.build.builders,
    source: { repository: "oci://docker.io/library/redis", commit: digestHex(image) },
    materials: [{ name: "import", repository, digest: imported.bundle.digest }],
    bases: [],
  });
  return [imported, built, summary("promote", "promote", [built], { environment: "staging" })];
}

function rulesOf(statements: VerifiedStatement[], where: PolicyEnvironment, change: Partial<Policy> = {}): string[] {
  const { violations } = decideGate({
    environmentName: "production",
    environment: where,
    policy: { ...loaded, policy: { ...loaded.policy, ...change } },
    now,
    place: "from",
    image: { repository, digest: image, children: [image], layers: new Map() },
    evidence: new Map([[image, { statements, lapsed: [], rejected: [] }]]),
  });
  return violations.map(({ rule, problem }) => `${rule}: ${problem}`);
}

test.each([
  ["in an environment that asks for a build", staging, ["gate.incomplete: the SBOM is not there"]],
  ["in one that takes what another has promoted", production, []],
])("an import counts until its last day %s", (_what, where, others) => {
  expect(rulesOf(evidence("2026-05-01"), where)).toEqual(others);
  const over = "gate.import: the import by 'importer', of oci://docker.io/library/redis, held until 2026-04-30";
  expect(rulesOf(evidence("2026-04-30"), where)).toEqual([over, ...others]);
});

describe("where the provenance of an image is left behind", () => {
  const [imported, built] = evidence("2026-04-30") as [VerifiedStatement, VerifiedStatement];
  // What a promotion rests on is more than the build, and some of it stays.
  const { sbom, vulnerabilities, scanVerdict } = whole();
  const promotion = summary("promote", "promote", [built, sbom], { environment: "staging" });
  const promoted = [sbom, promotion];
  const untold = "so that it can't be told where the image comes from";

  test("it is not promoted where another environment's promotion is taken: its import may be over", () => {
    const absent = [`gate.builder: the build's provenance is not there, ${untold}`];
    expect(rulesOf([imported, ...promoted], production)).toEqual(absent);
    expect(rulesOf(promoted, production)).toEqual(absent);
    // Nor is a provenance by nobody who builds for the environment that promoted it.
    expect(rulesOf([...promoted, { ...built, signers: ["scan"] }], production)).toEqual(absent);
  });

  test("nor where it can't be told whose build it may be", () => {
    const to = (name: string): PolicyEnvironment => ({ ...staging, requires: [{ stage: "build", signers: [name] }] });
    const environments = { one: to("build"), two: to("base") };
    const anybodys: PolicyEnvironment = { ...production, requires: [{ stage: "promote", signers: ["promote"] }] };
    expect(rulesOf(promoted, anybodys, { environments })).toEqual([
      `gate.builder: environment 'production' does not say whose builds it takes, ${untold}`,
    ]);
  });

  test("it is where the policy takes no image of elsewhere", () => {
    const { build } = policy.policy;
    expect(rulesOf(promoted, production, { build })).toEqual([]);
    expect(rulesOf(promoted, production)).not.toEqual([]);
  });

  test("but one that is there and of elsewhere is refused where the policy takes none any more", () => {
    expect(rulesOf([imported, built, ...promoted], production, { build: policy.policy.build }).join()).toContain(
      "gate.builder: the provenance names builder 'vendors'",
    );
  });

  test("an environment that asks for neither build nor promotion takes what nobody has built, and no ended import", () => {
    const anything: PolicyEnvironment = { ...production, requires: [{ stage: "scan", signers: ["scan"] }] };
    expect(rulesOf([vulnerabilities, scanVerdict], anything)).toEqual([]);
    expect(rulesOf([vulnerabilities, scanVerdict, ...evidence("2026-05-01")], anything)).toEqual([]);
    expect(rulesOf([vulnerabilities, scanVerdict, imported, built], anything).join()).toContain(
      "gate.import: the import by 'importer'",
    );
  });
});

test("what an imported image rests on has to be there where another environment has promoted it", () => {
  const [, ...others] = evidence("2026-05-01");
  expect(rulesOf(others, production)).toEqual([
    "gate.builder: the statement that says where the image comes from is not there",
  ]);
});

test("a run that takes in is not the run that built: of its certificate it is held to its own builder", () => {
  const [imported, built, promoted] = evidence("2026-05-01") as [
    VerifiedStatement,
    VerifiedStatement,
    VerifiedStatement,
  ];
  const identity = {
    issuer: "https://token.actions.githubusercontent.com",
    buildSignerUri: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
    buildSignerDigest: "c".repeat(40),
    runnerEnvironment: "github-hosted",
    sourceRepository: "https://github.com/acme/platform",
    sourceOwnerId: "4321",
    sourceRef: "refs/heads/main",
    sourceDigest: "a".repeat(40),
    buildConfigUri: "https://github.com/acme/platform/.github/workflows/import.yml@refs/heads/main",
    buildTrigger: "workflow_dispatch",
  };
  const by = (buildSignerUri: string) => [imported, { ...built, identity: { ...identity, buildSignerUri } }, promoted];
  expect(rulesOf(by(identity.buildSignerUri), staging)).toEqual(["gate.incomplete: the SBOM is not there"]);
  expect(rulesOf(by(`${identity.buildSignerUri}2`), staging).join()).toContain("gate.source: the provenance is not of");
});

test("nothing that was built here says that it was built elsewhere, nor the reverse", () => {
  const [imported, built, promoted] = evidence("2026-05-01") as [
    VerifiedStatement,
    VerifiedStatement,
    VerifiedStatement,
  ];
  const here = structuredClone(built.statement);
  const definition = here.predicate["buildDefinition"] as { internalParameters: { buildEnvironment: string } };
  definition.internalParameters.buildEnvironment = "container";
  expect(rulesOf([imported, { ...built, statement: here }, promoted], staging)[0]).toContain("gate.build-environment");
  const elsewhere = provenance("build", { buildEnvironment: "elsewhere" });
  expect(rulesOf([elsewhere], staging).join()).toContain("gate.build-environment: the image was built in 'elsewhere'");
});
