import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFinding } from "@goldenpath/testing/findings";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Finding } from "./finding.ts";
import { createLocator } from "./locate.ts";
import { buildSarif } from "./sarif.ts";

const finding = (fields: Partial<Finding> = {}): Finding =>
  makeFinding({
    paths: ["/workspace/node_modules/lodash/package.json"],
    urls: ["https://github.com/advisories/GHSA-35jh-r3h4-6jhm"],
    ...fields,
  });

interface SarifRun {
  tool: { driver: { rules: { id: string; properties: Record<string, unknown> }[] } };
  automationDetails: { id: string };
  results: {
    ruleId: string;
    ruleIndex: number;
    level: string;
    locations: { physicalLocation: { artifactLocation: { uri: string } } }[];
    partialFingerprints: Record<string, string>;
    suppressions?: object[];
  }[];
  properties?: object;
}

function run(
  findings: Finding[],
  except: (finding: Finding) => boolean = () => false,
  repository = "registry.test/quarantine/shop",
): SarifRun {
  const sarif = buildSarif({
    findings,
    scanners: [{ name: "grype", version: "0.121.2" }],
    repository,
    locate: () => ({ file: "package-lock.json", line: 12 }),
    suppression: (entry) => (except(entry) ? "unused (team, until 2026-05-31)" : undefined),
  });
  expect(sarif).toMatchObject({ version: "2.1.0" });
  const [first, ...others] = sarif["runs"] as SarifRun[];
  expect(others).toEqual([]);
  return first as SarifRun;
}

describe("SARIF", () => {
  test("one rule for each vulnerability, which its results point to", () => {
    const { tool, results } = run([
      finding({ package: { name: "lodash-es", version: "4.17.20", type: "npm" } }),
      finding({ id: "CVE-2010-4756", severity: "negligible" }),
      finding(),
    ]);
    expect(tool.driver.rules.map(({ id }) => id)).toEqual(["GHSA-35jh-r3h4-6jhm", "CVE-2010-4756"]);
    expect(results.map(({ ruleId, ruleIndex, level }) => [ruleId, ruleIndex, level])).toEqual([
      ["GHSA-35jh-r3h4-6jhm", 0, "error"],
      ["GHSA-35jh-r3h4-6jhm", 0, "error"],
      ["CVE-2010-4756", 1, "note"],
    ]);
    expect(JSON.stringify(results)).not.toContain("image:");
  });

  test.each([
    ["critical", 9.8, "9.8"],
    ["critical", 7.2, "9.5"],
    ["high", 7.2, "7.2"],
    ["high", 9.8, "8.0"],
    ["unknown", undefined, "8.0"],
    ["medium", 5.3, "5.3"],
    ["low", undefined, "2.0"],
    ["negligible", 7.5, "0.1"],
  ] as const)("severity %s with score %s is a security-severity of %s", (severity, cvss, expected) => {
    const { tool } = run([finding({ severity, ...(cvss === undefined ? {} : { cvss }) })]);
    expect(tool.driver.rules[0]?.properties["security-severity"]).toBe(expected);
  });

  test("an excepted finding is there, and suppressed", () => {
    const { results } = run([finding(), finding({ id: "GHSA-2" })], ({ id }) => id === "GHSA-2");
    expect(results.find(({ ruleId }) => ruleId === "GHSA-2")?.suppressions).toMatchObject([
      { kind: "external", justification: /team/ },
    ]);
    expect(results.find(({ ruleId }) => ruleId !== "GHSA-2")?.suppressions).toBeUndefined();
  });

  test("alerts of two images, packages and vulnerabilities don't close each other's; a new version's is the same alert", () => {
    const print = (more: Partial<Finding> = {}, repository?: string) => {
      const result = run([finding(more)], undefined, repository).results[0];
      return result?.partialFingerprints["primaryLocationLineHash"];
    };
    const prints = [
      print(),
      print({}, "registry.test/quarantine/other"),
      print({ id: "GHSA-2" }),
      print({ package: { name: "lodash-es", version: "4.17.20", type: "npm" } }),
    ];
    expect(new Set(prints).size).toBe(4);
    expect(print({ package: { name: "lodash", version: "4.17.19", type: "npm" } })).toBe(print());
    expect(run([], undefined, "registry.test/a").automationDetails.id).not.toBe(
      run([], undefined, "registry.test/b").automationDetails.id,
    );
  });

  test("more than GitHub takes are cut from the least severe, and counted", () => {
    const many = Array.from({ length: 5_001 }, (_, index) =>
      finding({ id: `CVE-${index}`, severity: index === 5_000 ? "critical" : "low" }),
    );
    const { results, properties } = run(many);
    expect(results).toHaveLength(5_000);
    expect(results[0]?.ruleId).toBe("CVE-5000");
    expect(properties).toEqual({ omitted: "1 findings of the lowest severities" });
  });
});

