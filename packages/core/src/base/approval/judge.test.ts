import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { base, child, decide } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import type { Approval } from "./choose.ts";
import { type ApprovalState, judgeApproval, listByDay, listNewer } from "./judge.ts";

const now = new Date("2026-05-10T12:00:00Z");
const days = (count: number): number => count * 86_400_000;
const ago = (count: number): Date => new Date(now.getTime() - days(count));

const approval: Approval = {
  approvedAt: ago(10),
  endOfLife: "2026-12-31",
  role: "run-only",
  proven: [],
  signers: ["platform"],
  bundle: digestOf("approval"),
};

function state(change: Partial<Approval> = {}, more: Partial<ApprovalState> = {}): ApprovalState {
  return { rules: {}, newer: [], ...more, found: { kind: "approved", approval: { ...approval, ...change } } };
}

const judged = (asked: ApprovalState, at = now) => {
  const { refused, warnings } = judgeApproval(asked, at);
  return { rules: refused.map(({ rule }) => rule), warnings: warnings.length };
};

describe("a version that is refused, beside one that is not", () => {
  const maxAge = { rules: { maxAge: days(10) } };
  const behind = (maxBehind: number, ...newer: Date[]) => ({ rules: { maxBehind: days(maxBehind) }, newer });
  test.each<[what: string, rules: string[], asked: ApprovalState, at?: Date]>([
    ["nobody approved", ["base.approval"], { rules: {}, newer: [], found: { kind: "refused", problem: "none" } }],
    ["to build in", ["base.build-image"], state({ role: "build-only" })],
    ["to run on and build in", [], state({ role: "both" })],
    ["the day after its end of life", ["base.expired"], state({ endOfLife: "2026-05-09" })],
    ["on the day of its end of life", [], state({ endOfLife: "2026-05-10" })],
    ["whose end of life is no day", ["base.expired"], state({ endOfLife: "never" })],
    ["at its age", ["base.expired"], state({}, maxAge)],
    ["a moment before its age", [], state({}, maxAge), new Date(now.getTime() - 1)],
    ["of no known time", ["base.expired"], state({ approvedAt: new Date(Number.NaN) }, maxAge)],
    ["too far behind", ["base.behind"], state({}, behind(5, ago(4)))],
    ["just as far behind as may be", [], state({}, behind(6, ago(4)))],
    ["behind where nobody asks", [], state({}, { newer: [ago(1)] })],
    ["behind one of no known time", ["base.behind"], state({}, behind(5, new Date(Number.NaN)))],
  ])("%s", (_what, rules, asked, at) => {
    expect(judged(asked, at).rules).toEqual(rules);
  });
});

describe("what is said before and after a version ends", () => {
  const ends = (change: ApprovalState["rules"], count: number) =>
    judged(state({}, { rules: { maxAge: days(10), ...change } }), new Date(now.getTime() + days(count)));

  test("nothing, until `warnBefore`; then a warning, and refused when it is over", () => {
    expect(ends({ warnBefore: days(3) }, -4)).toEqual({ rules: [], warnings: 0 });
    expect(ends({ warnBefore: days(3) }, -3)).toEqual({ rules: [], warnings: 1 });
    expect(ends({ warnBefore: days(3) }, 0)).toEqual({ rules: ["base.expired"], warnings: 0 });
  });

  test("a warning during `grace`, and refused after it", () => {
    expect(ends({ grace: days(7) }, -1)).toEqual({ rules: [], warnings: 0 });
    expect(ends({ grace: days(7) }, 0)).toEqual({ rules: [], warnings: 1 });
    expect(ends({ grace: days(7) }, 7)).toEqual({ rules: ["base.expired"], warnings: 0 });
  });

  test("grace counts from the version that first was too far ahead, and not from each one after it", () => {
    const asked = (grace: number): ApprovalState =>
      state({}, { rules: { maxBehind: days(3), grace: days(grace) }, newer: [ago(9), ago(5), ago(1)] });
    expect(judged(asked(6))).toEqual({ rules: [], warnings: 1 });
    expect(judged(asked(5))).toEqual({ rules: ["base.behind"], warnings: 0 });
  });
});

