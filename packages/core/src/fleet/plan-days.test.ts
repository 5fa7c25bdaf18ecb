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
/** A scan that was signed so many days ago. */
const scanned = (days: number, ...findings: ToldFinding[]): EarlierScan => ({
  told: { findings, finishedOn: after(-days) },
});
/** The scan by which it came in, without what is found now, and what was signed besides. */
const plan = ({ earlier = [], ...more }: Partial<RescanFacts> = {}) =>
  planDays({
    ...{ violations: [violation()], findings: [finding()], rules, now, ...more },
    earlier: [scanned(1), ...earlier],
  });
const rescan = (since: Date, told: Partial<ToldFinding> = {}, thing = violation()): EarlierScan => ({
  told: {
    findings: [finding({ countsFrom: new Date(since.getTime() + 14 * day).toISOString(), ...told })],
    finishedOn: since,
  },
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
      { earlier: [scanned(3, finding())] },
    ],
    ["what a scan before has told as graver", { earlier: [scanned(3, finding({ severity: "critical" }))] }],
    ["what is no vulnerability's", { violations: [violation({ rule: "scan.license", thing: "left 1.0" })] }],
    ["where the policy has no days", { rules: undefined }],
    [
      "that a report is missing, where the policy has no days",
      { rules: { kev: 2 * day }, violations: [violation({ rule: "scan.report", thing: "the report of snyk" })] },
    ],
    [
      "that a report was missing before for as long as that",
      {
        violations: [violation({ rule: "scan.report", thing: "the report of snyk" })],
        earlier: [rescan(after(-14), {}, violation({ rule: "scan.report", thing: "the report of snyk" }))],
      },
    ],
    ["where it has none for the rest", { rules: { kev: 2 * day } }],
    ["what was known before for as long as that", { earlier: [rescan(after(-14))] }],
    ["what comes back after it was mended", { earlier: [rescan(after(-60)), { ...scanned(2), since: {} }] }],
    [
      "one of several things",
      {
        violations: [violation(), violation({ thing: "CVE-2 in x 1" })],
        findings: [finding(), finding({ id: "CVE-2", kev: true, package: { name: "x", version: "1", type: "npm" } })],
      },
    ],
    [
      "since a time that can't be read",
      { earlier: [{ ...scanned(2), since: { [violationKey(violation())]: new Date(Number.NaN) } }] },
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
    ["what a scan before has told as less grave", { earlier: [scanned(3, finding({ severity: "medium" }))] }, 14],
    ["what a scan before has told of another package", { earlier: [scanned(3, other)] }, 14],
    [
      "on another platform",
      { earlier: [rescan(after(-9), { platform: "linux/arm64" }, violation({ platform: "linux/arm64" }))] },
      14,
    ],
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
    expect(of({ earlier: [scanned(3, finding())] })).toBeUndefined();
    expect(of({ earlier: [scanned(3, finding({ platform: "linux/arm64" }))] })).toBe(after(14).toISOString());
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
  expect(readSince(predicate)).toEqual({ since: { [violationKey(violation())]: now } });
  const scanner = (goldenpath: object) => ({ scanner: { result: { goldenpath } } });
  expect(readSince(scanner({}))).toEqual({});
  expect(readSince(tellDays(scanner({}), { ...days, since: {} }))).toEqual({ since: {} });
  expect(readSince(scanner({ rescan: { since: { "[]": "soon" } } }))).toHaveProperty("problem");
});

