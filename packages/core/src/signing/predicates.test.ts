import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { policy } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { buildpacks } from "../build/strategies/buildpacks.ts";
import { ownPolicy } from "../build/strategies/find.ts";
import type { Policy } from "../policy/schema.ts";
import type { StageResult } from "../result.ts";
import { describeBuild } from "./build-facts.ts";
import { predicateTypes } from "./predicates.ts";
import { buildProvenance, readProvenance } from "./provenance.ts";
import { buildFindingStatement, buildVerdictStatement, checkSignable, type SignedImage } from "./result-statements.ts";
import { readVerificationSummary, summaryExtension, summaryVerifierId } from "./verification-summary.ts";

const image: SignedImage = {
  repository: { registry: "registry.example:5000", name: "quarantine/shop" },
  digest: digestOf("index"),
  children: [digestOf("amd64"), digestOf("arm64")],
};
const hexOf = (digest: Digest): string => digest.slice("sha256:".length);
const subjectsOf = [image.digest, ...image.children].map((digest) => ({
  name: "registry.example:5000/quarantine/shop",
  digest: { sha256: hexOf(digest) },
}));

const violation = { rule: "scan.severity", thing: "lodash@4.17.20", problem: "is vulnerable", wayOut: "update it" };
const scanned: StageResult = {
  schemaVersion: "1.0",
  stage: "scan",
  verdict: "fail",
  subject: {
    repository: "registry.example:5000/quarantine/shop",
    digest: image.digest,
    mediaType: "application/vnd.oci.image.index.v1+json",
    children: image.children.map((digest) => ({
      digest,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      verdict: "fail",
    })),
  },
  violations: [violation, { ...violation, exception: { reason: "r", owner: "o", expires: "2026-12-31" } }],
  predicateType: predicateTypes.vulnerabilities,
  predicate: { scanner: { uri: "pkg:generic/grype" } },
  policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
  run: { builderId: "local" },
  tools: [{ name: "grype", version: "0.121.2" }],
  notes: [],
  startedAt: "2026-05-01T12:00:00.000Z",
  finishedAt: "2026-05-01T12:00:05.000Z",
};
const passed: StageResult = {
  ...scanned,
  verdict: "pass",
  violations: scanned.violations.slice(1),
  ...{ subject: subjectWith("pass") },
};

function subjectWith(verdict: "pass" | "fail"): NonNullable<StageResult["subject"]> {
  const subject = scanned.subject as NonNullable<StageResult["subject"]>;
  return { ...subject, children: subject.children.map((child) => ({ ...child, verdict })) };
}

describe("a result that may not be signed", () => {
  const subject = subjectWith("fail");
  test.each<[string, Partial<StageResult>, string]>([
    [
      "an error",
      { verdict: "error", error: { code: "registry-unreachable", message: "no answer" } },
      "its verdict is error (no answer)",
    ],
    ["without a subject", { subject: undefined }, "its verdict is error"],
    ["of stage build", { stage: "build" }, "stage build"],
    ["of stage verify", { stage: "verify" }, "leaves no finding"],
    ["of stage promote, which signs for itself", { stage: "promote" }, "leaves no finding"],
    ["about another image", { subject: { ...subject, digest: digestOf("another") } }, "it is about"],
    [
      "about the same digest elsewhere",
      { subject: { ...subject, repository: "registry.example/shop" } },
      "it is about",
    ],
    [
      "that judged one child of two",
      { subject: { ...subject, children: subject.children.slice(1) } },
      "not the image's children",
    ],
    [
      "that judged another child",
      {
        subject: {
          ...subject,
          children: subject.children.map((child, at) => (at === 0 ? { ...child, digest: digestOf("x") } : child)),
        },
      },
      "not the image's children",
    ],
    [
      "that judged one child more",
      {
        subject: {
          ...subject,
          children: [...subject.children, { ...subject.children[0], digest: digestOf("x") }] as typeof subject.children,
        },
      },
      "not the image's children",
    ],
    ["under no policy", { policy: undefined }, "under no policy"],
    [
      "under another policy",
      { policy: { uri: policy.uri, digest: digestOf("another"), serial: 7 } },
      "it was made under serial 7",
    ],
    [
      "under another serial",
      { policy: { uri: policy.uri, digest: policy.digest, serial: 6 } },
      "it was made under serial 6",
    ],
    ["without a finding", { predicate: undefined }, "no finding"],
    ["with another stage's finding", { predicateType: predicateTypes.base }, "no finding"],
    ["with a verdict as its finding", { predicateType: predicateTypes.verificationSummary }, "no finding"],
  ])("%s", (_name, change, why) => {
    const check = () => checkSignable({ ...scanned, ...change }, "scan.json", image, policy);
    expect(check).toThrow(UserError);
    expect(check).toThrow("result scan.json cannot be signed");
    expect(check).toThrow(why);
  });
});