describe("an image on a version of a base that counts by signed approvals", () => {
  const none: ApprovalState = { rules: {}, newer: [], found: { kind: "refused", problem: "nobody has signed one" } };
  const onGolden = (...approved: ReturnType<typeof base>[]) => {
    const { violations, children, notes } = decide([child("os libc app")], { approved });
    return { rules: violations.map(({ rule }) => rule), on: children[0]?.base?.name, notes };
  };

  test("stands on the longest, whether anybody approved that or not", () => {
    const older = base("older", "os", { approval: state() });
    expect(onGolden(older)).toMatchObject({ rules: [], on: "older" });
    expect(onGolden(older, base("newer", "os libc", { approval: none }))).toMatchObject({
      rules: ["base.approval"],
      on: "newer",
    });
  });

  test("passes where one with the same layers holds", () => {
    const [bad, good] = [base("bad", "os libc", { approval: none }), base("good", "os libc", { approval: state() })];
    expect(onGolden(bad, good)).toMatchObject({ rules: [], on: "good" });
    expect(onGolden(bad)).toMatchObject({ rules: ["base.approval"], on: "bad" });
  });

  test("is told when that will end", () => {
    const soon = state({ endOfLife: "2026-05-12" }, { rules: { warnBefore: days(5) } });
    expect(onGolden(base("golden", "os libc", { approval: soon })).notes).toEqual([
      expect.stringMatching(/end of life is 2026-05-12; images on it are refused from 2026-05-13T00:00:00.000Z on/),
    ]);
  });
});

describe("points that were proven when a version was approved", () => {
  const proven = { publisher: 25, updated: 15, open: 20, needless: 10 };
  const told = (change: Partial<typeof proven> = {}, platform = "linux/amd64") => ({
    platform,
    proven: { ...proven, ...change },
  });
  const ask = (score: object, ...scores: ReturnType<typeof told>[]) =>
    judgeApproval(state({ proven: scores }, { rules: { score } }), now).refused.map(({ rule, problem }) => {
      expect(rule).toBe("base.approval");
      return problem;
    });

  test.each(["publisher", "updated", "open", "needless"] as const)("of %s, one too few are refused", (question) => {
    const least = { [question]: proven[question] };
    expect(ask(least, told({ [question]: proven[question] - 1 }))).toEqual([
      expect.stringContaining(`linux/amd64 has ${proven[question] - 1} proven points for ${question}`),
    ]);
    expect(ask(least, told())).toEqual([]);
  });

  test("on one platform of two", () => {
    expect(ask({ open: 20 }, told(), told({ open: 10 }, "linux/arm64"))).toEqual([
      expect.stringContaining("linux/arm64 has 10"),
    ]);
  });

  test("that the approval does not tell are none, where some are asked for", () => {
    expect(ask({ open: 1 })).toEqual([expect.stringContaining("does not say how many points were proven")]);
    expect(judged(state()).rules).toEqual([]);
  });
});

describe("demands that have a day", () => {
  const demands = { maxAge: days(5), maxBehind: days(1), score: { open: 1 } };
  const asked = (enforceFrom: string | undefined, change: Partial<Approval> = {}): ApprovalState =>
    state(change, { rules: { ...demands, ...(enforceFrom === undefined ? {} : { enforceFrom }) }, newer: [ago(2)] });
  const rules = (all: readonly { rule: string }[]) => all.map(({ rule }) => rule);
  const three = ["base.approval", "base.expired", "base.behind"];

  test("refuse from that day on, and wait until then; without one they refuse", () => {
    const told = (enforceFrom?: string) => {
      const { refused, waiting } = judgeApproval(asked(enforceFrom), now);
      return [rules(refused), rules(waiting)];
    };
    expect(told("2026-05-10")).toEqual([three, []]);
    expect(told("2026-05-11")).toEqual([[], three]);
    expect(told()).toEqual([three, []]);
  });

  test("let nothing wait that an approver has signed: the end of life, and for what it is", () => {
    const { refused, waiting } = judgeApproval(
      asked("2026-05-11", { endOfLife: "2026-05-09", role: "build-only" }),
      now,
    );
    expect([rules(refused), rules(waiting)]).toEqual([["base.build-image", "base.expired"], three]);
    const none = judgeApproval({ ...asked("2026-05-11"), found: { kind: "refused", problem: "nobody" } }, now);
    expect([rules(none.refused), none.waiting, none.warnings]).toEqual([["base.approval"], [], []]);
  });

  test("have that day of their own whether it has come or not, and others have none", () => {
    const days = (enforceFrom?: string) =>
      listByDay(judgeApproval(asked(enforceFrom, { endOfLife: "2026-05-09" }), now), "golden").map(({ rule, own }) => [
        rule,
        own !== undefined,
      ]);
    expect(days("2026-05-11")).toEqual([["base.expired", false], ...three.map((rule) => [rule, true])]);
    expect(days("2026-05-09")).toContainEqual(["base.behind", true]);
    expect(days().every(([, own]) => own === false)).toBe(true);
  });
});

