import { makeFinding } from "@goldenpath/testing/findings";
import { ago, finding as evidence, minute, now } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Finding } from "../finding.ts";
import { chooseVex, judgeVex } from "./judge.ts";
import { covers, matchVex, type SignedVex } from "./match.ts";
import type { VexProduct, VexStatement } from "./statement.ts";

const digest = `sha256:${"a".repeat(64)}` as const;
const other = `sha256:${"b".repeat(64)}` as const;
const purl = "pkg:npm/lodash@4.17.20";
const statement = (fields: Partial<VexStatement> = {}): VexStatement => ({
  ...{
    vulnerability: ["CVE-2021-23337"],
    status: "not_affected",
    because: "not called",
    products: [{ ids: [digest], parts: "all" }],
  },
  time: new Date("2026-05-01T00:00:00Z"),
  ...fields,
});
const vex = (statements: VexStatement[], about: SignedVex["about"] = "image", signer = "security"): SignedVex => ({
  ...{ document: { format: "OpenVEX", id: "doc", statements }, signer, about, digests: [digest] },
});
const match = (documents: SignedVex[], findings: Finding[] = [makeFinding()], purls = [purl]) =>
  matchVex(documents, { findings, purls });
const isClosed = (statements: VexStatement[], fields: Partial<Finding> = {}, about: SignedVex["about"] = "image") => {
  const own = makeFinding(fields);
  return match([vex(statements, about)], [own]).answerFor(own)?.isClosed === true;
};
const of = (ids: string[], parts: VexProduct["parts"] = "all"): { products: VexProduct[] } => ({
  products: [{ ids, parts }],
});

describe("what a statement does not close", () => {
  test.each<[string, Partial<VexStatement>, Partial<Finding>?]>([
    ["another vulnerability", { vulnerability: ["CVE-2021-2333"] }],
    ["one that is affected", { status: "affected" }],
    ["one that is looked into", { status: "under_investigation" }],
    ["another package", of(["pkg:npm/left@1"])],
    ["another version of the package", of(["pkg:npm/lodash@4.17.21"])],
    ["a package of that name of another kind", of(["pkg:pypi/lodash@4.17.20"])],
    ["a package with a qualifier that it has not", of([`${purl}?os=windows`])],
    ["another image", of([`pkg:oci/shop@${encodeURIComponent(other)}`])],
    ["an image by its name alone", of(["pkg:oci/shop"])],
    ["another part of the image", of([digest], ["pkg:npm/left@1"])],
    ["a part of another image", of([other], [purl])],
    ["a package without a URL", of([purl]), { package: { name: "lodash", version: "4.17.20", type: "npm" } }],
    ["nothing that is named", of([])],
    ["no product at all", { products: [] }],
    ["a part of the image that is named in no way that is read", of([digest], [])],
    ["what is made to do harm", {}, { malicious: true }],
  ])("%s", (_name, fields, found = {}) => {
    expect(isClosed([statement(fields)], found)).toBe(false);
  });

  test("what does not come with the base, where it is the base's", () => {
    expect(isClosed([statement()], { origin: "application" }, "base")).toBe(false);
    expect(isClosed([statement()], { origin: "unknown" }, "base")).toBe(false);
    expect(isClosed([statement()], { origin: "base" }, "base")).toBe(true);
  });

  test.each<[string, Partial<VexStatement>, Partial<VexStatement>, boolean]>([
    ["a later one takes it back", {}, { status: "affected", time: new Date("2026-05-02") }, false],
    ["one of the same time says otherwise", {}, { status: "affected" }, false],
    ["an older one said otherwise", {}, { status: "affected", time: new Date("2026-04-30") }, true],
    [
      "a later one is against a part that can't be read",
      {},
      { status: "affected", time: new Date("2026-05-02"), ...of([digest], []) },
      false,
    ],
    ["a later one says so of another", {}, { status: "affected", time: new Date("2026-05-02"), ...of([other]) }, true],
  ])("where %s", (_name, first, second, closed) => {
    expect(isClosed([statement(first), statement(second)])).toBe(closed);
    expect(isClosed([statement(second), statement(first)])).toBe(closed);
  });
});

describe("a statement whose signer's word has ended", () => {
  const lapsed = (fields: Partial<VexStatement>): SignedVex => ({ ...vex([statement(fields)]), isLapsed: true });
  const closedBeside = (past: SignedVex) => {
    const own = makeFinding();
    const answers = match([vex([statement()]), past], [own]);
    expect(answers.unmatched).toEqual([]);
    return answers.answerFor(own)?.isClosed;
  };

  test("closes nothing, and what it says against the image is not overtaken by what is older", () => {
    const own = makeFinding();
    expect(match([lapsed({})], [own]).answerFor(own)).toBeUndefined();
    expect(closedBeside(lapsed({ status: "affected", time: new Date("2026-05-02") }))).toBe(false);
    expect(closedBeside(lapsed({ status: "affected", time: new Date("2026-04-30") }))).toBe(true);
    expect(closedBeside(lapsed({ vulnerability: ["GO-1"], status: "affected" }))).toBe(true);
  });
});

