import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { makeFinding } from "@goldenpath/testing/findings";
import { describe, expect, test } from "vitest";
import type { Finding } from "./finding.ts";
import { buildVulnerabilityPredicate, type ScannedChild } from "./predicate.ts";
import { grype } from "./scanners/grype.ts";
import { type GrypeReport, parseGrypeReport } from "./scanners/grype-report.ts";
import { tellFindings } from "./told-findings.ts";

const match = (id: string, description = "short") => ({
  vulnerability: { id, severity: "High", description },
  relatedVulnerabilities: [{ id: "CVE-1", description: "long" }],
  matchDetails: [{ type: "exact-direct-match" }],
  artifact: { name: "lodash", version: "4.17.20", type: "npm", cpes: ["cpe"], licenses: ["MIT"] },
});
const report = (...matches: object[]): GrypeReport =>
  parseGrypeReport(
    JSON.stringify({
      matches,
      source: { target: { userInput: "/home/runner/secret-place/sbom.json" } },
      distro: { name: "debian" },
      descriptor: {
        name: "grype",
        version: "0.121.2",
        configuration: { db: { "cache-dir": "/home/runner/secret-place" } },
        db: { status: { built: "2026-05-01T00:00:00Z", path: "/home/runner/secret-place/6/vulnerability.db" } },
      },
    }),
  );
const child = (platform: string, scanned: GrypeReport): ScannedChild => ({
  digest: digestOf(platform),
  platform,
  reports: [scanned],
  findings: [],
  isExcepted: () => false,
});
const run = {
  database: { built: new Date("2026-05-01T00:00:00Z"), schema: "v6.1.10", digest: "xxh64:8a0da2d6602288ad" },
  parameters: ["sbom:CycloneDX", "--output", "json"],
  tool: { name: "grype", version: "0.121.2" },
};
const build = (children: ScannedChild[]) =>
  buildVulnerabilityPredicate({
    scanners: [{ scanner: grype, run }],
    children,
    run: {
      builderId: "https://github.com/acme/platform/.github/workflows/scan.yml@refs/tags/v1",
      runId: "42",
      runUrl: "https://ci.test/42",
    },
    startedAt: new Date("2026-05-10T12:00:00Z"),
    finishedAt: new Date("2026-05-10T12:00:05Z"),
  });
const resultOf = (children: ScannedChild[]) =>
  (build(children)["scanner"] as { result: Record<string, unknown> }).result;

describe("the vulnerability predicate", () => {
  test("has cosign's fields", () => {
    expect(build([child("linux/amd64", report(match("GHSA-1")))])).toMatchObject({
      invocation: {
        parameters: ["sbom:CycloneDX", "--output", "json"],
        uri: "https://ci.test/42",
        event_id: "42",
        "builder.id": "https://github.com/acme/platform/.github/workflows/scan.yml@refs/tags/v1",
      },
      scanner: {
        uri: "pkg:github/anchore/grype@v0.121.2",
        version: "0.121.2",
        db: {
          uri: "pkg:generic/grype-db@v6.1.10?checksum=xxh64:8a0da2d6602288ad",
          version: "v6.1.10",
          lastUpdate: "2026-05-01T00:00:00.000Z",
        },
        result: { matches: [match("GHSA-1")], distro: { name: "debian" } },
      },
      metadata: { scanStartedOn: "2026-05-10T12:00:00.000Z", scanFinishedOn: "2026-05-10T12:00:05.000Z" },
    });
  });

  test("has nothing of the machine", () => {
    expect(JSON.stringify(build([child("linux/amd64", report(match("GHSA-1")))]))).not.toContain("secret-place");
  });

  test("of an index says which match is of which child", () => {
    const children = [
      child("linux/amd64", report(match("GHSA-1"))),
      child("linux/arm64", report(match("GHSA-1"), match("GHSA-2"))),
    ];
    const result = resultOf(children);
    expect(result["matches"]).toMatchObject([
      { vulnerability: { id: "GHSA-1" }, platform: "linux/amd64", child: digestOf("linux/amd64") },
      { vulnerability: { id: "GHSA-1" }, platform: "linux/arm64", child: digestOf("linux/arm64") },
      { vulnerability: { id: "GHSA-2" }, platform: "linux/arm64" },
    ]);
    expect(result["goldenpath"]).toMatchObject({
      children: [{ platform: "linux/amd64" }, { platform: "linux/arm64" }],
    });
  });

  test("keeps every match of a large report, without what explains it, and says so", () => {
    const many = Array.from({ length: 300 }, (_, index) => match(`GHSA-${index}`, "x".repeat(5_000)));
    const result = resultOf([child("linux/amd64", report(...many))]);
    expect(result["matches"]).toHaveLength(300);
    expect(JSON.stringify(result).length).toBeLessThan(100_000);
    expect((result["matches"] as object[])[0]).toEqual({
      vulnerability: { id: "GHSA-0", severity: "High" },
      relatedVulnerabilities: [{ id: "CVE-1" }],
      artifact: { name: "lodash", version: "4.17.20", type: "npm" },
    });
    expect(result["goldenpath"]).toMatchObject({ dropped: expect.arrayContaining(["matches[].matchDetails"]) });
  });
});

describe("who says what of a finding", () => {
  const found = { layers: ["sha256:1"], paths: ["/a", "/b", "/c", "/d"], urls: ["https://a.example"] };
  const toldOf = (saidBy: Finding["saidBy"], id = "GHSA-35jh-r3h4-6jhm") => {
    const findings = [makeFinding({ ...found, id, saidBy })];
    const { findings: told } = tellFindings(
      [{ digest: digestOf("image"), platform: "linux/amd64", findings, isExcepted: () => false }],
      "grype",
    );
    return told[0];
  };
  const [said] = makeFinding(found).saidBy;
  const by = (source: string, more: Partial<Finding["saidBy"][number]> = {}): Finding["saidBy"][number] => {
    if (said === undefined) throw new Error("a finding has a source");
    return { ...said, source, ...more };
  };

  test("is not told where it is the first scanner's alone, whose report has it", () => {
    for (const name of ["saidBy", "layers", "paths", "urls"]) expect(toldOf([by("grype")])).not.toHaveProperty(name);
  });

  test("is told where another says it as well, and where it is, only where the first does not", () => {
    const both = toldOf([by("grype"), by("osv-scanner", { severity: "low" })]);
    expect(both?.saidBy?.map(({ source, severity }) => [source, severity])).toEqual([
      ["grype", "high"],
      ["osv-scanner", "low"],
    ]);
    expect(both).not.toHaveProperty("layers");
    const other = toldOf([by("osv-scanner")]);
    expect(other).toMatchObject({ layers: ["sha256:1"], paths: ["/a", "/b", "/c"], urls: ["https://a.example"] });
    // Under another name the first one's report is not found again.
    expect(toldOf([by("grype", { id: "CVE-1" }), by("osv-scanner")])).toMatchObject({ layers: ["sha256:1"] });
  });

  test("the distribution's own advisory is told as such, but not where it does not rate", () => {
    const own = { by: "debian:distro:debian:12", isDistributions: true as const };
    const sayings = [by("trivy", { advisory: own }), by("grype", { advisory: { ...own, ratedElsewhere: true } })];
    expect(toldOf(sayings)?.saidBy?.map(({ isDistributions }) => isDistributions)).toEqual([true, undefined]);
  });
});
