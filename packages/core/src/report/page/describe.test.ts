import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { StageResult } from "../../result.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import { describeResultsForPage } from "./describe.ts";
import { openScan } from "./findings.ts";

const [amd64, arm64] = [digestOf("amd64"), digestOf("arm64")];
const layers = [digestOf("base"), digestOf("application")];

const match = (id: string, layer: string, child: string) => ({
  child,
  vulnerability: { id, severity: "High", dataSource: "http://plain.example", urls: ["https://advisory.example"] },
  artifact: { name: "left", version: "1", type: "npm", locations: [{ path: "/a", layerID: layer }] },
});

function result(stage: "base" | "scan", changes: Partial<StageResult> = {}): StageResult {
  return {
    schemaVersion: "1.0",
    stage,
    verdict: "pass",
    subject: {
      repository: "registry.example/shop",
      digest: digestOf("index"),
      mediaType: "m",
      children: [
        { digest: amd64, platform: { os: "linux", architecture: "amd64" }, mediaType: "m", verdict: "fail" },
        { digest: arm64, platform: { os: "linux", architecture: "arm64" }, mediaType: "m", verdict: "pass" },
      ],
    },
    violations: [],
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00Z",
    finishedAt: "2026-11-23T10:00:01Z",
    ...changes,
  };
}

const told = (id: string, child: string, platform: string, more: object = {}) => ({
  ...{ child, platform, id, severity: "high", package: { name: "left", version: "1", type: "npm" } },
  ...{ fixState: "unknown", origin: child === arm64 ? "base" : "application", ...more },
});
const metadata = { scanFinishedOn: "2026-11-23T10:00:00Z" };
const platforms = ["linux/amd64", "linux/arm64"];

const refusal = {
  rule: "scan.severity",
  thing: "CVE-1 in left 1",
  problem: "It is bad.",
  wayOut: "Update left.",
  platform: "linux/amd64",
};
const scan = result("scan", {
  verdict: "fail",
  violations: [refusal],
  predicateType: predicateTypes.vulnerabilities,
  predicate: {
    metadata,
    scanner: {
      result: {
        matches: [match("CVE-1", layers[1] ?? "", amd64), match("CVE-2", layers[0] ?? "", arm64)],
        goldenpath: { platforms, findings: [told("CVE-1", amd64, "linux/amd64"), told("CVE-2", arm64, "linux/arm64")] },
      },
    },
  },
});
const base = result("base", {
  predicateType: predicateTypes.base,
  predicate: {
    children: [amd64, arm64].map((digest) => ({
      ...{ digest, base: { name: "golden", image: "registry.example/golden", digest: digestOf("golden") } },
      ...{ matchedLayers: 1, totalLayers: 2, layers },
    })),
  },
});

const resultOf = (goldenpath: object) => ({ metadata, scanner: { result: { goldenpath } } });

