import { describe, expect, test } from "vitest";
import type { Policy } from "../schema.ts";
import { listUntold } from "./untold.ts";

const scan = {
  ...{ scanners: ["grype"], reports: [], allowBlindSpots: ["java"], ownWord: "accept", refuse: [] },
  ...{ vex: { signers: [], unmatched: "show" }, data: { kev: false } },
};
const golden = { name: "golden", image: "r.test/golden", digests: [] };
const approval = { signers: ["platform"], maxBehind: 3, score: { open: 1 } };

interface Change {
  scan?: object;
  bases?: readonly object[];
  forbiddenBases?: readonly object[];
  build?: object;
  enforceFrom?: object;
  environments?: object;
}
const policyOf = (change: Change = {}): Policy =>
  ({
    bases: [golden],
    forbiddenBases: [],
    build: { builders: [] },
    environments: {},
    ...change,
    scan: { ...scan, ...change.scan },
  }) as unknown as Policy;
const untold = (before: Change, after: Change) =>
  listUntold(policyOf(before), policyOf(after)).map(({ stage, rule, problem, isUnknown }) => {
    expect(isUnknown).toBe(true);
    return [stage, rule, problem];
  });
const ofBase = (more: object): Change => ({ bases: [{ ...golden, ...more }] });

// What the newer asks for and the older did not, beside the other way round, which asks for nothing more.
describe("of a base", () => {
  test("a path that may change no more, unless a folder above it may", () => {
    const changed = (path: string) => ["base", "base.changed", expect.stringContaining(`'golden' lets ${path} be`)];
    const [some, more] = [ofBase({ mayChange: ["/etc/motd"] }), ofBase({ mayChange: ["/etc/motd", "/opt/a"] })];
    expect(untold(more, some)).toEqual([changed("/opt/a")]);
    expect(untold(some, ofBase({}))).toEqual([changed("/etc/motd")]);
    expect(untold(some, more)).toEqual([]);
    expect(untold(some, ofBase({ mayChange: ["/etc"] }))).toEqual([]);
    expect(untold(some, ofBase({ mayChange: ["/et"] }))).toEqual([changed("/etc/motd")]);
    expect(untold(some, ofBase({ mayChange: ["/etc/motd/x"] }))).toEqual([changed("/etc/motd")]);
  });

  test("how far behind it may be, where that is less than before or is new", () => {
    const behind = (maxBehind?: number) => ofBase({ approval: { ...approval, maxBehind } });
    const told = [["base", "base.behind", expect.stringContaining("(maxBehind)")]];
    expect(untold(behind(3), behind(2))).toEqual(told);
    expect(untold(behind(), behind(3))).toEqual(told);
    expect(untold(ofBase({ approval: undefined }), behind(3))).toContainEqual(told[0]);
    expect([untold(behind(3), behind(3)), untold(behind(2), behind(3)), untold(behind(3), behind())]).toEqual([
      ...[[], [], []],
    ]);
  });

  test("the points of its score, where they are others or are new", () => {
    const score = (points: object | undefined) => ofBase({ approval: { ...approval, score: points } });
    const told = [["base", "base.approval", expect.stringContaining("scores (approval.score)")]];
    expect(untold(score({ open: 1 }), score({ open: 2 }))).toEqual(told);
    expect(untold(score(undefined), score({ open: 1 }))).toEqual(told);
    expect([untold(score({ open: 1 }), score({ open: 1 })), untold(score({ open: 1 }), score(undefined))]).toEqual([
      ...[[], []],
    ]);
  });

  test("that the older did not have nothing is asked: no evidence is of it", () => {
    const other = { ...golden, name: "other", mayChange: ["/a"], approval };
    expect(untold({ bases: [other] }, ofBase({ approval }))).toEqual([]);
    expect(untold({ bases: [other, golden] }, { bases: [golden, { ...other, mayChange: [] }] })).toHaveLength(1);
  });
});

test("of a base that is forbidden now, unless the finding would name it", () => {
  const java = { name: "java", image: "r.test/java", digests: ["one", "two"] };
  const gone = { name: "java-left-out", image: "r.test/java", digests: ["one"], lineage: false };
  const before = { bases: [golden, java] };
  const told = [["base", "base.forbidden", "no evidence says whether it stands on 'java-left-out' (forbiddenBases)"]];
  for (const now of [
    { ...gone, lineage: true },
    { ...gone, digests: undefined },
    { ...gone, digests: ["one", "three"] },
    { ...gone, image: "r.test/other" },
  ])
    expect(untold(before, { forbiddenBases: [now] })).toEqual(told);
  expect(untold(before, { forbiddenBases: [gone] })).toEqual([]);
  expect(
    untold({ forbiddenBases: [{ ...gone, lineage: true }] }, { forbiddenBases: [{ ...gone, lineage: true }] }),
  ).toEqual([]);
});

