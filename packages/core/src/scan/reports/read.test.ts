import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "@goldenpath/foundation/text/json";
import { describe, expect, test } from "vitest";
import { readReport, readReportPredicate, readReportText } from "./read.ts";
import type { ImportedReport } from "./report.ts";

// What is in the folder, and which of it is real: its README.
const folder = join(import.meta.dirname, "../../../../../test/fixtures/reports");
const textOf = (name: string): string => readFileSync(join(folder, name), "utf8");
type Json = Record<string, unknown>;
const jsonOf = (name: string): Json => parseJson(textOf(name)) as Json;
const image = `sha256:${"a".repeat(64)}`;

const tools: Record<string, string> = {
  "snyk.sarif.json": "Snyk Container",
  "prisma-twistcli.sarif.json": "Prisma Cloud (twistcli)",
  "docker-scout.sarif.json": "docker scout",
  "qualys.sarif.json": "QScanner",
  "trivy.sarif.json": "Trivy",
  "anchore-grype.sarif.json": "grype",
  "trivy.cdx.json": "trivy",
  "anchore-grype.cdx.json": "grype",
};
const read = (name: string): ImportedReport => {
  const report = readReportText(textOf(name), [tools[name] ?? ""]);
  if ("problem" in report) throw new Error(report.problem);
  return report;
};
const told = (name: string): unknown[] =>
  read(name).findings.map(({ id, aliases, covers, severity, package: pkg, fixedVersions }) => [
    [id, ...aliases].join(" "),
    ...(covers === undefined ? [] : [`covers ${covers.join(" ")}`]),
    severity,
    pkg.purl ?? [pkg.name, pkg.version].filter((each) => each !== undefined).join(" "),
    fixedVersions.join(" "),
  ]);

/** A log of SARIF by one tool with one run. */
const log = (run: Json): Json => ({
  version: "2.1.0",
  runs: [{ tool: { driver: { name: "T" } }, results: [], ...run }],
});
const bom = (fields: Json): Json => ({
  ...{ bomFormat: "CycloneDX", specVersion: "1.6", metadata: { tools: [{ name: "T" }] }, vulnerabilities: [] },
  ...fields,
});
const problemOf = (document: unknown): string | undefined => {
  const report = readReport(document, ["T"]);
  return report !== undefined && "problem" in report ? report.problem : undefined;
};