describe("what a statement closes", () => {
  test.each<[string, Partial<VexStatement>]>([
    ["by an alias, of the image", {}],
    ["by its id", { vulnerability: ["GHSA-35jh-r3h4-6jhm"] }],
    ["that is fixed", { status: "fixed" }],
    ["of the package", of([purl])],
    ["of the package in any version", of(["pkg:npm/lodash"])],
    ["of the package, as an SBOM refers to it", of([`${purl}?package-id=12`])],
    ["of the image, by its digest", of([digest])],
    ["of the image, by a reference", of([`r.example/shop@${digest}`])],
    ["of the image, by its package URL", of([`pkg:oci/shop@${encodeURIComponent(digest)}?arch=amd64`])],
    ["of a part of the image", of([`pkg:oci/shop@${encodeURIComponent(digest)}`], [purl])],
    ["of one of several products", { products: [...of([other]).products, ...of([purl]).products] }],
  ])("%s", (_name, fields) => {
    expect(isClosed([statement(fields)])).toBe(true);
  });
});

test.each([
  ["pkg:npm/%40acme/left@1", "pkg:npm/@acme/left@1", true],
  ["pkg:npm/%40acme/left@1", "pkg:npm/@acme/right@1", false],
  ["pkg:npm/%40acme/left", "pkg:npm/%40acme/left@1", true],
  ["pkg:deb/debian/libc6@2.36?distro=debian-12", "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12", true],
  ["pkg:deb/debian/libc6@2.36?distro=debian-13", "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12", false],
  ["https://acme.example/shop", "https://acme.example/shop", false],
  ["", "", false],
])("%s names %s: %s", (name, found, is) => {
  expect(covers(name, found)).toBe(is);
});

describe("a statement that concerns nothing is told with the nearest thing", () => {
  test.each<[string, Partial<VexStatement>, string | undefined]>([
    ["a vulnerability written wrongly", { vulnerability: ["CVE-2021-23373"] }, "did you mean CVE-2021-23337"],
    ["of another package", of(["pkg:npm/left@1"]), `CVE-2021-23337 was found in ${purl}`],
    [
      "of a package in which it is not",
      { vulnerability: ["GO-2020-0001"], ...of([purl]) },
      `${purl} is there, and nothing of that name was found in it`,
    ],
    [
      "of a package written wrongly",
      { vulnerability: ["GO-2020-0001"], ...of(["pkg:npm/lodsah@1"]) },
      `did you mean ${purl}`,
    ],
    ["of nothing at all", { vulnerability: ["GO-2020-0001"], ...of(["https://acme.example"]) }, undefined],
    [
      "of a part that can't be read",
      of([digest], []),
      "it names its product, or the part of it, neither by a package URL nor by an image's digest",
    ],
  ])("%s", (_name, fields, nearest) => {
    expect(match([vex([statement(fields)])]).unmatched.map((each) => each.nearest)).toEqual([nearest]);
  });

  test("but not a base's, whose image may have mended it, and not one that is matched", () => {
    const lost = statement({ vulnerability: ["GO-2020-0001"] });
    expect(match([vex([lost], "base"), vex([statement()])]).unmatched).toEqual([]);
  });
});

describe("whose VEX counts", () => {
  const predicate = (timestamp = ago(minute).toISOString()) => ({
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "doc",
    timestamp,
    statements: [{ vulnerability: { name: "CVE-1" }, products: [{ "@id": purl }], status: "fixed" }],
  });
  const choose = (by: string, content: Record<string, unknown> = predicate()) =>
    chooseVex(
      { statements: [evidence("https://openvex.dev/ns", by, [digest], content)], lapsed: [] },
      ["security"],
      { about: "image", digests: [digest] },
      now,
    );

  test("that of the policy's signers, and nobody else's", () => {
    expect(choose("security").documents).toMatchObject([{ signer: "security", document: { id: "doc" } }]);
    expect(choose("build")).toEqual({ documents: [], problems: [] });
    expect(choose("security", { bomFormat: "CycloneDX" })).toEqual({ documents: [], problems: [] });
  });

  test.each([
    ["of the future", predicate(ago(-6 * minute).toISOString()), "of the future"],
    ["malformed", { ...predicate(), statements: [] }, "statements"],
  ])("one that is %s is refused, by its signer's name", (_name, content, problem) => {
    const { documents, problems } = choose("security", content);
    expect(documents).toEqual([]);
    expect(judgeVex("r.example/shop@sha256:1", problems, [])).toMatchObject([
      {
        rule: "scan.vex",
        thing: expect.stringContaining("signed by security"),
        problem: expect.stringContaining(problem),
      },
    ]);
  });
});
