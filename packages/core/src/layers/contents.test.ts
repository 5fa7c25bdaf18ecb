import { tarOf } from "@goldenpath/testing/tar";
import { expect, test } from "vitest";
import { createCollector, keepContent, maxNotes } from "./contents.ts";
import { formatPath, TarParser } from "./tar.ts";

/** How many notes each of so many files keeps, of which each would have a hundred. */
function note(files: number): number[] {
  const notes = Array.from({ length: 100 }, (_, at) => ({ what: "x", line: at + 1, hash: "0" }));
  const collector = createCollector(keepContent(undefined, () => ({ add: () => {}, end: () => notes })));
  const parser = new TarParser();
  collector.take(parser.push(tarOf(...Array.from({ length: files }, (_, at) => ({ name: `${at}`, content: "x" })))));
  parser.finish();
  return collector.entries.map((each) => each.notes?.length ?? 0);
}

test("of a layer whose files have more than anybody reads each still tells that it has some", () => {
  const most = maxNotes / 100;
  expect(note(most)).toEqual(Array.from({ length: most }, () => 100));
  expect(note(most + 2)).toEqual([...Array.from({ length: most }, () => 100), 1, 1]);
});

test("no two paths show the same, and none has what a terminal obeys", () => {
  const utf8 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  const shown: Record<string, string> = {
    "a/\xe9": "/a/\\xe9",
    "a/\\xe9": "/a/\\\\xe9",
    [utf8("a/é")]: "/a/é",
    "a/\x1b[1m": "/a/\\x1b[1m",
    "a/\\x1b[1m": "/a/\\\\x1b[1m",
    [utf8("a/\u0085")]: "/a/\\xc2\\x85",
    "a/\x85": "/a/\\x85",
    [utf8("a/\ufffd")]: "/a/\\xef\\xbf\\xbd",
    [utf8("a/\u202e")]: "/a/\\xe2\\x80\\xae",
    [utf8("a/\u034f")]: "/a/\\xcd\\x8f",
    "a/b": "/a/b",
  };
  for (const [path, text] of Object.entries(shown)) expect(formatPath(path)).toBe(text);
  expect(new Set(Object.keys(shown).map(formatPath)).size).toBe(Object.keys(shown).length);
});
