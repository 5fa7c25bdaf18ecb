import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { makeFinding } from "@goldenpath/testing/findings";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { beforeAll, describe, expect, test } from "vitest";
import { buildSarif } from "./sarif.ts";

// The format's own schema, as its authors publish it with their matchers, and what GitHub says that it takes:
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning

const schema = createRequire(import.meta.url).resolve("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
const ajv = new Ajv({ strict: false, unicodeRegExp: false });
addFormats.default(ajv);
// It is of draft 4, of whose keywords that a later one reads differently it uses none but its own name.
const { $schema: _draft, id: _id, ...rest } = JSON.parse(readFileSync(schema, "utf8")) as Record<string, unknown>;
const validate = ajv.compile(rest);

interface Log {
  runs: {
    tool: { driver: { rules: { properties: { tags: string[]; "security-severity": string } }[] } };
    results: { locations: unknown[]; ruleIndex: number; partialFingerprints: Record<string, string> }[];
    properties?: { omitted: string };
  }[];
}

const severities = ["critical", "high", "unknown", "medium", "low", "negligible"] as const;

function build(count: number): Log {
  const findings = Array.from({ length: count }, (_, at) =>
    makeFinding({
      id: `CVE-2026-${at}`,
      aliases: [`GHSA-${at}`, `DSA-${at}`],
      severity: severities[at % severities.length] ?? "low",
      description: "What is wrong, and how it is used. ".repeat(40),
      package: { name: `package-${at % 700}`, version: `1.${at}`, type: at % 2 === 0 ? "npm" : "deb" },
      paths: Array.from({ length: 30 }, (_unused, path) => `/workspace/node_modules/${at}/${path}/package.json`),
      urls: [`https://nvd.nist.gov/vuln/detail/CVE-2026-${at}`],
    }),
  );
  return buildSarif({
    findings,
    scanners: [{ name: "grype", version: "0.121.2" }],
    repository: "registry.acme.example/quarantine/shop",
    locate: () => ({ file: "package-lock.json", line: 12 }),
    suppression: ({ id }) => (id.endsWith("7") ? "r (o, until 2027-01-01)" : undefined),
  }) as unknown as Log;
}

test("what is not SARIF is refused by the schema", () => {
  const log = build(1);
  const [run] = log.runs;
  expect(validate(log)).toBe(true);
  expect(validate({ ...log, version: "2.0.0" })).toBe(false);
  expect(validate({ ...log, runs: [{ ...run, results: [{ message: {} }] }] })).toBe(false);
  expect(validate({ ...log, runs: [{ ...run, tool: {} }] })).toBe(false);
});

describe("30,000 findings", () => {
  let log: Log;
  beforeAll(() => {
    log = build(30_000);
  });

  test("are valid by SARIF 2.1.0's schema", () => {
    validate(log);
    expect(validate.errors ?? []).toEqual([]);
  });

  test("stay within what GitHub takes, the worst first, and say how many are left out", () => {
    expect(gzipSync(JSON.stringify(log)).byteLength).toBeLessThan(10 * 1024 * 1024);
    expect(log.runs.length).toBeLessThanOrEqual(20);
    const [run] = log.runs;
    const rules = run?.tool.driver.rules ?? [];
    // 25,000 results are taken, and the 5,000 of the highest severities are kept.
    expect(run?.results.length).toBe(5_000);
    expect(run?.properties?.omitted).toContain("25000");
    expect(rules.length).toBeLessThanOrEqual(25_000);
    expect(Math.max(...rules.map(({ properties }) => properties.tags.length))).toBeLessThanOrEqual(20);
    expect(Math.max(...(run?.results ?? []).map(({ locations }) => locations.length))).toBeLessThanOrEqual(1_000);
    // Each is "over 0.0 and up to 10.0", as a string; and no alert closes another.
    for (const { properties } of rules) expect(properties["security-severity"]).toMatch(/^(?!0\.0$)(?:10|\d)\.\d$/);
    expect(new Set(rules.map(({ properties }) => properties["security-severity"]))).toEqual(new Set(["9.5"]));
    const fingerprints = (run?.results ?? []).map((each) => JSON.stringify(each.partialFingerprints));
    expect(new Set(fingerprints).size).toBe(5_000);
  });
});
