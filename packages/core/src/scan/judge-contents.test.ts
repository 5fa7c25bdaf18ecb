import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { CustomRule } from "../policy/custom-rules/section.ts";
import type { Exception, Policy } from "../policy/schema.ts";
import type { ExaminedChild } from "./examine.ts";
import type { Finding } from "./finding.ts";
import { judgeContents } from "./judge-contents.ts";

const now = new Date("2026-05-10T12:00:00Z");
const finding: Finding = {
  ...{ id: "GHSA-1", aliases: ["CVE-2026-1"], severity: "low", origin: "application", saidBy: [] },
  package: { name: "lodash", version: "4", type: "npm" },
  ...{ fixedVersions: ["5"], fixState: "fixed", layers: [], paths: [], urls: [], epss: "none" },
};
const library = (name: string, license: string) => ({
  ...{ type: "library", name, version: "1", purl: `pkg:npm/${name}@1` },
  licenses: [{ license: { id: license } }],
});
const components: object[] = [
  { ...library("a", "MIT"), components: [library("within", "MIT")] },
  { type: "file", name: "/etc/passwd" },
];
const rule = (expression: string): CustomRule => ({
  ...{ name: "own", stage: "scan", expression, message: "it is wrong", remedy: "put it right" },
});

function ask(
  expression: string,
  { sbom = { components }, exceptions = [] as Exception[], findings = [finding] as Finding[] } = {},
): string[] {
  // An index may say something else of its platform than its own config does.
  const config = { os: "linux", architecture: "amd64" };
  const child = { digest: digestOf("child"), platform: { os: "linux", architecture: "arm64" }, config };
  const violations = judgeContents({
    // What is looked at of them.
    examined: { child, findings, sbom } as unknown as ExaminedChild,
    policy: { scan: {}, rules: [rule(expression)], exceptions, enforceFrom: {} } as unknown as Policy,
    ...{ repository: { registry: "r.test", name: "quarantine/shop" }, now, platform: "linux/amd64" },
  });
  return violations.map(({ rule: name, problem, thing, platform, exception }) => {
    expect({ name, thing, platform }).toEqual({
      ...{ name: "scan.rule", thing: `r.test/quarantine/shop@${child.digest}`, platform: "linux/amd64" },
    });
    return exception === undefined ? problem : `set aside: ${problem}`;
  });
}

const wrong = ["rule 'own': it is wrong"];

describe("a rule of the scan refuses, and lets its twin through", () => {
  test.each<[name: string, refuses: string, passes: string]>([
    [
      "a vulnerability by any of its names",
      'findings.all(f, !("CVE-2026-1" in f.names))',
      'findings.all(f, !("CVE-2" in f.names))',
    ],
    ["by its package", 'findings.all(f, f.packageName != "lodash")', 'findings.all(f, f.packageType == "npm")'],
    ["by whether it is mended", "findings.all(f, !f.isFixed)", "findings.all(f, f.isFixed)"],
    ["a component within another", 'components.all(c, c.name != "within")', 'components.all(c, c.name != "other")'],
    ["a licence", 'components.all(c, !("MIT" in c.licenses))', 'components.all(c, "MIT" in c.licenses)'],
    ["files, which are no packages", "components.size() == 3", "components.size() == 2"],
    ["its platform, by its own config", 'image.platform != "linux/amd64"', 'image.platform != "linux/arm64"'],
    ["what nobody expects to be exploited", "findings.all(f, f.epss > 0.0)", "findings.all(f, f.epss == 0.0)"],
  ])("%s", (_name, refuses, passes) => {
    expect(ask(refuses)).toEqual(wrong);
    expect(ask(passes)).toEqual([]);
  });
});

test("what nobody says of a finding can't be decided by", () => {
  expect(ask("findings.all(f, f.cvss < 9.0)")).toEqual([expect.stringContaining("No such key: cvss")]);
  expect(ask("findings.all(f, !has(f.cvss) || f.cvss < 9.0)")).toEqual([]);
  expect(ask("findings.all(f, f.cvss < 9.0)", { findings: [{ ...finding, cvss: 3 }] })).toEqual([]);
});

test("an SBOM of which a component can't be read has none that a rule could pass by", () => {
  const sbom = { components: [library("a", "MIT"), "no component"] as object[] };
  expect(ask('components.all(c, c.name != "x")', { sbom })).toEqual([expect.stringContaining("can't be decided")]);
  expect(ask('components.all(c, c.name != "x")')).toEqual([]);
});

test("an exception sets it aside in its repository, by its name or for all", () => {
  const exception = (more: Partial<Exception>): Exception => ({
    ...{ rule: "scan.rule", repository: "r.test/quarantine/shop", reason: "r", owner: "o", expires: "2026-05-31" },
    ...more,
  });
  const told = (more: Partial<Exception>) => ask("1 == 2", { exceptions: [exception(more)] });
  expect(told({})).toEqual([`set aside: ${wrong[0]}`]);
  expect(told({ gate: "own" })).toEqual([`set aside: ${wrong[0]}`]);
  expect(told({ gate: "other" })).toEqual(wrong);
  expect(told({ repository: "r.test/quarantine/other" })).toEqual(wrong);
  expect(told({ rule: "base.rule" })).toEqual(wrong);
});