describe("what is no report is never one that found nothing", () => {
  const snyk = textOf("snyk.sarif.json");
  test.each([
    ["empty", "", /it is empty/],
    ["white space", " \n", /it is empty/],
    ["cut in half", snyk.slice(0, snyk.length / 2), /ends in the middle/],
    ["cut at a brace", snyk.slice(0, snyk.indexOf("}") + 1), /not JSON/],
    ["an empty object", "{}", /neither SARIF nor a CycloneDX document/],
    ["no object", "[]", /neither SARIF nor/],
    [
      "an SBOM without vulnerabilities",
      JSON.stringify({ ...bom({}), vulnerabilities: undefined }),
      /neither SARIF nor/,
    ],
    ["of another tool", textOf("prisma-twistcli.sarif.json"), /that calls itself 'Snyk Container'/],
  ])("%s", (_name, text, problem) => {
    expect(readReportText(text, ["Snyk Container"])).toEqual({ problem: expect.stringMatching(problem) });
  });

  test.each<[string, Json, RegExp]>([
    ["another version", { ...log({}), version: "2.2.0" }, /no log of SARIF 2\.1\.0/],
    ["a version before", { ...log({}), version: "2.0.0" }, /no log of SARIF 2\.1\.0/],
    ["no runs", { version: "2.1.0", runs: [] }, /no log of SARIF 2\.1\.0/],
    ["a run without a tool", { version: "2.1.0", runs: [{ results: [] }] }, /does not say which tool/],
    ["a run without results", log({ results: undefined }), /no list of results/],
    ["a run whose results are null", log({ results: null }), /no list of results/],
    ["a run that failed", log({ invocations: [{ executionSuccessful: false }] }), /says that it failed/],
    [
      "a run that failed at the second attempt",
      log({ invocations: [{ executionSuccessful: true }, { executionSuccessful: false }] }),
      /says that it failed/,
    ],
    [
      "a run with an error told beside",
      log({
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: [{ level: "error", message: { text: "no login" } }],
          },
        ],
      }),
      /says that it failed: no login/,
    ],
    ["results in other files", log({ externalPropertyFileReferences: { results: [{}] } }), /in other files/],
    ["a result without a rule", log({ results: [{ message: { text: "something" } }] }), /does not say what was found/],
    ["results of a strange shape", log({ results: [7] }), /can't be read/],
  ])("SARIF: %s", (_name, document, problem) => {
    expect(problemOf(document)).toMatch(problem);
  });

  test("SARIF: two runs of the tool, of which one failed", () => {
    const [run] = log({})["runs"] as Json[];
    const failed = { ...run, invocations: [{ executionSuccessful: false }] };
    expect(problemOf({ version: "2.1.0", runs: [run, failed] })).toMatch(/failed/);
  });

  test.each<[string, Json, RegExp]>([
    ["a version that has no vulnerabilities", bom({ specVersion: "1.3" }), /1\.4 to 1\.7/],
    ["a version that nobody knows yet", bom({ specVersion: "2.0" }), /1\.4 to 1\.7/],
    ["no tool", bom({ metadata: {} }), /does not say which tool/],
    ["no metadata", bom({ metadata: undefined }), /does not say which tool/],
    ["vulnerabilities that are no list", bom({ vulnerabilities: null }), /an SBOM, and no report/],
    ["a vulnerability without an id", bom({ vulnerabilities: [{ ratings: [] }] }), /vulnerabilities\[0\]\.id/],
  ])("CycloneDX: %s", (_name, document, problem) => {
    expect(problemOf(document)).toMatch(problem);
  });

  test.each([
    ["SARIF", log({})],
    ["CycloneDX", bom({})],
  ])("%s of another tool is not this reporter's", (_name, document) => {
    expect(readReport(document, ["U"])).toBeUndefined();
    expect(readReport(document, ["T"])).toMatchObject({ findings: [] });
  });
});

