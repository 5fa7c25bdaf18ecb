import { makeFinding } from "@goldenpath/testing/findings";
import { expect, test } from "vitest";
import type { StageResult } from "../result.ts";
import { type Finding, findingKey } from "./finding.ts";
import { countFindings } from "./merge.ts";
import { renderScanSummary } from "./summary.ts";

const finding = (fields: Partial<Finding> = {}): Finding =>
  makeFinding({
    aliases: [],
    package: { name: "lodash", version: "4.17.20", type: "npm" },
    ...fields,
  });
const result = (verdict: "pass" | "fail", violations: StageResult["violations"] = []) =>
  ({ stage: "scan", verdict, violations, notes: [] }) as unknown as StageResult;
const render = (
  findings: Finding[],
  verdict: "pass" | "fail" = "pass",
  violations: StageResult["violations"] = [],
  audit = false,
  refused: Finding[] = [],
) =>
  renderScanSummary({
    result: result(verdict, violations),
    findings,
    counts: countFindings(findings),
    policy: { failOn: "high", onlyFixed: false },
    refused: new Set(refused.map(findingKey)),
    audit,
  });

test("says the verdict, the numbers and what to do, and folds what is not refused", () => {
  const refused = {
    rule: "scan.severity",
    thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20",
    problem: "bad",
    wayOut: "Update lodash to 4.17.21 (npm).",
  };
  const low = finding({
    id: "CVE-2010-4756",
    severity: "negligible",
    fixState: "not-fixed",
    fixedVersions: [],
    origin: "base",
  });
  const text = render([finding(), low], "fail", [refused], false, [finding()]);
  expect(text).toContain("❌ fail");
  expect(text).toContain("Update lodash to 4.17.21");
  expect(text).toContain("**2 vulnerabilities**: 1 high, 1 negligible.");
  const folded = text.slice(text.indexOf("<details>"));
  expect(folded).toContain("1 that the policy does not refuse");
  expect(folded).toContain("CVE-2010-4756");
  expect(folded).toContain("| not-fixed | base |");
  expect(folded).not.toContain("GHSA-35jh-r3h4-6jhm");
});

test("who says what is told where the sources differ, and nowhere else", () => {
  const saying = (source: string, severity: "high" | "low", isOwn = false) => ({
    ...{ source, id: "CVE-2026-10001", severity, fixState: "unknown" as const, fixedVersions: [], paths: [] },
    ...(isOwn ? { advisory: { by: "debian", isDistributions: true as const } } : {}),
  });
  const differing = finding({
    id: "CVE-2026-10001",
    severity: "low",
    saidBy: [saying("grype", "low", true), saying("snyk", "high")],
  });
  const agreeing = finding({
    id: "CVE-2026-10002",
    severity: "low",
    saidBy: [saying("grype", "low"), saying("snyk", "low")],
  });
  const text = render([differing, agreeing]);
  expect(text).toContain("1 that the sources rate differently");
  expect(text).toMatch(/CVE-2026-10001.*\| low \| grype says low .*the distribution.*s own.*, snyk high \|/);
  expect(text.slice(text.indexOf("rate differently"))).not.toContain("CVE-2026-10002");
  expect(render([agreeing])).not.toContain("rate differently");
});

test("an image without findings says so", () => {
  expect(render([])).toContain("No known vulnerabilities.");
  expect(render([])).not.toContain("<details>");
});

test("audit is named only where it changes something", () => {
  const refused = { rule: "scan.severity", thing: "x", problem: "bad", wayOut: "y" };
  expect(render([finding()], "fail", [refused], true)).toContain("mode: audit");
  expect(render([], "pass", [], true)).not.toContain("mode: audit");
});

test("a finding on two platforms counts and shows once", () => {
  const low = finding({ severity: "low" });
  const text = render([low, { ...low }]);
  expect(text).toContain("**1 vulnerability**: 1 low.");
  expect(text.match(/GHSA-35jh-r3h4-6jhm/g)).toHaveLength(1);
});

test("what an image says can't break the table or bring HTML", () => {
  const evil = finding({
    severity: "low",
    id: "<img src=x>",
    package: { name: "a|b <script>", version: "1\n2", type: "npm" },
  });
  expect(render([evil])).not.toMatch(/<img|<script|a\|b/);
});

test("a long list is cut and counted", () => {
  const many = Array.from({ length: 103 }, (_, index) => finding({ id: `CVE-${index}`, severity: "low" }));
  expect(render(many)).toContain("… and 3 more");
});
