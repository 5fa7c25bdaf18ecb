import { expect, test } from "vitest";
import { chooseScanners, scanners } from "./table.ts";

const table = [...scanners, { ...scanners[0], name: "shelf" } as (typeof scanners)[number]];
const choose = (choice: string, required?: readonly string[]): string[] =>
  chooseScanners(choice, required, table).map(({ name }) => name);

test.each([
  ["trove", undefined],
  ["", undefined],
  ["Shelf", undefined],
  ["constructor", undefined],
  ["grype,trove", undefined],
  ["grype,", undefined],
  ["auto,grype", undefined],
  // Whoever calls must not choose the one that finds less.
  ["shelf", ["grype"]],
  ["grype", ["grype", "shelf"]],
  ["auto", ["trove"]],
])("the input '%s' under a policy that asks for %j is refused", (choice, required) => {
  expect(() => choose(choice, required)).toThrow(expect.objectContaining({ name: "UserError", code: "input-invalid" }));
});

test("an empty table has none for auto either", () => {
  expect(() => chooseScanners("auto", undefined, [])).toThrow(expect.objectContaining({ code: "input-invalid" }));
});

test.each([
  ["auto", undefined, ["grype"]],
  ["auto", ["shelf"], ["shelf"]],
  ["auto", ["shelf", "grype"], ["shelf", "grype"]],
  ["grype", undefined, ["grype"]],
  ["shelf", undefined, ["shelf"]],
  ["shelf, grype,shelf", ["grype"], ["shelf", "grype"]],
])("the input '%s' under a policy that asks for %j takes %j", (choice, required, names) => {
  expect(choose(choice, required)).toEqual(names);
});
