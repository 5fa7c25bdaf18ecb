import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { ReporterRule } from "../../policy/scan-section.ts";
import type { ToldFinding } from "../told-findings.ts";
import { carryReports, type JudgedScan, readJudgedScan } from "./carried.ts";
import { judgeReports, type ReportCandidate } from "./judge.ts";
import type { UsedReport } from "./report.ts";

// A rescan has no file that a job gave, and finds signed reports as old as they are: what it can say of them is what the
// scan said that judged them.

const of = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
const [own, sibling, file, another] = [of("a"), of("b"), of("e"), of("f")];
const now = new Date("2026-11-26T12:00:00Z");
const ago = (days: number): Date => new Date(now.getTime() - days * 86_400_000);
const rule = (more: Partial<ReporterRule> = {}): ReporterRule => ({
  ...{ name: "snyk", tools: ["Snyk Container"], signers: ["security"], given: "any", maxAge: 86_400_000 },
  ...{ undated: "refuse", required: true, ...more },
});
const told = (more: Partial<ToldFinding> = {}): ToldFinding => ({
  ...{ platform: "linux/amd64", id: "CVE-2026-1", aliases: [], severity: "critical", fixedVersions: ["2"] },
  ...{ package: { name: "left", version: "1", type: "npm" }, fixState: "fixed", origin: "application" },
  saidBy: [{ source: "snyk", id: "CVE-2026-1", severity: "critical", fixedVersions: ["2"] }],
  ...more,
});
type Told = JudgedScan["reports"][number];
const report = (more: Partial<Told> = {}): Told => ({
  ...{ reporter: "snyk", format: "SARIF", tool: "Snyk Container 1", digest: file, time: ago(30).toISOString() },
  ...more,
});
const scan = (days: number, reports: Told[], findings: ToldFinding[] = [told()]): JudgedScan => ({
  ...{ told: { finishedOn: ago(days), platforms: ["linux/amd64"], findings }, reports },
});
const used = (days: number, digest: string = another, signer: string | undefined = "security"): UsedReport => ({
  ...{ reporter: "snyk", digest, ...(signer === undefined ? {} : { signer }) },
  report: { format: "SARIF", tool: "Snyk Container 1", time: ago(days), digests: [own], findings: [] },
});
const carry = (before: JudgedScan[], there: UsedReport[] = []) =>
  carryReports("snyk", own, there, before).map(({ digest, findings }) => [digest, findings.map(({ id }) => id)]);

describe("nothing is carried", () => {
  test.each<[what: string, before: JudgedScan[], there?: UsedReport[]]>([
    ["where no scan was before", []],
    ["of another reporter", [scan(3, [report({ reporter: "aqua" })])]],
    ["of another platform's image", [scan(3, [report({ child: sibling })])]],
    ["that is there itself", [scan(3, [report({ signer: "security" })])], [used(30, file)]],
    ["that a newer signed one overtook", [scan(3, [report({ signer: "security" })])], [used(29)]],
  ])("%s", (_what, before, there) => {
    expect(carry(before, there)).toEqual([]);
  });
});

