import { describe, expect, test } from "vitest";
import {
  canonicalThing,
  type ExceptionQuery,
  findException,
  isOfRepository,
  packageOf,
  settleViolation,
  thingOf,
} from "./exceptions.ts";
import type { Exception } from "./schema.ts";

const now = new Date("2026-05-10T12:00:00Z");
const granted = { reason: "not reachable", owner: "team-shop", expires: "2026-05-31" };

/** One for each kind of thing that a rule can be set aside for; they differ in that alone. */
const severity: Exception = { ...granted, rule: "scan.severity", vulnerability: "CVE-2026-0001" };
const gate: Exception = { ...granted, rule: "scan.gate", vulnerability: "CVE-2026-0001" };
const approved: Exception = { ...granted, rule: "base.approved", repository: "r.example/a" };
const credential: Exception = { ...granted, rule: "base.credential", repository: "r.example/a", file: "/srv/a.pem" };
const unnamed: Exception = { ...granted, rule: "base.credential", repository: "r.example/a" };
const nginx: Exception = { ...granted, rule: "scan.package", package: "nginx" };
const license: Exception = { ...granted, rule: "scan.license", license: "AGPL-3.0-only", package: "lodash" };

describe("an exception is for what it names, and for nothing beside it", () => {
  const things = ["CVE-2026-0001"];
  const here = ["r.example/a"];
  const cases: [string, Exception, ExceptionQuery, ExceptionQuery][] = [
    // A vulnerability is named alike by several rules, so the thing alone would let it hold for each of them.
    ["not for another rule", severity, { rule: "scan.gate", things }, { rule: "scan.severity", things }],
    [
      "not for another rule about images",
      approved,
      { rule: "base.root-user", things: here },
      { rule: "base.approved", things: here },
    ],
    [
      "not for another gate",
      { ...gate, gate: "no-kev" },
      { rule: "scan.gate", things, gate: "no-critical" },
      { rule: "scan.gate", things, gate: "no-kev" },
    ],
    [
      "not for a gate, where none is known",
      { ...gate, gate: "no-kev" },
      { rule: "scan.gate", things },
      { rule: "scan.gate", things, gate: "no-kev" },
    ],
    [
      "not for another vulnerability, though for every gate",
      gate,
      { rule: "scan.gate", things: ["CVE-2026-0002"], gate: "no-kev" },
      { rule: "scan.gate", things, gate: "no-kev" },
    ],
    [
      "not for another file",
      credential,
      { rule: "base.credential", things: here, file: "/srv/b.pem" },
      { rule: "base.credential", things: here, file: "/srv/a.pem" },
    ],
    // Unlike a gate, a file that is not named is not every file: one credential that is known to be none excuses no other.
    [
      "not for a file that it doesn't name",
      unnamed,
      { rule: "base.credential", things: here, file: "/srv/a.pem" },
      { rule: "base.credential", things: here },
    ],
    [
      "not for a license in another package",
      license,
      { rule: "scan.license", things: ["AGPL-3.0-only"], package: "left-pad" },
      { rule: "scan.license", things: ["AGPL-3.0-only"], package: "lodash" },
    ],
    // Only of repositories are Docker Hub's short names written out.
    [
      "not for a package that has the name of a repository in full",
      nginx,
      { rule: "scan.package", things: ["docker.io/library/nginx"] },
      { rule: "scan.package", things: ["nginx"] },
    ],
    [
      "not for another of two names that are no repository's",
      { ...approved, repository: "r.example/a:1" },
      { rule: "base.approved", things: ["r.example/b:1"] },
      { rule: "base.approved", things: ["r.example/a:1"] },
    ],
  ];

  test.each(cases)("%s", (_name, exception, refused, held) => {
    expect(findException([exception], refused, now)).toStrictEqual({});
    expect(findException([exception], held, now)).toStrictEqual({ applied: exception });
  });

  test("not where nothing has a name, and not where there is none", () => {
    expect(findException([severity], { rule: "scan.severity", things: [] }, now)).toStrictEqual({});
    expect(findException([], { rule: "scan.severity", things }, now)).toStrictEqual({});
    expect(findException([severity], { rule: "scan.severity", things }, now)).toStrictEqual({ applied: severity });
  });

  // There the package is the thing, and would otherwise be asked for twice: by that and by where it was found.
  test("a package that is set aside is the thing, and is held to no package besides", () => {
    const query: ExceptionQuery = { rule: "scan.package", things: ["apache"], package: "nginx" };
    expect(findException([nginx], query, now)).toStrictEqual({});
    expect(findException([nginx], { ...query, things: ["nginx"], package: "apache" }, now)).toStrictEqual({
      applied: nginx,
    });
  });

  test("every gate is meant where none is named", () => {
    const query: ExceptionQuery = { rule: "scan.gate", things };
    expect(findException([gate], query, now)).toStrictEqual({ applied: gate });
    expect(findException([gate], { ...query, gate: "no-kev" }, now)).toStrictEqual({ applied: gate });
  });
});

