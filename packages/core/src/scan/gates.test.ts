import { makeFinding } from "@goldenpath/testing/findings";
import { describe, expect, test } from "vitest";
import type { RefusalGate } from "../policy/scan-section.ts";
import type { Finding } from "./finding.ts";
import { findMetGates } from "./gates.ts";

const now = new Date("2026-05-10T12:00:00Z");
const hours = 3_600_000;
const days = 24 * hours;
const gate = (conditions: Partial<RefusalGate>): RefusalGate => ({ name: "g", missing: "refuse", ...conditions });
const isMet = (fields: Partial<Finding>, conditions: Partial<RefusalGate>) =>
  findMetGates(makeFinding(fields), [gate(conditions)], now).length === 1;
const released = (...fixes: [version: string, on: string][]): Partial<Finding> => ({
  fixReleases: fixes.map(([version, on]) => ({ version, on })),
});
const scoped = (scope?: "runtime" | "optional" | "development"): Partial<Finding> => ({
  package: { name: "lodash", version: "1", type: "npm", ...(scope === undefined ? {} : { scope }) },
});

/** Each condition at its boundary: what meets it, what does not, and what nobody says. */
const cases: [string, Partial<RefusalGate>, Partial<Finding>, "met" | "not" | "unknown"][] = [
  ["severity at the limit", { severity: "medium" }, { severity: "medium" }, "met"],
  ["severity above it", { severity: "medium" }, { severity: "critical" }, "met"],
  ["severity below it", { severity: "medium" }, { severity: "low" }, "not"],
  ["a severity that nobody rated, as high", { severity: "high" }, { severity: "unknown" }, "met"],
  ["a severity that nobody rated, below critical", { severity: "critical" }, { severity: "unknown" }, "not"],
  ["score 7.0 of 7.0", { cvss: 7 }, { cvss: 7 }, "met"],
  ["score 6.9 of 7.0", { cvss: 7 }, { cvss: 6.9 }, "not"],
  ["score 10 of 7.0", { cvss: 7 }, { cvss: 10 }, "met"],
  ["no score", { cvss: 7 }, {}, "unknown"],
  ["a score that is no number", { cvss: 7 }, { cvss: Number.NaN }, "unknown"],
  ["score 0 of 0", { cvss: 0 }, { cvss: 0 }, "met"],
  ["probability at the limit", { epss: 0.1 }, { epss: 0.1 }, "met"],
  ["probability below it", { epss: 0.1 }, { epss: 0.0999 }, "not"],
  ["a probability that there is not", { epss: 0.1 }, { epss: "none" }, "not"],
  ["a probability that there is not, of 0", { epss: 0 }, { epss: "none" }, "not"],
  ["no word about it", { epss: 0.1 }, {}, "unknown"],
  ["known to be exploited", { kev: true }, { kev: true }, "met"],
  ["said not to be exploited", { kev: true }, { kev: false }, "not"],
  ["no word about exploitation", { kev: true }, {}, "unknown"],
  ["with a fix", { fixed: true }, {}, "met"],
  ["with no fix", { fixed: true }, { fixedVersions: [], fixState: "not-fixed" }, "not"],
  ["with no word about a fix", { fixed: true }, { fixedVersions: [], fixState: "unknown" }, "not"],
  ["a fix released an hour ago", { fixOlderThan: days }, released(["4.17.21", "2026-05-10T11:00:00Z"]), "not"],
  ["a fix as old as it may be", { fixOlderThan: days }, released(["4.17.21", "2026-05-09T12:00:00Z"]), "not"],
  ["a fix a millisecond older", { fixOlderThan: days }, released(["4.17.21", "2026-05-09T11:59:59.999Z"]), "met"],
  ["a fix of a day, from its start", { fixOlderThan: 36 * hours }, released(["4.17.21", "2026-05-09"]), "not"],
  ["a fix of the day before", { fixOlderThan: 36 * hours }, released(["4.17.21", "2026-05-08"]), "met"],
  ["a fix of tomorrow", { fixOlderThan: days }, released(["4.17.21", "2026-05-11"]), "unknown"],
  ["a fix of no day", { fixOlderThan: days }, released(["4.17.21", "soon"]), "unknown"],
  ["a fix of which nobody says the day", { fixOlderThan: days }, {}, "unknown"],
  [
    "no fix, whose day nobody can say",
    { fixOlderThan: days },
    { fixedVersions: [], fixState: "not-fixed", ...released(["9", "2020-01-01"]) },
    "not",
  ],
  [
    "an old fix, and a recommended one of today",
    { fixOlderThan: days },
    { ...released(["5.0.0", "2026-01-01"], ["4.17.21", "2026-05-10"]), suggestedVersion: "4.17.21" },
    "not",
  ],
  [
    "an old fix, and a later one",
    { fixOlderThan: days },
    released(["4.18.0", "2026-05-10"], ["4.17.21", "2026-01-01"]),
    "met",
  ],
  ["a package of the kind", { types: ["deb", "npm"] }, {}, "met"],
  ["a package of another kind", { types: ["deb"] }, {}, "not"],
  ["a package that runs", { scopes: ["runtime"] }, scoped("runtime"), "met"],
  ["a package for development", { scopes: ["runtime"] }, scoped("development"), "not"],
  ["a package of no scope that is said", { scopes: ["runtime"] }, scoped(), "unknown"],
  ["of the base", { origins: ["base"] }, { origin: "base" }, "met"],
  ["of the application", { origins: ["base"] }, { origin: "application" }, "not"],
  ["from nobody knows where", { origins: ["base"] }, { origin: "unknown" }, "unknown"],
  ["all conditions", { severity: "high", kev: true }, { kev: true }, "met"],
  ["one of two conditions", { severity: "critical", kev: true }, { kev: true }, "not"],
  ["one condition, and one that is unknown", { severity: "high", kev: true }, {}, "unknown"],
  ["not one condition, and one that is unknown", { severity: "critical", kev: true }, {}, "not"],
  ["an advisory that was taken back", { severity: "low" }, { withdrawn: "2026-05-01" }, "not"],
];

describe("a gate and a finding", () => {
  test.each(cases)("%s", (_name, conditions, fields, answer) => {
    expect(isMet(fields, conditions)).toBe(answer !== "not");
    expect(isMet(fields, { ...conditions, missing: "pass" })).toBe(answer === "met");
  });
});

test("the gates that are met are told in their order, with their conditions", () => {
  const gates = [
    gate({ name: "exploited", kev: true, missing: "pass" }),
    gate({ name: "likely", severity: "medium", epss: 0.1 }),
    gate({ name: "any", severity: "negligible" }),
  ];
  const met = findMetGates(makeFinding({ severity: "high" }), gates, now);
  expect(met.map((each) => each.gate.name)).toEqual(["likely", "any"]);
  expect(met[0]?.because).toEqual([
    "severity high, of medium and above",
    "EPSS probability, of 0.1 and above, which is unknown and counts",
  ]);
  expect(findMetGates(makeFinding(), [], now)).toEqual([]);
  expect(findMetGates(makeFinding(), undefined, now)).toEqual([]);
});
