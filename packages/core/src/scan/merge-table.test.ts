import { describe, expect, test } from "vitest";
import type { FindingSeverity, ScannerFinding } from "./finding.ts";
import { judgeFindings } from "./gate.ts";
import { countFindings, mergeFindings, placeFindings } from "./merge.ts";

// What three sources say of one image, and what comes of it, each line checked by hand against docs/policy.md, "What
// several scanners say". A saying is `SOURCE NAME[=ALIAS…] SEVERITY [>FIX | wont-fix | not-fixed] [FLAG…]`; `own` is the
// distribution's own advisory, `unrated` such a one whose severity is somebody else's. Sources are asked in the order
// grype, osv, paid, and the first one names a finding. What comes of it is
// `NAME SEVERITY FIX (SOURCES)`. The names of vulnerabilities are made up where a line needs two that there are not.
type Line = readonly [pkg: string, said: readonly string[], comes: readonly string[]];

const table: readonly Line[] = [
  // One source alone.
  ["npm/qs@6.5.0", ["grype GHSA-q1=CVE-1001 high >6.5.3"], ["GHSA-q1 high 6.5.3 (grype)"]],
  ["npm/ws@7.0.0", ["osv GHSA-w1=CVE-1002 medium >7.5.10"], ["GHSA-w1 medium 7.5.10 (osv)"]],
  ["npm/request@2.88.2", ["grype GHSA-r1=CVE-1003 medium not-fixed"], ["GHSA-r1 medium not-fixed (grype)"]],
  ["golang/x/net@v0.1.0", ["osv GO-1=CVE-1004=GHSA-n1 unknown >0.17.0"], ["GO-1 unknown 0.17.0 (osv)"]],
  ["pypi/jinja2@2.4.1", ["paid CVE-1005 critical"], ["CVE-1005 critical unknown (paid)"]],
  // Both say the same, under the same name.
  [
    "npm/lodash@4.17.20",
    ["grype GHSA-l1=CVE-1006 high >4.17.21", "osv GHSA-l1=CVE-1006 high >4.17.21"],
    ["GHSA-l1 high 4.17.21 (grype osv)"],
  ],
  [
    "npm/minimist@1.2.0",
    ["grype GHSA-m1=CVE-1007 critical >1.2.6", "osv GHSA-m1=CVE-1007 critical >1.2.6"],
    ["GHSA-m1 critical 1.2.6 (grype osv)"],
  ],
  // Under names that only an alias joins.
  [
    "npm/fastify@4.0.0",
    ["grype GHSA-f1=CVE-1008 high >4.8.1", "osv CVE-1008 high >4.8.1"],
    ["GHSA-f1 high 4.8.1 (grype osv)"],
  ],
  [
    "npm/express@4.0.0",
    ["osv CVE-1009 medium >4.19.2", "grype GHSA-e1=CVE-1009 medium >4.19.2"],
    ["GHSA-e1 medium 4.19.2 (grype osv)"],
  ],
  [
    "pypi/flask@0.5",
    ["grype GHSA-p1=CVE-1010 high >1.0", "osv PYSEC-1=CVE-1010 unknown >1.0"],
    ["GHSA-p1 high 1.0 (grype osv)"],
  ],
  // By way of a third source, in a row and in a circle, and the link last.
  [
    "golang/crypto@v0.1.0",
    ["grype GHSA-c1=CVE-1011 high >0.17.0", "osv GO-2=GHSA-c2 low >0.17.0", "paid CVE-1011=GHSA-c2 medium >0.17.0"],
    ["GHSA-c1 high 0.17.0 (grype osv paid)"],
  ],
  [
    "golang/text@v0.3.0",
    ["grype GHSA-t1=CVE-1012 low", "osv CVE-1012=GO-3 low", "paid GO-3=GHSA-t1 low"],
    ["GHSA-t1 low unknown (grype osv paid)"],
  ],
  [
    "golang/sys@v0.1.0",
    ["grype GHSA-s1=CVE-1013 medium", "osv GO-4=CVE-1014 medium", "paid CVE-1013=CVE-1014 medium"],
    ["GHSA-s1 medium unknown (grype paid)", "GO-4 medium unknown (osv)"],
  ],
  // Two CVEs stay two, though a third record has names of both: by its own name it is the first one's.
  [
    "golang/oauth2@v0.1.0",
    ["grype GHSA-o1=CVE-1017 low", "osv GHSA-o2=CVE-1018 critical", "paid GO-5=GHSA-o1=GHSA-o2 medium"],
    ["GHSA-o1 medium unknown (grype paid)", "GHSA-o2 critical unknown (osv)"],
  ],
  // The same name in another package, and another name in the same package, are findings of their own.
  ["npm/lodash-es@4.17.20", ["grype GHSA-l1=CVE-1006 high >4.17.21"], ["GHSA-l1 high 4.17.21 (grype)"]],
  ["npm/lodash@4.17.19", ["grype GHSA-l1=CVE-1006 high >4.17.21"], ["GHSA-l1 high 4.17.21 (grype)"]],
  [
    "npm/tar@4.0.0",
    ["grype GHSA-a1=CVE-1015 high >4.4.16", "osv GHSA-a2=CVE-1016 low >4.4.18"],
    ["GHSA-a1 high 4.4.16 (grype)", "GHSA-a2 low 4.4.18 (osv)"],
  ],
  ["pypi/lodash@4.17.20", ["osv PYSEC-2=CVE-1006 low"], ["PYSEC-2 low unknown (osv)"]],
  // They disagree on the severity: the worst holds, and nobody's rating stands beside high.
  ["npm/a1@1", ["grype GHSA-1=CVE-2001 low >2", "osv GHSA-1=CVE-2001 critical >2"], ["GHSA-1 critical 2 (grype osv)"]],
  ["npm/a2@1", ["grype GHSA-2=CVE-2002 critical >2", "osv GHSA-2=CVE-2002 low >2"], ["GHSA-2 critical 2 (grype osv)"]],
  ["npm/a3@1", ["grype GHSA-3 medium", "osv GHSA-3 unknown"], ["GHSA-3 unknown unknown (grype osv)"]],
  ["npm/a4@1", ["grype GHSA-4 high", "osv GHSA-4 unknown"], ["GHSA-4 high unknown (grype osv)"]],
  ["npm/a5@1", ["grype GHSA-5 unknown", "osv GHSA-5 critical"], ["GHSA-5 critical unknown (grype osv)"]],
  ["npm/a6@1", ["grype GHSA-6 negligible", "osv GHSA-6 low"], ["GHSA-6 low unknown (grype osv)"]],
  ["npm/a7@1", ["grype GHSA-7 low", "osv GHSA-7 medium", "paid GHSA-7 high"], ["GHSA-7 high unknown (grype osv paid)"]],
  // They disagree on the fix: whoever knows one counts.
  ["npm/b1@1", ["grype GHSA-11 high not-fixed", "osv GHSA-11 high >2"], ["GHSA-11 high 2 (grype osv)"]],
  ["npm/b2@1", ["grype GHSA-12 high", "osv GHSA-12 high wont-fix"], ["GHSA-12 high wont-fix (grype osv)"]],
  ["npm/b3@1", ["grype GHSA-13 high >2", "osv GHSA-13 high >3"], ["GHSA-13 high 2,3 (grype osv)"]],
  ["npm/b4@1", ["grype GHSA-14 high not-fixed", "osv GHSA-14 high wont-fix"], ["GHSA-14 high wont-fix (grype osv)"]],
  // An advisory that was taken back.
  ["npm/c1@1", ["osv GHSA-21 critical withdrawn"], ["GHSA-21 critical unknown withdrawn (osv)"]],
  ["npm/c2@1", ["osv GHSA-22 critical withdrawn", "grype GHSA-22 low"], ["GHSA-22 low unknown (grype osv)"]],
  ["npm/c3@1", ["osv GHSA-23 low withdrawn", "grype GHSA-23 high"], ["GHSA-23 high unknown (grype osv)"]],
  [
    "npm/c4@1",
    ["osv GHSA-24 low withdrawn", "paid GHSA-24 high withdrawn"],
    ["GHSA-24 high unknown withdrawn (osv paid)"],
  ],
  ["npm/c5@1", ["osv GHSA-25 high >9 withdrawn", "grype GHSA-25 high >2"], ["GHSA-25 high 2 (grype osv)"]],
  // One package twice: in two places, and twice in one report.
  ["npm/d1@1", ["grype GHSA-31 high >2 @/a", "grype GHSA-31 high >2 @/b"], ["GHSA-31 high 2 (grype)"]],
  [
    "npm/d2@1",
    ["grype GHSA-32 high >2", "grype GHSA-32 high >2", "osv GHSA-32 high >2"],
    ["GHSA-32 high 2 (grype osv)"],
  ],
  ["npm/d3@1", ["grype CVE-2033 low", "grype GHSA-33=CVE-2033 high"], ["CVE-2033 high unknown (grype)"]],
  // A distribution's package: its own advisory counts, and both stay to be seen.
  [
    "deb/openssl@3.0.11-1",
    ["grype CVE-3001 medium >3.0.13-1 own", "paid CVE-3001 critical >3.0.12"],
    ["CVE-3001 medium 3.0.13-1 (grype paid)"],
  ],
  [
    "deb/curl@7.88.1-10",
    ["paid CVE-3002 critical >8.4.0", "grype CVE-3002 low >7.88.1-10+deb12u4 own"],
    ["CVE-3002 low 7.88.1-10+deb12u4 (grype paid)"],
  ],
  [
    "deb/zlib1g@1.2.13",
    ["grype CVE-3003 negligible wont-fix own", "paid CVE-3003 critical >1.3.1"],
    ["CVE-3003 negligible wont-fix (grype paid)"],
  ],
  [
    "deb/libc6@2.36-9",
    ["grype CVE-3004 high >2.36-9+deb12u3 own", "osv DEBIAN-CVE-3004=CVE-3004 unknown >2.36-9+deb12u3 own unrated"],
    ["CVE-3004 high 2.36-9+deb12u3 (grype osv)"],
  ],
  // The distribution did not rate: the severity is the others', the fix its own.
  [
    "deb/bash@5.2.15",
    ["osv DEBIAN-CVE-3005=CVE-3005 unknown not-fixed own unrated", "paid CVE-3005 medium >5.3"],
    ["DEBIAN-CVE-3005 unknown not-fixed (osv paid)"],
  ],
  [
    "deb/perl@5.36",
    ["osv DEBIAN-CVE-3006=CVE-3006 critical not-fixed own unrated", "grype CVE-3006 low not-fixed own"],
    ["CVE-3006 low not-fixed (grype osv)"],
  ],
  // Two words of the same distribution: the worse of them.
  [
    "deb/tar@1.34",
    ["grype CVE-3007 low wont-fix own", "osv DEBIAN-CVE-3007=CVE-3007 medium >1.35 own"],
    ["CVE-3007 medium 1.35 (grype osv)"],
  ],
  // Mended in the distribution's version, of which it therefore says nothing: silence is no word.
  ["deb/expat@2.5.0-1", ["paid CVE-3008 high >2.6.0"], ["CVE-3008 high 2.6.0 (paid)"]],
  // The distribution took it back, and somebody else stands by it.
  [
    "deb/nss@3.87",
    ["osv DEBIAN-CVE-3009=CVE-3009 low own withdrawn", "paid CVE-3009 high"],
    ["DEBIAN-CVE-3009 high unknown (osv paid)"],
  ],
  [
    "apk/busybox@1.36.1-r4",
    ["grype CVE-3010 medium >1.36.1-r7 own", "osv ALPINE-CVE-3010=CVE-3010 critical >1.36.1-r7 own unrated"],
    ["CVE-3010 medium 1.36.1-r7 (grype osv)"],
  ],
  [
    "rpm/glibc@2.34",
    ["grype CVE-3011 low >2.34-60 own", "paid CVE-3011 high >2.39"],
    ["CVE-3011 low 2.34-60 (grype paid)"],
  ],
  // The word of a distribution about what is not its package is a word like any other.
  ["npm/e1@1", ["grype CVE-3012 low own", "osv CVE-3012 high"], ["CVE-3012 high unknown (grype osv)"]],
  // An announcement of several is a name of none of them.
  [
    "rpm/openssl@3.0.7",
    ["grype RHSA-1 high >3.0.8 own :CVE-3013:CVE-3014", "paid CVE-3013 low >3.0.9", "paid CVE-3014 medium >3.0.9"],
    ["RHSA-1 high 3.0.8 (grype)", "CVE-3014 medium 3.0.9 (paid)", "CVE-3013 low 3.0.9 (paid)"],
  ],
  [
    "deb/gnutls@3.7.9",
    ["osv DSA-1 unknown >3.7.9-2 own unrated :CVE-3015:CVE-3016", "grype CVE-3015 high >3.7.9-2 own"],
    ["CVE-3015 high 3.7.9-2 (grype)", "DSA-1 unknown 3.7.9-2 (osv)"],
  ],
  // Known exploitation and malice: of all who say something, and never less by silence.
  ["npm/f1@1", ["grype GHSA-41 low nokev", "osv GHSA-41 low"], ["GHSA-41 low unknown nokev (grype osv)"]],
  ["npm/f2@1", ["grype GHSA-42 low", "paid GHSA-42 low kev"], ["GHSA-42 low unknown kev (grype paid)"]],
  ["npm/f3@1", ["grype GHSA-43 low nokev", "paid GHSA-43 low kev"], ["GHSA-43 low unknown kev (grype paid)"]],
  ["npm/lodahs@1.0.0", ["osv MAL-1 unknown"], ["MAL-1 unknown unknown malicious (osv)"]],
  [
    "npm/evnet@1.0.0",
    ["osv MAL-2=GHSA-44 unknown", "grype GHSA-44 critical"],
    ["GHSA-44 critical unknown malicious (grype osv)"],
  ],
  // The architecture in the package URL says no more than the platform, and a scope keeps packages apart.
  [
    "deb/gcc@12?arch=amd64",
    ["grype CVE-3017 low own", "osv DEBIAN-CVE-3017=CVE-3017 low own"],
    ["CVE-3017 low unknown (grype osv)"],
  ],
  ["npm/@acme/utils@1.0.0", ["grype GHSA-45 high >1.0.1"], ["GHSA-45 high 1.0.1 (grype)"]],
  ["npm/utils@1.0.0", ["osv GHSA-45 low >1.0.1"], ["GHSA-45 low 1.0.1 (osv)"]],
];

