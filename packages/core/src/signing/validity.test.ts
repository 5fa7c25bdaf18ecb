import { expect, test } from "vitest";
import { explainOutside } from "./validity.ts";

const at = (hour: number, milliseconds = 0): Date => new Date(Date.UTC(2026, 4, 1, hour, 0, 0, milliseconds));
const holds = { from: at(10), until: at(12) };

test.each([
  ["just before it holds", at(9, 3_599_999), "its signature holds from 2026-05-01T10:00:00.000Z on"],
  ["from when it holds", at(10), undefined],
  ["until when it holds", at(12), undefined],
  ["just after it held", at(12, 1), "its signature held until 2026-05-01T12:00:00.000Z"],
])("a signature %s", (_what, now, says) => {
  expect(explainOutside(holds, now)).toBe(says);
});

test("a signature without an end, without a beginning or without either", () => {
  expect(explainOutside({ from: at(10) }, at(9))).toContain("holds from");
  expect(explainOutside({ from: at(10) }, at(20))).toBeUndefined();
  expect(explainOutside({ until: at(12) }, at(13))).toContain("held until");
  expect(explainOutside({ until: at(12) }, at(1))).toBeUndefined();
  expect(explainOutside(undefined, at(1))).toBeUndefined();
});
