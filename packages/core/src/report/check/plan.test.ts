import { describe, expect, test } from "vitest";
import type { ListedViolation } from "../../result.ts";
import type { Part } from "../comment/part.ts";
import { maxCheckSummary, planCheckRun } from "./plan.ts";

const violation = (thing: string, more: Partial<ListedViolation> = {}): ListedViolation => ({
  ...{ rule: "scan.severity", thing, problem: "It is high.", wayOut: `Mend ${thing}.` },
  place: { file: "package-lock.json", line: 3 },
  ...more,
});
const part = (state: "pass" | "fail" | "error", counted = 0): Part => ({
  ...{ key: "shop", commit: "5".repeat(40), run: { id: "1", attempt: 1 }, errors: [], exceptions: [], excepted: 0 },
  ...{ stages: [{ stage: "scan", state, facts: [] }], counted },
  violations: Array.from({ length: Math.min(counted, 200) }, (_, at) => ({
    ...{ stage: "scan" as const, rule: "scan.severity", thing: `CVE-${at}`, problem: "p".repeat(400), wayOut: "w" },
  })),
});

describe("what a check run says", () => {
  test.each([
    ["nothing at all", [], "failure", "Passed"],
    ["an error", [part("error")], "failure", "Not judged: a stage ended in an error"],
    ["an error beside a failure", [part("fail", 1), part("error")], "failure", "Not judged: a stage ended in an error"],
    ["one that is refused", [part("fail", 1)], "failure", "Refused: 1 violation"],
    ["one of two refused", [part("pass"), part("fail", 2)], "failure", "Refused: 2 violations"],
    ["a pass", [part("pass")], "success", "Passed"],
  ])("of %s", (_name, parts, conclusion, title) => {
    expect(planCheckRun(parts, [])).toMatchObject({ conclusion, title });
  });

  test("its name is that of the image, and its summary has no part for another job to read", () => {
    const { name, summary } = planCheckRun([part("fail", 1)], []);
    expect(name).toBe("golden path (shop)");
    expect(summary).toContain("### ❌ fail · golden path");
    expect(summary).not.toContain("goldenpath-parts");
  });

  test("a summary has the length that GitHub takes", () => {
    const many = Array.from({ length: 100 }, (_, at) => ({ ...part("fail", 200), key: `image-${at}` }));
    expect(planCheckRun(many, []).summary.length).toBeLessThanOrEqual(maxCheckSummary);
  });
});

describe("annotations", () => {
  const planned = (...violations: ListedViolation[]) => planCheckRun([part("fail", 1)], violations).annotations;

  test("none without a place, of what is excepted, or outside the checkout", () => {
    const exception = { reason: "r", owner: "o", expires: "2027-01-01" };
    const nowhere = violation("a");
    delete nowhere.place;
    const outside = violation("c", { place: { file: "/etc/passwd", line: 1 } });
    expect(planned(nowhere, violation("b", { exception }), outside)).toEqual([]);
    expect(planned(violation("d"))).toEqual([
      { path: "package-lock.json", line: 3, title: "scan.severity", message: "d: It is high.\n→ Mend d." },
    ]);
  });

  test("a file without a line is at its first, and what one change mends is one of them", () => {
    const [one, ...others] = planned(
      violation("a", { place: { file: "go.mod" }, wayOut: "Update." }),
      violation("b", { place: { file: "go.mod" }, wayOut: "Update." }),
    );
    expect(one).toMatchObject({ path: "go.mod", line: 1 });
    expect(others).toEqual([]);
  });

  test("there are 500 at most, of which no text is longer than GitHub takes", () => {
    const long = "x".repeat(100_000);
    const many = planned(...Array.from({ length: 900 }, (_, at) => violation(`${at} ${long}`, { rule: long })));
    expect(many).toHaveLength(500);
    for (const { title, message } of many) expect([title.length, message.length]).toEqual([255, 16_000]);
  });

  test("a stranger's text is one of lines and words alone", () => {
    const [one] = planned(violation("a\u202eb", { rule: "x\ny", place: { file: "a\u001b[2Jb", line: 1 } }));
    expect(one).toMatchObject({ title: "x y", path: "ab" });
    expect(one?.message).toContain("a\ufffdb: ");
  });
});