const order = ["grype", "osv", "paid"];

function readSaying(pkg: string, text: string): { source: string; finding: ScannerFinding } {
  const [source = "", names = "", severity = "", ...rest] = text.split(" ");
  const [id = "", ...aliases] = names.split("=");
  const [, type = "", name = "", version = ""] = /^([a-z]+)\/(.+)@([^@]+)$/.exec(pkg) ?? [];
  const fixes = rest.filter((word) => word.startsWith(">")).map((word) => word.slice(1));
  const covers = rest.flatMap((word) => (word.startsWith(":") ? word.slice(1).split(":") : []));
  const has = (word: string): boolean => rest.includes(word);
  const state = (["wont-fix", "not-fixed"] as const).find(has) ?? "unknown";
  return {
    source,
    finding: {
      ...{ id, aliases, severity: severity as FindingSeverity },
      package: { name, version, type, purl: `pkg:${pkg}` },
      ...{ fixedVersions: fixes, fixState: fixes.length > 0 ? "fixed" : state },
      ...{ layers: [], paths: rest.filter((word) => word.startsWith("@")).map((word) => word.slice(1)), urls: [] },
      ...(covers.length === 0 ? {} : { covers }),
      ...(has("withdrawn") ? { withdrawn: "2026-01-01T00:00:00Z" } : {}),
      ...(has("kev") || has("nokev") ? { kev: has("kev") } : {}),
      ...(has("own")
        ? { advisory: { by: source, isDistributions: true, ...(has("unrated") ? { ratedElsewhere: true } : {}) } }
        : {}),
    },
  };
}

