import { expect, test } from "vitest";
import { otherImages, readSections, renderSections } from "./issue-sections.ts";

const section = (of: string, rows: number) => ({
  of,
  head: [`**${of}**`, "", "| a |", "| --- |"],
  rows: Array.from({ length: rows }, (_, at) => `| ${at} |`),
});
const names = (text: string): string[] => readSections(text).map(({ of }) => of);

test.each([
  ["without any", "<!-- goldenpath-fleet 0 1 -->\nx"],
  ["of a name that is none", "\n<!-- goldenpath-fleet-of host.example/../x -->\nx"],
])("an issue %s is of images that nobody knows", (_what, body) => {
  expect(names(body)).toEqual([otherImages]);
});

test("sections are read as they were written, and written as they were read", () => {
  const text = renderSections([section("host.example/a", 2), section("host.example/b--c", 1)], 10_000);
  expect(names(text)).toEqual(["host.example/a", "host.example/b--c"]);
  expect(renderSections(readSections(text), 10_000)).toBe(text);
});

test("what has no room is counted, and is of images that nobody knows", () => {
  const all = Array.from({ length: 9 }, (_, at) => section(`host.example/r${at}`, 30));
  const text = renderSections(all, 60_000);
  expect(names(text)).toEqual([...Array.from({ length: 7 }, (_, at) => `host.example/r${at}`), otherImages]);
  expect(text).toContain("and 10 more here.");
  expect(text).toContain("and 60 more, of images that are not named here.");
  expect(renderSections(all, 1_000).length).toBeLessThanOrEqual(1_000);
  // As often as it is written anew.
  expect(names(renderSections(readSections(text), 60_000))).toEqual(names(text));
});
