import { describe, expect, test } from "vitest";
import { listComponents } from "../components.ts";
import { rateScore } from "../severity.ts";
import { parseOsvReport, readOsvFindings, renderOsvEvidence } from "./osv-report.ts";
import { renderOsvInput } from "./osv-sbom.ts";

const located = [
  { name: "syft:package:type", value: "deb" },
  { name: "syft:location:0:layerID", value: "sha256:base" },
  { name: "syft:location:0:path", value: "/var/lib/dpkg/status" },
];
const lodash = { type: "library", name: "lodash", version: "4.17.20", purl: "pkg:npm/lodash@4.17.20" };
const libssl = {
  ...{ type: "library", name: "libssl3", version: "3.0.11-1", properties: located },
  purl: "pkg:deb/debian/libssl3@3.0.11-1?upstream=openssl&distro=debian-12",
};
const input = renderOsvInput(listComponents({ components: [lodash, libssl] }));
const npm = { name: "lodash", version: "4.17.20", ecosystem: "npm" };
const debian = { name: "openssl", version: "3.0.11-1", ecosystem: "Debian:12" };

const record = (fields: Record<string, unknown> = {}, pkg = npm) => ({
  id: "GHSA-35jh-r3h4-6jhm",
  modified: "2026-11-01T00:00:00Z",
  aliases: ["CVE-2021-23337"],
  summary: "about templates",
  affected: [
    {
      package: { name: pkg.name, ecosystem: pkg.ecosystem },
      ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, { fixed: "4.17.21" }] }],
    },
    { package: { name: "lodash-es", ecosystem: "npm" }, ranges: [{ events: [{ fixed: "9.9.9" }] }] },
  ],
  ...fields,
});
const report = (found: { package: object; vulnerabilities?: object[]; groups?: object[] }[]) =>
  JSON.stringify({ results: [{ source: { path: "/home/runner/secret-place/bom.cdx.json" }, packages: found }] });
const both = (npms: object[], debians: object[] = [], groups: object[] = []) =>
  report([
    { package: npm, vulnerabilities: npms, groups },
    { package: debian, vulnerabilities: debians, groups },
  ]);
const read = (...args: Parameters<typeof both>) =>
  readOsvFindings(parseOsvReport(both(...args), input), input, new Date("2026-11-01T00:00:00Z"));

describe("a report that can't be read is an error and not a pass", () => {
  const whole = both([record()]);
  test.each([
    ["empty", "", /it is empty/],
    ["cut in half", whole.slice(0, whole.length / 2), /it ends in the middle/],
    ["an empty object", "{}", /results/],
    ["of another tool", JSON.stringify({ matches: [], descriptor: {} }), /results/],
    ["no results, though there are packages", JSON.stringify({ results: [] }), /no word of 2 of 2 packages/],
    ["one package left out", report([{ package: npm }]), /no word of 1 of 2 packages/],
    ["a record without an id", both([record({ id: "" })]), /vulnerabilities\[0\]\.id/],
  ])("%s", (_name, text, message) => {
    expect(() => parseOsvReport(text, input)).toThrow(message);
    expect(() => parseOsvReport(text, input)).toThrow(expect.objectContaining({ code: "scanner-report-invalid" }));
  });

  test("a package that nobody asked for", () => {
    const more = report([{ package: npm }, { package: debian }, { package: { ...npm, name: "other" } }]);
    expect(() => readOsvFindings(parseOsvReport(more, input), input, new Date())).toThrow(/which nobody asked for/);
  });
});

