import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  buildpack,
  type Case,
  edited,
  environment,
  factsOf,
  finding,
  image,
  imageLayers,
  minute,
  other,
  policy,
  provenance,
  repository,
  rulesOf,
  scanAs,
  scanEdit,
  summary,
  whole,
  without,
  withProvenance,
  withProvenanceEdit,
  withScan,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import { summaryExtension } from "../signing/verification-summary.ts";

describe("the gate refuses", () => {
  const cases: Case[] = [
    ["an image without any evidence", ["gate.missing", "gate.missing", "gate.missing"], () => []],
    ["no provenance", ["gate.missing"], (all) => without(all, "provenance")],
    ["no SBOM", ["gate.incomplete"], (all) => without(all, "sbom")],
    ["neither provenance nor SBOM, with one violation", ["gate.missing"], (all) => without(all, "provenance", "sbom")],
    [
      "an SBOM that is no CycloneDX document",
      ["gate.malformed"],
      (all) => [...without(all, "sbom"), finding(predicateTypes.cyclonedx, "build", [image], {})],
    ],
    ["no verdict of base", ["gate.missing"], (all) => without(all, "baseVerdict")],
    ["no verdict of scan", ["gate.missing"], (all) => without(all, "scanVerdict")],
    ["a verdict without its finding", ["gate.incomplete"], (all) => without(all, "vulnerabilities")],
    ["a verdict that rests on nothing", ["gate.incomplete"], withScan(() => [summary("scan", "scan", [])])],
    [
      "a verdict that rests on another bundle",
      ["gate.incomplete"],
      withScan((all) => [summary("scan", "scan", [all.base])]),
    ],
    [
      "a verdict that rests on another scan than the one there",
      ["gate.incomplete"],
      withScan(() => [summary("scan", "scan", [finding(predicateTypes.vulnerabilities, "scan")])]),
    ],

    [
      "provenance by another stage's key",
      ["gate.signer"],
      (all) => [...without(all, "provenance"), provenance("scan")],
    ],
    [
      "an SBOM by another stage's key",
      ["gate.signer"],
      (all) => [...without(all, "sbom"), finding(predicateTypes.cyclonedx, "scan")],
    ],
    [
      "a verdict of scan by the key of base",
      ["gate.signer"],
      withScan((all) => [summary("scan", "base", [all.vulnerabilities])]),
    ],
    [
      "a finding of scan by the key of base",
      ["gate.signer"],
      (all) => {
        const vulnerabilities = finding(predicateTypes.vulnerabilities, "base");
        return [
          ...without(all, "vulnerabilities", "scanVerdict"),
          vulnerabilities,
          summary("scan", "scan", [vulnerabilities]),
        ];
      },
    ],
    [
      "a verdict of base in the place of scan's",
      ["gate.missing"],
      withScan((all) => [summary("base", "scan", [all.vulnerabilities])]),
    ],

    ["a verdict FAILED", ["gate.failed"], scanAs({ passed: false, violations: 1 })],
    [
      "an older pass after a newer failure",
      ["gate.failed"],
      withScan((all) => [
        summary("scan", "scan", [all.vulnerabilities], {
          passed: false,
          violations: 1,
          timeVerified: ago(10 * minute),
        }),
        summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(11 * minute) }),
      ]),
    ],
    [
      "a newer failure that lies after the pass",
      ["gate.failed"],
      withScan((all) => [
        summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(11 * minute) }),
        summary("scan", "scan", [all.vulnerabilities], {
          passed: false,
          violations: 1,
          timeVerified: ago(10 * minute),
        }),
      ]),
    ],
    [
      "a pass and a failure of the same time",
      ["gate.failed"],
      withScan((all) => [
        summary("scan", "scan", [all.vulnerabilities]),
        summary("scan", "scan", [all.vulnerabilities], { passed: false, violations: 1 }),
      ]),
    ],
    [
      "a failure and a pass of the same time",
      ["gate.failed"],
      withScan((all) => [
        summary("scan", "scan", [all.vulnerabilities], { passed: false, violations: 1 }),
        summary("scan", "scan", [all.vulnerabilities]),
      ]),
    ],
    [
      "a newer failure under another serial",
      ["gate.failed"],
      withScan((all) => [
        all.scanVerdict,
        summary("scan", "scan", [all.vulnerabilities], {
          passed: false,
          violations: 1,
          timeVerified: ago(minute),
          policy: { ...policy, serial: 3 },
        }),
      ]),
    ],

    ["a verdict that is too old", ["gate.stale"], scanAs({ timeVerified: ago(60 * minute + 1) })],
    ["provenance that is too old", ["gate.stale"], withProvenance({ finishedOn: ago(7 * 86_400_000 + 1) })],
    ["a verdict of tomorrow", ["gate.future"], scanAs({ timeVerified: ago(-5 * minute - 1) })],
    ["provenance of tomorrow", ["gate.future"], withProvenance({ finishedOn: ago(-5 * minute - 1) })],

    [
      "a provenance under an older serial",
      ["gate.policy-serial"],
      withProvenance({ policy: { uri: "x", digest: policy.digest, serial: 6 } }),
    ],
    [
      "a provenance under another policy of the same serial",
      ["gate.policy-serial"],
      withProvenance({ policy: { uri: policy.uri, digest: digestOf("made at home"), serial: 7 } }),
    ],
    ["a verdict under an older serial", ["gate.policy-serial"], scanAs({ policy: { ...policy, serial: 6 } })],
    [
      "a verdict under a serial that is still to come",
      ["gate.policy-serial"],
      scanAs({ policy: { ...policy, serial: 8 } }),
    ],
    [
      "a verdict under another policy of the same serial",
      ["gate.policy-serial"],
      scanAs({ policy: { uri: policy.uri, digest: digestOf("another policy"), serial: 7 } }),
    ],
    ["a verdict without a serial", ["gate.malformed"], scanEdit([summaryExtension])],
    ["a verdict with a serial in letters", ["gate.malformed"], scanEdit([summaryExtension], { policySerial: "7" })],
    ["a verdict without a policy digest", ["gate.malformed"], scanEdit(["policy", "digest"])],
    ["a verdict with a policy digest of no algorithm", ["gate.policy-serial"], scanEdit(["policy", "digest"], {})],
    ["a verdict without a time", ["gate.malformed"], scanEdit(["timeVerified"])],
    ["a verdict with a time that is none", ["gate.malformed"], scanEdit(["timeVerified"], "yesterday")],
    ["a verdict that neither passes nor fails", ["gate.malformed"], scanEdit(["verificationResult"], "passed")],
    ["a pass without its level", ["gate.malformed"], scanEdit(["verifiedLevels"], [])],
    ["a pass with the level of another stage", ["gate.malformed"], scanEdit(["verifiedLevels"], ["GOLDENPATH_BASE"])],
    [
      "a malformed verdict beside a good one: it may be the newer",
      ["gate.malformed"],
      withScan((all) => [all.scanVerdict, edited(summary("scan", "scan", [all.vulnerabilities]), ["timeVerified"])]),
    ],

    [
      "a source outside the policy",
      ["gate.source"],
      withProvenance({ source: { repository: "https://github.com/evil/shop", commit: "a".repeat(40) } }),
    ],
    [
      "a source that only starts like one",
      ["gate.source"],
      withProvenance({ source: { repository: "https://github.com/acme/shop/more", commit: "a".repeat(40) } }),
    ],
    ["a source without a commit", ["gate.source"], withProvenanceEdit(["buildDefinition", "resolvedDependencies"], [])],
    [
      "a commit of another repository",
      ["gate.source"],
      withProvenanceEdit(
        ["buildDefinition", "resolvedDependencies", 0, "uri"],
        "git+https://github.com/evil/shop@refs/heads/main",
      ),
    ],
    [
      "a commit that is a branch",
      ["gate.source"],
      withProvenance({ source: { repository: "https://github.com/acme/shop", commit: "main" } }),
    ],
    ["a build on the bare host", ["gate.build-environment"], withProvenance({ buildEnvironment: "host" })],
    [
      "a builder that the policy does not have",
      ["gate.builder"],
      withProvenance({ builders: [{ name: "theirs", buildpacks: [buildpack], runImage: "golden" }] }),
    ],
    ["no builder of the policy", ["gate.builder"], withProvenance({ builders: [] })],
    [
      "another build type",
      ["gate.builder"],
      withProvenanceEdit(["buildDefinition", "buildType"], "https://example.com/my-build/v1"),
    ],
    [
      "external parameters that nobody knows",
      ["gate.malformed"],
      withProvenanceEdit(["buildDefinition", "externalParameters", "script"], "curl"),
    ],
    ["provenance without a builder id", ["gate.malformed"], withProvenanceEdit(["runDetails", "builder", "id"], "")],
    ["provenance without a time", ["gate.malformed"], withProvenanceEdit(["runDetails", "metadata"])],
    [
      "a newer provenance of another source",
      ["gate.source"],
      (all) => [
        ...Object.values(all),
        provenance("build", {
          finishedOn: ago(minute),
          source: { repository: "https://github.com/evil/shop", commit: "a".repeat(40) },
        }),
      ],
    ],
    [
      "two equally new provenances, one of another source",
      ["gate.source"],
      (all) => [
        ...Object.values(all),
        provenance("build", { source: { repository: "https://github.com/evil/shop", commit: "a".repeat(40) } }),
      ],
    ],

    [
      "statements about another image",
      ["gate.missing"],
      withScan((all) => [
        summary("scan", "scan", [all.vulnerabilities], { image: { repository, digest: other, children: [] } }),
      ]),
    ],
    [
      "statements about another image that lie with this one",
      ["gate.missing"],
      withScan((all) => [
        {
          ...summary("scan", "scan", [all.vulnerabilities], { image: { repository, digest: other, children: [] } }),
          subject: image,
        },
      ]),
    ],
    [
      "statements about this image that were found on another",
      ["gate.missing"],
      withScan((all) => [{ ...all.scanVerdict, subject: other }]),
    ],
  ];
  test.each(cases)("%s", (_name, rules, statements) => expect(rulesOf(factsOf(statements(whole())))).toEqual(rules));

  test("an image of another repository, prefix by whole components", () => {
    const statements = Object.values(whole());
    for (const name of ["elsewhere/shop", "quarantine2/shop", "vetted/shop"]) {
      const facts = factsOf(statements, {
        image: { repository: { registry: "registry.example", name }, digest: image, children: [image] },
      });
      expect(rulesOf(facts)).toEqual(["gate.origin"]);
    }
  });

  test("at the destination, an image outside of it", () => {
    expect(rulesOf(factsOf(Object.values(whole()), { place: "to" }))).toEqual(["gate.origin"]);
  });

  test("an index in which nothing runs", () => {
    const facts = factsOf(Object.values(whole()), { image: { repository, digest: image, children: [] } });
    expect(rulesOf(facts)).toEqual(["gate.missing"]);
  });

  test("an index with a child that has no evidence, and names the child's platform", () => {
    const platforms = new Map([[other, "linux/arm64"]]);
    const facts = factsOf(Object.values(whole()), {
      image: { repository, digest: image, children: [other], platforms },
    });
    const { violations, missing } = decideGate(facts);
    expect(violations.map(({ rule, thing, platform }) => [rule, thing, platform])).toEqual(
      ["build", "base", "scan"].map((stage) => ["gate.missing", `${stage} of ${other}`, "linux/arm64"]),
    );
    expect(missing.map(({ stage, digest, platform }) => [stage, digest, platform])).toEqual(
      ["build", "base", "scan"].map((stage) => [stage, other, "linux/arm64"]),
    );
  });

  test("an index with the children's evidence and none of its own", () => {
    const statements = Object.values(whole());
    const facts = factsOf([], {
      image: { repository, digest: other, children: [image] },
      evidence: new Map([[image, { statements, lapsed: [], rejected: [] }]]),
    });
    expect(rulesOf(facts)).toEqual(["gate.missing", "gate.missing", "gate.missing"]);
  });

  test("a stage without findings whose verdict rests on nothing that is there", () => {
    const requires = [{ stage: "promote" as const, signers: ["promote"] }];
    const gone = finding(predicateTypes.base, "base");
    const facts = factsOf([summary("promote", "promote", [gone])], { environment: { ...environment, requires } });
    expect(rulesOf(facts)).toEqual(["gate.incomplete"]);
    expect(
      rulesOf({
        ...facts,
        evidence: new Map([
          [image, { statements: [summary("promote", "promote", [gone]), gone], lapsed: [], rejected: [] }],
        ]),
      }),
    ).toEqual([]);
  });

  const [lower, upper] = imageLayers;
  test.each<[string, unknown]>([
    ["names no layers, as of a stage that looked at fewer", { children: [{ digest: image }] }],
    ["names no image", { children: [] }],
    ["is of another shape", { children: { digest: image, layers: imageLayers } }],
    ["names another image's layers only", { children: [{ digest: other, layers: imageLayers }] }],
    ["names fewer layers", { children: [{ digest: image, layers: [lower] }] }],
    ["names more layers", { children: [{ digest: image, layers: [lower, upper, upper] }] }],
    ["names them in another order", { children: [{ digest: image, layers: [upper, lower] }] }],
    [
      "names them rightly once, and otherwise once",
      {
        children: [
          { digest: image, layers: imageLayers },
          { digest: image, layers: [lower] },
        ],
      },
    ],
  ])("a finding of base that %s", (_name, predicate) => {
    const base = finding(predicateTypes.base, "base", [image], predicate as Record<string, unknown>);
    const statements = [...without(whole(), "base", "baseVerdict"), base, summary("base", "base", [base])];
    expect(rulesOf(factsOf(statements))).toEqual(["gate.layers"]);
  });

  test("every problem of a verdict at once", () => {
    const statements = scanAs({ timeVerified: ago(61 * minute), policy: { ...policy, serial: 6 } })(whole());
    const { violations, missing } = decideGate(factsOf(statements));
    expect(violations.map((violation) => violation.rule)).toEqual(["gate.policy-serial", "gate.stale"]);
    expect(missing).toMatchObject([
      { stage: "scan", digest: image, rules: ["gate.policy-serial", "gate.stale"], signers: ["scan"] },
    ]);
  });
});
