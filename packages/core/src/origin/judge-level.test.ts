import {
  amd,
  arm,
  byCi,
  ci,
  ciType,
  find,
  now,
  root,
  rules,
  signed,
  view,
} from "@goldenpath/testing/origin-statements";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import type { SignedStatement } from "../build/strategies/strategy.ts";
import { clockSkew } from "../policy/day.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { levelSection, readBuildLevel } from "./build-level.ts";
import { findOrigin, type OriginRule } from "./judge-origin.ts";
import { readForeignSummary, readResource } from "./read-summary.ts";

const verifier = "https://verifier.acme.example/v1";
const hour = 3_600_000;
const ago = (hours: number) => new Date(now.getTime() - hours * hour).toISOString();

const level = (more: Record<string, unknown> = {}, ofVerifier: Record<string, unknown> = {}) =>
  levelSection.parse({
    atLeast: 3,
    verifiers: [
      {
        id: verifier,
        signers: ["assessor"],
        upTo: 3,
        resources: ["oci://r.test/builds/*"],
        maxAge: "30d",
        ...ofVerifier,
      },
    ],
    ...more,
  });
const rulesWith = (asked = level()): OriginRule[] =>
  rules.map((rule) =>
    rule.provenance === undefined ? rule : { ...rule, provenance: { ...rule.provenance, level: asked } },
  );

const predicate = (more: Record<string, unknown> = {}) => ({
  verifier: { id: verifier },
  timeVerified: ago(1),
  resourceUri: `r.test/builds/shop:1@${root}`,
  policy: { uri: "https://verifier.acme.example/policies/production" },
  verificationResult: "PASSED",
  verifiedLevels: ["SLSA_BUILD_LEVEL_3"],
  ...more,
});
const vsa = (more: Record<string, unknown> = {}, by = "assessor", subject = root) =>
  signed(predicateTypes.verificationSummary, predicate(more), by, subject);

/** What the image is of, or why it is of nothing. */
function tell(
  statements: readonly SignedStatement[],
  asked = level(),
  lapsed: readonly SignedStatement[] = [],
): string {
  const found = findOrigin({ ...view(statements), lapsed }, rulesWith(asked));
  return "objections" in found ? found.objections.map(({ problem }) => problem).join("; ") : found.builders.join();
}