describe("findings", () => {
  test("in the one model, of the SBOM's package and place", () => {
    const vector = "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H";
    const found = read(
      [record({ severity: [{ type: "CVSS_V3", score: vector }], database_specific: { severity: "HIGH" } })],
      [],
      [{ ids: ["GHSA-35jh-r3h4-6jhm"], max_severity: "7.2" }],
    );
    expect(found).toEqual([
      {
        id: "GHSA-35jh-r3h4-6jhm",
        aliases: ["CVE-2021-23337"],
        severity: "high",
        package: { name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" },
        fixedVersions: ["4.17.21"],
        fixState: "fixed",
        layers: [],
        paths: [],
        urls: ["https://osv.dev/vulnerability/GHSA-35jh-r3h4-6jhm"],
        description: "about templates",
        cvss: 7.2,
        scores: [{ version: "3.1", vector }],
        advisory: { by: "GHSA" },
      },
    ]);
  });

  test("a distribution's record is the CVE, of the binary package that the image has", () => {
    const found = read([], [record({ id: "DEBIAN-CVE-2023-1", aliases: [], upstream: ["CVE-2023-1"] }, debian)]);
    expect(found).toMatchObject([
      {
        id: "DEBIAN-CVE-2023-1",
        aliases: ["CVE-2023-1"],
        package: { name: "libssl3", type: "deb" },
        layers: ["sha256:base"],
        paths: ["/var/lib/dpkg/status"],
        advisory: { by: "DEBIAN", isDistributions: true, ratedElsewhere: true },
      },
    ]);
  });

  test("an announcement of several is a name of none", () => {
    const upstream = ["CVE-2023-1", "CVE-2023-2"];
    expect(read([], [record({ id: "DSA-1-1", aliases: [], upstream }, debian)])).toMatchObject([
      { aliases: [], covers: upstream },
    ]);
  });

  test.each([
    ["GitHub's word", { database_specific: { severity: "MODERATE" } }, "medium", undefined],
    ["Ubuntu's", { id: "UBUNTU-CVE-1", severity: [{ type: "Ubuntu", score: "low" }] }, "low", undefined],
    ["nobody's", {}, "unknown", undefined],
    ["a word that there was not", { database_specific: { severity: "CATASTROPHIC" } }, "unknown", undefined],
    ["a score", { severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:N" }] }, "high", "7.0"],
    ["a score just below", { severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:N" }] }, "medium", "6.9"],
    ["a score of another record of the group", {}, "unknown", "9.8"],
    ["a score out of the scale", { severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:N" }] }, "unknown", "11"],
    ["no number", { severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:N" }] }, "unknown", ""],
  ])("severity by %s", (_name, fields, severity, max) => {
    const one = record(fields);
    const groups = max === undefined ? [] : [{ ids: [one.id], max_severity: max }];
    expect(read([one], [], groups)).toMatchObject([{ severity }]);
  });

  test.each([
    ["unimportant", "negligible"],
    ["low**", "low"],
    ["not yet assigned", "unknown"],
    ["end-of-life", "unknown"],
  ])("Debian's urgency '%s' is %s", (urgency, severity) => {
    const affected = [{ package: { name: "openssl", ecosystem: "Debian:12" }, ecosystem_specific: { urgency } }];
    expect(read([], [record({ id: "DEBIAN-CVE-2023-1", affected })])).toMatchObject([
      { severity, fixState: "not-fixed", fixedVersions: [] },
    ]);
  });

  test.each(["", "soon", "2026-11-01T00:00:01Z"])("one that says '%s' was not taken back", (withdrawn) => {
    expect(read([record({ withdrawn })])[0]).not.toHaveProperty("withdrawn");
  });

  test("a record of two CVEs is a name of neither, whoever's it is", () => {
    const aliases = ["CVE-2023-1", "CVE-2023-2"];
    expect(read([record({ aliases })])).toMatchObject([{ aliases: [], covers: aliases }]);
    expect(read([record({ id: "CVE-2023-1", aliases: ["CVE-2023-2"] })])).toMatchObject([{ aliases: [] }]);
  });

  test("an advisory that was taken back says when", () => {
    expect(read([record({ withdrawn: "2026-01-01T00:00:00Z" })])).toMatchObject([
      { withdrawn: "2026-01-01T00:00:00Z" },
    ]);
  });
});

test.each([
  [10, "critical"],
  [9, "critical"],
  [8.9, "high"],
  [7, "high"],
  [6.9, "medium"],
  [4, "medium"],
  [3.9, "low"],
  [0.1, "low"],
  [0, "negligible"],
])("a score of %d is %s", (score, severity) => {
  expect(rateScore(score)).toBe(severity);
});

describe("evidence", () => {
  const told = (text: string) =>
    renderOsvEvidence([
      { digest: `sha256:${"a".repeat(64)}`, platform: "linux/amd64", report: parseOsvReport(text, input) },
    ]);

  test("has the packages with findings, and no place of this machine", () => {
    const { report: evidence, hasMatches } = told(both([record()]));
    expect(hasMatches).toBe(false);
    expect(evidence).toMatchObject({ packages: [{ package: npm, vulnerabilities: [{ id: "GHSA-35jh-r3h4-6jhm" }] }] });
    expect(JSON.stringify(evidence)).not.toContain("secret-place");
  });

  test("leaves out of a large one what explains, and no record", () => {
    const large = Array.from({ length: 600 }, (_each, index) =>
      record({ id: `GHSA-${index}`, details: "x".repeat(2000) }),
    );
    const { report: evidence, dropped } = told(both(large));
    const [first] = evidence["packages"] as { vulnerabilities: object[] }[];
    expect(first?.vulnerabilities).toHaveLength(600);
    expect(first?.vulnerabilities[0]).not.toHaveProperty("details");
    expect(dropped).toHaveLength(3);
  });
});