describe("the same vulnerability under other names has no days anew", () => {
  const named = (id: string, ...aliases: string[]): Partial<ToldFinding> => ({ id, aliases });
  const of = (name: string, purl?: string, type = "npm", version = "1.0"): Partial<ToldFinding> => ({
    package: { name, version, type, ...(purl === undefined ? {} : { purl }) },
  });
  const cases: [what: string, before: Partial<ToldFinding>[], now: Partial<ToldFinding>][] = [
    ["an advisory that got its CVE", [named("GHSA-a", "CVE-2026-1")], named("CVE-2026-1")],
    ["a CVE that another scanner tells by its advisory", [named("CVE-2026-1")], named("GHSA-a", "CVE-2026-1")],
    ["names of which one is the same", [named("GHSA-a", "CVE-2026-1")], named("GO-2", "CVE-2026-1")],
    [
      "names that only a third scan joins",
      [named("GHSA-a"), { ...named("GO-2", "GHSA-a"), severity: "low" }],
      named("GO-2"),
    ],
    ["names in other letters", [named("ghsa-a")], named("GHSA-A")],
    ["one of those that an advisory was about", [{ ...named("RHSA-1"), covers: ["CVE-2026-1"] }], named("CVE-2026-1")],
    ["an advisory about it and others", [named("CVE-2026-1")], { ...named("RHSA-1"), covers: ["CVE-9", "CVE-2026-1"] }],
    ["a package with a URL now", [of("left")], of("left", "pkg:npm/left@1.0")],
    [
      "another qualifier, encoding and order in the URL",
      [of("left", "pkg:deb/debian/left@1%3A1.0?arch=amd64&distro=debian-12", "deb", "1:1.0")],
      of("left", "pkg:deb/debian/left@1:1.0?distro=bookworm", "deb", "1:1.0"),
    ],
    ["another word for the kind", [of("left", undefined, "dpkg")], of("left", undefined, "deb")],
    ["the group in the name", [of("@acme/left", "pkg:npm/%40acme/left@1.0")], of("left")],
    ["the version written otherwise", [of("left", undefined, "go-module", "v1.0")], of("left", undefined, "golang")],
    ["a name by its index's rules", [of("Left_Right")], of("left-right")],
    [
      "what it was built from",
      [of("libleft", "pkg:deb/debian/libleft@1.0?upstream=left", "deb")],
      of("left", undefined, "deb"),
    ],
  ];

  test.each(cases)("%s", (_what, before, found) => {
    const one = finding(found);
    const thing = `${one.id} in ${one.package.name} ${one.package.version}`;
    const facts = { findings: [one], violations: [violation({ thing })] };
    const told = plan({ ...facts, earlier: [scanned(3, ...before.map(finding))] });
    expect(told.countsFrom).toBeUndefined();
    expect(told.findings[0]?.countsFrom).toBeUndefined();
    // Nor after a rescan that gave it days: they are the same ones, and under another rule as well.
    const [first = one] = before.map((each) => finding({ ...each, countsFrom: after(8).toISOString() }));
    const key = { rule: "scan.gate" as const, thing: `${first.id} in ${first.package.name} ${first.package.version}` };
    const others = before.slice(1).map(finding);
    const again = [{ ...scanned(6, first, ...others), since: { [violationKey(violation(key))]: after(-6) } }];
    const later = plan({ ...facts, earlier: again });
    expect(Object.values(later.since)).toEqual([after(-6)]);
    expect(later.countsFrom).toEqual(after(8));
    expect(later.findings[0]?.countsFrom).toEqual(after(8).toISOString());
  });

  test.each<[what: string, before: Partial<ToldFinding>[], now: Partial<ToldFinding>]>([
    ["another vulnerability", [named("CVE-2026-2", "GHSA-b")], named("CVE-2026-1", "GHSA-a")],
    ["another package", [of("right", "pkg:npm/right@1.0")], of("left", "pkg:npm/left@1.0")],
  ])("%s has days", (_what, before, found) => {
    const one = finding(found);
    const facts = { findings: [one], violations: [violation({ thing: `${one.id} in ${one.package.name} 1.0` })] };
    expect(plan({ ...facts, earlier: [scanned(3, ...before.map(finding))] }).countsFrom).toEqual(after(14));
  });

  test("of one platform's image of an index, and not of another's", () => {
    const child = `sha256:${"a".repeat(64)}`;
    const one = finding({ ...named("CVE-2026-1"), child });
    const told = finding({ ...named("GHSA-a", "CVE-2026-1"), child, countsFrom: after(8).toISOString() });
    const key = violationKey(violation({ thing: "GHSA-a in left 1.0", platform: "linux/amd64" }));
    const facts = { findings: [one], violations: [violation({ platform: "linux/amd64" })] };
    const earlier = [{ ...scanned(6, told), since: { [key]: after(-6) } }];
    expect(Object.values(plan({ ...facts, earlier }).since)).toEqual([after(-6)]);
    const sibling = { ...told, child: `sha256:${"b".repeat(64)}` };
    expect(plan({ ...facts, earlier: [scanned(6, sibling)] }).countsFrom).toEqual(after(14));
  });

  test("a record of two CVEs makes of one that is new none that is known", () => {
    const findings = [
      finding(named("CVE-2026-1")),
      finding({ ...named("RHSA-1"), covers: ["CVE-2026-1", "CVE-2026-2"] }),
    ];
    const facts = { findings, violations: [violation()], earlier: [scanned(3, finding(named("CVE-2026-2")))] };
    expect(plan(facts).findings.map(({ countsFrom }) => countsFrom)).toEqual([after(14).toISOString(), undefined]);
  });
});

describe("what was signed before, and is not there any more, wins nobody days", () => {
  const found = rescan(after(-12));
  const on = (...earlier: EarlierScan[]) =>
    planDays({ violations: [violation()], findings: [finding()], earlier, rules, now }).countsFrom;

  test.each<[what: string, earlier: EarlierScan[], isUnreadable?: true]>([
    ["nothing is there", []],
    ["the scan before is of long ago", [scanned(28)]],
    ["the scan before does not say when it was", [scanned(Number.NaN)]],
    ["what is there is by nobody whose word counts", [{ ...scanned(1), provesNothing: true }]],
    ["one of them can't be read", [scanned(1)], true],
  ])("%s: all of it counts at once", (_what, earlier, isUnreadable) => {
    const facts = { violations: [violation()], findings: [finding()], earlier, rules, now };
    const told = planDays({ ...facts, ...(isUnreadable === undefined ? {} : { isUnreadable }) });
    expect(told.countsFrom).toBeUndefined();
    expect(told.findings[0]?.countsFrom).toBeUndefined();
  });

  test("the days begin so long after the scan before as images are scanned again, whatever is taken away", () => {
    expect(on(scanned(13), found)).toEqual(after(2));
    expect(on(scanned(13))).toEqual(after(14));
    expect(on(scanned(20))).toEqual(after(8));
    expect(on(scanned(27))).toEqual(after(1));
    expect(on(scanned(40), scanned(1), scanned(20))).toEqual(after(14));
    expect(on(scanned(20), { ...scanned(1), provesNothing: true })).toEqual(after(8));
    const report = { violations: [violation({ rule: "scan.report", thing: "the report of snyk" })], findings: [] };
    expect(planDays({ ...report, earlier: [scanned(20)], rules, now }).countsFrom).toEqual(after(8));
    const often = { ...rules, every: 2 * day };
    const facts = { violations: [violation()], findings: [finding()], rules: often, now };
    expect(planDays({ ...facts, earlier: [scanned(1)] }).countsFrom).toEqual(after(14));
    expect(planDays({ ...facts, earlier: [scanned(5)] }).countsFrom).toEqual(after(11));
  });

  test("what was told by somebody whose word has ended is known all the same", () => {
    expect(on(scanned(1), { ...scanned(3, finding()), provesNothing: true })).toBeUndefined();
    expect(on(scanned(1), { ...found, provesNothing: true })).toEqual(after(2));
  });
});