describe("the statements of a result", () => {
  const bundle = { bundle: digestOf("bundle"), referrer: digestOf("referrer") };

  test("what was found, as it stands, about the index and its children", () => {
    const statement = buildFindingStatement(checkSignable(scanned, "scan.json", image, policy), image);
    expect(statement).toMatchObject({
      _type: "https://in-toto.io/Statement/v1",
      subject: subjectsOf,
      predicateType: scanned.predicateType,
      predicate: scanned.predicate,
    });
  });

  test("a verdict by SLSA's verification summary, PASSED", () => {
    const statement = buildVerdictStatement(checkSignable(passed, "scan.json", image, policy), image, policy, bundle);
    expect(statement).toEqual({
      _type: "https://in-toto.io/Statement/v1",
      subject: subjectsOf,
      predicateType: "https://slsa.dev/verification_summary/v1",
      predicate: {
        verifier: { id: "https://github.com/goldenpath-ci/goldenpath/stages/scan", version: { grype: "0.121.2" } },
        timeVerified: "2026-05-01T12:00:05.000Z",
        resourceUri: `pkg:oci/shop@sha256%3A${hexOf(image.digest)}?repository_url=registry.example%3A5000%2Fquarantine%2Fshop`,
        policy: { uri: "policy.yaml", digest: { sha256: hexOf(policy.digest) } },
        inputAttestations: [
          {
            uri: `pkg:oci/shop@sha256%3A${hexOf(bundle.referrer)}?repository_url=registry.example%3A5000%2Fquarantine%2Fshop`,
            digest: { sha256: hexOf(bundle.bundle) },
          },
        ],
        verificationResult: "PASSED",
        verifiedLevels: ["GOLDENPATH_SCAN"],
        slsaVersion: "1.1",
        [summaryExtension]: { policySerial: 7, violations: 0, excepted: 1, exceptions: { until: "2026-12-31" } },
      },
    });
    expect(summaryVerifierId(statement)).toBe("https://github.com/goldenpath-ci/goldenpath/stages/scan");
    expect(readVerificationSummary(statement)).toMatchObject({
      result: "PASSED",
      policySerial: 7,
      levels: ["GOLDENPATH_SCAN"],
    });
  });

  test("a verdict with exceptions says until when all of them hold, and whose the repository's own is", () => {
    const exception = { reason: "r", owner: "o", expires: "2026-12-31" };
    const violations = [
      { ...violation, exception },
      { ...violation, rule: "base.approved", exception: { ...exception, expires: "2026-06-01" } },
      { ...violation, exception: { ...exception, expires: "2026-07-01" } },
    ];
    const verdict = (result: typeof passed) =>
      buildVerdictStatement(checkSignable(result, "scan.json", image, policy), image, policy, bundle).predicate[
        summaryExtension
      ];
    expect(verdict({ ...passed, violations })).toMatchObject({
      excepted: 3,
      exceptions: { until: "2026-06-01", repository: "registry.example:5000/quarantine/shop" },
    });
    const habit = { ...violation, rule: "base.root-user", exception };
    expect(verdict({ ...passed, violations: [habit] })).toMatchObject({
      exceptions: { until: "2026-12-31", repository: "registry.example:5000/quarantine/shop" },
    });
    expect(verdict({ ...passed, violations: [] })).toEqual({ policySerial: 7, violations: 0, excepted: 0 });
  });

  test("and FAILED, which is signed as well", () => {
    const statement = buildVerdictStatement(checkSignable(scanned, "scan.json", image, policy), image, policy, bundle);
    expect(statement.predicate).toMatchObject({
      verificationResult: "FAILED",
      verifiedLevels: ["FAILED"],
      [summaryExtension]: { policySerial: 7, violations: 1, excepted: 1 },
    });
  });

  test("signed again, the same bytes", () => {
    const make = () =>
      JSON.stringify(buildVerdictStatement(checkSignable(passed, "scan.json", image, policy), image, policy, bundle));
    expect(make()).toBe(make());
  });

  test("a verdict's verifier is read from verification summaries alone", () => {
    const finding = buildFindingStatement(checkSignable(passed, "scan.json", image, policy), image);
    expect(
      summaryVerifierId({
        ...finding,
        predicate: { verifier: { id: "https://github.com/goldenpath-ci/goldenpath/stages/scan" } },
      }),
    ).toBeUndefined();
    for (const verifier of [undefined, null, "x", {}, { id: 7 }]) {
      expect(
        summaryVerifierId({ ...finding, predicateType: predicateTypes.verificationSummary, predicate: { verifier } }),
      ).toBeUndefined();
    }
  });
});