describe("vendors' forms", () => {
  test.each<[string, unknown[]]>([
    [
      "snyk.sarif.json",
      [
        ["CVE-2023-4911", "high", "glibc/libc6 2.36-9+deb12u1", ""],
        ["CVE-2021-23337", "high", "lodash 4.17.20", ""],
      ],
    ],
    [
      "prisma-twistcli.sarif.json",
      [
        ["CVE-2021-23337", "unknown", "lodash 4.17.20", ""],
        ["425", "unknown", "", ""],
      ],
    ],
    [
      "docker-scout.sarif.json",
      [
        ["CVE-2021-23337", "high", "pkg:npm/lodash@4.17.20", "4.17.21"],
        [
          "CVE-2023-4911",
          "unknown",
          "pkg:deb/debian/glibc@2.36-9%2Bdeb12u1?os_distro=bookworm&os_name=debian&os_version=12",
          "",
        ],
      ],
    ],
    [
      "qualys.sarif.json",
      [["QID-6000123", "covers CVE-2023-4911 CVE-2023-4806", "high", "libc6 2.36-9+deb12u1", "2.36-9+deb12u3"]],
    ],
    [
      "trivy.sarif.json",
      [
        ["CVE-2023-4911", "high", "libc6 2.36-9+deb12u1", "2.36-9+deb12u3"],
        ["CVE-2021-23337", "high", "lodash 4.17.20", "4.17.21"],
        ["CVE-2099-6", "unknown", "lodash 4.17.20", "4.17.22 5.0.1"],
      ],
    ],
  ])("%s", (name, expected) => {
    expect(told(name)).toEqual(expected);
  });

  test("grype's SARIF and its CycloneDX say the same", () => {
    const [sarif] = read("anchore-grype.sarif.json").findings;
    expect(sarif).toMatchObject({
      id: "GHSA-35jh-r3h4-6jhm",
      severity: "high",
      package: { purl: "pkg:npm/lodash@4.17.20" },
    });
    const [cdx] = read("anchore-grype.cdx.json").findings;
    expect(cdx).toMatchObject({ id: "GHSA-35jh-r3h4-6jhm", severity: "high", cvss: 7.2 });
    expect(cdx?.package.purl).toMatch(/^pkg:npm\/lodash@4\.17\.20/);
  });

  test("trivy's CycloneDX", () => {
    const { findings } = read("trivy.cdx.json");
    const lodash = findings.find(({ id }) => id === "CVE-2021-23337");
    expect(lodash).toMatchObject({ severity: "high", cvss: 7.2, fixedVersions: ["4.17.21"], fixState: "fixed" });
    expect(lodash?.package.purl).toBe("pkg:npm/lodash@4.17.20");
    expect(findings.find(({ id }) => id === "CVE-2099-6")?.severity).toBe("unknown");
  });

  test("which tool, and which version of it", () => {
    expect(Object.keys(tools).map((name) => read(name).tool)).toEqual([
      ...["Snyk Container 1.1295.0", "Prisma Cloud (twistcli) 34.01.126", "docker scout 1.18.3", "QScanner 4.7.0"],
      ...["Trivy 0.66.0", "grype 0.120.1", "trivy 0.66.0", "grype 0.120.1"],
    ]);
  });

  test.each([
    "snyk.sarif.json",
    "prisma-twistcli.sarif.json",
    "qualys.sarif.json",
    "trivy.sarif.json",
    "trivy.cdx.json",
    "anchore-grype.cdx.json",
  ])("%s names its image by digest", (name) => {
    expect(read(name).digests).toEqual([image]);
  });

  test("one that names no image says so", () => {
    expect(read("docker-scout.sarif.json").digests).toEqual([]);
  });

  test.each([
    ["qualys.sarif.json", "2026-11-01T08:00:00.000Z"],
    ["trivy.cdx.json", "2026-11-01T08:00:00.000Z"],
    ["snyk.sarif.json", undefined],
  ])("the time of %s: %s", (name, time) => {
    expect(read(name).time?.toISOString()).toBe(time);
  });
});

describe("a finding has one name, so that no report can give another scanner's a second one", () => {
  test.each<[string, string, string[]]>([
    ["SNYK-JS-1", "CVE-2026-10001", []],
    ["GHSA-35jh-r3h4-6jhm", "CVE-2026-10001", []],
    ["SNYK-JS-1", "GHSA-35jh-r3h4-6jhm", []],
    ["QID-1", "QID-1", ["CVE-2026-10001", "CVE-2026-20002"]],
    ["CVE-2026-10001-lodash", "CVE-2026-10001", []],
    ["425", "425", []],
  ])("%s is %s, and covers %j", (ruleId, id, covers) => {
    const texts: Record<string, string> = {
      ...{
        "SNYK-JS-1": id,
        "GHSA-35jh-r3h4-6jhm": "CVE-2026-10001",
        "QID-1": "about CVE-2026-10001 and CVE-2026-20002",
      },
    };
    const rules = [{ id: ruleId, fullDescription: { text: texts[ruleId] ?? "" } }];
    const document = { version: "2.1.0", runs: [{ tool: { driver: { name: "T", rules } }, results: [{ ruleId }] }] };
    const [finding] = (readReport(document, ["T"]) as ImportedReport).findings;
    expect(finding).toMatchObject({ id, aliases: [] });
    expect(finding?.covers ?? []).toEqual(covers);
  });
});

