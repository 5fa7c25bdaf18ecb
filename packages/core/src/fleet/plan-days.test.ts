import { describe, expect, test } from "vitest";
import type { ListedViolation } from "../result.ts";
import type { ToldFinding } from "../scan/told-findings.ts";
import { type EarlierScan, planDays, type RescanFacts, readSince, tellDays, violationKey } from "./plan-days.ts";

const now = new Date("2026-11-26T12:00:00Z");
const day = 86_400_000;
const after = (days: number): Date => new Date(now.getTime() + days * day);
const rules = { others: 14 * day };

const finding = (more: Partial<ToldFinding> = {}): ToldFinding => ({
  ...{ platform: "linux/amd64", id: "CVE-2026-1", aliases: [], severity: "high", fixedVersions: [] },
  package: { name: "left", version: "1.0", type: "npm" },
  ...{ fixState: "unknown", origin: "application", ...more },
});
const violation = (more: Partial<ListedViolation> = {}): ListedViolation => ({
  ...{ rule: "scan.severity", thing: "CVE-2026-1 in left 1.0", problem: "p", wayOut: "w", ...more },
});
const plan = (more: Partial<RescanFacts> = {}) =>
  planDays({ violations: [violation()], findings: [finding()], earlier: [], rules, now, ...more });
const rescan = (since: Date, told: Partial<ToldFinding> = {}, thing = violation()): EarlierScan => ({
  told: { findings: [finding({ countsFrom: new Date(since.getTime() + 14 * day).toISOString(), ...told })] },
  since: { [violationKey(thing)]: since },
});

const other = finding({ package: { name: "right", version: "1.0", type: "npm" } });

describe("it counts at once", () => {
  test.each<[what: string, facts: Partial<RescanFacts>]>([
    ["what is known to be exploited", { findings: [finding({ kev: true })] }],
    [
      "what does harm",
      { findings: [finding({ malicious: true })], violations: [violation({ rule: "scan.malicious" })] },
    ],
    [
      "what a scan before has told, since an exception ended or the policy is stricter",
      { earlier: [{ told: { findings: [finding()] } }] },
    ],
    [
      "what a scan before has told as graver",
      { earlier: [{ told: { findings: [finding({ severity: "critical" })] } }] },
    ],
    ["what is no vulnerability's", { violations: [violation({ rule: "scan.license", thing: "left 1.0" })] }],
    ["where the policy has no days", { rules: undefined }],
    ["where it has none for the rest", { rules: { kev: 2 * day } }],
    ["what was known before for as long as that", { earlier: [rescan(after(-14))] }],
    ["what comes back after it was mended", { earlier: [rescan(after(-60)), { told: { findings: [] }, since: {} }] }],
    [
      "one of several things",
      {
        violations: [violation(), violation({ thing: "CVE-2 in x 1" })],
        findings: [finding(), finding({ id: "CVE-2", kev: true, package: { name: "x", version: "1", type: "npm" } })],
      },
    ],
    [
      "since a time that can't be read",
      { earlier: [{ told: { findings: [] }, since: { [violationKey(violation())]: new Date(Number.NaN) } }] },
    ],
  ])("%s", (_what, facts) => {
    expect(plan(facts).countsFrom).toBeUndefined();
  });
});

describe("it counts later", () => {
  test.each<[what: string, facts: Partial<RescanFacts>, days: number]>([
    ["so long after the first rescan as the policy says", {}, 14],
    ["from the first rescan that refused it on", { earlier: [rescan(after(-3)), rescan(after(-9))] }, 5],
    [
      "by its own rule for what is exploited",
      { rules: { kev: 2 * day, others: 14 * day }, findings: [finding({ kev: true })] },
      2,
    ],
    [
      "what a scan before has told as less grave",
      { earlier: [{ told: { findings: [finding({ severity: "medium" })] } }] },
      14,
    ],
    ["what a scan before has told of another package", { earlier: [{ told: { findings: [other] } }] }, 14],
    ["on another platform", { earlier: [rescan(after(-9), {}, violation({ platform: "linux/arm64" }))] }, 14],
  ])("%s", (_what, facts, days) => {
    expect(plan(facts).countsFrom).toEqual(after(days));
  });
});

test("without violations there is no day", () => {
  expect(plan({ violations: [] })).toMatchObject({ since: {}, days: [] });
  expect(plan({ violations: [] }).countsFrom).toBeUndefined();
});

describe("a finding, for the gates of environments", () => {
  const of = (facts: Partial<RescanFacts>): string | undefined => plan(facts).findings[0]?.countsFrom;

  test("is told with its day where it is new, and without one where a scan has told it before", () => {
    expect(of({})).toBe(after(14).toISOString());
    expect(of({ earlier: [{ told: { findings: [finding()] } }] })).toBeUndefined();
    expect(of({ earlier: [{ told: { findings: [finding({ platform: "linux/arm64" })] } }] })).toBe(
      after(14).toISOString(),
    );
  });

  test("keeps its first day, and loses it once it is known to be exploited", () => {
    const earlier = [rescan(after(-4))];
    expect(of({ earlier })).toBe(after(10).toISOString());
    expect(of({ earlier, findings: [finding({ kev: true })] })).toBeUndefined();
    expect(of({ earlier: [rescan(after(-4), { countsFrom: after(-1).toISOString() })] })).toBeUndefined();
  });
});

test("since when things are known is read back from what is signed", () => {
  const days = plan();
  const predicate = tellDays(
    { metadata: {}, scanner: { uri: "x", result: { matches: [], goldenpath: { a: 1 } } } },
    days,
  );
  expect(predicate).toMatchObject({ scanner: { uri: "x", result: { matches: [], goldenpath: { a: 1 } } } });
  expect(readSince(predicate)).toEqual({ [violationKey(violation())]: now });
  expect(readSince({})).toBeUndefined();
  expect(readSince(tellDays({ scanner: { result: { goldenpath: {} } } }, { ...days, since: {} }))).toEqual({});
});