describe("what the newest scan that had one told is carried", () => {
  test.each<[what: string, before: JudgedScan[], there: UsedReport[], comes: unknown[]]>([
    ["a file that a job gave", [scan(3, [report()])], [], [[file, ["CVE-2026-1"]]]],
    ["beside a newer signed one", [scan(3, [report()])], [used(1)], [[file, ["CVE-2026-1"]]]],
    ["a signed one that is gone", [scan(3, [report({ signer: "security" })])], [], [[file, ["CVE-2026-1"]]]],
    [
      "a signed one, where an older one is there",
      [scan(3, [report({ signer: "security" })])],
      [used(31)],
      [[file, ["CVE-2026-1"]]],
    ],
    [
      "of two scans the newer one's, and not that of one without a report",
      [scan(9, [report({ digest: another })], []), scan(1, []), scan(3, [report()])],
      [],
      [[file, ["CVE-2026-1"]]],
    ],
    [
      "of this platform's image alone",
      [scan(3, [report({ child: own })], [told({ child: own }), told({ child: sibling, id: "CVE-2" })])],
      [],
      [[file, ["CVE-2026-1"]]],
    ],
    [
      "what the reporter said, and nobody else",
      [scan(3, [report()], [told({ saidBy: [{ source: "grype", id: "x", severity: "low", fixedVersions: [] }] })])],
      [],
      [[file, []]],
    ],
    [
      "each finding once",
      [scan(3, [report(), report({ digest: another })])],
      [],
      [
        [file, ["CVE-2026-1"]],
        [another, []],
      ],
    ],
  ])("%s", (_what, before, there, comes) => {
    expect(carry(before, there)).toEqual(comes);
  });

  test("as it was said, and with the day on which a scan had the report itself", () => {
    const grype = { source: "grype", id: "GHSA-1", severity: "low" as const, fixedVersions: [] };
    const rated = told({
      ...{ id: "GHSA-1", severity: "critical", cvss: 9.8, epss: 0.5, kev: true, fixState: "wont-fix" },
      saidBy: [grype, { source: "snyk", id: "CVE-2026-1", severity: "high", fixedVersions: [] }],
    });
    const [carried] = carryReports("snyk", own, [], [scan(3, [report()], [rated])]);
    expect(carried).toMatchObject({ scannedOn: ago(3).toISOString(), reporter: "snyk", digest: file });
    expect(carried?.findings).toEqual([
      {
        ...{ id: "CVE-2026-1", aliases: [], severity: "high", fixedVersions: [], fixState: "unknown" },
        ...{ package: rated.package, layers: [], paths: [], urls: [], cvss: 9.8, kev: true },
      },
    ]);
    const again = scan(1, [report({ scannedOn: ago(40).toISOString() })]);
    expect(carryReports("snyk", own, [], [again])[0]?.scannedOn).toBe(ago(40).toISOString());
  });
});

describe("a rescan", () => {
  const image = { thing: "host/shop@x", digest: own, config: of("c"), root: own, others: [] };
  const old: ReportCandidate = {
    ...{ read: { ...used(30).report }, signer: "security", digest: file, about: own },
  };
  const judge = (candidates: ReportCandidate[], before?: JudgedScan[], more: Partial<ReporterRule> = {}) => {
    const { used: there, carried, violations } = judgeReports(rule(more), image, candidates, now, before);
    return [there.length, carried.length, violations.map(({ problem }) => problem)];
  };

  test("refuses an image that nobody ever had a report of, and one that can't be taken, and says the way out", () => {
    expect(judge([], [])).toEqual([0, 0, ["There is none, and no scan before had one."]]);
    expect(judge([], [scan(3, [report({ reporter: "aqua" })])])[2]).toHaveLength(1);
    const broken = { ...old, read: { problem: "it is empty", time: ago(1) } };
    expect(judge([broken], [scan(3, [report()])])).toEqual([0, 1, [expect.stringContaining("it is empty")]]);
    const { violations } = judgeReports(rule(), image, [], now, []);
    expect(violations[0]?.wayOut).toContain("'reports' (snyk=FILE) of a scan of this image, and sign that");
  });

  test("takes the newest report however old, and what a scan told of one; a scan takes neither", () => {
    expect(judge([old], [])).toEqual([1, 0, []]);
    expect(judge([old])).toEqual([0, 0, [expect.stringContaining("the policy accepts 1 d")]]);
    expect(judge([], [scan(3, [report()])])).toEqual([0, 1, []]);
    expect(judge([])).toEqual([0, 0, ["There is none."]]);
    expect(judge([], [], { required: false })).toEqual([0, 0, []]);
  });
});

test("a scan's reports are read back, and malformed ones are none", () => {
  const predicate = (reports?: unknown) => ({
    metadata: { scanFinishedOn: ago(3).toISOString() },
    scanner: { result: { goldenpath: { platforms: ["linux/amd64"], findings: [], reports } } },
  });
  expect(readJudgedScan(predicate([{ reporter: "snyk" }]))).toHaveProperty("problem");
  expect(readJudgedScan(predicate("none"))).toHaveProperty("problem");
  expect(readJudgedScan(predicate())).toMatchObject({ reports: [] });
  expect(readJudgedScan(predicate([{ ...report(), findings: 3 }]))).toMatchObject({ reports: [report()] });
});
