import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "@goldenpath/foundation/text/json";
import { describe, expect, test } from "vitest";
import { listComponents } from "../components.ts";
import {
  describeTrivySystem,
  parseTrivyReport,
  readTrivyFindings,
  renderTrivyEvidence,
  type TrivyReport,
} from "./trivy-report.ts";
import { renderTrivyInput } from "./trivy-sbom.ts";

// What the real trivy said: test/slow/trivy.test.ts compares it with what it says now.
const fixture = join(import.meta.dirname, "../../../../../test/fixtures/trivy-db");
const text = readFileSync(join(fixture, "report.json"), "utf8");
const sbom = parseJson(readFileSync(join(fixture, "sbom.cdx.json"), "utf8")) as Record<string, unknown>;
const input = renderTrivyInput(listComponents(sbom), { name: "debian", version: "12" });
const recorded = parseTrivyReport(text, input);
const change = (edit: (report: TrivyReport) => void): string => {
  const copy = structuredClone(recorded);
  edit(copy);
  return JSON.stringify(copy);
};
const results = (report: TrivyReport) => report.Results ?? [];
const find = (id: string, of = text) =>
  readTrivyFindings(parseTrivyReport(of, input), input).find((each) => each.id === id);

describe("a report that can't be read is an error and not a pass", () => {
  test.each([
    ["empty", "", /it is empty/],
    ["cut in half", text.slice(0, text.length / 2), /it ends in the middle/],
    ["an empty object", "{}", /SchemaVersion/],
    ["of another schema", change((report) => Object.assign(report, { SchemaVersion: 3 })), /SchemaVersion/],
    [
      "of something else than this SBOM",
      change((report) => Object.assign(report, { ArtifactType: "container_image" })),
      /ArtifactType/,
    ],
    // As for a system that it does not know: it ends with 0, and has no word of the packages.
    [
      "without results",
      change((report) => Object.assign(report, { Results: [] })),
      /no word of 2 of 2 packages \(libc6/,
    ],
    [
      "without the system's packages",
      change((report) => void results(report).shift()),
      /no word of 1 of 2 packages \(libc6/,
    ],
    [
      "a vulnerability without an id",
      change((report) => Object.assign(results(report)[0]?.Vulnerabilities?.[0] ?? {}, { VulnerabilityID: "" })),
      /VulnerabilityID/,
    ],
  ])("%s", (_name, of, message) => {
    expect(() => parseTrivyReport(of, input)).toThrow(message);
    expect(() => parseTrivyReport(of, input)).toThrow(expect.objectContaining({ code: "scanner-report-invalid" }));
  });

  test("a package that nobody asked for", () => {
    const strange = change((report) => {
      const [found] = results(report)[1]?.Vulnerabilities ?? [];
      if (found !== undefined) found.PkgIdentifier.BOMRef = "99";
    });
    expect(() => readTrivyFindings(parseTrivyReport(strange, input), input)).toThrow(/which nobody asked for/);
  });
});

describe("what trivy says, in neutral words", () => {
  test("a distribution's, rated by somebody else", () => {
    expect(find("CVE-2023-4911")).toMatchObject({
      ...{ severity: "high", aliases: [], fixedVersions: ["2.36-9+deb12u3"], fixState: "fixed", cvss: 7.8 },
      package: { name: "libc6", type: "deb", purl: expect.stringContaining("upstream=glibc") },
      ...{ layers: ["sha256:base"], paths: ["/var/lib/dpkg/status.d/libc6"] },
      scores: [{ version: "3.1", by: "nvd", vector: expect.stringMatching(/^CVSS:3\.1/), score: 7.8 }],
      advisory: { by: "debian", isDistributions: true, ratedElsewhere: true },
    });
  });

  test("a distribution's own word for the package holds over the world's", () => {
    const found = find("CVE-2099-1");
    expect(found).toMatchObject({ severity: "low", fixState: "not-fixed" });
    expect(found?.advisory).toEqual({ by: "debian", isDistributions: true });
  });

  test.each([
    ["CVE-2099-1", "not-fixed"],
    ["CVE-2099-2", "not-fixed"],
    ["CVE-2099-3", "wont-fix"],
    ["CVE-2099-4", "wont-fix"],
  ])("the status of %s: %s", (id, fixState) => {
    expect(find(id)?.fixState).toBe(fixState);
  });

  test.each([
    ["under_investigation", "not-fixed"],
    ["unknown", "unknown"],
    ["a word of the future", "unknown"],
    ["fixed", "unknown"],
  ])("the status '%s' of one without a fixed version: %s", (status, fixState) => {
    const of = change((report) => Object.assign(results(report)[0]?.Vulnerabilities?.[1] ?? {}, { Status: status }));
    expect(find("CVE-2099-2", of)?.fixState).toBe(fixState);
  });

  test("a language's, in all places of the package", () => {
    expect(find("CVE-2021-23337")).toMatchObject({
      ...{ severity: "high", cvss: 7.2, paths: ["/app/a/package.json", "/app/b/package.json"] },
      scores: [
        { version: "3.1", by: "ghsa", score: 7.2 },
        { version: "2.0", by: "nvd", score: 6.5 },
        { version: "3.1", by: "nvd", score: 7.2 },
      ],
      advisory: { by: "ghsa" },
    });
  });

  test("what nobody rated is unknown, and of several fixed versions each is one", () => {
    expect(find("CVE-2099-6")).toMatchObject({ severity: "unknown", fixedVersions: ["4.17.22", "5.0.1"] });
    expect(find("CVE-2099-6")).not.toHaveProperty("cvss");
  });

  test.each(["", "critical", "Negligible"])("the severity '%s' is unknown", (word) => {
    const of = change((report) => Object.assign(results(report)[0]?.Vulnerabilities?.[0] ?? {}, { Severity: word }));
    expect(find("CVE-2023-4911", of)?.severity).toBe("unknown");
  });

  test("GitHub's name is one of the same vulnerability, a distribution's advisory is not", () => {
    const of = change((report) => {
      for (const each of results(report))
        for (const found of each.Vulnerabilities ?? []) found.VendorIDs = ["GHSA-35jh-r3h4-6jhm", "DSA-1-1"];
    });
    expect(find("CVE-2021-23337", of)?.aliases).toEqual(["GHSA-35jh-r3h4-6jhm"]);
    expect(find("CVE-2023-4911", of)?.aliases).toEqual([]);
  });

  test("that the system's time is over is told", () => {
    expect(describeTrivySystem(recorded)).toEqual([]);
    const over = change((report) => Object.assign(report.Metadata?.OS ?? {}, { EOSL: true }));
    expect(describeTrivySystem(parseTrivyReport(over, input))).toHaveLength(1);
  });
});

describe("evidence", () => {
  const child = { digest: `sha256:${"a".repeat(64)}` as const, platform: "linux/amd64", report: recorded };

  test("has what was found, and nothing of the machine", () => {
    const { report, hasMatches } = renderTrivyEvidence([child]);
    expect(hasMatches).toBe(false);
    expect(report["Results"]).toHaveLength(2);
    expect(JSON.stringify(report)).not.toMatch(/bom\.cdx\.json|Packages"/);
  });

  test("of an index says of which image each is; a large one leaves out what explains", () => {
    const large = structuredClone(recorded);
    for (const found of results(large)[1]?.Vulnerabilities ?? []) found.Description = "x".repeat(1024 * 1024);
    const { report, dropped } = renderTrivyEvidence([child, { ...child, platform: "linux/arm64", report: large }]);
    const told = report["Results"] as { platform: string; Vulnerabilities: object[] }[];
    expect(told.map(({ platform }) => platform)).toEqual(["linux/amd64", "linux/amd64", "linux/arm64", "linux/arm64"]);
    expect(told[3]?.Vulnerabilities).toHaveLength(2);
    expect(JSON.stringify(report).length).toBeLessThan(100_000);
    expect(dropped.at(-1)).toContain("Description");
  });
});