describe("the provenance of a build", () => {
  const run = {
    builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
    sourceRepository: "https://github.com/acme/shop",
    sourceCommit: "0123456789abcdef0123456789abcdef01234567",
    sourceRef: "refs/heads/main",
    runUrl: "https://github.com/acme/shop/actions/runs/42",
    runAttempt: 2,
  };
  const golden = {
    names: ["golden"],
    repository: { registry: "registry.example", name: "bases/golden" },
    digest: digestOf("base"),
  };
  const times = { startedOn: new Date("2026-05-01T12:00:00Z"), finishedOn: new Date("2026-05-01T12:01:00Z") };
  const buildpack = ownPolicy(policy.policy, buildpacks).builders[0]?.buildpacks?.[0]?.split("@sha256:")[1];

  test("says what the attesting job sees", () => {
    const statement = buildProvenance({
      ...describeBuild(image, policy, run, [golden, golden]),
      buildEnvironment: "container",
      ...times,
    });
    expect(statement.subject).toEqual(subjectsOf);
    expect(statement.predicateType).toBe("https://slsa.dev/provenance/v1");
    expect(statement.predicate).toEqual({
      buildDefinition: {
        buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/buildpacks/v1",
        externalParameters: { source: { repository: "https://github.com/acme/shop", ref: "refs/heads/main" } },
        internalParameters: {
          buildEnvironment: "container",
          builders: ["node"],
          policy: { uri: policy.uri, digest: { sha256: hexOf(policy.digest) }, serial: policy.policy.serial },
        },
        resolvedDependencies: [
          { uri: "git+https://github.com/acme/shop@refs/heads/main", digest: { gitCommit: run.sourceCommit } },
          {
            uri: `pkg:oci/golden@sha256%3A${hexOf(golden.digest)}?repository_url=registry.example%2Fbases%2Fgolden`,
            digest: { sha256: hexOf(golden.digest) },
            name: "run-image",
          },
          {
            uri: `pkg:oci/node@sha256%3A${buildpack}?repository_url=registry.example%2Fbuildpacks%2Fnode`,
            digest: { sha256: buildpack },
            name: "buildpack",
          },
        ],
      },
      runDetails: {
        builder: { id: run.builderId },
        metadata: {
          invocationId: "https://github.com/acme/shop/actions/runs/42/attempts/2",
          startedOn: "2026-05-01T12:00:00.000Z",
          finishedOn: "2026-05-01T12:01:00.000Z",
        },
      },
    });
    expect(readProvenance(statement)).toMatchObject({
      sourceRepository: run.sourceRepository,
      sourceCommit: run.sourceCommit,
      builders: ["node"],
    });
  });

  test("outside of a workflow, without a ref and without a run", () => {
    const facts = describeBuild(image, policy, { ...run, sourceRef: undefined, runUrl: undefined }, [golden, golden]);
    const { predicate } = buildProvenance({ ...facts, buildEnvironment: "host", ...times });
    expect(JSON.stringify(predicate)).not.toContain("invocationId");
    expect(readProvenance(buildProvenance({ ...facts, buildEnvironment: "host", ...times }))).toMatchObject({
      sourceCommit: run.sourceCommit,
    });
  });

  test.each<[string, Parameters<typeof describeBuild>[3]]>([
    ["no base that is known", [undefined, undefined]],
    ["a base under one child only", [golden, undefined]],
    ["no child", []],
    [
      "a base that no builder builds on",
      [
        { ...golden, names: ["another"] },
        { ...golden, names: ["another"] },
      ],
    ],
  ])("names no builder for %s", (_name, bases) =>
    expect(describeBuild(image, policy, run, bases).builders).toEqual([]),
  );

  test("names every builder that the base leaves open", () => {
    const [node] = policy.policy.build.builders;
    if (node === undefined) throw new Error("the policy has no builder");
    const builders = [node, { ...node, name: "java" }, { ...node, name: "go", runImage: "another" }];
    const loaded = { ...policy, policy: { ...policy.policy, build: { ...policy.policy.build, builders } } };
    expect(describeBuild(image, loaded, run, [golden, golden]).builders.map((builder) => builder.name)).toEqual([
      "node",
      "java",
    ]);
  });

  test("names the builder of a base that the policy has under two names", () => {
    const base = { ...golden, names: ["another", "golden"] };
    expect(describeBuild(image, policy, run, [base, base]).builders.map((builder) => builder.name)).toEqual(["node"]);
  });

  test.each<[string, ("jib" | "dockerfile")[], ("container" | "host")[], string, boolean]>([
    [
      "not, where a strategy on the host may have left the mark",
      ["jib", "dockerfile"],
      ["container", "host"],
      "golden",
      false,
    ],
    ["where such a strategy never got to run", ["jib", "dockerfile"], ["container"], "golden", true],
    ["where such a strategy is not allowed", ["dockerfile"], ["container", "host"], "golden", true],
    ["where such a strategy builds on another base", ["jib", "dockerfile"], ["container", "host"], "another", true],
  ])("tells of a build in an image of the policy %s", (_what, strategies, isolation, runImage, isContained) => {
    const builders: Policy["build"]["builders"] = [
      { kind: "jib", name: "java", runImage },
      { kind: "dockerfile", name: "files", images: [], downloads: [] },
    ];
    const build = { ...policy.policy.build, strategies, isolation, builders };
    const loaded = { ...policy, policy: { ...policy.policy, build } };
    const config = {
      ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [] } },
      history: [{ comment: "buildkit.dockerfile.v0" }],
    };
    const told = describeBuild(image, loaded, run, [golden, golden], { configs: [config, config] });
    expect(told).toMatchObject({ isContained, builders: [{ name: "files" }] });
  });

  test("is not written where the source is not known", () => {
    for (const missing of ["sourceRepository", "sourceCommit"]) {
      expect(() => describeBuild(image, policy, { ...run, [missing]: undefined }, [golden, golden])).toThrow(
        "not known which commit",
      );
    }
  });
});