const said = table.flatMap(([pkg, sayings]) => sayings.map((text) => readSaying(pkg, text)));
const sourcesIn = (names: readonly string[]) =>
  names.map((source) => ({
    source,
    findings: said.filter((each) => each.source === source).map((each) => each.finding),
  }));
const merge = (names: readonly string[]) => placeFindings(sourcesIn(names));

const describeFinding = (finding: ReturnType<typeof merge>[number]): string => {
  const { id, severity, fixState, fixedVersions, withdrawn, kev, malicious, saidBy } = finding;
  const sources = [...new Set(saidBy.map(({ source }) => source))].toSorted();
  return [
    ...[id, severity, fixState === "fixed" ? fixedVersions.toSorted().join(",") : fixState],
    ...(withdrawn === undefined ? [] : ["withdrawn"]),
    ...(kev === undefined ? [] : [kev ? "kev" : "nokev"]),
    ...(malicious === true ? ["malicious"] : []),
    `(${sources.join(" ")})`,
  ].join(" ");
};

/** Which name stands first is the order's; what counts is not. */
const withoutId = (text: string): string => text.replace(/^\S+ /, "");

describe("three sources on one image", () => {
  const found = merge(order);
  const of = (all: typeof found, pkg: string) =>
    all.filter((finding) => finding.package.purl === `pkg:${pkg}`).map(describeFinding);

  test("are at least sixty findings, none of them twice", () => {
    expect(found.length).toBeGreaterThanOrEqual(60);
    expect(found).toHaveLength(table.flatMap(([, , comes]) => comes).length);
    expect(mergeFindings(found)).toEqual(found);
    expect(Object.values(countFindings(found)).reduce((sum, count) => sum + count)).toBe(found.length);
  });

  test.each(table)("%s: %j", (pkg, _said, comes) => {
    expect(of(found, pkg).toSorted()).toEqual(comes.toSorted());
  });

  test.each([[["paid", "osv", "grype"]], [["osv", "grype", "paid"]]])(
    "in the order %j the same comes of it",
    (names) => {
      const others = merge(names);
      for (const [pkg] of table) {
        expect(of(others, pkg).map(withoutId).toSorted()).toEqual(of(found, pkg).map(withoutId).toSorted());
      }
    },
  );

  test("what each one said is kept, as it said it", () => {
    for (const { source, finding } of said) {
      const kept = found.filter((each) => each.package.purl === finding.package.purl).flatMap((each) => each.saidBy);
      const { id, severity, fixState, fixedVersions } = finding;
      expect(kept).toContainEqual(expect.objectContaining({ source, id, severity, fixState, fixedVersions }));
    }
  });

  test("the gate refuses by what counts: from high on, and nothing that all took back", () => {
    const policy = { failOn: "high", onlyFixed: false } as const;
    const refused = judgeFindings({ findings: found, policy, exceptions: [], now: new Date("2026-11-01T00:00:00Z") });
    const packages = new Set(refused.map(({ finding }) => finding.package.purl));
    for (const purl of ["pkg:deb/zlib1g@1.2.13", "pkg:deb/curl@7.88.1-10", "pkg:npm/c1@1", "pkg:npm/c2@1"]) {
      expect(packages).not.toContain(purl);
    }
    for (const purl of ["pkg:npm/a1@1", "pkg:npm/a3@1", "pkg:npm/c3@1", "pkg:deb/expat@2.5.0-1"]) {
      expect(packages).toContain(purl);
    }
  });
});
