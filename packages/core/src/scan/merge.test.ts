import { describe, expect, test } from "vitest";
import { describeDifference, type Finding, findingKey, type ScannerFinding } from "./finding.ts";
import { judgeFindings } from "./gate.ts";
import { countFindings, mergeFindings, placeFindings } from "./merge.ts";
import { parseGrypeReport, readGrypeFindings } from "./scanners/grype-report.ts";

const said = (fields: Partial<ScannerFinding> = {}): ScannerFinding => ({
  id: "CVE-2099-0001",
  aliases: [],
  severity: "low",
  package: { name: "x", version: "1.0.0", type: "npm", purl: "pkg:npm/x@1.0.0" },
  fixedVersions: [],
  fixState: "unknown",
  layers: [],
  paths: [],
  urls: [],
  ...fields,
});
const finding = ({ hidden, ...fields }: Partial<Finding> = {}, source = "grype"): Finding => ({
  ...(placeFindings([{ source, findings: [said(fields)] }])[0] as Finding),
  ...(hidden === undefined ? {} : { hidden }),
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
      const report = parseGrypeReport(JSON.stringify({ matches, descriptor }));
      const findings = placeFindings([{ source: "grype", findings: readGrypeFindings(report) }]);
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

describe("of several sources", () => {
  const deb = { name: "openssl", version: "3.0.11-1~deb12u2", type: "deb", purl: "pkg:deb/debian/openssl@3.0.11-1" };
  const debian = { by: "debian:distro:debian:12", isDistributions: true as const };

  test.each([
    [
      "in a row",
      [
        ["A", "B"],
        ["B", "C"],
        ["C", "D"],
      ],
    ],
    [
      "in a circle",
      [
        ["A", "B"],
        ["B", "C"],
        ["C", "A"],
      ],
    ],
    [
      "the link last",
      [
        ["A", "B"],
        ["C", "D"],
        ["B", "C"],
      ],
    ],
    [
      "each of itself",
      [
        ["A", "A"],
        ["A", "A"],
      ],
    ],
  ])("names that lead from one to the next are one vulnerability: %s", (_name, named) => {
    const found = named.map(([id = "", alias = ""], index) => finding({ id, aliases: [alias] }, `source-${index}`));
    for (const order of [found, found.toReversed()]) {
      const [merged, ...others] = mergeFindings(order);
      expect(others).toEqual([]);
      expect(new Set([merged?.id, ...(merged?.aliases ?? [])])).toEqual(new Set(named.flat()));
      expect(merged?.saidBy.map(({ source }) => source)).toEqual(order.map(({ saidBy }) => saidBy[0]?.source));
    }
  });

  test("one name in two packages is two findings", () => {
    expect(mergeFindings([finding(), finding({ package: deb })])).toHaveLength(2);
  });

  test("of a distribution's package its own advisory counts, and both are shown", () => {
    const own = finding({ package: deb, severity: "low", fixState: "not-fixed", advisory: debian }, "grype");
    const other = finding(
      { package: deb, severity: "critical", fixState: "fixed", fixedVersions: ["3.0.12"] },
      "imported",
    );
    for (const order of [
      [own, other],
      [other, own],
    ]) {
      const [merged] = mergeFindings(order);
      expect(merged).toMatchObject({ severity: "low", fixState: "not-fixed", fixedVersions: [] });
      expect(merged?.saidBy.map(({ source, severity }) => `${source}: ${severity}`).toSorted()).toEqual([
        "grype: low",
        "imported: critical",
      ]);
    }
  });

  test("a distribution that did not rate leaves it to the others, and the fix is its own", () => {
    const own = finding({ package: deb, severity: "unknown", fixState: "wont-fix", advisory: debian }, "grype");
    const other = finding({ package: deb, severity: "critical", fixState: "fixed", fixedVersions: ["3.0.12"] });
    expect(mergeFindings([own, other])).toMatchObject([{ severity: "critical", fixState: "wont-fix" }]);
  });

  test("no other package's severity is a distribution's to say", () => {
    const own = finding({ severity: "low", advisory: debian });
    expect(mergeFindings([own, finding({ severity: "high" }, "other")])).toMatchObject([{ severity: "high" }]);
  });

  test("an advisory that was taken back counts where no other is left", () => {
    const back = finding({ severity: "critical", withdrawn: "2026-01-02T00:00:00Z" }, "osv-scanner");
    expect(mergeFindings([back, finding({ severity: "low" })])).toMatchObject([{ severity: "low" }]);
    expect(mergeFindings([back, finding({ severity: "low" })])[0]).not.toHaveProperty("withdrawn");
    const both = mergeFindings([back, finding({ severity: "low", withdrawn: "2026-01-01T00:00:00Z" })]);
    expect(both).toMatchObject([{ severity: "critical", withdrawn: "2026-01-02T00:00:00Z" }]);
    const judge = (findings: Finding[]) =>
      judgeFindings({ findings, policy: { failOn: "low", onlyFixed: false }, exceptions: [], now: new Date() });
    expect(judge(both)).toEqual([]);
    expect(judge(mergeFindings([back, finding({ severity: "low" })]))).toHaveLength(1);
  });

  test.each([
    ["by names of both", ["GO-1", ["GHSA-1", "GHSA-2"]]],
    ["by both CVEs", ["GO-1", ["CVE-2099-1", "CVE-2099-2"]]],
    ["as a CVE of its own", ["CVE-2099-1", ["CVE-2099-2"]]],
  ] as const)("an exception for one CVE leaves another, though a record has both: %s", (_how, [id, aliases]) => {
    const low = finding({ id: "GHSA-1", aliases: ["CVE-2099-1"], severity: "high" });
    const bad = finding({ id: "GHSA-2", aliases: ["CVE-2099-2"], severity: "critical" }, "osv-scanner");
    const linking = finding({ id, aliases: [...aliases], severity: "low" }, "paid");
    const exception = { rule: "scan.severity" as const, reason: "r", owner: "o", expires: "2099-01-01" };
    for (const order of [
      [low, bad, linking],
      [linking, bad, low],
    ]) {
      const findings = mergeFindings(order);
      const refuse = (vulnerability: string) =>
        judgeFindings({
          ...{ findings, policy: { failOn: "high", onlyFixed: false }, now: new Date("2098-01-01T00:00:00Z") },
          exceptions: [{ ...exception, vulnerability }],
        })
          .filter(({ violation }) => violation.exception === undefined)
          .map((refused) => refused.finding.severity);
      expect(refuse("CVE-2099-1")).toEqual(["critical"]);
      expect(refuse("CVE-2099-2")).toEqual(["high"]);
    }
  });

  test("who differs from whom is told, and whose word the distribution's is", () => {
    const [merged] = mergeFindings([
      finding({ package: deb, severity: "high", advisory: debian }),
      finding({ package: deb, severity: "low" }, "osv-scanner"),
    ]);
    expect(describeDifference(merged as Finding)).toBe("grype says high (the distribution's own), osv-scanner low");
    expect(describeDifference(finding())).toBe("");
  });

  test("that nobody says it is not that it is not", () => {
    expect(mergeFindings([finding({ kev: false, epss: "none" }), finding()])).toMatchObject([
      { kev: false, epss: "none" },
    ]);
    expect(mergeFindings([finding({ kev: false, epss: "none" }), finding({ kev: true, epss: 0.2 })])).toMatchObject([
      { kev: true, epss: 0.2 },
    ]);
    expect(mergeFindings([finding(), finding()])[0]).not.toHaveProperty("kev");
  });

  test("a package is there for development where all say so", () => {
    const scoped = (scope?: "runtime" | "optional" | "development") =>
      finding({ package: { name: "x", version: "1", type: "npm", ...(scope === undefined ? {} : { scope }) } });
    expect(mergeFindings([scoped("development"), scoped("development")])[0]?.package.scope).toBe("development");
    expect(mergeFindings([scoped("development"), scoped("optional")])[0]?.package.scope).toBe("optional");
    expect(mergeFindings([scoped("development"), scoped()])[0]?.package.scope).toBeUndefined();
  });

  test("a name of OSV's malicious packages says what it is", () => {
    expect(finding({ id: "GHSA-x", aliases: ["MAL-2026-1"] }).malicious).toBe(true);
    expect(finding()).not.toHaveProperty("malicious");
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
  const place = (type: string, purl?: string) => {
    const pkg = { name: "x", version: "1.0.0", type, ...(purl === undefined ? {} : { purl }) };
    const found = said({ layers: ["sha256:base"], package: pkg });
    return placeFindings([{ source: "shelf", findings: [found] }], ["sha256:base"]);
  };

  test.each(["deb", "apk", "rpm"])("its word for a system's package is not taken where the URL says %s", (type) => {
    expect(place("os-pkgs", `pkg:${type}/linux/x@1.0.0`)).toMatchObject([
      { package: { type }, origin: "base", saidBy: [{ source: "shelf" }] },
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