describe("a summary that vouches for no level", () => {
  test.each<[string, SignedStatement[], string]>([
    [
      "none",
      [],
      "a summary of verifier https://verifier.acme.example/v1 by 'assessor' for oci://r.test/builds/* would count, and there is none",
    ],
    ["by a signer of something else", [vsa({}, "pipeline")], "there is none"],
    ["of another verifier, by the signer of this one", [vsa({ verifier: { id: `${verifier}/x` } })], "there is none"],
    ["about another digest", [vsa({}, "assessor", fakeDigest("f"))], "there is none"],
    ["about one child alone", [vsa({}, "assessor", amd)], "there is none"],
    ["of another resource", [vsa({ resourceUri: `r.test/staging/shop@${root}` })], "there is none"],
    ["of a resource that begins so", [vsa({ resourceUri: `r.test/builds/shop/x@${root}` })], "there is none"],
    [
      "of a resource of another digest",
      [vsa({ resourceUri: `r.test/builds/shop@${fakeDigest("f")}` })],
      "there is none",
    ],
    ["that failed", [vsa({ verificationResult: "FAILED", verifiedLevels: ["FAILED"] })], "is FAILED"],
    [
      "that failed after one that passed",
      [vsa({ timeVerified: ago(2) }), vsa({ verificationResult: "FAILED" })],
      "is FAILED",
    ],
    ["that failed at the time of one that passed", [vsa(), vsa({ verificationResult: "FAILED" })], "is FAILED"],
    [
      "that failed of a child",
      [vsa({ timeVerified: ago(2) }), vsa({ verificationResult: "FAILED" }, "assessor", arm)],
      "is FAILED",
    ],
    ["of a lower level", [vsa({ verifiedLevels: ["SLSA_BUILD_LEVEL_2"] })], "vouches for level 2"],
    ["of level 0", [vsa({ verifiedLevels: ["SLSA_BUILD_LEVEL_0"] })], "vouches for level 0"],
    ["of no level", [vsa({ verifiedLevels: [] })], "names no level of the Build track (it names: none)"],
    [
      "of another track",
      [vsa({ verifiedLevels: ["SLSA_SOURCE_LEVEL_3"] })],
      "names no level of the Build track (it names: SLSA_SOURCE_LEVEL_3)",
    ],
    [
      "of a track that nobody knows",
      [vsa({ verifiedLevels: ["SLSA_FOO_LEVEL_3"] })],
      "names no level of the Build track",
    ],
    [
      "that was not evaluated",
      [vsa({ verifiedLevels: ["SLSA_BUILD_LEVEL_UNEVALUATED"] })],
      "names SLSA_BUILD_LEVEL_UNEVALUATED",
    ],
    ["older than is allowed", [vsa({ timeVerified: ago(30 * 24 + 1) })], "older than the policy's `maxAge`"],
    [
      "that was signed longer ago",
      [{ ...vsa(), time: new Date(ago(30 * 24 + 1)) }],
      "older than the policy's `maxAge`",
    ],
    ["of the future", [vsa({ timeVerified: ago(-1) })], "from the future"],
    ["that was signed in the future", [{ ...vsa(), time: new Date(ago(-1)) }], "from the future"],
    ["without a time", [vsa({ timeVerified: undefined })], "has no `timeVerified`"],
    ["with a result of its own", [vsa({ verificationResult: "passed" })], "at verificationResult"],
    ["without levels", [vsa({ verifiedLevels: undefined })], "at verifiedLevels"],
    ["without a resource", [vsa({ resourceUri: "" })], "at resourceUri"],
    ["without a policy", [vsa({ policy: {} })], "at policy.uri"],
  ])("%s", (_what, summaries, expected) => {
    const told = tell([byCi(), ...summaries]);
    expect(told).toContain("the build of the provenance by 'pipeline'");
    expect(told).toContain(expected);
  });

  test("by a verifier's other policy, where those that count are listed", () => {
    const listed = level({}, { policies: ["https://verifier.acme.example/policies/production"] });
    expect(tell([byCi(), vsa()], listed)).toBe("pipeline");
    expect(tell([byCi(), vsa({ policy: { uri: "https://verifier.acme.example/policies/test" } })], listed)).toContain(
      "under https://verifier.acme.example/policies/production would count, and there is none",
    );
  });

  test("says what would count, and what the policy itself vouches for", () => {
    const several = level(
      {},
      {
        signers: ["assessor", "auditor"],
        resources: ["oci://r.test/builds/*", "oci://r.test/apps/*"],
        policies: ["https://p.example/1", "https://p.example/2"],
      },
    );
    expect(tell([byCi()], several)).toBe(
      "the build of the provenance by 'pipeline' has no SLSA Build level of at least 3: the policy vouches for no level of its builder; a summary of verifier https://verifier.acme.example/v1 by 'assessor' or 'auditor' for oci://r.test/builds/* or oci://r.test/apps/* under https://p.example/1 or https://p.example/2 would count, and there is none",
    );
    expect(tell([byCi(), vsa({ verificationResult: "FAILED" })])).toBe(
      "the build of the provenance by 'pipeline' is refused by its SLSA level: the newest summary of verifier https://verifier.acme.example/v1, of 2026-05-01T11:00:00.000Z, is FAILED; a newer one that PASSED outweighs it",
    );
  });

  test("beyond what its verifier may vouch for", () => {
    const lower = level({ atLeast: 3, builders: [{ builder: "https://other.example/b", level: 3 }] }, { upTo: 2 });
    expect(tell([byCi(), vsa()], lower)).toContain("vouches for level 2");
    expect(tell([byCi(), vsa()], level({ atLeast: 2 }, { upTo: 2 }))).toBe("pipeline");
  });

  test("whose signer's word has ended, where a failure stays one", () => {
    const failed = vsa({ verificationResult: "FAILED" });
    expect(tell([byCi()], level(), [vsa()])).toContain("there is none");
    expect(tell([byCi(), vsa({ timeVerified: ago(2) })], level(), [failed])).toContain("is FAILED");
    expect(tell([byCi(), vsa({ timeVerified: ago(0) })], level(), [failed])).toBe("pipeline");
    const elsewhere = vsa({ verificationResult: "FAILED", verifier: { id: `${verifier}/x` } });
    expect(tell([byCi(), vsa()], level(), [elsewhere])).toBe("pipeline");
  });
});

