import { base, id, now } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import type { Approval } from "./approval/choose.ts";
import type { ApprovalState } from "./approval/judge.ts";
import type { ApprovedBase } from "./identify.ts";
import { findNewerVersions, judgeStanding } from "./standing.ts";

const approval: Approval = {
  ...{
    approvedAt: new Date("2026-05-01"),
    endOfLife: "2026-12-31",
    role: "run-only",
    proven: [],
    signers: ["platform"],
  },
  bundle: id("approval"),
};
const signed = (newer: Date[] = [], change: Partial<Approval> = {}): { approval: ApprovalState } => ({
  approval: { rules: {}, newer, found: { kind: "approved", approval: { ...approval, ...change } } },
});
const refused: { approval: ApprovalState } = {
  approval: { rules: {}, newer: [], found: { kind: "refused", problem: "nobody" } },
};
/** Of `golden`, whose digests the policy lists in this order. */
const version = (word: string, change: Partial<ApprovedBase> = {}): ApprovedBase =>
  base("golden", "os libc", { digest: id(word), ...change });
const listed = [{ name: "golden", digests: [id("one"), id("two"), id("three")] }];
const stands = (...matched: ApprovedBase[]) => judgeStanding(matched, listed, now);
const of = (word: string, until?: string) => ({
  base: { name: "golden", image: "r.test/golden", digest: id(word), ...(until === undefined ? {} : { until }) },
});

describe("what does not stand on the newest version that counts", () => {
  test.each<[what: string, matched: ApprovedBase[], standing: unknown]>([
    ["on no base", [], { standing: "none" }],
    ["on a version that nobody approved", [version("three", refused)], { standing: "none", ...of("three") }],
    [
      "on what is forbidden, though it is the newest",
      [version("three", { forbidden: { lineage: false, waits: false } })],
      { standing: "none", ...of("three") },
    ],
    [
      "whose day is over",
      [version("three", { until: "2026-05-09" })],
      { standing: "expired", ...of("three", "2026-05-09") },
    ],
    [
      "whose signed end of life is over",
      [version("three", signed([], { endOfLife: "2026-05-09" }))],
      { standing: "expired", ...of("three", "2026-05-09") },
    ],
    ["on the second of three", [version("two")], { standing: "behind", ...of("two"), versionsBehind: 1 }],
    ["on the first", [version("one")], { standing: "behind", ...of("one"), versionsBehind: 2 }],
    [
      "by approvals, of which two are newer",
      [version("x", signed([now, now]))],
      { standing: "behind", ...of("x", "2026-12-31"), versionsBehind: 2 },
    ],
  ])("%s", (_what, matched, standing) => expect(stands(...matched)).toStrictEqual(standing));
});

test("on the newest it is current, on its last day too, and the policy's day goes before the signed one", () => {
  expect(stands(version("three"))).toEqual({ standing: "current", ...of("three") });
  expect(stands(version("three", { until: "2026-05-10" }))).toEqual({
    standing: "current",
    ...of("three", "2026-05-10"),
  });
  expect(stands(version("x", signed()))).toEqual({ standing: "current", ...of("x", "2026-12-31") });
  const both = version("x", { ...signed(), until: "2026-06-30" });
  expect(stands(both)).toEqual({ standing: "current", ...of("x", "2026-06-30") });
});

test("of versions of the same layers one that counts goes before one that is over, and then the newest", () => {
  const over = version("three", { until: "2026-05-09" });
  expect(stands(over, version("two"))).toMatchObject({ standing: "behind", ...of("two") });
  expect(stands(version("two"), over)).toMatchObject({ standing: "behind", ...of("two") });
  expect(stands(version("one"), version("three"), version("two"))).toEqual({ standing: "current", ...of("three") });
});

test("newer versions are counted by the policy's list, a digest that is there twice by its last place", () => {
  const count = (word: string, bases: Parameters<typeof findNewerVersions>[1]) =>
    findNewerVersions(version(word), bases);
  expect(count("two", listed)).toEqual({ count: 1 });
  expect(count("one", [{ name: "golden", digests: [id("one"), id("two"), id("one")] }])).toEqual({ count: 0 });
  expect(count("one", [{ name: "other", digests: [id("one"), id("two")] }, ...listed])).toEqual({ count: 2 });
  expect(count("one", [])).toEqual({ count: 0 });
});

test("by approvals they are those that were signed since, and the first of them says since when", () => {
  const [early, late] = [new Date("2026-05-02"), new Date("2026-05-03")];
  expect(findNewerVersions(version("x", signed([late, early])), listed)).toEqual({ count: 2, since: early });
  expect(findNewerVersions(version("x", signed()), listed)).toStrictEqual({ count: 0 });
});
