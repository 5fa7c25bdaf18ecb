import { now, policy as own, whole } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { VerifiedStatement } from "../../signing/types.ts";
import { judgeAgain } from "./judge.ts";

const { vulnerabilities, sbom } = whole();
const finding = {
  ...{ id: "CVE-2026-1", platform: "linux/amd64", severity: "high", fixedVersions: [], fixState: "fixed" },
  ...{ package: { name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" } },
  origin: "application",
};
const scanned = (...findings: object[]): VerifiedStatement => {
  const result = { goldenpath: { platforms: ["linux/amd64"], findings } };
  const predicate = { metadata: { scanFinishedOn: now.toISOString() }, scanner: { result } };
  return { ...vulnerabilities, statement: { ...vulnerabilities.statement, predicate } };
};
const component = { type: "library", name: "gcc", version: "1", licenses: [{ license: { id: "GPL-3.0-only" } }] };
const listed = { ...sbom, statement: { ...sbom.statement, predicate: { components: [component] } } };
const policy = {
  ...own.policy,
  scan: { ...own.policy.scan, licenses: { refuse: ["GPL-3.0-only"], unknown: "pass" as const } },
};
const judge = (...accepted: VerifiedStatement[]) => judgeAgain({ accepted }, { policy, now }).map(({ rule }) => rule);

test("what was accepted for several images is judged once", () => {
  const scan = scanned(finding);
  expect(judge(scan)).toEqual(["scan.severity"]);
  expect(judge(scan, { ...scan })).toEqual(["scan.severity"]);
  const another = { ...scan, bundle: { ...scan.bundle, digest: own.digest } };
  expect(judge(scan, another)).toEqual(["scan.severity", "scan.severity"]);
});

test("packages are judged by whoever has scanned them, and not where nobody has", () => {
  expect(judge(scanned(), listed)).toEqual(["scan.license"]);
  expect(judge(listed)).toEqual([]);
  expect(judge(scanned())).toEqual([]);
});
