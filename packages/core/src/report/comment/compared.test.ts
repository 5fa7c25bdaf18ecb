import { describe, expect, test } from "vitest";
import type { ComparisonReport, StageResult } from "../../result.ts";
import { describeCompared, renderCompared } from "./compared.ts";

type Added = ComparisonReport["new"][number];
const added = (id: string, more: Partial<Added> = {}): Added => ({
  ...{ id, package: "left", version: "1.0.0", severity: "high", change: "new", fixedVersions: ["1.0.1"] },
  ...{ origin: "application", place: { file: "package-lock.json", line: 7 } },
  ...more,
});
const counts = { new: 1, worse: 0, fixed: 2, unchanged: 3 };
const result = (comparison: Partial<ComparisonReport> | undefined): StageResult[] => [
  {
    comparison: comparison === undefined ? undefined : { gates: false, new: [], fixed: [], ...comparison },
  } as unknown as StageResult,
];
const part = (key: string, comparison: Partial<ComparisonReport> | undefined) => ({
  key,
  compared: describeCompared(result(comparison)),
});
const rowsOf = (lines: readonly string[]): string[] => lines.filter((line) => /^\| (?!Severity|---)/.test(line));

describe("where there is no comparison", () => {
  test("nothing is said where none was asked for", () => {
    expect(renderCompared([part("a", undefined)])).toEqual([]);
  });

  test("why there is none is said, and no number", () => {
    const note = "r.example/shop:main does not exist yet: all that is found counts as new";
    expect(renderCompared([part("a", { note })])).toEqual([`Not compared: ${note}.`, ""]);
  });

  test("of several images with several reasons the first is said, and how many have another", () => {
    const lines = renderCompared([
      part("a", { note: "one" }),
      part("b", { note: "two" }),
      part("c", { note: "three" }),
    ]);
    expect(lines).toEqual([
      "Not compared: one. (Of 2 more images something like it; their jobs' summaries say what.)",
      "",
    ]);
  });
});

test("a row says how bad it is, what it is, whose, and where it is mended", () => {
  const lines = renderCompared([part("a", { with: "r.example/shop@x", counts, new: [added("CVE-2026-1234")] })]);
  expect(lines[0]).toBe("**1 new**, 2 fixed, 3 unchanged since <code>r.example/shop@<!-- -->x</code>");
  expect(rowsOf(lines)).toEqual([
    "| high | [<code>CVE-2026-1234</code>](https://www.cve.org/CVERecord?id=CVE-2026-1234) | left 1.0.0 → 1.0.1 | application | <code>package-lock.json:7</code> |",
  ]);
});

test("what is not known is not said: a fix, whose it is, a place", () => {
  const { place: _place, ...bare } = added("X", { fixedVersions: [], origin: "unknown", change: "worse" });
  expect(rowsOf(renderCompared([part("a", { counts, new: [bare] })]))).toEqual([
    "| high, worse | <code>X</code> | left 1.0.0, no fix known |  |  |",
  ]);
});

test("the version to go to is the one that the scanner recommends, of several", () => {
  const one = added("X", { fixedVersions: ["1.0.1", "2.0.0"], suggestedVersion: "1.0.1" });
  expect(rowsOf(renderCompared([part("a", { counts, new: [one] })]))[0]).toContain("left 1.0.0 → 1.0.1 |");
});

test("the same on two platforms is one row, which names them", () => {
  const on = (platform: string): Added => added("X", { platform });
  const lines = renderCompared([
    part("a", { counts: { ...counts, new: 2 }, new: [on("linux/amd64"), on("linux/arm64")] }),
  ]);
  expect(rowsOf(lines)).toHaveLength(1);
  expect(rowsOf(lines)[0]).toContain("(linux/amd64, linux/arm64)");
  expect(lines.join("\n")).not.toContain("more of them");
});

test("of several images each is told once, the worst first, with where it is", () => {
  const lines = renderCompared([
    part("api", { with: "x", counts, new: [added("LOW", { severity: "low" }), added("BOTH")] }),
    part("web", { with: "y", counts, new: [added("BOTH"), added("BAD", { severity: "critical" })] }),
    part("job", undefined),
  ]);
  expect(lines[0]).toBe("**2 new**, 4 fixed, 6 unchanged (2 of 3 images compared)");
  expect(rowsOf(lines).map((row) => row.split(" | ").map((cell) => cell.replace(/ \|$/, "")))).toMatchObject([
    { 1: "<code>BAD</code>", 5: "<code>web</code>" },
    { 1: "<code>BOTH</code>", 5: "2 images" },
    { 1: "<code>LOW</code>", 5: "<code>api</code>" },
  ]);
});

test("of very many the worst ten are rows, and the rest is counted with what no row has", () => {
  const many = Array.from({ length: 500 }, (_, at) => added(`X-${at}`, { severity: at === 99 ? "critical" : "high" }));
  const described = part("a", { counts: { ...counts, new: 500, worse: 3 }, new: many });
  expect(described.compared?.added).toHaveLength(100);
  const lines = renderCompared([described]);
  expect(rowsOf(lines)).toHaveLength(10);
  expect(rowsOf(lines)[0]).toContain("X-99");
  expect(lines).toContain("… and 493 more of them, in the result file.");
});

test("a severity that nobody knows comes last, and without rows all are counted", () => {
  const [one, other] = [added("ODD", { severity: "dreadful" }), added("LOW", { severity: "negligible" })];
  expect(rowsOf(renderCompared([part("a", { counts, new: [one, other] })]))[0]).toContain("LOW");
  const { compared } = part("a", { counts, new: [one] });
  expect(renderCompared([{ key: "a", compared: { ...compared, added: [] } as typeof compared }])).toContain(
    "1 more of them, in the result file.",
  );
});
