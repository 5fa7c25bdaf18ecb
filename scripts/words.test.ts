import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errorCodes } from "../packages/foundation/src/error-codes.ts";
import { renderDocs } from "./docs.ts";
import { findKinds, findThrown, otherFolders, productFolders, readSources, refreshRules } from "./words.ts";

describe("a code that nobody throws is found", () => {
  test.each([
    ["only compared with", 'if (error.code === "tag-moved") return;'],
    ["only compared with, the other way", 'if (error.code !== "tag-moved") throw error;'],
    ["only looked up", 'const absences: readonly ErrorCode[] = ["image-not-found", "tag-moved"];'],
    ["only looked up, in place", '["image-not-found", "tag-moved"].includes(error.code)'],
    ["only told of", "@throws InfrastructureError `tag-moved`"],
    ["part of another", 'code: "tag-moved-back"'],
  ])("%s", (_, source) => expect([...findThrown([source], ["tag-moved"])]).toEqual([]));

  test("beside one that is thrown", () => {
    expect([...findThrown(['new InfrastructureError("x", { code: "tag-moved" })'], ["tag-moved", "aborted"])]).toEqual([
      "tag-moved",
    ]);
  });

  test("and every code of the table is thrown somewhere", () => {
    const codes = Object.keys(errorCodes);
    const thrown = findThrown(readSources([...productFolders, ...otherFolders]), codes);
    expect(codes.filter((code) => !thrown.has(code))).toEqual([]);
  });
});

test("a kind is that of the error which is made with the code, not of one before it", () => {
  const source =
    'new UserError(message, { code, wayOut }); new InfrastructureError(`a (b)`, {\n  code: "too-large" });';
  expect([...findKinds([source])]).toEqual([["too-large", new Set(["infrastructure"])]]);
});

test.each([...renderDocs()])("%s is what it is written from", (path, fresh) => {
  expect(readFileSync(join(import.meta.dirname, "..", path), "utf8"), "run: npm run docs").toBe(fresh);
});

test("a documentation without a table of rules is an error, not a pass", () => {
  expect(() => refreshRules("# The policy\n")).toThrow("no table of rules");
});
