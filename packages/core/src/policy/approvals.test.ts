import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { finding } from "@goldenpath/testing/gate-evidence";
import { samplePolicy, samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import { judgeAgain } from "./judge-again/judge.ts";
import { parsePolicy } from "./parse.ts";

// Bases that count by signed approvals: what a policy has to say of them, and what another policy says of a finding.

const listed = /^ {4}digests:\n {6}- \S+\n/m;
const approver =
  "  approver:\n    publicKey: |\n      -----BEGIN PUBLIC KEY-----\n      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAG\n      -----END PUBLIC KEY-----\n";
const withApproval = (approval: string): string =>
  samplePolicyText.replace("bases:\n", `${approver}bases:\n`).replace(listed, `    approval: ${approval}\n`);

test.each<[string, string, RegExp]>([
  ["by nobody", "{ signers: [] }", /bases\[0\]\.approval\.signers: must have at least one entry/],
  ["by a signer that there is not", "{ signers: [aprover] }", /'aprover'.*approver/],
  ["by who speaks for a stage", "{ signers: [build] }", /'build' speaks for a stage as well/],
  ["by a tag that is a digest's", "{ signers: [approver], tag: sha256-stable }", /tag: expected a tag such as stable/],
  ["with a key that there is not", "{ signers: [approver], maxage: 3d }", /maxAge/],
])("a base that is approved %s is refused, beside one that is not", (_what, approval, says) => {
  expect(() => parsePolicy(Buffer.from(withApproval(approval)), "p.yaml")).toThrow(says);
  expect(
    parsePolicy(Buffer.from(withApproval("{ signers: [approver], maxAge: 3d }")), "p.yaml").bases[0],
  ).toMatchObject({
    digests: [],
    approval: { signers: ["approver"], maxAge: 3 * 86_400_000 },
  });
});

test("two bases of one repository don't share a floating tag, and two of two do", () => {
  const [own = ""] =
    withApproval("{ signers: [approver], tag: stable }").match(/^ {2}- name: golden-run[\s\S]*?(?=^build:)/m) ?? [];
  const both = (image: string): string =>
    withApproval("{ signers: [approver], tag: stable }").replace(
      "bases:\n",
      `bases:\n${own.replace("golden-run", "other").replace("bases/run", image)}`,
    );
  expect(() => parsePolicy(Buffer.from(both("bases/run")), "p.yaml")).toThrow(
    /bases\[1\]\.approval\.tag: 'stable' of .* is that of base 'other'/,
  );
  expect(parsePolicy(Buffer.from(both("bases/other")), "p.yaml").bases).toHaveLength(2);
});

test("what may be changed on two bases by the tags of one repository is the same, and of two repositories its own", () => {
  const both = (name: string, mayChange: string): Buffer =>
    Buffer.from(
      withApproval("{ signers: [approver] }").replace(
        "bases:\n",
        `bases:\n  - { name: other, image: registry.test:5000/${name}, approval: { signers: [approver], tag: edge }, mayChange: ${mayChange} }\n`,
      ),
    );
  expect(() => parsePolicy(both("bases/run", "[/etc]"), "p.yaml")).toThrow(
    /bases\[1\]: its `mayChange` is not that of base 'other'/,
  );
  expect(parsePolicy(both("bases/run", "[]"), "p.yaml").bases).toHaveLength(2);
  expect(parsePolicy(both("bases/other", "[/etc]"), "p.yaml").bases).toHaveLength(2);
});

test.each<[string, string, RegExp]>([
  [
    "by who speaks for a stage",
    "{ signers: [build] }",
    /builders\[0\]\.approval\.signers\[0\]: 'build' speaks for a stage/,
  ],
  ["by a signer that there is not", "{ signers: [aprover] }", /'aprover'.*approver/],
  ["with what only bases have", "{ signers: [approver], maxBehind: 3d }", /maxBehind/],
])("a builder that is approved %s is refused, and so is one without an image", (_what, approval, says) => {
  const image = `image: registry.test:5000/builders/all\n      digests: [${digestOf("builder")}]`;
  const parse = (text: string) => parsePolicy(Buffer.from(text), "p.yaml");
  const withBuilder = (own: string, kept = image): string =>
    samplePolicyText
      .replace("bases:\n", `${approver}bases:\n`)
      .replace(/buildpacks: \[registry.*\]$/m, (buildpacks) => `${kept || buildpacks}\n      approval: ${own}`);
  expect(() => parse(withBuilder(approval))).toThrow(says);
  expect(() => parse(withBuilder("{ signers: [approver] }", ""))).toThrow(/only with a builder's `image`/);
  expect(parse(withBuilder("{ signers: [approver], maxAge: 3d, tag: current }")).build.builders[0]).toMatchObject({
    approval: { signers: ["approver"], maxAge: 3 * 86_400_000, tag: "current" },
  });
});

test("a base with neither versions nor approvals is refused", () => {
  expect(() => parsePolicy(Buffer.from(samplePolicyText.replace(listed, "")), "p.yaml")).toThrow(
    /neither `digests` nor `approval`/,
  );
});

describe("a finding, by another policy than it was judged by", () => {
  const now = new Date("2026-05-10T12:00:00Z");
  const image = "registry.test:5000/bases/run";
  const found = { name: "golden-run", image, digest: digestOf("a version") };
  const approval = { endOfLife: "2026-06-30", signers: ["approver"] };
  const judge = (base: object, rules: { digests?: ReturnType<typeof digestOf>[] } = {}) => {
    const signed = finding(predicateTypes.base, "base", undefined, { children: [{ digest: "sha256:1", base }] });
    const [own] = samplePolicy().bases;
    if (own === undefined) throw new TypeError("no base");
    const bases = [{ ...own, digests: [], until: undefined, approval: { signers: ["approver"] }, ...rules }];
    return judgeAgain({ accepted: [signed] }, { policy: samplePolicy({ bases }), now }).map(({ rule }) => rule);
  };

  test("holds by who approved the base, until its end of life", () => {
    expect(judge({ ...found, approval })).toEqual([]);
    expect(judge({ ...found, approval }, { digests: [found.digest] })).toEqual([]);
    expect(judge({ ...found, approval: { ...approval, endOfLife: "2026-05-09" } })).toEqual(["base.expired"]);
  });

  test.each<[string, string[]]>([
    ["nobody approved", judge(found)],
    ["somebody else approved", judge({ ...found, approval: { ...approval, signers: ["other"] } })],
    ["lies elsewhere", judge({ ...found, image: "registry.test:5000/bases/other", approval })],
    ["the policy does not list", judge({ ...found, approval }, { digests: [digestOf("another version")] })],
  ])("does not where the base is one that %s", (_what, rules) => {
    expect(rules).toEqual(["base.approved"]);
  });
});