describe("of several exceptions", () => {
  const query: ExceptionQuery = { rule: "scan.severity", things: ["CVE-2026-0001"], package: "lodash" };
  const until = (expires: string, more: Partial<Exception> = {}): Exception => ({ ...severity, expires, ...more });

  test("none that is over holds, and the one told of is the last to have ended", () => {
    const [first, last] = [until("2026-03-01"), until("2026-05-09")];
    expect(findException([first, last], query, now)).toStrictEqual({ expired: last });
    expect(findException([last, first], query, now)).toStrictEqual({ expired: last });
  });

  // One for something else would else hide, by a later day, that this one is over, or that it holds.
  test("one for something else counts neither for the thing nor against it", () => {
    const other = until("2026-12-31", { package: "left-pad" });
    const [over, held] = [until("2026-05-09"), until("2026-05-10")];
    expect(findException([other, over], query, now)).toStrictEqual({ expired: over });
    expect(findException([other, held], query, now)).toStrictEqual({ applied: held });
  });

  test("the one that ends last holds, wherever it stands, and the policy stays in its order", () => {
    const days = ["2026-05-20", "2026-07-01", "2026-06-01", "2026-05-09"];
    for (const [index] of days.entries()) {
      const turned = [...days.slice(index), ...days.slice(0, index)].map((day) => until(day));
      expect(findException(turned, query, now)).toStrictEqual({ applied: until("2026-07-01") });
      expect(turned.map(({ expires }) => expires)).toEqual([...days.slice(index), ...days.slice(0, index)]);
    }
  });

  test("the first in the policy holds of those that end on one day", () => {
    const owners = ["first", "second", "third"];
    const together = owners.map((owner) => until("2026-06-01", { owner }));
    const early = until("2026-05-20", { owner: "early" });
    expect(findException([early, ...together], query, now)).toStrictEqual({ applied: together[0] });
    expect(findException(together.toReversed(), query, now)).toStrictEqual({ applied: together[2] });
  });
});

describe("what an exception is for", () => {
  // A policy is refused before with such a one; were it read as one for nothing, it would match what has no name.
  test("has to be there", () => {
    const nothing = { ...granted, rule: "base.approved", vulnerability: "CVE-2026-0001" } as const;
    const query: ExceptionQuery = { rule: "base.approved", things: ["r.example/a"] };
    expect(() => thingOf(nothing)).toThrow(new TypeError("an exception of base.approved for nothing"));
    expect(() => findException([nothing], query, now)).toThrow(
      new TypeError("an exception of base.approved for nothing"),
    );
    expect(thingOf({ ...nothing, repository: "r.example/a" })).toBe("r.example/a");
  });

  test.each([
    [severity, "CVE-2026-0001", undefined],
    [{ ...severity, package: "lodash" }, "CVE-2026-0001", "lodash"],
    [license, "AGPL-3.0-only", "lodash"],
    [nginx, "nginx", undefined],
    [credential, "r.example/a", undefined],
  ])("is told by its rule's own key: %o", (exception, thing, within) => {
    expect(thingOf(exception)).toBe(thing);
    expect(packageOf(exception)).toBe(within);
  });

  test.each([
    ["gate.missing", false],
    ["constructor", false],
    ["repository", false],
    ["", false],
    ["scan.severity", false],
    ["scan.package", false],
    ["base.approved", true],
    ["scan.rule", true],
  ])("by the rule '%s' is an image's repository: %s", (rule, isOne) => {
    expect(isOfRepository(rule)).toBe(isOne);
  });

  test.each([
    ["base.approved", "r.example/a:1", "r.example/a:1"],
    ["base.approved", "r.example/A", "r.example/A"],
    ["base.approved", "", ""],
    ["scan.package", "nginx", "nginx"],
    ["scan.severity", "ghsa", "ghsa"],
    ["base.approved", "nginx", "docker.io/library/nginx"],
    ["base.approved", "index.docker.io/acme/shop", "docker.io/acme/shop"],
    ["scan.rule", "R.example/a", "r.example/a"],
  ] as const)("by the rule %s is compared, where '%s' is written, as '%s'", (rule, written, compared) => {
    expect(canonicalThing(rule, written)).toBe(compared);
  });
});

describe("a violation that is settled", () => {
  const violation = { rule: "scan.severity", thing: "CVE-2026-0001", problem: "critical", wayOut: "Update." } as const;
  const query: ExceptionQuery = { rule: "scan.severity", things: ["CVE-2026-0001"] };
  const enforceFrom = { "scan.severity": "2026-05-11" };
  const named = { ...granted, thing: "CVE-2026-0001" };

  test("stands as it is without an exception and without a day", () => {
    expect(settleViolation(violation, query, { exceptions: [], now })).toStrictEqual(violation);
    expect(settleViolation(violation, query, { exceptions: [gate], now })).toStrictEqual(violation);
    expect(settleViolation(violation, query, { exceptions: [gate, severity], now })).toStrictEqual({
      ...violation,
      exception: named,
    });
  });

  test("counts where its exception is over, and from the day of its rule on", () => {
    const over = { ...severity, expires: "2026-05-09" };
    const lapsed = {
      ...violation,
      problem: "critical (its exception by team-shop expired on 2026-05-09)",
      lapsed: { ...named, expires: "2026-05-09" },
    };
    const begun = { "scan.severity": "2026-05-10" };
    expect(settleViolation(violation, query, { exceptions: [over], now })).toStrictEqual(lapsed);
    expect(settleViolation(violation, query, { exceptions: [over], enforceFrom: begun, now })).toStrictEqual(lapsed);
    expect(settleViolation(violation, query, { exceptions: [over], enforceFrom, now })).toStrictEqual({
      ...lapsed,
      enforcedFrom: "2026-05-11",
    });
  });

  test("waits for the day of what refuses it, whatever that of its rule is, and for none where it is set aside", () => {
    const refused = { ...query, own: { entry: "no-kev", from: "2026-05-10" } };
    const waiting = { ...query, own: { entry: "no-kev", from: "2026-06-01" } };
    expect(settleViolation(violation, refused, { exceptions: [], enforceFrom, now })).toStrictEqual(violation);
    expect(settleViolation(violation, waiting, { exceptions: [], enforceFrom, now })).toStrictEqual({
      ...violation,
      enforcedFrom: "2026-06-01",
      entry: "no-kev",
    });
    expect(settleViolation(violation, waiting, { exceptions: [severity], enforceFrom, now })).toStrictEqual({
      ...violation,
      exception: named,
    });
  });
});
