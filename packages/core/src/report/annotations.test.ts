import { expect, test } from "vitest";
import type { ListedViolation } from "../result.ts";
import { planAnnotations } from "./annotations.ts";

const violation = (thing: string, wayOut: string, place?: ListedViolation["place"]): ListedViolation => ({
  rule: "scan.severity",
  thing,
  problem: "High.",
  wayOut,
  ...(place === undefined ? {} : { place }),
});

test("what one change mends is one, at its line, and says how much that is", () => {
  const place = { file: "package-lock.json", line: 12 };
  const five = Array.from({ length: 5 }, (_, at) => violation(`CVE-${at}`, "Update lodash.", place));
  expect(planAnnotations(five, 9)).toEqual([
    {
      title: "scan.severity",
      message: "CVE-0: High.\nAlso: CVE-1; CVE-2 and 2 more.\n→ Update lodash.",
      file: "package-lock.json",
      line: 12,
    },
  ]);
});

test("the same on several platforms is not said twice", () => {
  expect(planAnnotations([violation("CVE-1", "Update."), violation("CVE-1", "Update.")], 9)).toEqual([
    { title: "scan.severity", message: "CVE-1: High.\n→ Update." },
  ]);
});

test("of too many those stay that have a place, then those that mend most, then the first", () => {
  const many = [
    violation("one", "Mend one."),
    violation("two", "Mend two."),
    violation("three", "Mend three."),
    violation("four", "Mend three."),
    violation("file", "Mend the file.", { file: "go.mod" }),
    violation("line", "Mend the line.", { file: "go.mod", line: 3 }),
  ];
  const told = (most: number): string[] =>
    planAnnotations(many, most).map(({ message }) => message.split(":")[0] ?? "");
  expect(told(9)).toEqual(["line", "file", "three", "one", "two"]);
  expect(told(4)).toEqual(["line", "file", "three", "one"]);
  expect(told(0)).toEqual([]);
});
