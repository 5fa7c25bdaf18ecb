import {
  ago,
  edited,
  environment,
  finding,
  minute,
  now,
  policy as plain,
  summary,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { ListedViolation } from "../result.ts";
import type { ToldFinding } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { SummaryFacts } from "../signing/verification-summary.ts";
import { violationKey } from "./plan-days.ts";
import { isSaidAlready, listEarlier, listScanSigners, type RescanWord, readBefore } from "./scans-before.ts";

const day = 24 * 60 * minute;
const asking = (...signers: string[]) => ({ ...environment, requires: [{ stage: "scan" as const, signers }] });
const policy: LoadedPolicy = {
  ...plain,
  policy: {
    ...plain.policy,
    environments: {
      production: asking("scan", "auditor"),
      staging: asking("scan", "team"),
      lab: { ...environment, requires: [{ stage: "base", signers: ["base"] }] },
    },
  },
};

const vulnerability: ToldFinding = {
  ...{ platform: "linux/amd64", id: "CVE-2026-1", aliases: [], severity: "high", fixedVersions: [] },
  ...{ package: { name: "left", version: "1", type: "npm" }, fixState: "unknown", origin: "base" },
};
const refused: ListedViolation = {
  ...{ rule: "scan.severity", thing: "CVE-2026-1 in left 1", problem: "p", wayOut: "w" },
};
const predicate = (findings: readonly ToldFinding[], since?: Record<string, string>) => ({
  metadata: { scanFinishedOn: ago(day).toISOString() },
  scanner: {
    result: {
      goldenpath: { platforms: ["linux/amd64"], findings, ...(since === undefined ? {} : { rescan: { since } }) },
    },
  },
});
const scan = (by: string, told = predicate([vulnerability])): VerifiedStatement =>
  finding(predicateTypes.vulnerabilities, by, undefined, told);
const read = (statements: VerifiedStatement[], environments = ["production"], lapsed: VerifiedStatement[] = []) =>
  readBefore({ statements, lapsed, rejected: [] }, policy, environments);

describe("what was scanned before", () => {
  test("by whom the policy does not know for the scan is not looked at", () => {
    const before = read([scan("build"), scan("base"), finding(predicateTypes.cyclonedx, "scan")]);
    expect(listEarlier(before)).toEqual([]);
    expect(before.unreadable).toEqual([]);
    expect(listEarlier(read([scan("scan")]))).toEqual([
      { told: expect.objectContaining({ findings: [vulnerability] }) },
    ]);
  });

  test("by who speaks for the scan elsewhere, or does no more, is known and proves nothing", () => {
    const told = { told: expect.objectContaining({ findings: [vulnerability] }) };
    expect(listEarlier(read([scan("team")]))).toEqual([{ ...told, provesNothing: true }]);
    expect(listEarlier(read([scan("team")], ["staging"]))).toEqual([told]);
    expect(listEarlier(read([scan("team")], ["staging", "production"]))).toEqual([{ ...told, provesNothing: true }]);
    expect(listEarlier(read([scan("team")], ["staging", "lab"]))).toEqual([told]);
    expect(listEarlier(read([], ["production"], [scan("scan")]))).toEqual([{ ...told, provesNothing: true }]);
    const both = scan("scan");
    expect(listEarlier(read([both], ["production"], [{ ...both, signers: ["auditor"] }]))).toEqual([told]);
    expect([...listScanSigners(policy.policy, ["production", "staging"])]).toEqual(["scan"]);
  });

  test.each<[what: string, statement: () => VerifiedStatement]>([
    ["a scan that does not tell its findings", () => scan("scan", { bomFormat: "CycloneDX" } as never)],
    ["one without a time", () => edited(scan("scan"), ["metadata", "scanFinishedOn"], "soon")],
    ["a rescan whose days are no days", () => scan("scan", predicate([], { key: "soon" }))],
    ["a verdict", () => edited(summary("scan", "scan", []), ["timeVerified"], "soon")],
  ])("that can't be read is told: %s", (_what, statement) => {
    const before = read([scan("scan"), statement()]);
    expect(before.unreadable).toEqual([expect.stringContaining("signed by 'scan', can't be read: ")]);
    expect(listEarlier(before)).toHaveLength(1);
    expect(read([scan("scan")]).unreadable).toEqual([]);
  });
});

describe("a verdict is said again", () => {
  const rescan = scan("scan", predicate([vulnerability], { [violationKey(refused)]: ago(day).toISOString() }));
  const until = (date: string) => ({ excepted: 1, exceptions: { until: date } });
  const said = (more: Partial<RescanWord> = {}): RescanWord => ({
    ...{ passed: false, violations: [refused], excepted: 0, findings: [vulnerability], ...more },
  });
  const verdict = (more: Partial<SummaryFacts> = {}) =>
    summary("scan", "scan", [rescan], { passed: false, violations: 1, timeVerified: ago(day), ...more });
  const isSaid = (word: RescanWord, of = verdict(), lapsed: VerifiedStatement[] = []) =>
    isSaidAlready(read([rescan, of], ["production"], lapsed), word, policy, now);

  test.each<[what: string, word: Partial<RescanWord>, of?: Partial<SummaryFacts>]>([
    ["once an exception was made longer", until("2026-12-01"), until("2026-11-01")],
    ["once an exception was made shorter", until("2026-11-01"), until("2026-12-01")],
    ["once an exception has ended, and there is nothing for it", {}, until("2026-04-30")],
    ["once an exception sets something aside", until("2026-12-01")],
    ["once an exception sets more aside", { ...until("2026-12-01"), excepted: 2 }, until("2026-12-01")],
    [
      "once an exception is granted to this repository",
      { excepted: 1, exceptions: { until: "2026-12-01", repository: "registry.example/vetted/shop" } },
      until("2026-12-01"),
    ],
    ["with another day", { countsFrom: now }],
    ["that passes now", { passed: true, violations: [] }],
    ["on another thing", { violations: [{ ...refused, thing: "CVE-2026-2 in left 1" }] }],
    ["on another finding", { findings: [{ ...vulnerability, kev: true }] }],
    ["after a week", {}, { timeVerified: ago(7 * day) }],
  ])("%s", (_what, word, of) => {
    expect(isSaid(said(word), verdict(of))).toBe(false);
  });

  test("over one that has ended and is not older", () => {
    const ended = verdict({ timeVerified: ago(day) });
    expect(isSaid(said(), undefined, [ended])).toBe(false);
    expect(isSaid(said(), undefined, [verdict({ timeVerified: ago(2 * day) })])).toBe(true);
  });

  test("where the scan that it rests on is gone", () => {
    expect(isSaidAlready(read([verdict()]), said(), policy, now)).toBe(false);
  });

  test("once a probability crosses an environment's gate, and not for each other one", () => {
    const of = (epss: number): ToldFinding => ({ ...vulnerability, epss });
    const key = { [violationKey(refused)]: ago(day).toISOString() };
    const told = scan("scan", predicate([of(0.01)], key));
    const refuse = [{ name: "likely", epss: 0.1, missing: "refuse" as const }];
    const lab = { ...policy.policy.environments["lab"], refuse } as LoadedPolicy["policy"]["environments"][string];
    const gated = { ...policy, policy: { ...policy.policy, environments: { ...policy.policy.environments, lab } } };
    const before = read([told, verdict({ inputs: [{ digest: told.bundle.digest, uri: "x:y" }] })]);
    expect(isSaidAlready(before, said({ findings: [of(0.2)] }), gated, now)).toBe(false);
    expect(isSaidAlready(before, said({ findings: [vulnerability] }), policy, now)).toBe(false);
    expect(isSaidAlready(before, said({ findings: [of(0.02)] }), gated, now)).toBe(true);
    expect(isSaidAlready(before, said({ findings: [of(0.2)] }), policy, now)).toBe(true);
  });

  test("and not where nothing is new", () => {
    expect(isSaid(said())).toBe(true);
    expect(isSaid(said(until("2026-12-01")), verdict(until("2026-12-01")))).toBe(true);
    expect(isSaid(said(), verdict({ timeVerified: ago(7 * day - minute) }))).toBe(true);
    const often = {
      ...policy,
      policy: { ...policy.policy, scan: { ...policy.policy.scan, rescan: { every: 2 * day } } },
    };
    expect(isSaidAlready(read([rescan, verdict()]), said(), often, now)).toBe(false);
  });
});
