import { describe, expect, test } from "vitest";
import { countFindings, type Finding, findingKey, mergeFindings, placeFindings } from "./finding.ts";
import { judgeFindings } from "./gate.ts";
import { parseGrypeReport, readGrypeFindings } from "./scanners/grype-report.ts";

const finding = (fields: Partial<Finding> = {}): Finding => ({
  id: "CVE-2099-0001",
  aliases: [],
  severity: "low",
  package: { name: "x", version: "1.0.0", type: "npm", purl: "pkg:npm/x@1.0.0" },
  fixedVersions: [],
  fixState: "unknown",
  layers: [],
  paths: [],
  origin: "unknown",
  urls: [],
  source: "grype",
  ...fields,
});

describe("of two sources the worst holds, whichever comes first", () => {
  const cases: [string, Partial<Finding>, Partial<Finding>, Partial<Finding>][] = [
    ["a severity", { severity: "low" }, { severity: "critical" }, { severity: "critical" }],
    ["nobody's rating, above what is medium", { severity: "medium" }, { severity: "unknown" }, { severity: "unknown" }],
    ["critical, above nobody's rating", { severity: "unknown" }, { severity: "critical" }, { severity: "critical" }],
    ["known exploitation", {}, { kev: true }, { kev: true }],
    ["the probability of one", { epss: 0.01 }, { epss: 0.9 }, { epss: 0.9 }],
    ["the score", { cvss: 3.1 }, { cvss: 9.8 }, { cvss: 9.8 }],
    ["the only score", {}, { cvss: 9.8 }, { cvss: 9.8 }],
    [
      "a fix, which the gate asks for",
      { fixState: "not-fixed" },
      { fixState: "fixed", fixedVersions: ["2.0.0"], suggestedVersion: "2.0.0" },
      { fixState: "fixed", fixedVersions: ["2.0.0"], suggestedVersion: "2.0.0" },
    ],
    [
      "that nobody will fix it, above not knowing",
      { fixState: "unknown" },
      { fixState: "wont-fix" },
      { fixState: "wont-fix" },
    ],
    ["that it is hidden", {}, { hidden: "why" }, { hidden: "why" }],
  ];
  test.each(cases)("%s", (_name, a, b, expected) => {
    for (const pair of [
      [a, b],
      [b, a],
    ]) {
      const merged = mergeFindings(pair.map((fields) => finding(fields)));
      expect(merged).toHaveLength(1);
      expect(merged[0]).toMatchObject(expected);
    }
  });

  test("and of two recommendations none, but both versions", () => {
    const [merged] = mergeFindings([
      finding({ fixedVersions: ["2.0.0"], suggestedVersion: "2.0.0" }),
      finding({ fixedVersions: ["3.0.0"], suggestedVersion: "3.0.0" }),
    ]);
    expect(merged?.suggestedVersion).toBeUndefined();
    expect(merged?.fixedVersions).toEqual(["2.0.0", "3.0.0"]);
  });

  test.each(["Critical", "Unknown"])("in a report of grype: low first, %s second is refused", (severity) => {
    const match = (namespace: string, of: string) => ({
      vulnerability: { id: "CVE-2099-0001", namespace, severity: of, fix: { versions: ["2.0.0"], state: "fixed" } },
      artifact: { name: "x", version: "1.0.0", type: "npm" },
    });
    const descriptor = {
      name: "grype",
      version: "0.121.2",
      db: { status: { built: "2026-11-25T00:00:00Z", valid: true } },
    };
    for (const matches of [
      [match("a", "Low"), match("b", severity)],
      [match("b", severity), match("a", "Low")],
    ]) {
      const findings = placeFindings(
        readGrypeFindings(parseGrypeReport(JSON.stringify({ matches, descriptor }))),
        "grype",
      );
      const refused = judgeFindings({
        findings,
        policy: { failOn: "high", onlyFixed: true },
        exceptions: [],
        now: new Date(),
      });
      expect(refused).toHaveLength(1);
      expect(countFindings(findings)).toMatchObject({ low: 0, [severity.toLowerCase()]: 1 });
    }
  });

  test("also where two platforms of an index say so", () => {
    expect(countFindings([finding({ severity: "critical" }), finding({ severity: "low" })])).toMatchObject({
      critical: 1,
      low: 0,
    });
  });
});

describe("findings are the same", () => {
  const key = (purl: string | undefined, name = "x") =>
    findingKey(finding({ package: { name, version: "1.0.0", type: "t", ...(purl === undefined ? {} : { purl }) } }));

  test("where only the architecture differs", () => {
    expect(key("pkg:deb/debian/x@1.0.0?arch=amd64&distro=debian-12")).toBe(
      key("pkg:deb/debian/x@1.0.0?distro=debian-12&arch=arm64"),
    );
  });

  test.each([
    ["another group of a Maven artifact", "pkg:maven/org.good/x@1.0.0", "pkg:maven/org.bad/x@1.0.0"],
    ["another distribution", "pkg:deb/debian/x@1.0.0?distro=debian-12", "pkg:deb/debian/x@1.0.0?distro=debian-11"],
    ["no package URL", "pkg:npm/x@1.0.0", undefined],
  ])("and not with %s", (_name, a, b) => {
    expect(key(a)).not.toBe(key(b));
  });
});

describe("of what a scanner says of a package", () => {
  const { origin: _origin, source: _source, ...said } = finding({ layers: ["sha256:base"] });
  const place = (type: string, purl?: string) =>
    placeFindings(
      [{ ...said, package: { name: "x", version: "1.0.0", type, ...(purl === undefined ? {} : { purl }) } }],
      "shelf",
      ["sha256:base"],
    );

  test.each(["deb", "apk", "rpm"])("its word for a system's package is not taken where the URL says %s", (type) => {
    expect(place("os-pkgs", `pkg:${type}/linux/x@1.0.0`)).toMatchObject([
      { package: { type }, origin: "base", source: "shelf" },
    ]);
  });

  test.each([
    ["go-module", "pkg:golang/x@1.0.0"],
    ["npm", "pkg:npm/deb/x@1.0.0"],
    ["os-pkgs", undefined],
  ])("the word %s stays", (type, purl) => {
    expect(place(type, purl)).toMatchObject([{ package: { type } }]);
  });
});