test("for building in, one that is to run on is refused, and one to build in is not", () => {
  const told = (role: Approval["role"]) => judged(state({ role }, { use: "build" })).rules;
  expect([told("run-only"), told("build-only"), told("both")]).toEqual([["build.builder"], [], []]);
});

test("each refusal says what is wrong, and what to do about it", () => {
  const told = (asked: ApprovalState) =>
    judgeApproval(asked, now).refused.map(({ problem, wayOut }) => `${problem}: ${wayOut}`);
  const none: ApprovalState = { rules: {}, newer: [], found: { kind: "refused", problem: "nobody" } };
  expect(told(none)).toEqual([expect.stringMatching(/^nobody: Rebuild it on an approved version, or .*base approve/)]);
  expect(told(state({}, { use: "build" }))).toEqual([
    expect.stringMatching(/run on, and not to build in \(role run-only\): Build in an image .*--role build-only/),
  ]);
  expect(told(state({ role: "build-only" }))).toEqual([
    expect.stringMatching(/build in, and not to run on \(role build-only\): Rebuild it on a base/),
  ]);
  expect(told(state({ endOfLife: "2026-05-09" }))).toEqual([
    expect.stringMatching(/: Rebuild the image on the newest version of the base/),
  ]);
  expect(told(state({}, { rules: { score: { open: 1 } } }))).toEqual([
    expect.stringMatching(/: Have the platform team mend what the score of this version lacks/),
  ]);
  expect(told(state({}, { rules: { maxAge: days(9) } }))).toEqual([
    expect.stringContaining("it was approved on 2026-04-30T12:00:00.000Z, and"),
  ]);
  const never = state({ approvedAt: new Date(Number.NaN) }, { rules: { maxAge: days(9) } });
  expect(told(never)).toEqual([expect.stringContaining("it was approved at no known time, and")]);
});

test("how far behind it is, and how long it counts, is said in days", () => {
  const says = (rules: ApprovalState["rules"], ...newer: Date[]) =>
    judgeApproval(state({}, { rules, newer }), now).refused.map(({ problem }) => problem);
  expect(says({ maxBehind: days(2) }, ago(7), ago(5.5))).toEqual([
    "it is 4.5 days behind the newest approved version, and may be 2 days (maxBehind)",
  ]);
  expect(says({ maxAge: days(9) })).toEqual([expect.stringContaining("and counts for 9 days (maxAge)")]);
});

test("newer are the versions that were approved later, and none where it is not approved itself", () => {
  const version = (count: number): { found: ApprovalState["found"] } => ({
    found: { kind: "approved", approval: { ...approval, approvedAt: ago(count) } },
  });
  const none: { found: ApprovalState["found"] } = { found: { kind: "refused", problem: "nobody" } };
  const all = [version(3), version(2), none, version(1)];
  expect(listNewer(version(2).found, all)).toEqual([ago(1)]);
  expect(listNewer(version(4).found, all)).toEqual([ago(3), ago(2), ago(1)]);
  expect(listNewer(none.found, all)).toEqual([]);
});
