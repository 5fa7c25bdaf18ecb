import { digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  ago,
  edited,
  environment,
  finding as evidence,
  image,
  minute,
  now,
  other,
  policy as path,
  provenance,
  repository,
  summary,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { PolicyPointer, WithdrawnThing } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { chooseScan, findObjection, type KnownFacts, listStageSigners } from "./choose-known.ts";

const goldenpath = { platforms: ["linux/amd64"], findings: [] };
const scan = (minutesAgo: number, { by = "scan", told = goldenpath as unknown } = {}) =>
  evidence(predicateTypes.vulnerabilities, by, [other], {
    metadata: { scanFinishedOn: ago(minutesAgo * minute).toISOString() },
    scanner: { result: { goldenpath: told } },
  });
const timeless = evidence(predicateTypes.vulnerabilities, "scan", [other], { scanner: { result: { goldenpath } } });
const choose = (statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []) =>
  chooseScan({ statements, lapsed }, new Set(["scan"]));

describe("the scan to compare with", () => {
  const refused: [string, VerifiedStatement[], VerifiedStatement[], RegExp][] = [
    ["nothing is signed", [], [], /no scan of it is signed/],
    ["somebody else signed it", [scan(5, { by: "build" })], [], /no scan of it is signed/],
    ["something else is signed", [evidence(predicateTypes.cyclonedx, "scan", [other])], [], /no scan of it is signed/],
    ["its signer's word has ended", [], [scan(5)], /no scan of it is signed/],
    ["a later one's signer's word has ended", [scan(5)], [scan(4)], /a later scan of it is there/],
    ["one of the same time has", [scan(5)], [scan(5)], /a later scan of it is there/],
    ["one that may be later has", [scan(5)], [timeless], /a later scan of it is there/],
    ["the newest one tells no findings", [scan(5), scan(4, { told: {} })], [], /can't be compared with/],
    ["one may be the newest, and has no time", [scan(5), timeless], [], /can't be compared with/],
  ];
  test.each(refused)("is none where %s", (_name, statements, lapsed, says) => {
    expect(choose(statements, lapsed)).toEqual({ problem: expect.stringMatching(says) });
  });

  const taken: [string, VerifiedStatement[], VerifiedStatement[]][] = [
    ["alone", [scan(5)], []],
    ["the newest of several", [scan(9), scan(5), scan(7)], []],
    ["beside an older one that tells no findings", [scan(9, { told: {} }), scan(5)], []],
    ["beside an older one whose signer's word has ended", [scan(5)], [scan(6)]],
    ["beside a later one by somebody else", [scan(5), scan(1, { by: "build" })], [scan(1, { by: "build" })]],
  ];
  test.each(taken)("is taken %s", (_name, statements, lapsed) => {
    expect(choose(statements, lapsed)).toMatchObject({ finishedOn: ago(5 * minute) });
  });
});

test("who speaks for a stage, in one environment or in any", () => {
  const staging = { ...environment, requires: [{ stage: "scan" as const, signers: ["other-scan"] }] };
  const environments = { production: environment, staging };
  expect([...listStageSigners({ environments }, "scan", "production")]).toEqual(["scan"]);
  expect([...listStageSigners({ environments }, "scan")].sort()).toEqual(["other-scan", "scan"]);
  expect([...listStageSigners({ environments }, "scan", "nowhere")]).toEqual([]);
});

const child = digestOf("a child of the other image");
const vetted = { registry: "registry.example", name: "vetted/shop" };
const promotion = (more: Parameters<typeof summary>[3] = {}, by = "promote") => {
  const of = { repository: vetted, digest: other, children: [child] };
  return summary("promote", by, [], { image: of, environment: "production", ...more });
};
/** Nothing came before it. */
const pointer: PolicyPointer = {
  repositories: ["registry.example/vetted/goldenpath-policy"],
  ...{ name: path.policy.name, serial: path.policy.serial, digest: path.digest, source: path.uri },
  ...{ artifact: digestOf("its artifact"), activatedAt: ago(60 * minute), predecessors: [] },
};
const policyWith = (fields: Partial<LoadedPolicy["policy"]["scan"]> = {}): LoadedPolicy => ({
  ...path,
  // Nothing is withdrawn, by the policy in force.
  inForce: pointer,
  policy: {
    ...path.policy,
    environments: { production: environment },
    scan: {
      ...path.policy.scan,
      failOnlyOn: "new",
      comparison: { environment: "production", tags: ["prod"], maxAge: 60 * minute },
      ...fields,
    },
  },
});
const toldScan = (minutesAgo: number) => ({ ...goldenpath, finishedOn: ago(minutesAgo * minute) });
const otherSource = { source: { repository: "https://github.com/acme/till", commit: "b".repeat(40) } };

const base = digestOf("a base");
const onBase = evidence(predicateTypes.base, "base", [child], {
  children: [{ digest: child, base: { digest: base } }],
});
/** Of the image, and of its child which base it stands on. */
const about = (statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []): KnownFacts["other"]["evidence"] =>
  new Map([
    [other, { statements, lapsed }],
    [child, { statements: [onBase], lapsed: [] }],
  ]);

/** All that the policy asks for; each test changes one thing. */
const facts = (change: Partial<KnownFacts> = {}, ofOther: Partial<KnownFacts["other"]> = {}): KnownFacts => ({
  policy: policyWith(),
  now,
  own: { repository, digests: [image], evidence: { statements: [provenance("build")], lapsed: [] } },
  other: {
    repository: vetted,
    tag: "prod",
    digest: other,
    children: [child],
    evidence: about([provenance("build"), promotion()]),
    scan: toldScan(5),
    ...ofOther,
  },
  ...change,
});
const withEvidence = (statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []) =>
  facts({}, { evidence: about(statements, lapsed) });
const withdrawn = (thing: object): LoadedPolicy => ({
  ...policyWith(),
  inForce: { ...pointer, withdrawals: [{ thing: thing as WithdrawnThing, reason: "r", owner: "o", at: now }] },
});

/** A policy that came before, and what is made under it. */
const former = { policy: { uri: "before.yaml", digest: digestOf("before"), serial: 1 } };
const after = ({ supersededAt }: { supersededAt: Date }): LoadedPolicy => {
  const { digest, serial } = former.policy;
  const predecessors = [{ digest, serial, activatedAt: ago(9 * 60 * minute), supersededAt }];
  return { ...policyWith(), inForce: { ...pointer, predecessors } };
};

function notInForce(): LoadedPolicy {
  const { inForce: _inForce, ...loaded } = policyWith();
  return loaded;
}

describe("what another image has is known", () => {
  test("where all is as the policy asks", () => {
    expect(findObjection(facts())).toBeUndefined();
  });

  const refused: [string, KnownFacts, RegExp][] = [
    ["the policy does not ask for it", facts({ policy: policyWith({ failOnlyOn: "all" }) }), /refuses what is not new/],
    [
      "the policy does not say of which",
      facts({ policy: policyWith({ comparison: undefined }) }),
      /refuses what is not new/,
    ],
    [
      "it is in quarantine",
      facts({}, { repository: { registry: "registry.example", name: "quarantine/shop" } }),
      /not where 'production' puts images \(registry.example\/vetted\)/,
    ],
    [
      "it is another image of the same source",
      facts({}, { repository: { registry: "registry.example", name: "vetted/legacy" } }),
      /another image than the scanned one/,
    ],
    [
      "the newest word of its promoter can't be read",
      withEvidence([provenance("build"), promotion(), edited(promotion(), ["timeVerified"], "soon")]),
      /was promoted/,
    ],
    ["it was not promoted", withEvidence([provenance("build")]), /says that it was promoted into 'production'/],
    ["somebody else says it was", withEvidence([provenance("build"), promotion({}, "scan")]), /that it was promoted/],
    [
      "it was promoted elsewhere",
      withEvidence([provenance("build"), promotion({ environment: "staging" })]),
      /that it was promoted/,
    ],
    [
      "it was promoted as another image",
      withEvidence([
        provenance("build"),
        promotion({ image: { repository: { ...vetted, name: "vetted/legacy" }, digest: other, children: [child] } }),
      ]),
      /that it was promoted/,
    ],
    [
      "it was promoted under a policy that was never in force",
      withEvidence([
        provenance("build"),
        promotion({ policy: { uri: "my.yaml", digest: digestOf("my own"), serial: 6 } }),
      ]),
      /that it was promoted/,
    ],
    [
      "it was promoted under one that had been superseded",
      facts(
        { policy: after({ supersededAt: ago(2 * 60 * minute) }) },
        { evidence: about([provenance("build"), promotion(former)]) },
      ),
      /that it was promoted/,
    ],
    ["its promotion was refused", withEvidence([provenance("build"), promotion({ passed: false })]), /was promoted/],
    [
      "a later promotion was refused",
      withEvidence([provenance("build"), promotion(), promotion({ passed: false, timeVerified: ago(minute) })]),
      /was promoted/,
    ],
    [
      "a later refusal's signer's word has ended",
      withEvidence([provenance("build"), promotion()], [promotion({ passed: false, timeVerified: ago(minute) })]),
      /was promoted/,
    ],
    ["it was withdrawn", facts({ policy: withdrawn({ kind: "image", digest: other }) }), /the image was withdrawn/],
    ["a child of it was", facts({ policy: withdrawn({ kind: "image", digest: child }) }), /the image was withdrawn/],
    ["its base was", facts({ policy: withdrawn({ kind: "base", digest: base }) }), /stands on what was withdrawn/],
    ["nobody can say what was withdrawn", facts({ policy: notInForce() }), /by the policy in force alone/],
    ["it is named by its digest", facts({}, { tag: undefined }), /not named by a tag .* \(prod\)/],
    ["it is named by another tag", facts({}, { tag: "1.0.0" }), /not named by a tag/],
    [
      "it is the image itself",
      facts({ own: { repository, digests: [other], evidence: { statements: [provenance("build")], lapsed: [] } } }),
      /the scanned image itself/,
    ],
    [
      "a child of it is",
      facts({
        own: { repository, digests: [image, child], evidence: { statements: [provenance("build")], lapsed: [] } },
      }),
      /the scanned image itself/,
    ],
    ["nobody says what it is of", withEvidence([promotion()]), /it is of an unknown source/],
    [
      "it is of another source",
      withEvidence([provenance("build", otherSource), promotion()]),
      /it is of https:\/\/github.com\/acme\/till, and the scanned image of https:\/\/github.com\/acme\/shop/,
    ],
    [
      "it is said to be of two sources",
      withEvidence([provenance("build"), provenance("build", otherSource), promotion()]),
      /unknown source/,
    ],
    ["somebody else says what it is of", withEvidence([provenance("scan"), promotion()]), /unknown source/],
    [
      "nobody says what the scanned image is of",
      facts({ own: { repository, digests: [image], evidence: { statements: [provenance("scan")], lapsed: [] } } }),
      /no provenance of the scanned image/,
    ],
    ["its scan is too old", facts({}, { scan: toldScan(61) }), /none that is older than 60 minutes/],
    ["its scan is of the future", facts({}, { scan: toldScan(-6) }), /in the future/],
  ];
  test.each(refused)("but not where %s", (_name, given, says) => {
    expect(findObjection(given)).toMatch(says);
  });

  const taken: [string, KnownFacts][] = [
    ["its scan is just not too old", facts({}, { scan: toldScan(60) })],
    ["another image was withdrawn", facts({ policy: withdrawn({ kind: "image", digest: digestOf("a third") }) })],
    ["another base was withdrawn", facts({ policy: withdrawn({ kind: "base", digest: digestOf("another base") }) })],
    [
      "it was promoted under the policy that was in force then",
      facts(
        { policy: after({ supersededAt: ago(5 * minute) }) },
        { evidence: about([provenance("build"), promotion(former)]) },
      ),
    ],
    [
      "its newest promotion is as another image",
      withEvidence([
        provenance("build"),
        promotion(),
        promotion({
          image: { repository: { ...vetted, name: "vetted/legacy" }, digest: other, children: [child] },
          timeVerified: ago(minute),
        }),
      ]),
    ],
    [
      "an earlier promotion was refused",
      withEvidence([provenance("build"), promotion(), promotion({ passed: false, timeVerified: ago(60 * minute) })]),
    ],
  ];
  test.each(taken)("and where %s", (_name, given) => {
    expect(findObjection(given)).toBeUndefined();
  });
});