describe("describeResultsForPage", () => {
  test("shows each image of an index with its own verdict, findings and violations", () => {
    const [first, second] = describeResultsForPage("shop", [base, scan]);
    expect(first).toMatchObject({ title: "shop linux/amd64", platform: "linux/amd64", verdict: "fail" });
    expect(first?.reference).toBe(`registry.example/shop@${amd64}`);
    expect(first?.findings?.map(({ id, state, origin, layers: at }) => [id, state, origin, at])).toEqual([
      ["CVE-1", "counts", "application", [2]],
    ]);
    expect(second).toMatchObject({ title: "shop linux/arm64", verdict: "pass", violations: [] });
    expect(second?.findings?.map(({ id, state, origin }) => [id, state, origin])).toEqual([
      ["CVE-2", "accepted", "base"],
    ]);
  });

  test("an exception keeps a finding from counting", () => {
    const exception = { reason: "not called", owner: "a@b", expires: "2027-01-01" };
    const [first] = describeResultsForPage("shop", [{ ...scan, violations: [{ ...refusal, exception }] }]);
    expect(first?.findings?.[0]?.state).toBe("excepted");
    expect(first?.exceptions).toHaveLength(1);
  });

  test("layers are the base's as far as they match, and count what was found in them", () => {
    const [first] = describeResultsForPage("shop", [base, scan]);
    expect(first?.layers.map(({ isBase, findings }) => [isBase, findings])).toEqual([
      [true, 0],
      [false, 1],
    ]);
    expect(first?.base?.image).toBe(`registry.example/golden@${digestOf("golden")}`);
  });

  test("without an approved base no layer is the base's, whatever number is claimed", () => {
    const children = [{ digest: amd64, base: null, matchedLayers: 2, totalLayers: 2, layers }];
    const [first] = describeResultsForPage("shop", [{ ...base, predicate: { children } }]);
    expect(first?.layers.every(({ isBase }) => !isBase)).toBe(true);
    expect(first?.base).toBeUndefined();
  });

  test("no scan, or a report that can't be read, is not the same as no findings", () => {
    expect(describeResultsForPage("shop", [base])[0]?.findings).toBeUndefined();
    const unreadable = { ...scan, predicate: { metadata, scanner: { result: { matches: [] } } } };
    expect(describeResultsForPage("shop", [unreadable])[0]?.findings).toBeUndefined();
    const none = { ...scan, violations: [], predicate: resultOf({ platforms, findings: [] }) };
    expect(describeResultsForPage("shop", [none])[0]?.findings).toEqual([]);
  });

  test("links are https alone, and what no page can hold is counted", () => {
    const [first] = describeResultsForPage("shop", [base, scan]);
    expect(first?.findings?.[0]?.urls).toEqual(["https://advisory.example"]);
    const findings = Array.from({ length: 10_003 }, (_, at) => told(`CVE-${at}`, amd64, "linux/amd64"));
    const [many] = describeResultsForPage("shop", [{ ...scan, predicate: resultOf({ platforms, findings }) }]);
    expect(many?.findings).toHaveLength(10_000);
    expect(many?.omitted).toBe(3);
  });

  test("what is new since another image is marked, and what is fixed is named", () => {
    const comparison = {
      ...{ with: "registry.example/shop@sha256:0", gates: false, counts: { new: 1, worse: 0, fixed: 1, unchanged: 0 } },
      new: [
        { id: "CVE-1", package: "left", version: "1", severity: "high", change: "new" as const, fixedVersions: [] },
      ],
      fixed: [
        { id: "CVE-9", package: "old", version: "1", severity: "high", change: "fixed" as const, fixedVersions: [] },
      ],
    };
    const [first, second] = describeResultsForPage("shop", [{ ...scan, comparison }]);
    expect([first?.findings?.[0]?.change, second?.findings?.[0]?.change]).toEqual(["new", "unchanged"]);
    expect(first?.compared?.fixed).toEqual([{ id: "CVE-9", thing: "old 1" }]);
    expect(describeResultsForPage("shop", [scan])[0]?.findings?.[0]?.change).toBeUndefined();
  });

  test("a match that is something else explains nothing, and the finding stays", () => {
    const result = {
      matches: [{}, "x", null],
      goldenpath: { platforms, findings: [told("CVE-1", amd64, "linux/amd64")] },
    };
    const [first] = describeResultsForPage("shop", [{ ...scan, predicate: { metadata, scanner: { result } } }]);
    expect(first?.findings).toMatchObject([{ id: "CVE-1", layers: [], paths: [] }]);
  });

  test("what says much of one finding is kept as far as a page names it", () => {
    const many = (at: number) => ({
      ...match("CVE-1", `layer-${at}`, amd64),
      artifact: { name: "left", version: "1", locations: [{ path: `/${at}`, layerID: `layer-${at}` }] },
    });
    const result = {
      matches: Array.from({ length: 5_000 }, (_, at) => many(at)),
      goldenpath: { platforms, findings: [told("CVE-1", amd64, "linux/amd64")] },
    };
    const scanned = openScan({ metadata, scanner: { result } })?.(amd64) ?? [];
    expect(scanned).toHaveLength(1);
    expect([scanned[0]?.paths.length, scanned[0]?.layers.length]).toEqual([10, 200]);
  });

  test("names are cut, and of very many children, layers and violations some are told", () => {
    const long = "x".repeat(100_000);
    const findings = [told(long, amd64, "linux/amd64", { package: { name: long, version: long, type: long } })];
    const children = Array.from({ length: 300 }, (_, at) => ({
      ...{ digest: digestOf(`${at}`), platform: { os: "linux", architecture: `a${at}` } },
      ...{ mediaType: "m", verdict: "fail" as const },
    }));
    const { platform: _platform, ...everywhere } = refusal;
    const stranger = {
      ...scan,
      violations: Array.from({ length: 3_000 }, () => everywhere),
      subject: { repository: "r", digest: digestOf("index"), mediaType: "m", children },
    };
    const images = describeResultsForPage("shop", [stranger]);
    expect(images).toHaveLength(50);
    expect(images[0]?.notes[0]).toContain("250 more images");
    expect([images[0]?.violations.length, images[0]?.untold]).toEqual([1_000, 2_000]);
    const [first] = describeResultsForPage("shop", [{ ...scan, predicate: resultOf({ platforms, findings }) }]);
    expect(first?.findings?.[0]?.name.length).toBeLessThan(500);
    const of = { digest: amd64, base: null, layers: Array.from({ length: 2_000 }, (_, at) => `sha256:${at}`) };
    expect(describeResultsForPage("shop", [{ ...base, predicate: { children: [of] } }])[0]?.layers).toEqual([]);
  });

  test("where sources differ both are shown, and where it is although grype does not say it", () => {
    const saidBy = [
      { source: "grype", id: "CVE-1", severity: "low", fixedVersions: ["2"], isDistributions: true },
      { source: "osv-scanner", id: "GHSA-1", severity: "critical" },
    ];
    const more = { saidBy, layers: [layers[1]], paths: ["/b"], urls: ["https://osv.example", "http://plain.example"] };
    const findings = [told("CVE-1", amd64, "linux/amd64", more)];
    const predicate = resultOf({ platforms, findings });
    const [first] = describeResultsForPage("shop", [base, { ...scan, predicate }]);
    expect(first?.findings?.[0]).toMatchObject({
      ...{ isDisputed: true, layers: [2], paths: ["/b"], urls: ["https://osv.example"] },
      saidBy: [
        { source: "grype", says: "CVE-1, low, fixed in 2, by the distribution’s own advisory" },
        { source: "osv-scanner", says: "GHSA-1, critical" },
      ],
    });
    expect(first?.layers.map((layer) => layer.findings)).toEqual([0, 1]);
    const agreed = saidBy.map((each) => ({ ...each, severity: "low" }));
    const [same] = describeResultsForPage("shop", [
      {
        ...scan,
        predicate: resultOf({ platforms, findings: [told("CVE-1", amd64, "linux/amd64", { saidBy: agreed })] }),
      },
    ]);
    expect([same?.findings?.[0]?.saidBy?.length, same?.findings?.[0]?.isDisputed]).toEqual([2, undefined]);
    expect(describeResultsForPage("shop", [scan])[0]?.findings?.[0]).not.toHaveProperty("saidBy");
  });

  test("what a signed VEX statement says of a finding stands beside it", () => {
    const vex = { status: "not_affected", by: "security", because: "never called" };
    const findings = [told("CVE-1", amd64, "linux/amd64", { vex })];
    const [first] = describeResultsForPage("shop", [{ ...scan, predicate: resultOf({ platforms, findings }) }]);
    expect(first?.findings?.[0]?.vex).toBe("not_affected, by security: never called");
  });
});
