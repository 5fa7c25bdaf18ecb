import { amd64, arm64, base, child, decide, id, ids, now } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import { findForbidden, tellForbidden } from "./forbidden.ts";
import type { ApprovedBase } from "./identify.ts";

const golden = base("golden", "os");
const java = base("java", "os jdk");
const bad = (layers: string, forbidden: Partial<ApprovedBase["forbidden"]> = {}, more: Partial<ApprovedBase> = {}) =>
  base("bad", layers, { forbidden: { lineage: true, waits: false, ...forbidden }, ...more });
const judged = (layers: string, ...approved: ApprovedBase[]) => {
  const { violations, children } = decide([child(layers)], { approved });
  return { rules: violations.map(({ rule }) => rule), base: children[0]?.base?.name };
};

describe("what stands on a forbidden base", () => {
  test("is refused, where an approved one lies below; without it, it stands on that", () => {
    for (const lineage of [true, false])
      expect(judged("os jdk app", golden, bad("os jdk", { lineage }))).toEqual({
        ...{ rules: ["base.forbidden"], base: "bad" },
      });
    expect(judged("os jdk app", golden)).toEqual({ rules: [], base: "golden" });
    expect(judged("os other app", golden, bad("os jdk"))).toEqual({ rules: [], base: "golden" });
  });

  test("is refused for that, and not for standing on none, where no approved one lies below", () => {
    expect(judged("os app", bad("os"))).toEqual({ rules: ["base.forbidden"], base: "bad" });
  });

  test("is no version that an image of its platform could stand on", () => {
    const why = (...approved: ApprovedBase[]) => decide([child("other")], { approved }).violations[0]?.problem;
    expect(why(bad("os"))).toMatch(/no approved base has a version for linux\/amd64$/);
    expect(why(bad("os"), golden)).toMatch(/not those of any approved base for linux\/amd64/);
  });

  test("by way of an approved one is refused, unless its lineage is let be", () => {
    expect(judged("os jdk app", java, bad("os"))).toEqual({ rules: ["base.forbidden"], base: "java" });
    expect(judged("os jdk app", java, bad("os", { lineage: false }))).toEqual({ rules: [], base: "java" });
  });

  test("is told by layers alone: another platform's, and one without layers, are nobody's", () => {
    expect(judged("os jdk app", golden, bad("os jdk", {}, { platform: arm64 }))).toEqual({ rules: [], base: "golden" });
    expect(judged("os app", golden, bad(""))).toEqual({ rules: [], base: "golden" });
  });

  test("of which the layers are an approved one's as well passes, whichever comes first", () => {
    for (const lineage of [false])
      for (const known of [
        [java, bad("os jdk", { lineage })],
        [bad("os jdk", { lineage }), java],
      ])
        expect(judged("os jdk app", ...known)).toEqual({ rules: [], base: "java" });
    // With its lineage it is forbidden by whatever name.
    expect(judged("os jdk app", java, bad("os jdk"))).toEqual({ rules: ["base.forbidden"], base: "java" });
  });

  test("is told once for each, with the reason and what to do", () => {
    const approved = [java, bad("os", { reason: "CVE-2026-1" }), bad("os", {}, { digest: id("again") })];
    const { violations } = decide([child("os jdk app")], { approved });
    expect(violations).toHaveLength(1);
    const [first] = decide([child("os jdk app")], { approved: approved.slice(0, 2) }).violations;
    expect(first?.problem).toBe(
      `it stands on 'bad' (r.test/bad@${id("index bad")}), which the policy forbids: CVE-2026-1`,
    );
    expect(first?.wayOut).toMatch(/approved base/);
    const [without] = decide([child("os jdk app")], { approved: [java, bad("os")] }).violations;
    expect(without?.problem).toMatch(/, which the policy forbids$/);
  });

  test("waits for its own day, whatever that of the rule is", () => {
    const wait = (own: string | undefined, rule?: string) => {
      const policy = rule === undefined ? {} : { enforceFrom: { "base.forbidden": rule } };
      const entry = { name: "bad", image: "r.test/bad", lineage: true, enforceFrom: own };
      const forbidden = tellForbidden(entry, policy, now);
      const { violations } = decide([child("os app")], { approved: [golden, bad("os", forbidden)], ...policy });
      expect(violations.map(({ enforcedFrom }) => enforcedFrom !== undefined)).toEqual([forbidden.waits]);
      return violations.map(({ enforcedFrom }) => enforcedFrom);
    };
    expect(wait(undefined)).toEqual([undefined]);
    expect(wait("2026-06-01")).toEqual(["2026-06-01"]);
    expect(wait(undefined, "2026-07-01")).toEqual(["2026-07-01"]);
    expect(wait("2000-01-01", "2026-07-01")).toEqual([undefined]);
  });

  test("lets in nothing before its day: it is told, and all else is judged as without it", () => {
    const waiting = (layers: string, name: string, lineage = false) =>
      bad(layers, { lineage, enforceFrom: "2026-06-01", waits: true }, { name });
    for (const lineage of [true, false])
      expect(judged("own app", golden, waiting("own", "team", lineage))).toEqual({
        ...{ rules: ["base.approved", "base.forbidden"], base: undefined },
      });
    const over = base("golden", "os", { until: "2026-05-09" });
    expect(judged("os jdk app", over, waiting("os jdk", "team"))).toEqual({
      ...{ rules: ["base.forbidden", "base.expired"], base: "golden" },
    });
    // Nor does it stand before another that refuses by now.
    const { violations } = decide([child("os jdk app")], {
      approved: [bad("os", { lineage: false }), waiting("os jdk", "team")],
    });
    expect(violations.map(({ enforcedFrom }) => enforcedFrom)).toEqual([undefined, "2026-06-01"]);
    expect(judged("os jdk app", golden, waiting("os jdk", "team"))).toEqual({
      ...{ rules: ["base.forbidden"], base: "golden" },
    });
  });

  test("by way of an approved one is not what is recommended: its twin is", () => {
    const wayOut = (lineage: boolean, waits = false) => {
      const approved = [java, base("static", "own"), bad("os", { lineage, waits })];
      const { violations } = decide([child("x")], { approved });
      return violations.map((each) => /\(([^)]*)\)/.exec(each.wayOut ?? "")?.[1]);
    };
    expect(wayOut(true)).toEqual(["'static', r.test/static"]);
    for (const twin of [wayOut(false), wayOut(true, true)])
      expect(twin).toEqual(["'java', r.test/java; 'static', r.test/static"]);
  });

  test("is found for who asks without a verdict", () => {
    const image = { platform: amd64, diffIds: ids("os jdk app") };
    expect(findForbidden(image, [golden, java])).toEqual([]);
    const [below, own] = [bad("os"), bad("os jdk", { lineage: false })];
    expect(findForbidden(image, [golden, below, own])).toEqual([below, own]);
    expect(findForbidden(image, [java, own])).toEqual([]);
  });
});
