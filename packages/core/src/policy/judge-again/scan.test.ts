import { image, now, other, policy as own, repository, whole } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { buildSubjects } from "../../signing/statement.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import type { Policy } from "../schema.ts";
import type { AgainFacts, SeenChild } from "./facts.ts";
import { judgeSbomAgain, judgeScanAgain } from "./scan.ts";

const found = (more: object = {}) => ({
  ...{ id: "CVE-2026-1", platform: "linux/amd64", severity: "high", fixedVersions: [], fixState: "fixed" },
  ...{ package: { name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" } },
  origin: "application",
  ...more,
});
const scanned = (...findings: object[]): VerifiedStatement => {
  const { vulnerabilities } = whole();
  const predicate = {
    metadata: { scanFinishedOn: now.toISOString() },
    scanner: { result: { goldenpath: { platforms: ["linux/amd64"], findings } } },
  };
  const statement = { ...vulnerabilities.statement, subject: buildSubjects(repository, [image]), predicate };
  return { ...vulnerabilities, statement };
};
const child = (digest: SeenChild["digest"]): SeenChild => ({
  ...{ digest, platform: { os: "linux", architecture: "amd64" } },
  config: { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } },
  manifest: { layers: [] },
});
const sbomOf = (digest: SeenChild["digest"], components: unknown): VerifiedStatement => {
  const { sbom } = whole();
  return {
    ...sbom,
    statement: { ...sbom.statement, subject: buildSubjects(repository, [digest]), predicate: { components } },
  };
};
const component = (name: string) => ({ type: "library", name, version: "1" });

const ask = (expression: string): Partial<Policy> => ({
  rules: [{ name: "own", stage: "scan", expression, message: "it is not so", remedy: "r" }],
  scan: { ...own.policy.scan, failOn: "critical" },
});
const judge = (
  scan: VerifiedStatement,
  change: Partial<Policy> = {},
  sboms: VerifiedStatement[] = [],
  children: AgainFacts["children"] = [child(image)],
) =>
  judgeScanAgain(scan, sboms, { policy: { ...own.policy, ...change }, now, children }).map(
    ({ rule, thing, isUnknown }) => [rule, thing, isUnknown === true],
  );

describe("what was found and signed", () => {
  test("refuses by the gates, and what can't be read does as well", () => {
    expect(judge(scanned(found()))).toEqual([["scan.severity", expect.stringContaining("lodash"), false]]);
    expect(judge(scanned(found({ severity: "low" })))).toEqual([]);
    expect(judge(scanned(found({ severity: "odd" })))).toEqual([["gate.finding", "the scan", false]]);
  });

  test("is closed by the VEX of signers that the policy takes, and of no other", () => {
    const closed = scanned(found({ vex: { by: "vendor", status: "not_affected", document: image } }));
    const taking = (...signers: string[]): Partial<Policy> => ({
      scan: { ...own.policy.scan, vex: { signers, unmatched: "show" } } as unknown as Policy["scan"],
    });
    expect(judge(closed, taking("vendor"))).toEqual([]);
    expect(judge(closed, taking("other"))).toHaveLength(1);
    expect(judge(closed)).toHaveLength(1);
    expect(judge(scanned(found()), taking("vendor"))).toHaveLength(1);
  });
});

describe("a rule of the policy's own asks of each image that runs", () => {
  const of = (digest: string) => `registry.example/quarantine/shop@${digest}`;
  const two = [child(image), child(other)];
  const none = ask("size(findings) == 0");

  test("its own findings, and those that are of no image or of an unknown one", () => {
    expect(judge(scanned(found({ child: image })), none, [], two)).toEqual([["scan.rule", of(image), false]]);
    expect(judge(scanned(found({ child: other })), none, [], two)).toEqual([["scan.rule", of(other), false]]);
    for (const each of [found(), found({ child: own.digest })])
      expect(judge(scanned(each), none, [], two).map(([, thing]) => thing)).toEqual([of(image), of(other)]);
    expect(judge(scanned(), none, [], two)).toEqual([]);
  });

  test("the components of its own SBOM, each of several, and unknown where one can't be read", () => {
    const noGcc = ask('components.all(c, c.name != "gcc")');
    const [good, bad] = [sbomOf(image, [component("curl")]), sbomOf(image, [component("gcc")])];
    expect(judge(scanned(), noGcc, [good])).toEqual([]);
    expect(judge(scanned(), noGcc, [bad])).toEqual([["scan.rule", of(image), false]]);
    expect(judge(scanned(), noGcc, [good, bad])).toEqual([["scan.rule", of(image), false]]);
    expect(judge(scanned(), noGcc, [sbomOf(other, [component("gcc")]), good])).toEqual([]);
    const unknown = [["scan.rule", of(image), true]];
    expect(judge(scanned(), noGcc, [good, sbomOf(image, "none")])).toEqual(unknown);
    expect(judge(scanned(), noGcc, [sbomOf(other, [component("curl")])])).toEqual(unknown);
    expect(judge(scanned(), noGcc)).toEqual(unknown);
  });

  test("nothing of the image where nobody says which repository it was in, and the rest all the same", () => {
    const scan = scanned();
    const nameless = {
      ...scan,
      statement: { ...scan.statement, subject: [{ name: "", digest: { sha256: image.slice(7) } }] },
    };
    const asked = ask('image.repository != "x"');
    expect(judge(scan, asked)).toEqual([]);
    expect(judge(nameless, asked)).toEqual([["scan.rule", expect.any(String), true]]);
    expect(judge(nameless, none)).toEqual([]);
  });
});

test("what can't be judged says why", () => {
  const tell = (scan: VerifiedStatement, change: Partial<Policy> = {}) =>
    judgeScanAgain(scan, [], { policy: { ...own.policy, ...change }, now }).map(({ problem }) => problem);
  expect(tell(scanned(), { absent: ["scan"] })).toEqual(["the policy has no section scan: no scan passes"]);
  expect(tell(scanned())).toEqual([]);
  expect(tell(scanned(found({ severity: "odd" })))).toEqual([
    expect.stringMatching(/^what it found can't be read: \w/),
  ]);
});

test("no image is asked about where only what is signed is at hand", () => {
  const broken = { ...own.policy, ...ask("size(findings) == 0") };
  const judgeWith = (children: AgainFacts["children"]) =>
    judgeScanAgain(scanned(found()), [], { policy: broken, now, ...(children === undefined ? {} : { children }) });
  expect(judgeWith(undefined)).toEqual([]);
  expect(judgeWith([child(image)])).toHaveLength(1);
});

test("an SBOM that does not say enough is told of its repository, or of the image where nobody says which that was in", () => {
  const quality = { version: 100, identifier: 100, license: 0, hash: 0, supplier: 0 };
  const policy = { ...own.policy, scan: { ...own.policy.scan, sbom: quality } };
  const sbom = sbomOf(image, [component("curl")]);
  const nameless = { ...sbom.statement, subject: [{ name: "", digest: { sha256: image.slice(7) } }] };
  const things = (statement: VerifiedStatement["statement"]) => [
    ...new Set(judgeSbomAgain({ ...sbom, statement }, { policy, now }).map(({ thing }) => thing)),
  ];
  expect(things(sbom.statement)).toEqual([`the SBOM of ${repository.registry}/${repository.name}`]);
  expect(things(nameless)).toEqual(["the SBOM of the image"]);
});
