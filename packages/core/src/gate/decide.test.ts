import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  factsOf,
  image,
  minute,
  other,
  policy,
  provenance,
  repository,
  rulesOf,
  scanAs,
  summary,
  type Whole,
  whole,
  without,
  withProvenance,
  withScan,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import { predicateTypes, unknownKeyReason } from "../signing/predicates.ts";
import { buildSubjects } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { stageVerifierId } from "../stages.ts";

describe("the gate lets through", () => {
  test("an image with all of the evidence, and says what it rests on", () => {
    const all = whole();
    const decision = decideGate(factsOf(Object.values(all)));
    expect(decision).toMatchObject({ verdict: "pass", violations: [], missing: [] });
    expect(new Set(decision.accepted)).toEqual(new Set(Object.values(all)));
  });

  test("an image whose evidence lies in one manifest, and names each piece of it", () => {
    const all = whole();
    const [first] = Object.values(all);
    const inOne = Object.values(all).map((each) => ({ ...each, referrer: first?.referrer ?? each.referrer }));
    expect(decideGate(factsOf(inOne)).accepted.map(({ bundle }) => bundle)).toEqual(
      decideGate(factsOf(Object.values(all))).accepted.map(({ bundle }) => bundle),
    );
  });

  const cases: [name: string, statements: (all: Whole) => VerifiedStatement[], policy?: Partial<Policy>][] = [
    ["a verdict just within its age", scanAs({ timeVerified: ago(60 * minute) })],
    ["a clock that is a little ahead", scanAs({ timeVerified: ago(-5 * minute) })],
    [
      "an old verdict where no age is set",
      (all) => [
        ...without(all, "baseVerdict"),
        summary("base", "base", [all.base], { timeVerified: ago(999 * 86_400_000) }),
      ],
    ],
    [
      "a newer pass after an older failure",
      withScan((all) => [
        summary("scan", "scan", [all.vulnerabilities], {
          passed: false,
          violations: 1,
          timeVerified: ago(11 * minute),
        }),
        summary("scan", "scan", [all.vulnerabilities], { timeVerified: ago(10 * minute) }),
      ]),
    ],
    [
      "a newer failure by a key that does not speak for scan",
      withScan((all) => [
        all.scanVerdict,
        summary("scan", "base", [all.vulnerabilities], { passed: false, violations: 1, timeVerified: ago(minute) }),
      ]),
    ],
    [
      "a verdict under an older serial that the policy accepts",
      scanAs({ policy: { uri: "x", digest: digestOf("serial 5"), serial: 5 } }),
      { accepts: [{ serial: 5, digest: digestOf("serial 5") }] },
    ],
    [
      "statements that the same key signs in two names",
      withScan((all) => [{ ...all.scanVerdict, signers: ["base", "scan"] }]),
    ],
    [
      "an older provenance of another source",
      (all) => [
        ...Object.values(all),
        provenance("build", {
          finishedOn: ago(60 * minute),
          source: { repository: "https://github.com/evil/shop", commit: "a".repeat(40) },
        }),
      ],
    ],
    [
      "a commit by SHA-256",
      withProvenance({ source: { repository: "https://github.com/acme/shop", commit: "b".repeat(64) } }),
    ],
  ];
  test.each(cases)("%s", (_name, statements, more = {}) => {
    const loaded: LoadedPolicy = { ...policy, policy: { ...policy.policy, ...more } };
    expect(rulesOf(factsOf(statements(whole()), { policy: loaded }))).toEqual([]);
  });

  test.each([
    ["a serial that the policy does not name", { serial: 4, digest: digestOf("serial 4") }],
    ["another policy under a serial that it names", { serial: 5, digest: digestOf("made at home") }],
  ])("not %s", (_name, version) => {
    const loaded: LoadedPolicy = {
      ...policy,
      policy: { ...policy.policy, accepts: [{ serial: 5, digest: digestOf("serial 5") }] },
    };
    const statements = scanAs({ policy: { uri: "x", ...version } })(whole());
    expect(rulesOf(factsOf(statements, { policy: loaded }))).toEqual(["gate.policy-serial"]);
  });

  test("an index whose image and children have all of it, and the destination", () => {
    const statements = Object.values(whole());
    const about = (digest: Digest): [Digest, CollectedEvidence] => [
      digest,
      {
        statements: statements.map((each) => ({
          ...each,
          subject: digest,
          statement: { ...each.statement, subject: buildSubjects(repository, [digest]) },
        })),
        lapsed: [],
        rejected: [],
      },
    ];
    const facts = factsOf([], {
      place: "to",
      image: { repository: { registry: "registry.example", name: "vetted/shop" }, digest: image, children: [other] },
      evidence: new Map([about(image), about(other)]),
    });
    expect(rulesOf(facts)).toEqual([]);
    expect(decideGate(facts).accepted).toHaveLength(2 * statements.length);
  });
});

