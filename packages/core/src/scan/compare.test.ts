import { describe, expect, test } from "vitest";
import { compareFindings, reportComparison } from "./compare.ts";
import type { Finding } from "./finding.ts";
import { readToldScan, type ToldFinding, tellFindings } from "./told-findings.ts";

const platform = "linux/amd64";
const finishedOn = new Date("2026-05-01T00:00:00Z");
const pkg = (fields: Partial<Finding["package"]> = {}) => ({
  ...{ name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" },
  ...fields,
});
const finding = (fields: Partial<Finding> = {}): Finding =>
  ({
    ...{ id: "GHSA-1", aliases: ["CVE-1"], severity: "high", package: pkg() },
    ...{ fixedVersions: ["4.17.21"], fixState: "fixed", layers: [], paths: [], origin: "unknown", urls: [] },
    ...fields,
  }) as Finding;
const told = (fields: Partial<ToldFinding> = {}): ToldFinding => ({
  ...{ platform, id: "GHSA-1", aliases: ["CVE-1"], severity: "high", package: pkg(), fixedVersions: [] },
  ...{ fixState: "fixed", origin: "unknown" },
  ...fields,
});
const changeOf = (own: Finding, ...others: ToldFinding[]) =>
  compareFindings([own], { findings: others, finishedOn }, platform).changeOf(own);

describe("how a finding differs from what the other image has", () => {
  const cases: [string, Partial<Finding>, ToldFinding[], string][] = [
    ["nothing is there", {}, [], "new"],
    ["another vulnerability", {}, [told({ id: "GHSA-2", aliases: [] })], "new"],
    ["another package", {}, [told({ package: pkg({ name: "lodash-es", purl: "pkg:npm/lodash-es@4" }) })], "new"],
    [
      "a package of that name, of another group",
      { package: pkg({ type: "java-archive", name: "core", purl: "pkg:maven/org.a/core@1" }) },
      [told({ package: pkg({ type: "java-archive", name: "core", purl: "pkg:maven/org.b/core@1" }) })],
      "new",
    ],
    ["a package of that name, of another kind", { package: pkg({ purl: undefined as never }) }, [told()], "new"],
    ["the same on another platform", {}, [told({ platform: "linux/arm64" })], "new"],
    ["rated lower there", {}, [told({ severity: "medium" })], "worse"],
    ["rated lower there by all of them", {}, [told({ severity: "medium" }), told({ severity: "low" })], "worse"],
    ["not known there to be exploited", { kev: true }, [told()], "worse"],
    ["said there not to be exploited", { kev: true }, [told({ kev: false })], "worse"],
    ["not known there for malicious", { malicious: true }, [told()], "worse"],
    ["the same", {}, [told()], "unchanged"],
    ["rated higher there", {}, [told({ severity: "critical" })], "unchanged"],
    ["rated higher there by one of them", {}, [told({ severity: "low" }), told()], "unchanged"],
    ["nobody has rated it, there neither", { severity: "unknown" }, [told({ severity: "unknown" })], "unchanged"],
    ["nobody rated it there, which counts as high", {}, [told({ severity: "unknown" })], "worse"],
    ["exploited there as well", { kev: true }, [told({ kev: true })], "unchanged"],
    [
      "in another version of the package",
      { package: pkg({ version: "4.17.19", purl: "pkg:npm/lodash@4.17.19" }) },
      [told()],
      "unchanged",
    ],
    ["by its other name there", {}, [told({ id: "CVE-1", aliases: [] })], "unchanged"],
    ["by a third name that both have", { aliases: ["X-1"] }, [told({ id: "CVE-1", aliases: ["X-1"] })], "unchanged"],
    [
      "for another architecture",
      { package: pkg({ name: "libc6", type: "deb", purl: "pkg:deb/debian/libc6@1?arch=amd64" }) },
      [told({ package: pkg({ name: "libc6", type: "deb", purl: "pkg:deb/debian/libc6@1?arch=arm64" }) })],
      "unchanged",
    ],
  ];
  test.each(cases)("%s", (_name, own, others, change) => {
    expect(changeOf(finding(own), ...others)).toBe(change);
  });

  test("what only the other image has is fixed, each once, the worst first", () => {
    const others = [
      told({ id: "LOW", aliases: [], severity: "low" }),
      told({ id: "BAD", aliases: [], severity: "critical" }),
      told({ id: "BAD", aliases: [], severity: "critical" }),
      told({ id: "CVE-1", aliases: [] }),
      told({ id: "ARM", aliases: [], platform: "linux/arm64" }),
    ];
    expect(compareFindings([finding()], { findings: others, finishedOn }, platform).fixed.map(({ id }) => id)).toEqual([
      "BAD",
      "LOW",
    ]);
  });

  test("what an exception set aside there is told", () => {
    const own = finding();
    const compared = compareFindings([own], { findings: [told({ excepted: true })], finishedOn }, platform);
    expect(compared.isByException(own)).toBe(true);
    expect(compareFindings([own], { findings: [told()], finishedOn }, platform).isByException(own)).toBe(false);
  });
});

test("a gate that was met there is told by the time of that scan", () => {
  const own = finding();
  const gate = { name: "old", fixOlderThan: 86_400_000, missing: "pass" as const };
  const met = (on: string) =>
    compareFindings(
      [own],
      { findings: [told({ fixReleases: [{ version: "4.17.21", on }], fixedVersions: ["4.17.21"] })], finishedOn },
      platform,
    ).metBefore(own, gate);
  expect(met("2026-04-29T00:00:00Z")).toBe(true);
  expect(met("2026-04-30T12:00:00Z")).toBe(false);
});

test("the report counts all platforms, and lists what is new and what is gone", () => {
  const findings = [finding(), finding({ id: "GHSA-9", aliases: [], severity: "critical" })];
  const others = [told(), told({ id: "GONE", aliases: [] })];
  const child = (name: string) => ({
    findings,
    comparison: compareFindings(findings, { findings: others, finishedOn }, name),
    platform: name,
  });
  const report = reportComparison({ with: "r.example/shop@sha256:1", gates: false }, [
    child("linux/amd64"),
    child("linux/arm64"),
  ]);
  expect(report.counts).toEqual({ new: 3, worse: 0, fixed: 1, unchanged: 1 });
  expect(report.new.map(({ id, change, platform: on }) => [id, change, on])).toEqual([
    ["GHSA-9", "new", "linux/amd64"],
    ["GHSA-9", "new", "linux/arm64"],
    ["GHSA-1", "new", "linux/arm64"],
  ]);
  expect(report.fixed).toMatchObject([{ id: "GONE", change: "fixed", platform: "linux/amd64" }]);
  const places = reportComparison({ gates: false }, [child("linux/amd64")], ({ id }) =>
    id === "GHSA-9" ? { file: "package-lock.json", line: 3 } : undefined,
  );
  expect(places.new).toMatchObject([{ origin: "unknown", place: { file: "package-lock.json", line: 3 } }]);
  expect(report.new[0]).not.toHaveProperty("place");
  expect(reportComparison({ gates: false, note: "first run" }, [])).toEqual({
    ...{ gates: false, note: "first run", new: [], fixed: [] },
  });
});

describe("what a scan has signed", () => {
  const predicate = (goldenpath: unknown): Record<string, unknown> => ({
    metadata: { scanStartedOn: "2026-05-10T12:00:00Z", scanFinishedOn: "2026-05-10T12:00:05Z" },
    scanner: { db: { lastUpdate: "2026-05-01T00:00:00.000Z" }, result: { matches: [], goldenpath } },
  });

  test.each([
    ["of a version that did not tell findings", { dropped: [] }],
    ["without the platforms that it looked at", { findings: [], finishedOn }],
    ["with a severity that there is not", { platforms: [platform], findings: [{ ...told(), severity: "bad" }] }],
    ["with a finding that has no package", { platforms: [platform], findings: [{ ...told(), package: undefined }] }],
  ])("is not read %s", (_name, goldenpath) => {
    expect(readToldScan(predicate(goldenpath))).toMatchObject({ problem: expect.any(String) });
  });

  test("is not read without its time", () => {
    expect(readToldScan({ scanner: predicate({ platforms: [platform], findings: [] })["scanner"] })).toHaveProperty(
      "problem",
    );
  });

  test("comes back as it was told", () => {
    const child = (name: string, excepted: boolean) => ({
      ...{ digest: `sha256:${"a".repeat(64)}` as const, platform: name },
      ...{ findings: [finding({ kev: true })], isExcepted: () => excepted },
    });
    const one = readToldScan(predicate(tellFindings([child(platform, true)])));
    expect(one).toMatchObject({
      finishedOn: new Date("2026-05-10T12:00:05Z"),
      databaseOf: "2026-05-01T00:00:00.000Z",
      platforms: [platform],
      findings: [{ id: "GHSA-1", kev: true, excepted: true, package: pkg() }],
    });
    const several = readToldScan(predicate(tellFindings([child(platform, false), child("linux/arm64", false)])));
    expect(several).toMatchObject({
      platforms: [platform, "linux/arm64"],
      findings: [{ platform }, { platform: "linux/arm64", child: expect.any(String) }],
    });
    expect(JSON.stringify(several)).not.toContain("excepted");
  });
});