test("of a builder's image that is forbidden now, only where what stands on it was not refused", () => {
  const node = { name: "node", image: "r.test/node", digests: ["one", "two"] };
  const gone = { name: "node-left-out", image: "r.test/node", digests: ["one"], lineage: true };
  const build = { builders: [{ kind: "dockerfile", name: "files" }, node] };
  const told = [["base", "base.forbidden", "no evidence says whether it stands on 'node-left-out' (forbiddenBases)"]];
  expect(untold({ build }, { forbiddenBases: [gone] })).toEqual([]);
  for (const now of [
    { ...gone, digests: undefined },
    { ...gone, digests: ["one", "three"] },
    { ...gone, image: "r.test/other" },
  ])
    expect(untold({ build }, { forbiddenBases: [now] })).toEqual(told);
  // By then it may have passed with a warning.
  const enforceFrom = { "base.build-image": "2026-01-01" };
  expect(untold({ build, enforceFrom }, { forbiddenBases: [gone] })).toEqual(told);
  expect(untold({ build, enforceFrom: { "base.changed": "2026-01-01" } }, { forbiddenBases: [gone] })).toEqual([]);
});

describe("of a scan", () => {
  test.each<[what: string, after: object, before: object, rule: string, problem: string]>([
    ["a scanner", { scanners: ["grype", "trivy"] }, {}, "scan.severity", "what trivy finds in it"],
    ["a blind spot", { allowBlindSpots: [] }, {}, "scan.blind-spot", "whether it has java"],
    ["its own word", { ownWord: "refuse" }, {}, "scan.severity", "(ownWord)"],
    ["VEX of nothing", { vex: { signers: [], unmatched: "refuse" } }, {}, "scan.vex", "(vex.unmatched)"],
    ["VEX of nothing, the first", { vex: { unmatched: "refuse" } }, { vex: undefined }, "scan.vex", "(vex.unmatched)"],
    ["a report", { reports: [{ name: "a", required: true }] }, {}, "scan.report", "what 'a' reports of it"],
    [
      "a report that is required now",
      { reports: [{ name: "a", required: true }] },
      { reports: [{ name: "a", required: false }] },
      "scan.report",
      "what 'a' reports of it",
    ],
  ])("%s", (_what, after, before, rule, problem) => {
    expect(untold({ scan: before }, { scan: after })).toEqual([["scan", rule, expect.stringContaining(problem)]]);
    expect(untold({ scan: after }, { scan: before })).toEqual([]);
    expect(untold({ scan: after }, { scan: after })).toEqual([]);
  });

  test("a report that is not required asks for nothing, and one of another name is another", () => {
    const of = (name: string, required: boolean) => ({ scan: { reports: [{ name, required }] } });
    expect(untold({}, of("a", false))).toEqual([]);
    expect(untold({ scan: { reports: undefined } }, of("a", true))).toHaveLength(1);
    expect(untold(of("a", true), { scan: { reports: undefined } })).toEqual([]);
    expect(untold(of("b", true), of("a", true))).toEqual([["scan", "scan.report", expect.stringContaining("'a'")]]);
  });

  test("what is on CISA's list, where a gate of it or of an environment asks", () => {
    const told = [["scan", "scan.gate", expect.stringContaining("CISA's list")]];
    const kev = { data: { kev: true } };
    const gates = [{ name: "a" }, { name: "b", kev: true }];
    expect(untold({}, { scan: { ...kev, refuse: gates } })).toEqual(told);
    expect(untold({ scan: { data: undefined } }, { scan: { ...kev, refuse: gates } })).toEqual(told);
    expect(untold({}, { scan: kev, environments: { production: { refuse: gates }, test: {} } })).toEqual(told);
    expect(untold({}, { scan: { ...kev, refuse: [{ name: "a" }] } })).toEqual([]);
    expect(untold({ scan: kev }, { scan: { ...kev, refuse: gates } })).toEqual([]);
    expect(untold({}, { scan: { refuse: gates } })).toEqual([]);
    expect(untold({}, { scan: { refuse: gates, data: undefined } })).toEqual([]);
  });
});
