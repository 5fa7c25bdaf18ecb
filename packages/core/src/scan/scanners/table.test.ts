import { expect, test } from "vitest";
import { chooseScanner, listScannerChoices, scanners } from "./table.ts";

const table = [...scanners, { ...scanners[0], name: "shelf" } as (typeof scanners)[number]];

test.each(["trove", "", "Shelf", "constructor"])("there is no scanner '%s'", (choice) => {
  expect(() => chooseScanner(choice, table)).toThrow(
    expect.objectContaining({ name: "UserError", code: "input-invalid" }),
  );
});

test("an empty table has none for auto either", () => {
  expect(() => chooseScanner("auto", [])).toThrow(expect.objectContaining({ code: "input-invalid" }));
});

test.each([
  ["auto", "grype"],
  ["grype", "grype"],
  ["shelf", "shelf"],
])("%s takes %s", (choice, name) => {
  expect(chooseScanner(choice, table).name).toBe(name);
});

test("the choices are the table's", () => {
  expect(listScannerChoices(table)).toEqual(["auto", "grype", "shelf"]);
});