describe("a build has its level", () => {
  test("by the newest summary, and rests on it", () => {
    const [provenance, summary] = [byCi(), vsa()];
    const older = vsa({ timeVerified: ago(5), verificationResult: "FAILED" });
    const found = findOrigin(view([provenance, older, summary]), rulesWith());
    expect(found).toMatchObject({
      builders: ["pipeline"],
      rests: [
        { kind: "provenance", bundle: provenance.bundle.digest },
        { kind: "verification-summary", bundle: summary.bundle.digest },
      ],
    });
  });

  test.each<[string, Record<string, unknown>]>([
    [
      "with other tracks and properties beside it",
      { verifiedLevels: ["SLSA_SOURCE_LEVEL_1", "SLSA_BUILD_LEVEL_3", "SLSA_BUILD_REPRODUCED", "ACME"] },
    ],
    [
      "as a package URL",
      { resourceUri: `pkg:oci/shop@${root.replace(":", "%3A")}?repository_url=r.test%2Fbuilds%2Fshop&tag=1` },
    ],
    ["without a digest", { resourceUri: "oci://r.test/builds/shop" }],
    ["at another offset from UTC", { timeVerified: "2026-05-01T12:30:00+02:00" }],
  ])("%s", (_what, more) => {
    expect(tell([byCi(), vsa(more)])).toBe("pipeline");
  });

  test("by any of the verifier's signers, for any of the resources", () => {
    const resources = ["oci://r.test/apps/*", "oci://r.test/builds/*"];
    const several = level({}, { signers: ["assessor", "auditor"], resources });
    expect(tell([byCi(), vsa({}, "auditor")], several)).toBe("pipeline");
  });

  test("at the last moment of its age, and as far ahead as clocks may differ", () => {
    const ahead = (more: number) => new Date(now.getTime() + clockSkew + more).toISOString();
    expect(tell([byCi(), vsa({ timeVerified: ago(30 * 24) })])).toBe("pipeline");
    expect(tell([byCi(), vsa({ timeVerified: ahead(0) })])).toBe("pipeline");
    expect(tell([byCi(), vsa({ timeVerified: ahead(1) })])).toContain("from the future");
  });

  test("by who signed it, where it has no time of its own", () => {
    const undated = vsa({ timeVerified: undefined });
    expect(tell([byCi(), { ...undated, time: new Date(ago(1)) }])).toBe("pipeline");
    expect(tell([byCi(), { ...undated, time: new Date(ago(800)) }])).toContain("older than");
  });

  test("by a summary of its own for each image of an index, or by one of the index", () => {
    const each = [byCi({}, "pipeline", amd), byCi({}, "pipeline", arm)];
    const of = (digest: typeof amd) => vsa({ resourceUri: `r.test/builds/shop@${digest}` }, "assessor", digest);
    expect(tell([...each, of(amd)])).toContain("there is none");
    expect(tell([...each, of(amd), of(arm)])).toBe("pipeline");
    expect(tell([...each, vsa()])).toBe("pipeline");
  });

  test("by the policy's word of its builder, and rests on nothing else; a verifier's failure refuses it all the same", () => {
    const vouched = (of: number) => level({ builders: [{ builder: ci, level: of }] });
    const provenance = byCi();
    expect(findOrigin(view([provenance, vsa()]), rulesWith(vouched(3)))).toMatchObject({
      rests: [{ bundle: provenance.bundle.digest }],
    });
    expect(tell([byCi(), vsa({ verificationResult: "FAILED" })], vouched(3))).toContain("is FAILED");
    expect(tell([byCi()], vouched(2))).toContain("the policy vouches for level 2 of its builder");
    expect(tell([byCi()], level({ builders: [{ builder: `${ci}/x`, level: 3 }] }))).toContain("vouches for no level");
  });

  test("of several of the policy's words that fit the least counts", () => {
    const builders = [
      { builder: "https://ci.acme.example/builders/*", level: 3 },
      { builder: ci, level: 2 },
    ];
    expect(tell([byCi()], level({ builders }))).toContain("vouches for level 2");
    expect(tell([byCi()], level({ builders: builders.slice(0, 1) }))).toBe("pipeline");
  });

  test("where several rules of the policy take it, those whose level it has", () => {
    const provenance = { signers: ["pipeline"], builders: [ci], buildTypes: [ciType] };
    const own = (name: string, asked: ReturnType<typeof level>) => ({
      name,
      provenance: { ...provenance, level: asked },
    });
    const two = own("two", level({ atLeast: 2, builders: [{ builder: ci, level: 2 }] }));
    const found = findOrigin(view([byCi()]), [own("three", level()), two]);
    expect(found).toMatchObject({ builders: ["two"] });
    expect(findOrigin(view([byCi()]), [own("three", level()), own("four", level())])).toHaveProperty("objections");
  });

  test("which is asked for; without that none is", () => {
    expect(find([byCi(), vsa({ verificationResult: "FAILED" })])).toMatchObject({ builders: ["pipeline"] });
  });

  test("and a summary is no origin by itself", () => {
    expect(tell([vsa()])).toContain("nothing is signed about");
  });
});