describe("what a refusal says", () => {
  const violationOf = (statements: VerifiedStatement[], rejected: CollectedEvidence["rejected"] = []) =>
    decideGate(factsOf(statements, {}, rejected)).violations[0];
  const rejectedScan = (reason: string) => [
    {
      subject: image,
      referrer: other,
      reason,
      claimedPredicateType: predicateTypes.verificationSummary,
      claimedVerifierId: stageVerifierId("scan"),
    },
  ];

  test("which signer spoke, and which would have counted", () => {
    const all = whole();
    const violation = violationOf(withScan(() => [summary("scan", "build", [all.vulnerabilities])])(all));
    expect(violation?.problem).toBe(
      "the verdict of scan is signed by 'build', which does not speak for scan in environment 'production' ('scan' would)",
    );
    expect(violation?.wayOut).toContain("Run scan again");
    expect(violation?.wayOut).toContain(`registry.example/quarantine/shop@${image}`);
  });

  test("that a key is not in the policy", () => {
    const violation = violationOf(without(whole(), "scanVerdict"), rejectedScan(unknownKeyReason));
    expect(violation).toMatchObject({ rule: "gate.signer", thing: `scan of ${image}` });
    expect(violation?.problem).toContain("signed with a key that is not in this policy");
  });

  test("why what is there counts for nothing", () => {
    const violation = violationOf(
      without(whole(), "scanVerdict"),
      rejectedScan("its statement is about another image"),
    );
    expect(violation).toMatchObject({ rule: "gate.missing" });
    expect(violation?.problem).toContain("its statement is about another image");
  });

  test("nothing of what another stage's rejected statement claims", () => {
    const violation = violationOf(without(whole(), "baseVerdict"), rejectedScan(unknownKeyReason));
    expect(violation).toMatchObject({ rule: "gate.missing", problem: "the verdict of base is not there" });
  });

  test("a rejected provenance, SBOM and finding as signed by somebody else", () => {
    const claim = (claimedPredicateType: string) => [
      { subject: image, referrer: other, reason: unknownKeyReason, claimedPredicateType },
    ];
    expect(violationOf(without(whole(), "provenance"), claim(predicateTypes.provenance))?.rule).toBe("gate.signer");
    expect(violationOf(without(whole(), "sbom"), claim(predicateTypes.cyclonedx))?.rule).toBe("gate.signer");
    expect(violationOf(without(whole(), "vulnerabilities"), claim(predicateTypes.vulnerabilities))?.rule).toBe(
      "gate.signer",
    );
    // And not for another's.
    expect(violationOf(without(whole(), "provenance"), claim(predicateTypes.cyclonedx))?.rule).toBe("gate.missing");
    expect(violationOf(without(whole(), "sbom"), claim(predicateTypes.provenance))?.rule).toBe("gate.incomplete");
    expect(violationOf(without(whole(), "vulnerabilities"), claim(predicateTypes.base))?.rule).toBe("gate.incomplete");
  });
});