describe("the file that a finding is mended in", () => {
  let root = "";
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "goldenpath-locate-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const put = async (name: string): Promise<void> => {
    await mkdir(join(root, name, ".."), { recursive: true });
    await writeFile(join(root, name), "");
  };
  const locate = (policy: string, type = "npm") =>
    createLocator(root, policy)(finding({ package: { name: "x", version: "1", type } })).file;

  test("is the lock file of its kind", async () => {
    await put("package.json");
    await put("package-lock.json");
    await put("Dockerfile");
    expect(locate("policy.yaml")).toBe("package-lock.json");
    expect(locate("policy.yaml", "deb")).toBe("Dockerfile");
  });

  test("has the line of the package there, and of the base the last FROM", async () => {
    await writeFile(join(root, "package-lock.json"), '{\n"node_modules/x": {\n"version": "1"\n}\n}');
    await writeFile(join(root, "Dockerfile"), "FROM a AS build\nFROM b\n");
    const npm = finding({ package: { name: "x", version: "1", type: "npm" } });
    const place = createLocator(root, "policy.yaml");
    expect(place({ ...npm, origin: "application" })).toEqual({ file: "package-lock.json", line: 2, isKnown: true });
    expect(place({ ...npm, origin: "base" })).toEqual({ file: "Dockerfile", line: 2, isKnown: true });
    expect(place(finding({ package: { name: "libc6", version: "1", type: "deb" } }))).toEqual({
      file: "Dockerfile",
      isKnown: false,
    });
  });

  test("has no line where it is a link: what it leads to may lie outside of the checkout", async () => {
    const outside = await mkdtemp(join(tmpdir(), "goldenpath-outside-"));
    try {
      await writeFile(join(outside, "lock"), '{\n"node_modules/x": {\n"version": "1"\n}\n}');
      await writeFile(join(outside, "images"), "# of others\nFROM b\n");
      await symlink(join(outside, "lock"), join(root, "package-lock.json"));
      await symlink(join(outside, "images"), join(root, "Dockerfile"));
      await symlink(join(outside, "none"), join(root, "go.mod"));
      const place = createLocator(root, "policy.yaml");
      const of = (type: string) => finding({ package: { name: "x", version: "1", type } });
      expect(place(of("npm"))).toEqual({ file: "package-lock.json", isKnown: true });
      expect(place({ ...of("npm"), origin: "base" })).toEqual({ file: "Dockerfile", isKnown: true });
      // Whether a link leads somewhere is not told either.
      expect(place(of("go-module"))).toEqual({ file: "go.mod", isKnown: true });
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  test.each([
    ["has the line of the largest file that is read", 0, 2],
    ["has no line in a larger one", 1, undefined],
  ])("%s", async (_what, more, line) => {
    const text = '{\n"node_modules/x": {\n"version": "1"\n}\n}';
    await writeFile(join(root, "package-lock.json"), text.padEnd(4 * 1024 * 1024 + more, "\n"));
    const npm = finding({ package: { name: "x", version: "1", type: "npm" } });
    expect(createLocator(root, "policy.yaml")(npm).line).toBe(line);
  });

  test("is the policy where nothing else is there, if that is in the checkout", async () => {
    await put("org/policy.yaml");
    expect(locate("org/policy.yaml")).toBe("org/policy.yaml");
    expect(locate(join(root, "org/policy.yaml"))).toBe("org/policy.yaml");
    expect(locate("acme/platform//policy.yaml@0123")).toBe("README.md");
    expect(locate("/etc/hostname")).toBe("README.md");
  });
});