describe("what is read", () => {
  test.each<[string[], unknown]>([
    [["SLSA_BUILD_LEVEL_3"], 3],
    [["SLSA_BUILD_LEVEL_0"], 0],
    [["SLSA_BUILD_LEVEL_4"], { problem: expect.stringContaining("SLSA_BUILD_LEVEL_0 to SLSA_BUILD_LEVEL_3") }],
    [["SLSA_BUILD_LEVEL_3 "], { problem: expect.stringContaining("names SLSA_BUILD_LEVEL_3 ,") }],
    [["SLSA_BUILD_LEVEL_03"], { problem: expect.stringContaining("names SLSA_BUILD_LEVEL_03") }],
    [["SLSA_BUILD_LEVEL_"], { problem: expect.stringContaining("names SLSA_BUILD_LEVEL_,") }],
    [["slsa_build_level_3"], { problem: expect.stringContaining("no level of the Build track") }],
    [["SLSA_LEVEL_3"], { problem: expect.stringContaining("no level of the Build track") }],
    [["SLSA_BUILD_LEVEL_2", "SLSA_BUILD_LEVEL_3"], { problem: expect.stringContaining("several levels") }],
    [["SLSA_BUILD_LEVEL_3", "SLSA_BUILD_LEVEL_3"], { problem: expect.stringContaining("several levels") }],
    [["SLSA_BUILD_LEVEL_3", "FAILED"], { problem: expect.stringContaining("the level FAILED") }],
  ])("of %j", (words, expected) => {
    expect(readBuildLevel(words)).toEqual(expected);
  });

  test.each<[string, unknown]>([
    [`r.test/builds/shop@${root}`, { uri: "oci://r.test/builds/shop", digest: root }],
    ["oci://r.test/builds/shop:1", { uri: "oci://r.test/builds/shop" }],
    [`pkg:oci/shop@${root}?repository_url=r.test/builds/shop`, { uri: "oci://r.test/builds/shop", digest: root }],
    ["pkg:oci/shop?repository_url=r.test/builds/shop", { uri: "oci://r.test/builds/shop" }],
    ...[
      "pkg:oci/shop@sha256%3Axyz?repository_url=r.test/builds/shop",
      "pkg:oci/shop?repository_url=r.test/builds/shop&repository_url=r.test/builds/other",
      "pkg:oci/shop?tag=1",
      "pkg:oci/shop",
      "pkg:oci/shop?repository_url=r.test/Builds/Shop",
      "pkg:oci/shop?repository_url=r.test/builds/shop#app",
      "xpkg:oci/shop?repository_url=r.test/builds/shop",
      "pkg:npm/shop@1?repository_url=r.test/builds/shop",
      "https://r.test/builds/shop",
      "oci://r.test/builds/shop@sha256:xyz",
      "shop",
    ].map((uri): [string, unknown] => [uri, { uri }]),
  ])("of the resource %s", (uri, expected) => {
    expect(readResource(uri)).toEqual(expected);
  });

  test("of a summary, and what it does not know besides is no matter", () => {
    expect(readForeignSummary({ ...predicate(), dependencyLevels: {}, slsaVersion: "1.2", other: 1 })).toMatchObject({
      verifierId: verifier,
      result: "PASSED",
    });
  });
});