describe("severity by the format's own fields", () => {
  const sarif = (rule: Json, result: Json = {}) =>
    (
      readReport(
        {
          version: "2.1.0",
          runs: [
            { tool: { driver: { name: "T", rules: [{ id: "X", ...rule }] } }, results: [{ ruleId: "X", ...result }] },
          ],
        },
        ["T"],
      ) as ImportedReport
    ).findings[0]?.severity;
  test.each<[string, string, Json, Json?]>([
    ["unknown", "nothing said", {}],
    // A level is how loud a result is, not how severe: every vendor sets it by rules of its own.
    ["unknown", "a level alone", { defaultConfiguration: { level: "error" } }, { level: "error" }],
    ["unknown", "a word in the score's place", { properties: { "security-severity": "high" } }],
    ["unknown", "none, as trivy writes for what nobody rated", { properties: { "security-severity": "0.0" } }],
    ["unknown", "an empty score", { properties: { "security-severity": "" } }],
    ["unknown", "a score that there is not", { properties: { "security-severity": "10.1" } }],
    ["critical", "9.0", { properties: { "security-severity": "9.0" } }],
    ["high", "8.9", { properties: { "security-severity": "8.9" } }],
    ["high", "7.0, as a number", { properties: { "security-severity": 7 } }],
    ["medium", "6.9", { properties: { "security-severity": "6.9" } }],
    ["low", "0.1", { properties: { "security-severity": "0.1" } }],
    [
      "critical",
      "the result's own before its rule's",
      { properties: { "security-severity": "2.0" } },
      { properties: { "security-severity": "9.8" } },
    ],
  ])("SARIF, %s: %s", (severity, _name, rule, result) => {
    expect(sarif(rule, result)).toBe(severity);
  });

  const cyclonedx = (ratings: Json[]) =>
    (readReport(bom({ vulnerabilities: [{ id: "CVE-2026-1", ratings }] }), ["T"]) as ImportedReport).findings[0]
      ?.severity;
  test.each<[string, string, Json[]]>([
    ["unknown", "no rating", []],
    ["unknown", "that it is unknown", [{ severity: "unknown" }]],
    ["unknown", "a word that there is not", [{ severity: "urgent" }]],
    ["unknown", "a score by no method that is known", [{ score: 9.8, method: "OWASP" }]],
    ["negligible", "info", [{ severity: "info" }]],
    ["critical", "a CVSS score without a word", [{ score: 9.8, method: "CVSSv31" }]],
    ["high", "the worst of two", [{ severity: "low" }, { severity: "high" }]],
    ["low", "a word beside one that is unknown", [{ severity: "unknown" }, { severity: "low" }]],
  ])("CycloneDX, %s: %s", (severity, _name, ratings) => {
    expect(cyclonedx(ratings)).toBe(severity);
  });
});

describe("what a tool's own rules set aside is found all the same", () => {
  const found = (document: Json): number => (readReport(document, ["T"]) as ImportedReport).findings.length;
  test.each<[number, string, Json]>([
    [1, "suppressed", { suppressions: [{ kind: "external", status: "accepted" }] }],
    [1, "known before", { baselineState: "unchanged" }],
    [1, "open", { kind: "open" }],
    [0, "that it is not there", { kind: "pass" }],
    [0, "that it was there before", { baselineState: "absent" }],
  ])("SARIF, %i: %s", (count, _name, result) => {
    expect(found(log({ results: [{ ruleId: "CVE-2026-1", ...result }] }))).toBe(count);
  });

  test("CycloneDX: analysed as not affected", () => {
    expect(found(bom({ vulnerabilities: [{ id: "CVE-2026-1", analysis: { state: "not_affected" } }] }))).toBe(1);
  });
});

describe("a signed predicate", () => {
  test("is the document itself, or cosign's custom one around it, whose time is when it was signed", () => {
    const snyk = jsonOf("snyk.sarif.json");
    const wrapped = { Data: JSON.stringify(snyk), Timestamp: "2026-11-01T09:00:00Z" };
    expect(readReportPredicate(snyk, ["Snyk Container"])).toMatchObject({ format: "SARIF" });
    expect(readReportPredicate(wrapped, ["Snyk Container"])).toMatchObject({ time: new Date("2026-11-01T09:00:00Z") });
    const dated = { Data: textOf("qualys.sarif.json"), Timestamp: "2026-11-20T09:00:00Z" };
    expect(readReportPredicate(dated, ["QScanner"])).toMatchObject({ time: new Date("2026-11-01T08:00:00Z") });
  });

  test.each([{ Data: "no JSON" }, { Data: "{}" }, { scanner: {} }])("%j is no report", (predicate) => {
    expect(readReportPredicate(predicate, ["T"])).toBeUndefined();
  });
});
